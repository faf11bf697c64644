#include "mono.h"

#include <math.h>
#include <stdlib.h>

#include "constants.h"
#include "darwin.h"
#include "status.h"

#define RADIAN_PER_DEGREE (BL_PI / 180.0)

/* Points of a Darwin curve, and how much of it they cover, in units of half its flat top. */
#define CURVE_POINTS 801
#define CURVE_EXTENT 8.0

/* Form factors at rest: Waasmaier and Kirfel, Acta Cryst. A51 (1995) 416, at sin(theta)/lambda =
   n/(2d) of the order n. The third order's is multiplied by exp(-B (n/2d)^2) for the thermal motion
   of the atoms, B = 0.46 A^2 at room temperature (International Tables C); the first order's is
   not, as in the published widths, which that would lower by 1 %. */
static const struct bl_crystal crystals[BL_NCRYSTALS] = {
    [BL_SI111] = {"Si(111)", 3.135601, 10.5374, 6.446 * 0.900},
    [BL_SI311] = {"Si(311)", 1.637514, 8.1695, 3.081 * 0.680},
};

const struct bl_crystal *bl_mono_crystal(int index)
{
    return index >= 0 && index < BL_NCRYSTALS ? &crystals[index] : NULL;
}

int bl_mono_bragg_deg(double d_angstrom, double energy_ev, double *bragg_deg)
{
    double sine = BL_HC_EV_ANGSTROM / (2.0 * d_angstrom * energy_ev);

    if (!(d_angstrom > 0 && energy_ev > 0) || !(sine > 0 && sine <= 1.0))
        return BL_ERANGE;
    *bragg_deg = asin(sine) / RADIAN_PER_DEGREE;
    return BL_OK;
}

int bl_mono_energy_ev(double d_angstrom, double bragg_deg, double *energy_ev)
{
    if (!(d_angstrom > 0) || !isfinite(d_angstrom) || !(bragg_deg > 0 && bragg_deg <= 90.0))
        return BL_ERANGE;
    *energy_ev = BL_HC_EV_ANGSTROM / (2.0 * d_angstrom * sin(bragg_deg * RADIAN_PER_DEGREE));
    return BL_OK;
}

static void convolve(const double *curve, size_t n, double sigma, double step, double *result)
{
    size_t reach = (size_t)ceil(4.0 * sigma / step);

    for (size_t i = 0; i < n; i++)
        result[i] = 0.0;
    for (size_t shift = 0; shift <= reach && shift < n; shift++) {
        double weight = exp(-0.5 * pow((double)shift * step / sigma, 2.0));

        for (size_t i = 0; i + shift < n; i++) {
            result[i] += weight * curve[i + shift];
            if (shift > 0)
                result[i + shift] += weight * curve[i];
        }
    }
}

int bl_mono_resolution(const struct bl_crystal *crystal, const struct bl_elements *elements,
                       double energy_ev, double divergence_rad, struct bl_resolution *fwhm)
{
    double single[CURVE_POINTS], pair[CURVE_POINTS], total[CURVE_POINTS];
    double bragg_deg, half_width, step, divergence_ev;
    struct bl_darwin darwin;
    int status = bl_mono_bragg_deg(crystal->d_angstrom, energy_ev, &bragg_deg);

    if (status == BL_OK && !(divergence_rad >= 0 && divergence_rad < 0.1))
        status = BL_EINVAL;
    if (status == BL_OK)
        status = bl_darwin_init(crystal, 1, elements, energy_ev, &darwin);
    if (status != BL_OK)
        return status;
    /* The curve covers its flat top and the tails that matter at half maximum. */
    divergence_ev = energy_ev * divergence_rad / tan(bragg_deg * RADIAN_PER_DEGREE);
    half_width = CURVE_EXTENT * darwin.half_width + 2.0 * divergence_ev / energy_ev * BL_PI;
    step = 2.0 * half_width / (CURVE_POINTS - 1);
    for (size_t i = 0; i < CURVE_POINTS; i++) {
        single[i] = bl_darwin_reflectivity(&darwin, darwin.centre - half_width + (double)i * step);
        pair[i] = single[i] * single[i];
    }
    step *= energy_ev / BL_PI; /* now in eV */
    fwhm->single_ev = bl_curve_fwhm(single, CURVE_POINTS, step);
    fwhm->pair_ev = bl_curve_fwhm(pair, CURVE_POINTS, step);
    fwhm->total_ev = fwhm->pair_ev;
    if (divergence_ev > step) {
        convolve(pair, CURVE_POINTS, divergence_ev / BL_FWHM_PER_SIGMA, step, total);
        fwhm->total_ev = bl_curve_fwhm(total, CURVE_POINTS, step);
    }
    return BL_OK;
}
