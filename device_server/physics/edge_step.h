/* Areal density from the edge step of a spectrum. Internal to the physics. */
#ifndef BL_EDGE_STEP_H
#define BL_EDGE_STEP_H

#include "xdi.h"

struct bl_edge_step {
    double areal_density_g_cm2;
    size_t n_pre; /* points, from the first on, that are the pre-edge */
};

/* Least squares of mu = areal * table + constant + slope * (E - edge) over the pre-edge and the
   post-edge, the near edge left out; `table` is the mass attenuation of the sample's formula at the
   points of the file. The tables carry the curvature, the slope what chambers and mounting add.
   BL_EFORMAT for a spectrum that does not hold the edge, has too little on a side of it, or no
   step. */
int bl_edge_step_find(const struct bl_xdi *xdi, const double *table, double edge_ev,
                      struct bl_edge_step *step, char *err, size_t errlen);

#endif
