/* Fluorescence: what a sample emits, and a silicon drift detector of several elements that counts
   it.

   Emission of a plate: dN = flux yield (mu_shell/sin a) (1 - exp(-S t))/S with
   S = mu(E)/sin a + mu(Ef)/sin b, which is the self-absorption. The detector looks at the sample at
   135 deg from the beam's direction, in the horizontal plane: sin a = cos theta and
   sin b = cos(45 deg - theta) at the sample's rotation theta. */
#ifndef BL_FLUORESCENCE_H
#define BL_FLUORESCENCE_H

#include "lines.h"
#include "rng.h"
#include "sample.h"

#define BL_EMISSION_LINES 40
#define BL_XRF_ELEMENTS 4
#define BL_MCA_CHANNELS 2048
#define BL_MCA_EV 10.0 /* of a channel */

struct bl_emission {
    size_t n;
    struct {
        double energy_ev;
        double photons; /* into all directions, as if all were as that of the detector */
    } line[BL_EMISSION_LINES];
};

/* Adds photons to the line of that energy, or to the nearest where there is room for no other. */
void bl_emission_add(struct bl_emission *emission, double energy_ev, double photons);

/* The plate as the beam meets it. */
struct bl_plate {
    const struct bl_sample *sample;
    struct bl_condition condition;
    double mu;        /* mu*t at the beam's energy along the normal, mean over its band */
    double theta_deg; /* rotation from where the beam comes along the normal */
};

/* Adds what a plate emits for photons of an energy that arrive on it: all lines of all its
   elements, and what it scatters elastically. */
int bl_emission_of(const struct bl_plate *plate, const struct bl_elements *elements,
                   const struct bl_lines *lines, double energy_ev, double photons,
                   struct bl_emission *emission);

struct bl_xrf {
    double solid_angle[BL_XRF_ELEMENTS]; /* part of all directions that an element covers */
    double silicon_cm;                   /* thickness of its crystal */
    double air_cm;                       /* between sample and crystal */
    double noise_ev;                     /* FWHM without that of the charge */
    double dead_time_s;                  /* after each photon */
};

extern const struct bl_xrf bl_xrf_default;

/* Part of the photons that reach the crystal's area and are seen. */
int bl_xrf_efficiency(const struct bl_xrf *xrf, const struct bl_elements *elements,
                      double energy_ev, double *efficiency);

/* FWHM in eV of a line. */
double bl_xrf_fwhm_ev(const struct bl_xrf *xrf, double energy_ev);

/* Part of a line that falls between two energies. */
double bl_xrf_between(const struct bl_xrf *xrf, double energy_ev, double low_ev, double high_ev);

/* Rate seen of a true one, n/(1 + n tau): the detector is dead after what it sees, and what comes
   then does not prolong it. */
double bl_xrf_seen(double true_hz, double dead_time_s);

/* A spectrum of pulses seen, by channel. Without rng it is the mean; otherwise the pulses in the
   channels from low to high are `counted` together. */
void bl_xrf_spectrum(const struct bl_xrf *xrf, const struct bl_emission *seen, struct bl_rng *rng,
                     size_t low, size_t high, double counted, double channel[BL_MCA_CHANNELS]);

#endif
