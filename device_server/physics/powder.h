/* Powder lines on a two-circle diffractometer with a point detector, in absolute numbers: a flat
   sample in a parallel beam, a receiving slit far away.

   Integrated intensities: B. E. Warren, X-ray Diffraction (1969), chapter 4. Absorption: that of a
   plate of finite thickness, in reflection or, where the detector looks at its other side, in
   transmission. Profile: pseudo-Voigt of the slit, the energy width and the divergence (Gaussian)
   and of the crystallites' size by Scherrer (Lorentzian): P. Thompson, D. E. Cox, J. B. Hastings,
   J. Appl. Cryst. 20 (1987) 79. Background: all that the tables say is scattered by the sample and
   by the air in view of the slit, evenly in all directions. The detector discards fluorescence. The
   grains of the powder have no preferred orientation. */
#ifndef BL_POWDER_H
#define BL_POWDER_H

#include "phases.h"

struct bl_diffractometer {
    double radius_mm;      /* sample to slit */
    double slit_height_mm; /* across the plane of diffraction */
    double slit_deg;       /* width of the slit, as an angle of two-theta */
    double divergence_rad; /* FWHM of the beam in the plane of diffraction */
    double polarisation;   /* part of the beam polarised across the plane of diffraction */
    double air_mm;         /* of the beam that the slit sees at two-theta = 90 deg */
    double beam_stop_deg;  /* nothing passes within this angle of the direct beam */
};

extern const struct bl_diffractometer bl_diffractometer_default;

/* What is in the beam. */
struct bl_powder {
    const struct bl_phase *phase; /* NULL: no lines */
    double phase_g_cm2;           /* areal density of the phase .. */
    double areal_density_g_cm2;   /* .. and of all there is; 0: nothing */
    double attenuation_cm2_g;     /* mean mass attenuation at the beam's energy .. */
    double scattering_cm2_g;      /* .. and the part of it that is scattering */
};

struct bl_powder_beam {
    double energy_ev;
    double fwhm_ev; /* width of the monochromator's band */
};

/* Bragg angle 2 theta of a distance; BL_ERANGE where there is none. */
int bl_powder_two_theta_deg(double d_angstrom, double wavelength_angstrom, double *two_theta_deg);

/* FWHM of a line's Gaussian and Lorentzian part, in deg of two-theta. */
void bl_powder_widths(const struct bl_diffractometer *diffractometer,
                      const struct bl_powder_beam *beam, double size_angstrom, double two_theta_deg,
                      double *gaussian_deg, double *lorentzian_deg);

/* Photons detected for each photon that arrives at the sample. theta_deg is the angle between beam
   and the sample's surface, two_theta_deg that between beam and detector. */
int bl_powder_rate(const struct bl_diffractometer *diffractometer,
                   const struct bl_elements *elements, const struct bl_powder *powder,
                   const struct bl_powder_beam *beam, double theta_deg, double two_theta_deg,
                   double *per_photon);

#endif
