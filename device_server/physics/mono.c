#include "mono.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

#include "constants.h"
#include "status.h"

#define LATTICE_ANGSTROM 5.431020
#define SILICON_Z 14
#define RADIAN_PER_DEGREE (BL_PI / 180.0)

/* Points of a Darwin curve, and how much of it they cover, in units of half its flat top. */
#define CURVE_POINTS 801
#define CURVE_EXTENT 8.0

/* Form factors at rest: Waasmaier and Kirfel, Acta Cryst. A51 (1995) 416, at sin(theta)/lambda =
   1/(2d). */
static const struct bl_crystal crystals[BL_NCRYSTALS] = {
    [BL_SI111] = {"Si(111)", 3.135601, 10.5374},
    [BL_SI311] = {"Si(311)", 1.637514, 8.1695},
};

/* Anomalous part f' of silicon: Chantler, NIST FFAST. */
static const struct {
    double energy_ev;
    double f1;
} silicon_f1[] = {
    {3000, 0.131},  {3500, 0.290},  {4000, 0.391},  {5000, 0.377},  {6000, 0.330},
    {7000, 0.285},  {8000, 0.248},  {10000, 0.191}, {12500, 0.137}, {15000, 0.101},
    {20000, 0.058}, {25000, 0.036}, {30000, 0.022}, {40000, 0.006}, {61000, -0.007},
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

static double f1_of_silicon(double energy_ev)
{
    size_t i = 1, last = sizeof silicon_f1 / sizeof *silicon_f1 - 1;
    double part;

    while (i < last && silicon_f1[i].energy_ev < energy_ev)
        i++;
    part = (energy_ev - silicon_f1[i - 1].energy_ev) /
           (silicon_f1[i].energy_ev - silicon_f1[i - 1].energy_ev);
    return silicon_f1[i - 1].f1 + part * (silicon_f1[i].f1 - silicon_f1[i - 1].f1);
}

/* f'' by the optical theorem from the photoelectric cross section. */
static int f2_of_silicon(const struct bl_elements *elements, double energy_ev, double *f2)
{
    double cm2_g, mass;
    int status = bl_elements_attenuation(elements, SILICON_Z, BL_PHOTOELECTRIC, energy_ev, &cm2_g);

    if (status == BL_OK)
        status = bl_elements_mass(elements, SILICON_Z, &mass);
    if (status == BL_OK)
        *f2 = 1e16 * cm2_g * mass / BL_AVOGADRO_PER_MOL * energy_ev /
              (2.0 * BL_ELECTRON_RADIUS_ANGSTROM * BL_HC_EV_ANGSTROM);
    return status;
}

/* Reflectivity of a thick crystal in Bragg geometry, sigma polarisation; x is the reduced distance
   from the centre. Als-Nielsen and McMorrow, Elements of Modern X-ray Physics, section 6.4. */
static double reflectivity(double complex x)
{
    double complex root = csqrt(x * x - 1.0);
    double amplitude = fmin(cabs(x - root), cabs(x + root));

    return amplitude * amplitude;
}

/* Full width at half maximum of a single-peaked curve, interpolated between its points. */
static double curve_fwhm(const double *curve, size_t n, double step)
{
    size_t peak = 0, low, high;
    double half;

    for (size_t i = 1; i < n; i++) {
        if (curve[i] > curve[peak])
            peak = i;
    }
    half = 0.5 * curve[peak];
    for (low = peak; low > 0 && curve[low] > half; low--)
        ;
    for (high = peak; high < n - 1 && curve[high] > half; high++)
        ;
    return step * ((double)(high - low) - (half - curve[low]) / (curve[low + 1] - curve[low]) -
                   (half - curve[high]) / (curve[high - 1] - curve[high]));
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
    double bragg_deg, f2, f1, scale, centre, half_width, step, divergence_ev;
    double complex structure, refraction;
    int status = bl_mono_bragg_deg(crystal->d_angstrom, energy_ev, &bragg_deg);

    if (status == BL_OK && !(divergence_rad >= 0 && divergence_rad < 0.1))
        status = BL_EINVAL;
    if (status == BL_OK)
        status = f2_of_silicon(elements, energy_ev, &f2);
    if (status != BL_OK)
        return status;
    f1 = f1_of_silicon(energy_ev);
    scale = 2.0 * crystal->d_angstrom * crystal->d_angstrom * BL_ELECTRON_RADIUS_ANGSTROM /
            pow(LATTICE_ANGSTROM, 3.0);
    /* All-odd reflections of the diamond structure: |F| = 4 sqrt(2) f; forward: 8 f. */
    structure = 4.0 * sqrt(2.0) * scale * (crystal->f0 + f1 - I * f2);
    refraction = 8.0 * scale * (SILICON_Z + f1 - I * f2);
    /* In pi dE/E. The curve covers its flat top and the tails that matter at half maximum. */
    centre = creal(refraction);
    half_width = cabs(structure);
    divergence_ev = energy_ev * divergence_rad / tan(bragg_deg * RADIAN_PER_DEGREE);
    half_width = CURVE_EXTENT * half_width + 2.0 * divergence_ev / energy_ev * BL_PI;
    step = 2.0 * half_width / (CURVE_POINTS - 1);
    for (size_t i = 0; i < CURVE_POINTS; i++) {
        double at = centre - half_width + (double)i * step;

        single[i] = reflectivity((at - refraction) / structure);
        pair[i] = single[i] * single[i];
    }
    step *= energy_ev / BL_PI; /* now in eV */
    fwhm->single_ev = curve_fwhm(single, CURVE_POINTS, step);
    fwhm->pair_ev = curve_fwhm(pair, CURVE_POINTS, step);
    fwhm->total_ev = fwhm->pair_ev;
    if (divergence_ev > step) {
        convolve(pair, CURVE_POINTS, divergence_ev / BL_FWHM_PER_SIGMA, step, total);
        fwhm->total_ev = curve_fwhm(total, CURVE_POINTS, step);
    }
    return BL_OK;
}
