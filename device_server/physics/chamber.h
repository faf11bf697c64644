/* An ion chamber with its current amplifier and voltage-to-frequency converter. A plain value:
   copy it, change gain or vf of the copy, and use it on. */
#ifndef BL_CHAMBER_H
#define BL_CHAMBER_H

#include "formula.h"

struct bl_chamber {
    char gas[32]; /* formula of the filling */
    double length_cm;
    double pressure_pa;
    double temperature_k;
    double w_ev;         /* mean energy of an ion pair */
    double gain_v_per_a; /* of the current amplifier */
    double vf_hz_per_v;  /* of the V/F converter */
    struct bl_formula filling;
    double density_g_cm3; /* follows from gas, pressure and temperature */
};

/* Checks the configuration (all fields above `filling`) and fills in the rest. */
int bl_chamber_init(struct bl_chamber *chamber, const struct bl_elements *elements, char *err,
                    size_t errlen);

/* Fraction of the beam absorbed by the photoelectric effect (it makes the current) and fraction
   that passes (total attenuation). */
int bl_chamber_fractions(const struct bl_chamber *chamber, const struct bl_elements *elements,
                         double energy_ev, double *absorbed, double *transmitted);

/* Two chambers, one behind the other, with room for a sample between them. */
struct bl_chamber_pair {
    const struct bl_chamber *i0;
    const struct bl_chamber *itrans;
};

/* ln(I0/Itrans) of their counts with nothing between them. It changes with energy, as the fractions
   that the fillings absorb do; a measured ln(i0/itrans) contains it. */
int bl_chamber_pair_log_ratio(const struct bl_chamber_pair *pair,
                              const struct bl_elements *elements, double energy_ev,
                              double *log_ratio);

/* Current in ampere for a rate of absorbed photons, one carrier counted. */
double bl_chamber_current_a(const struct bl_chamber *chamber, double energy_ev,
                            double absorbed_per_s);

/* Deposited photon energy in eV that one V/F count stands for: W / (e gain vf). */
double bl_chamber_ev_per_count(const struct bl_chamber *chamber);

/* V/F counts (not rounded) that a number of absorbed photons makes. */
double bl_chamber_counts(const struct bl_chamber *chamber, double energy_ev, double photons);

#endif
