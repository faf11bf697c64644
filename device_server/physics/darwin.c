#include "darwin.h"

#include <math.h>

#include "constants.h"
#include "status.h"

#define LATTICE_ANGSTROM 5.431020
#define SILICON_Z 14

/* Anomalous part f' of silicon: Chantler, NIST FFAST. */
static const struct {
    double energy_ev;
    double f1;
} silicon_f1[] = {
    {3000, 0.131},  {3500, 0.290},  {4000, 0.391},  {5000, 0.377},  {6000, 0.330},
    {7000, 0.285},  {8000, 0.248},  {10000, 0.191}, {12500, 0.137}, {15000, 0.101},
    {20000, 0.058}, {25000, 0.036}, {30000, 0.022}, {40000, 0.006}, {61000, -0.007},
};

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

int bl_darwin_init(const struct bl_crystal *crystal, int order, const struct bl_elements *elements,
                   double energy_ev, struct bl_darwin *darwin)
{
    const double d = crystal->d_angstrom / order;
    const double scale = 2.0 * d * d * BL_ELECTRON_RADIUS_ANGSTROM / pow(LATTICE_ANGSTROM, 3.0);
    double f1, f2;
    int status;

    if (order != 1 && order != 3)
        return BL_EINVAL;
    status = f2_of_silicon(elements, energy_ev, &f2);
    if (status != BL_OK)
        return status;
    f1 = f1_of_silicon(energy_ev);
    /* All-odd reflections of the diamond structure: |F| = 4 sqrt(2) f; forward: 8 f. */
    darwin->structure =
        4.0 * sqrt(2.0) * scale * ((order == 1 ? crystal->f0 : crystal->f0_third) + f1 - I * f2);
    darwin->refraction = 8.0 * scale * (SILICON_Z + f1 - I * f2);
    darwin->centre = creal(darwin->refraction);
    darwin->half_width = cabs(darwin->structure);
    return BL_OK;
}

/* A thick crystal in Bragg geometry, sigma polarisation. Als-Nielsen and McMorrow, Elements of
   Modern X-ray Physics, section 6.4. */
double bl_darwin_reflectivity(const struct bl_darwin *darwin, double distance)
{
    const double complex x = (distance - darwin->refraction) / darwin->structure;
    const double complex root = csqrt(x * x - 1.0);
    const double amplitude = fmin(cabs(x - root), cabs(x + root));

    return amplitude * amplitude;
}

double bl_curve_fwhm(const double *curve, size_t n, double step)
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
