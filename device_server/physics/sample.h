/* A sample: absorption mu*t(E) from an XDI file, continued by the tables outside its range.

   A measured ln(i0/itrans) holds the response of the chambers that it was measured with, and the
   unknown ratio of two gains. Neither comes in twice: the response of this beamline's chambers is
   taken out of it, as its resolution is not applied again, and one constant, `offset`, puts its
   pre-edge onto the tables. So what the chambers count, ln(I0/It), is the file's, interpolated
   linearly between its points, plus `offset`. */
#ifndef BL_SAMPLE_H
#define BL_SAMPLE_H

#include "chamber.h"

#define BL_NAME_LENGTH 40 /* what a DBF_STRING holds, with its end */

struct bl_sample {
    char name[BL_NAME_LENGTH]; /* stem of the file's name */
    char title[256];           /* Sample.name, else the name */
    char formula_text[256];
    char element[4];
    char edge[4];
    double edge_ev;             /* tabulated energy of the edge */
    double edge_step;           /* of mu*t */
    double areal_density_g_cm2; /* of the formula */
    double offset;              /* of ln(I0/It) as counted from the file's; 0 for an absolute one */
    bool absolute;
    bool contains_resolution; /* true for a measured file: no second broadening */
    struct bl_formula formula;
    size_t n;
    double *energy_ev;
    double *mu;         /* on the tables, without the chambers' response */
    double excess_low;  /* mu*t of the file less that of the tables, at the first point .. */
    double excess_high; /* .. and at the last one */
};

/* `chambers`: those whose response a measured file is taken to contain; NULL for ideal ones. */
int bl_sample_load(const char *path, const struct bl_elements *elements,
                   const struct bl_chamber_pair *chambers, struct bl_sample **sample, char *err,
                   size_t errlen);
void bl_sample_free(struct bl_sample *sample);

/* mu*t at an energy; BL_ERANGE outside the tables. NULL stands for no sample: 0. */
int bl_sample_mu(const struct bl_sample *sample, const struct bl_elements *elements,
                 double energy_ev, double *mu);

#endif
