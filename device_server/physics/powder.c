#include "powder.h"

#include <math.h>

#include "constants.h"
#include "status.h"

#define RADIAN_PER_DEGREE (BL_PI / 180.0)
#define SCHERRER 0.94
#define NITROGEN_Z 7
#define AIR_G_CM3 1.2e-3

const struct bl_diffractometer bl_diffractometer_default = {
    .radius_mm = 500.0,
    .slit_height_mm = 10.0,
    .slit_deg = 0.05,
    .divergence_rad = 20e-6,
    .polarisation = 0.95,
    .air_mm = 10.0,
    .beam_stop_deg = 2.0,
};

int bl_powder_two_theta_deg(double d_angstrom, double wavelength_angstrom, double *two_theta_deg)
{
    const double sine = wavelength_angstrom / (2 * d_angstrom);

    if (!(d_angstrom > 0) || !(sine > 0 && sine <= 1))
        return BL_ERANGE;
    *two_theta_deg = 2 * asin(sine) / RADIAN_PER_DEGREE;
    return BL_OK;
}

void bl_powder_widths(const struct bl_diffractometer *diffractometer,
                      const struct bl_powder_beam *beam, double size_angstrom, double two_theta_deg,
                      double *gaussian_deg, double *lorentzian_deg)
{
    const double theta = 0.5 * two_theta_deg * RADIAN_PER_DEGREE;
    const double wavelength = BL_HC_EV_ANGSTROM / beam->energy_ev;
    const double band = 2 * tan(theta) * beam->fwhm_ev / beam->energy_ev / RADIAN_PER_DEGREE;
    const double divergence = diffractometer->divergence_rad / RADIAN_PER_DEGREE;
    /* the Gaussian of a box's variance */
    const double slit = diffractometer->slit_deg * BL_FWHM_PER_SIGMA / sqrt(12.0);

    *gaussian_deg = sqrt(slit * slit + band * band + divergence * divergence);
    *lorentzian_deg = size_angstrom > 0
                          ? SCHERRER * wavelength / (size_angstrom * cos(theta)) / RADIAN_PER_DEGREE
                          : 0.0;
}

/* Pseudo-Voigt of unit area, the approximation of Thompson, Cox and Hastings. */
static double profile(double x, double gaussian, double lorentzian)
{
    const double g = gaussian, l = lorentzian;
    const double width = pow(pow(g, 5) + 2.69269 * pow(g, 4) * l + 2.42843 * pow(g, 3) * l * l +
                                 4.47163 * g * g * pow(l, 3) + 0.07842 * g * pow(l, 4) + pow(l, 5),
                             0.2);
    const double part = l / width;
    const double mixing = 1.36603 * part - 0.47719 * part * part + 0.11116 * part * part * part;
    const double at = 2 * x / width;

    return 2 / width *
           (mixing / (BL_PI * (1 + at * at)) +
            (1 - mixing) * sqrt(log(2.0) / BL_PI) * exp(-log(2.0) * at * at));
}

/* Mass per area that scatters towards the detector as if nothing were absorbed: the integral over
   the plate's depth of what arrives there and leaves again. */
static double effective_mass(const struct bl_powder *powder, double theta_deg, double two_theta_deg)
{
    const double in = fabs(sin(theta_deg * RADIAN_PER_DEGREE));
    const double out = sin((two_theta_deg - theta_deg) * RADIAN_PER_DEGREE);
    const double mass = powder->areal_density_g_cm2, mu = powder->attenuation_cm2_g;
    const int reflection = out * sin(theta_deg * RADIAN_PER_DEGREE) > 0;
    double exponent, leaving = 0;

    if (in < 1e-6 || fabs(out) < 1e-6)
        return 0; /* along the surface */
    exponent = mu * mass * (1 / in + (reflection ? 1 : -1) / fabs(out));
    if (!reflection)
        leaving = mu * mass / fabs(out);
    /* (1 - exp(-x))/x, which expm1 keeps exact for small x of either sign */
    return mass / in * exp(-leaving) * (fabs(exponent) > 1e-12 ? -expm1(-exponent) / exponent : 1);
}

static double polarised(const struct bl_diffractometer *diffractometer, double two_theta_deg)
{
    const double cosine = cos(two_theta_deg * RADIAN_PER_DEGREE);

    return diffractometer->polarisation + (1 - diffractometer->polarisation) * cosine * cosine;
}

/* Lines, for each g/cm^2 of the phase: the power in a cone, the part of it that passes the slit's
   height, and the slit's part of the profile. */
static int lines(const struct bl_diffractometer *diffractometer, const struct bl_phase *phase,
                 const struct bl_powder_beam *beam, double two_theta_deg, double *cm2_g)
{
    const double wavelength = BL_HC_EV_ANGSTROM / beam->energy_ev;
    const double cell = BL_ELECTRON_RADIUS_ANGSTROM / phase->volume_a3;
    const double common = 1e8 * cell * cell * pow(wavelength, 3) / (4 * phase->density_g_cm3);

    *cm2_g = 0;
    for (size_t i = 0; i < phase->n_lines; i++) {
        const struct bl_phase_line *line = &phase->line[i];
        double at_deg, f_squared, gaussian, lorentzian, cone, height;
        int status;

        if (bl_powder_two_theta_deg(line->d_angstrom, wavelength, &at_deg) != BL_OK)
            break; /* all that follow are shorter */
        status = bl_phase_structure(phase, line, beam->energy_ev, &f_squared);
        if (status != BL_OK)
            return status;
        bl_powder_widths(diffractometer, beam, phase->size_angstrom, at_deg, &gaussian,
                         &lorentzian);
        cone = common * line->multiplicity * f_squared * polarised(diffractometer, at_deg) /
               sin(0.5 * at_deg * RADIAN_PER_DEGREE);
        height = diffractometer->slit_height_mm /
                 (2 * BL_PI * diffractometer->radius_mm * sin(at_deg * RADIAN_PER_DEGREE));
        *cm2_g += cone * fmin(height, 1) * diffractometer->slit_deg *
                  profile(two_theta_deg - at_deg, gaussian, lorentzian);
    }
    return BL_OK;
}

/* Mass per area of air in view of the slit, which sees more of the beam at small angles. */
static double air_g_cm2(const struct bl_diffractometer *diffractometer, double two_theta_deg)
{
    return AIR_G_CM3 * 0.1 * diffractometer->air_mm / sin(two_theta_deg * RADIAN_PER_DEGREE);
}

int bl_powder_rate(const struct bl_diffractometer *diffractometer,
                   const struct bl_elements *elements, const struct bl_powder *powder,
                   const struct bl_powder_beam *beam, double theta_deg, double two_theta_deg,
                   double *per_photon)
{
    const double angle_deg = fabs(remainder(two_theta_deg, 360.0));
    const double seen = diffractometer->slit_height_mm / diffractometer->radius_mm *
                        diffractometer->slit_deg * RADIAN_PER_DEGREE / (4 * BL_PI);
    double total, photo, in_lines = 0, mass;
    int status;

    if (!isfinite(theta_deg) || !isfinite(two_theta_deg))
        return BL_EINVAL;
    *per_photon = 0;
    if (angle_deg <= diffractometer->beam_stop_deg ||
        angle_deg >= 180 - diffractometer->beam_stop_deg)
        return BL_OK;
    status = bl_elements_attenuation(elements, NITROGEN_Z, BL_TOTAL, beam->energy_ev, &total);
    if (status == BL_OK)
        status = bl_elements_attenuation(elements, NITROGEN_Z, BL_PHOTOELECTRIC, beam->energy_ev,
                                         &photo);
    if (status == BL_OK && powder->phase)
        status = lines(diffractometer, powder->phase, beam, angle_deg, &in_lines);
    if (status != BL_OK)
        return status;
    *per_photon = air_g_cm2(diffractometer, angle_deg) * (total - photo) * seen *
                  polarised(diffractometer, angle_deg);
    if (!(powder->areal_density_g_cm2 > 0))
        return BL_OK;
    mass = effective_mass(powder, theta_deg, two_theta_deg);
    *per_photon += mass * (powder->scattering_cm2_g * seen * polarised(diffractometer, angle_deg) +
                           in_lines * powder->phase_g_cm2 / powder->areal_density_g_cm2);
    return BL_OK;
}
