/* The sample holder: named places in X/Y. X and Y are the stage's axes: moving them to a place's
   x_um and y_um brings that place into the beam. */
#ifndef BL_HOLDER_H
#define BL_HOLDER_H

#include "sample.h"

#define BL_HOLDER_LIMIT_UM 10000.0     /* places lie within +- this */
#define BL_HOLDER_HALF_WIDTH_UM 1000.0 /* of the square window of a place */
#define BL_HOLDER_PLACES 49
#define BL_EMPTY_NAME "empty"

struct bl_place {
    char name[BL_NAME_LENGTH];
    double x_um;
    double y_um;
    struct bl_sample *sample; /* NULL: an empty place */
};

struct bl_holder {
    size_t n;
    struct bl_place place[BL_HOLDER_PLACES];
};

/* Loads the XDI and powder files (*.powder) of a folder, placed as its holder.dat says (lines "name
   x_um y_um"; a name is a file's stem, or "empty") and those not named there, then `extra` files,
   on the next free places; adds an empty place where there is none. `folder` may be NULL;
   `chambers` as for bl_sample_load. */
int bl_holder_load(const char *folder, const char *const *extra, size_t n_extra,
                   const struct bl_elements *elements, const struct bl_chamber_pair *chambers,
                   struct bl_holder **holder, char *err, size_t errlen);
void bl_holder_free(struct bl_holder *holder);

/* The place whose window the beam passes, NULL for the holder's open frame (no sample there). */
const struct bl_place *bl_holder_at(const struct bl_holder *holder, double x_um, double y_um);

/* The place of that name, NULL if there is none. */
const struct bl_place *bl_holder_find(const struct bl_holder *holder, const char *name);

#endif
