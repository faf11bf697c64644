/* The second crystal of the monochromator: how much the pair passes as it turns against the first.

   Both crystals reflect a ray of one energy, so that the pair passes the product of two Darwin
   curves, shifted against each other by the pitch, and its integral over energy is their
   convolution. The third order is reflected at the same angles, by a curve that is so much
   narrower that a detuned pair passes little of it: refraction shifts its curve on both crystals
   alike. Tabulated once. Internal to the physics. */
#ifndef BL_ROCKING_H
#define BL_ROCKING_H

#include "mono.h"

enum bl_order { BL_FUNDAMENTAL, BL_THIRD, BL_NORDERS };

#define BL_ROCKING_ENERGIES 24
#define BL_ROCKING_OFFSETS 121

struct bl_rocking {
    /* By crystal, order and energy of the fundamental: half width of the flat top in pi dE/E, and
       integrals over dE/E by the offset in steps of it. */
    double half_width[BL_NCRYSTALS][BL_NORDERS][BL_ROCKING_ENERGIES];
    double passed[BL_NCRYSTALS][BL_NORDERS][BL_ROCKING_ENERGIES][BL_ROCKING_OFFSETS];
};

/* How many times the fundamental's energy that of an order is. */
int bl_order_number(enum bl_order order);

int bl_rocking_init(struct bl_rocking *rocking, const struct bl_elements *elements, char *err,
                    size_t errlen);

/* Integral over dE/E of what the pair passes of an order, its second crystal turned by an angle
   from where they are parallel. BL_ERANGE for an energy that the monochromator cannot be set to. */
int bl_rocking_passed(const struct bl_rocking *rocking, int crystal, enum bl_order order,
                      double energy_ev, double pitch_rad, double *passed);

#endif
