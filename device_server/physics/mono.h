/* The double-crystal monochromator: Bragg angle, energy and energy resolution. */
#ifndef BL_MONO_H
#define BL_MONO_H

#include "elements.h"

enum bl_crystal_index { BL_SI111, BL_SI311, BL_NCRYSTALS };

struct bl_crystal {
    const char *name; /* "Si(111)" */
    double d_angstrom;
    double f0;       /* atomic form factor of silicon at this reflection .. */
    double f0_third; /* .. and at its third order; the second one is forbidden */
};

/* Crystal by index, NULL if there is none. */
const struct bl_crystal *bl_mono_crystal(int index);

/* Bragg's law, first order. BL_ERANGE where it has no solution (an angle in (0, 90] deg). */
int bl_mono_bragg_deg(double d_angstrom, double energy_ev, double *bragg_deg);
int bl_mono_energy_ev(double d_angstrom, double bragg_deg, double *energy_ev);

/* FWHM in eV of one reflection, of the crystal pair (square of the Darwin curve with absorption),
   and of the pair with a Gaussian divergence (FWHM, may be 0) of the beam. */
struct bl_resolution {
    double single_ev;
    double pair_ev;
    double total_ev;
};

int bl_mono_resolution(const struct bl_crystal *crystal, const struct bl_elements *elements,
                       double energy_ev, double divergence_rad, struct bl_resolution *fwhm);

#endif
