/* Flux of a bending magnet behind tuned Si(111) crystals. */
#ifndef BL_SOURCE_H
#define BL_SOURCE_H

struct bl_source {
    double critical_ev;    /* critical energy of the bending magnet */
    double reference_ev;   /* energy, .. */
    double reference_ma;   /* .. ring current .. */
    double reference_flux; /* .. and photons/s there, in front of I0 */
};

extern const struct bl_source bl_source_default;

/* The universal spectrum of a bending magnet, y times the integral of K5/3 from y on. */
double bl_source_g1(double y);

/* Photons/s in front of I0 in the bandwidth that these crystals have at the reference energy, a
   fixed fraction of the energy. */
int bl_source_flux(const struct bl_source *source, double energy_ev, double ring_ma,
                   double *photons_per_s);

#endif
