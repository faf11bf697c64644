/* What the monochromator passes around an energy: its width, tabulated once, and the nodes of a
   mean over it. Internal to the physics. */
#ifndef BL_BANDPASS_H
#define BL_BANDPASS_H

#include "mono.h"

#define BL_BANDPASS_NODES 11
#define BL_BANDPASS_POINTS 32

struct bl_bandpass {
    double fwhm_ev[BL_NCRYSTALS][BL_BANDPASS_POINTS];
    double node[BL_BANDPASS_NODES]; /* in standard deviations */
    double weight[BL_BANDPASS_NODES];
};

int bl_bandpass_init(struct bl_bandpass *bandpass, const struct bl_elements *elements,
                     double divergence_rad, char *err, size_t errlen);

/* FWHM in eV; BL_ERANGE for an energy that the monochromator cannot be set to. */
int bl_bandpass_fwhm(const struct bl_bandpass *bandpass, int crystal, double energy_ev,
                     double *fwhm_ev);

#endif
