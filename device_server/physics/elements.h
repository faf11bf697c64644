/* X-ray absorption of the elements: mass attenuation coefficients, edges and atomic masses, read
   from samples/elements.dat. Immutable after load; any thread may read. */
#ifndef BL_ELEMENTS_H
#define BL_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#define BL_MAX_Z 92

enum bl_attenuation {
    BL_TOTAL,         /* all that removes a photon from the beam */
    BL_PHOTOELECTRIC, /* the part that makes charge in an ion chamber */
    BL_NATTENUATIONS
};

struct bl_edge {
    char name[4]; /* K, L1, L2, L3, M1 .. */
    double energy_ev;
    double jump_cm2_g; /* step of the total attenuation at the edge */
};

struct bl_elements;

int bl_elements_load(const char *path, struct bl_elements **elements, char *err, size_t errlen);
void bl_elements_free(struct bl_elements *elements);

/* Energies that the tables cover, in eV. */
void bl_elements_range(const struct bl_elements *elements, double *lowest_ev, double *highest_ev);

/* Atomic number from a symbol (upper and lower case as written, "Fe"): BL_ENOTFOUND if there is
   none. */
int bl_elements_find(const struct bl_elements *elements, const char *symbol, int *z);
const char *bl_elements_symbol(const struct bl_elements *elements, int z);
int bl_elements_mass(const struct bl_elements *elements, int z, double *g_per_mol);

/* Edge by name ("K", "L3", case-insensitive): BL_ENOTFOUND where the tables hold none. */
int bl_elements_edge(const struct bl_elements *elements, int z, const char *name,
                     struct bl_edge *edge);

/* Mass attenuation coefficient in cm^2/g, log-log interpolated between edges; an energy equal to
   an edge belongs to the upper side. BL_ERANGE outside the tables. */
int bl_elements_attenuation(const struct bl_elements *elements, int z, enum bl_attenuation kind,
                            double energy_ev, double *cm2_g);

#endif
