#include "bandpass.h"

#include <math.h>

#include "constants.h"
#include "status.h"

#define LOWEST_EV 3500.0
#define HIGHEST_EV 30000.0

/* Gauss-Hermite nodes and weights for a mean over the standard normal distribution: roots of the
   probabilists' Hermite polynomial by Newton's method, deflated by the roots found before. */
static void make_nodes(double node[BL_BANDPASS_NODES], double weight[BL_BANDPASS_NODES])
{
    for (int k = 0; k < BL_BANDPASS_NODES; k++) {
        double x = k == 0 ? 2.0 * sqrt(BL_BANDPASS_NODES) : node[k - 1] - 0.1;
        double before = 0, value = 0, scale;

        for (int iteration = 0; iteration < 200; iteration++) {
            double deflation = 0, step;

            before = 1.0;
            value = x;
            for (int n = 1; n < BL_BANDPASS_NODES; n++) {
                double next = x * value - n * before;

                before = value;
                value = next;
            }
            for (int j = 0; j < k; j++)
                deflation += 1.0 / (x - node[j]);
            step = value / (BL_BANDPASS_NODES * before - value * deflation);
            x -= step;
            if (fabs(step) < 1e-15)
                break;
        }
        node[k] = x;
        scale = 1.0; /* (n-1)!; w = n! / (n He_{n-1})^2 = (n-1)! / (n He_{n-1}^2) */
        for (int n = 2; n < BL_BANDPASS_NODES; n++)
            scale *= n;
        weight[k] = scale / (BL_BANDPASS_NODES * before * before);
    }
}

static double energy_of(double position)
{
    return LOWEST_EV * pow(HIGHEST_EV / LOWEST_EV, position / (BL_BANDPASS_POINTS - 1));
}

int bl_bandpass_init(struct bl_bandpass *bandpass, const struct bl_elements *elements,
                     double divergence_rad, char *err, size_t errlen)
{
    make_nodes(bandpass->node, bandpass->weight);
    for (int index = 0; index < BL_NCRYSTALS; index++) {
        const struct bl_crystal *crystal = bl_mono_crystal(index);
        double backscattering_ev = BL_HC_EV_ANGSTROM / (2.0 * crystal->d_angstrom);

        for (int i = 0; i < BL_BANDPASS_POINTS; i++) {
            /* No reflection below backscattering; the row goes on with what is just above. */
            double energy = fmax(energy_of(i), 1.001 * backscattering_ev);
            struct bl_resolution fwhm;
            int status = bl_mono_resolution(crystal, elements, energy, divergence_rad, &fwhm);

            if (status != BL_OK)
                return bl_fail(err, errlen, status, "monochromator: no resolution at %g eV: %s",
                               energy, bl_status_text(status));
            bandpass->fwhm_ev[index][i] = fwhm.total_ev;
        }
    }
    return BL_OK;
}

int bl_bandpass_fwhm(const struct bl_bandpass *bandpass, int crystal, double energy_ev,
                     double *fwhm_ev)
{
    const double *table;
    double position, part;
    size_t i;

    if (crystal < 0 || crystal >= BL_NCRYSTALS)
        return BL_EINVAL;
    if (!(energy_ev >= LOWEST_EV && energy_ev <= HIGHEST_EV))
        return BL_ERANGE;
    table = bandpass->fwhm_ev[crystal];
    position = (BL_BANDPASS_POINTS - 1) * log(energy_ev / LOWEST_EV) / log(HIGHEST_EV / LOWEST_EV);
    i = (size_t)fmin(position, BL_BANDPASS_POINTS - 2);
    part = position - (double)i;
    *fwhm_ev = table[i] + part * (table[i + 1] - table[i]);
    return BL_OK;
}
