#include "fluorescence.h"

#include <math.h>

#include "constants.h"
#include "status.h"

#define RADIAN_PER_DEGREE (BL_PI / 180.0)
#define SILICON_Z 14
#define SILICON_G_CM3 2.329
#define NITROGEN_Z 7
#define AIR_G_CM3 1.2e-3

/* Energy of an electron-hole pair in silicon and Fano factor. */
#define PAIR_EV 3.65
#define FANO 0.115

/* Elastic scattering of the horizontally polarised beam at 135 deg, over its mean: cos^2 / (2/3).
 */
#define SCATTERED 0.75

const struct bl_xrf bl_xrf_default = {
    .solid_angle = {0.0025, 0.0026, 0.0024, 0.0025},
    .silicon_cm = 0.045,
    .air_cm = 5.0,
    .noise_ev = 75.0,
    .dead_time_s = 1e-6,
};

void bl_emission_add(struct bl_emission *emission, double energy_ev, double photons)
{
    size_t nearest = 0;

    for (size_t i = 0; i < emission->n; i++) {
        if (fabs(emission->line[i].energy_ev - energy_ev) <
            fabs(emission->line[nearest].energy_ev - energy_ev))
            nearest = i;
    }
    if (emission->n == BL_EMISSION_LINES ||
        (emission->n > 0 && emission->line[nearest].energy_ev == energy_ev)) {
        emission->line[nearest].photons += photons;
        return;
    }
    emission->line[emission->n].energy_ev = energy_ev;
    emission->line[emission->n++].photons = photons;
}

/* Part of what is absorbed or scattered all through the plate that leaves it as a line. */
static double escape(double mu_in, double mu_out, double sine_in, double sine_out)
{
    const double s = mu_in / sine_in + mu_out / sine_out;

    return (s > 1e-9 ? -expm1(-s) / s : 1.0) / sine_in;
}

int bl_emission_of(const struct bl_plate *plate, const struct bl_elements *elements,
                   const struct bl_lines *lines, double energy_ev, double photons,
                   struct bl_emission *emission)
{
    const struct bl_sample *sample = plate->sample;
    const double theta = plate->theta_deg * RADIAN_PER_DEGREE;
    const double in = cos(theta), out = cos(0.25 * BL_PI - theta);
    double scattered;
    int status = BL_OK;

    if (!sample || !(photons > 0) || in < 1e-3 || out < 1e-3)
        return BL_OK; /* nothing, or a surface that beam or detector look along */
    for (size_t i = 0; i < sample->formula.n && status == BL_OK; i++) {
        const int z = sample->formula.z[i];
        double left = 1.0; /* of the absorption, by the shells further out */
        size_t n;
        const struct bl_shell *shell = bl_lines_shells(lines, z, &n);

        for (size_t j = 0; j < n && status == BL_OK; j++) {
            double part = left * shell[j].jump, absorbed;

            if (energy_ev >= shell[j].edge_ev)
                left -= part;
            status = bl_sample_shell(sample, &plate->condition, elements, &shell[j], part,
                                     energy_ev, plate->mu, &absorbed);
            for (size_t k = 0; k < shell[j].n && status == BL_OK && absorbed > 0; k++) {
                const double line_ev = shell[j].line[k].energy_ev;
                double mu_out;

                status = bl_sample_mu(sample, &plate->condition, elements, line_ev, &mu_out);
                if (status == BL_OK)
                    bl_emission_add(emission, line_ev,
                                    photons * absorbed * shell[j].yield * shell[j].line[k].part *
                                        escape(plate->mu, mu_out, in, out));
            }
        }
    }
    if (status == BL_OK)
        status = bl_sample_scattering(sample, &plate->condition, elements, energy_ev, &scattered);
    if (status == BL_OK)
        bl_emission_add(emission, energy_ev,
                        photons * SCATTERED * scattered * escape(plate->mu, plate->mu, in, out));
    return status;
}

int bl_xrf_efficiency(const struct bl_xrf *xrf, const struct bl_elements *elements,
                      double energy_ev, double *efficiency)
{
    double air, silicon;
    int status = bl_elements_attenuation(elements, NITROGEN_Z, BL_TOTAL, energy_ev, &air);

    if (status == BL_OK)
        status =
            bl_elements_attenuation(elements, SILICON_Z, BL_PHOTOELECTRIC, energy_ev, &silicon);
    if (status == BL_OK)
        *efficiency = exp(-air * AIR_G_CM3 * xrf->air_cm) *
                      -expm1(-silicon * SILICON_G_CM3 * xrf->silicon_cm);
    return status;
}

double bl_xrf_fwhm_ev(const struct bl_xrf *xrf, double energy_ev)
{
    const double charge = BL_FWHM_PER_SIGMA * sqrt(FANO * PAIR_EV * energy_ev);

    return sqrt(xrf->noise_ev * xrf->noise_ev + charge * charge);
}

double bl_xrf_between(const struct bl_xrf *xrf, double energy_ev, double low_ev, double high_ev)
{
    const double scale = BL_FWHM_PER_SIGMA / (bl_xrf_fwhm_ev(xrf, energy_ev) * sqrt(2.0));

    return 0.5 * (erf((high_ev - energy_ev) * scale) - erf((low_ev - energy_ev) * scale));
}

double bl_xrf_seen(double true_hz, double dead_time_s)
{
    return true_hz / (1.0 + true_hz * dead_time_s);
}

/* Whole pulses in proportion to what is in the channels, with the sum given. */
static void share(double *channel, size_t n, double sum)
{
    double total = 0, before = 0, given = 0;

    for (size_t i = 0; i < n; i++)
        total += channel[i];
    for (size_t i = 0; i < n && total > 0; i++) {
        before += channel[i];
        channel[i] = rint(sum * before / total) - given;
        given += channel[i];
    }
}

void bl_xrf_spectrum(const struct bl_xrf *xrf, const struct bl_emission *seen, struct bl_rng *rng,
                     size_t low, size_t high, double counted, double channel[BL_MCA_CHANNELS])
{
    for (size_t i = 0; i < BL_MCA_CHANNELS; i++)
        channel[i] = 0;
    for (size_t k = 0; k < seen->n; k++) {
        const double energy = seen->line[k].energy_ev;
        const double reach = 3.0 * bl_xrf_fwhm_ev(xrf, energy);
        size_t i = (size_t)fmax(0, floor((energy - reach) / BL_MCA_EV));
        double below = bl_xrf_between(xrf, energy, 0, (double)i * BL_MCA_EV);

        for (; i < BL_MCA_CHANNELS && (double)i * BL_MCA_EV < energy + reach; i++) {
            const double next = bl_xrf_between(xrf, energy, 0, (double)(i + 1) * BL_MCA_EV);

            channel[i] += seen->line[k].photons * (next - below);
            below = next;
        }
    }
    if (!rng)
        return;
    for (size_t i = 0; i < BL_MCA_CHANNELS; i++) {
        if (channel[i] > 0)
            channel[i] = (double)bl_rng_poisson(rng, channel[i]);
    }
    if (low <= high && high < BL_MCA_CHANNELS)
        share(&channel[low], high - low + 1, counted);
}
