/* The Darwin curve of a silicon crystal: how much of a ray it reflects, by its distance from the
   Bragg angle. Internal to the physics. */
#ifndef BL_DARWIN_H
#define BL_DARWIN_H

#include <complex.h>
#include <stddef.h>

#include "mono.h"

/* Distances are in pi dE/E of a ray of fixed angle, or, the other way round, in pi
   dtheta/tan(theta) of a photon of fixed energy. */
struct bl_darwin {
    double complex structure, refraction;
    double centre;     /* by refraction */
    double half_width; /* of the flat top */
};

/* Of an order of reflection at that order's own energy (three times the fundamental's for the
   third). BL_ERANGE outside the tables, BL_EINVAL for an order that the crystal forbids. */
int bl_darwin_init(const struct bl_crystal *crystal, int order, const struct bl_elements *elements,
                   double energy_ev, struct bl_darwin *darwin);

double bl_darwin_reflectivity(const struct bl_darwin *darwin, double distance);

/* Full width at half maximum of a single-peaked curve, interpolated between its points. */
double bl_curve_fwhm(const double *curve, size_t n, double step);

#endif
