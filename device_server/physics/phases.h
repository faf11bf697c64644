/* Crystal phases: the lines of their powders and how their atoms scatter, read from
   samples/phases.dat. Immutable after load; any thread may read. */
#ifndef BL_PHASES_H
#define BL_PHASES_H

#include "formula.h"
#include "sample.h"

#define BL_PHASE_SITES 2 /* kinds of atom in a cell */

struct bl_scatterer;

struct bl_phase_line {
    int h, k, l;
    double multiplicity;
    double d_angstrom;
    double sum[BL_PHASE_SITES]; /* of cos 2 pi h.r over the atoms of each kind in a cell */
};

struct bl_phase {
    char name[BL_NAME_LENGTH];
    char formula_text[BL_NAME_LENGTH];
    struct bl_formula formula;
    double volume_a3;     /* of the cell */
    double density_g_cm3; /* of the crystal */
    double size_angstrom; /* of the crystallites; 0: they widen no line */
    size_t n_sites;
    const struct bl_scatterer *scatterer[BL_PHASE_SITES];
    double b_a2[BL_PHASE_SITES]; /* 8 pi^2 <u^2> at room temperature */
    size_t n_lines;
    struct bl_phase_line *line; /* longest distance first */
};

struct bl_phases;

int bl_phases_load(const char *path, const struct bl_elements *elements, struct bl_phases **phases,
                   char *err, size_t errlen);
void bl_phases_free(struct bl_phases *phases);

size_t bl_phases_count(const struct bl_phases *phases);
const struct bl_phase *bl_phases_get(const struct bl_phases *phases, size_t index);

/* The phase of that composition, NULL if there is none. */
const struct bl_phase *bl_phases_match(const struct bl_phases *phases,
                                       const struct bl_formula *formula);

/* Scattering amplitude of an atom in electrons, f0(s) + f' + i f'', s = sin(theta)/wavelength in
   1/Angstrom. BL_ERANGE outside the tables. */
int bl_scatterer_amplitude(const struct bl_scatterer *scatterer, double s, double energy_ev,
                           double *real, double *imaginary);

/* Square of the structure factor of a line, at rest times the Debye-Waller factor. */
int bl_phase_structure(const struct bl_phase *phase, const struct bl_phase_line *line,
                       double energy_ev, double *f_squared);

#endif
