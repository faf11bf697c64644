#include "rocking.h"

#include <math.h>

#include "constants.h"
#include "darwin.h"
#include "status.h"

#define LOWEST_EV 3500.0
#define HIGHEST_EV 30000.0
#define RADIAN_PER_DEGREE (BL_PI / 180.0)

/* A curve in steps of the flat top's half width, with its tails far enough to be convolved with. */
#define STEPS_A_HALF_WIDTH 40
#define OFFSET_STEPS 4 /* of those between two offsets of the table */
#define CURVE_HALF 900
#define CURVE_POINTS (2 * CURVE_HALF + 1)

int bl_order_number(enum bl_order order)
{
    return order == BL_FUNDAMENTAL ? 1 : 3;
}

static double energy_of(int i)
{
    return LOWEST_EV * pow(HIGHEST_EV / LOWEST_EV, (double)i / (BL_ROCKING_ENERGIES - 1));
}

static int tabulate(const struct bl_crystal *crystal, enum bl_order order,
                    const struct bl_elements *elements, double energy_ev, double *half_width,
                    double passed[BL_ROCKING_OFFSETS])
{
    double curve[CURVE_POINTS], lowest, highest, step;
    struct bl_darwin darwin;
    int status;

    bl_elements_range(elements, &lowest, &highest);
    status = bl_darwin_init(crystal, bl_order_number(order), elements,
                            fmin(energy_ev * bl_order_number(order), highest), &darwin);
    if (status != BL_OK)
        return status;
    *half_width = darwin.half_width;
    step = darwin.half_width / STEPS_A_HALF_WIDTH;
    for (int i = 0; i < CURVE_POINTS; i++)
        curve[i] = bl_darwin_reflectivity(&darwin, darwin.centre + (i - CURVE_HALF) * step);
    for (int j = 0; j < BL_ROCKING_OFFSETS; j++) {
        double sum = 0;

        for (int i = j * OFFSET_STEPS; i < CURVE_POINTS; i++)
            sum += curve[i] * curve[i - j * OFFSET_STEPS];
        passed[j] = sum * step / BL_PI;
    }
    return BL_OK;
}

int bl_rocking_init(struct bl_rocking *rocking, const struct bl_elements *elements, char *err,
                    size_t errlen)
{
    for (int index = 0; index < BL_NCRYSTALS; index++) {
        const struct bl_crystal *crystal = bl_mono_crystal(index);
        double backscattering_ev = BL_HC_EV_ANGSTROM / (2.0 * crystal->d_angstrom);

        for (int i = 0; i < BL_NORDERS * BL_ROCKING_ENERGIES; i++) {
            const enum bl_order order = i % BL_NORDERS;
            const int at = i / BL_NORDERS;
            const double energy = fmax(energy_of(at), backscattering_ev);
            const int status =
                tabulate(crystal, order, elements, energy, &rocking->half_width[index][order][at],
                         rocking->passed[index][order][at]);

            if (status != BL_OK)
                return bl_fail(err, errlen, status,
                               "monochromator: no rocking curve of %s at %g eV: %s", crystal->name,
                               energy, bl_status_text(status));
        }
    }
    return BL_OK;
}

/* Beyond the table both tails fall with the square of the distance from the other's peak. */
static double at_offset(const double passed[BL_ROCKING_OFFSETS], double offset)
{
    const double position = offset * STEPS_A_HALF_WIDTH / OFFSET_STEPS;
    const int last = BL_ROCKING_OFFSETS - 1;
    int i;

    if (position >= last)
        return passed[last] * pow(last / position, 2.0);
    i = (int)position;
    return passed[i] + (position - i) * (passed[i + 1] - passed[i]);
}

int bl_rocking_passed(const struct bl_rocking *rocking, int crystal, enum bl_order order,
                      double energy_ev, double pitch_rad, double *passed)
{
    double bragg_deg, position, part, offset, low, high;
    int i, status;

    if (crystal < 0 || crystal >= BL_NCRYSTALS || !isfinite(pitch_rad))
        return BL_EINVAL;
    if (!(energy_ev >= LOWEST_EV && energy_ev <= HIGHEST_EV))
        return BL_ERANGE;
    status = bl_mono_bragg_deg(bl_mono_crystal(crystal)->d_angstrom, energy_ev, &bragg_deg);
    if (status != BL_OK)
        return status;
    position = (BL_ROCKING_ENERGIES - 1) * log(energy_ev / LOWEST_EV) / log(HIGHEST_EV / LOWEST_EV);
    i = (int)fmin(position, BL_ROCKING_ENERGIES - 2);
    part = position - i;
    low = rocking->half_width[crystal][order][i];
    high = rocking->half_width[crystal][order][i + 1];
    offset =
        BL_PI * fabs(pitch_rad) / tan(bragg_deg * RADIAN_PER_DEGREE) / (low + part * (high - low));
    low = at_offset(rocking->passed[crystal][order][i], offset);
    high = at_offset(rocking->passed[crystal][order][i + 1], offset);
    *passed = low + part * (high - low);
    return BL_OK;
}
