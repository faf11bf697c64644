#include "preamp.h"

#include <math.h>

#include "status.h"

static int step(int number, int n, double *ampere)
{
    static const double digits[] = {1, 2, 5};

    if (number < 0 || number >= n)
        return BL_ERANGE;
    *ampere = digits[number % 3] * pow(10.0, number / 3 - 12);
    return BL_OK;
}

int bl_preamp_sensitivity(int number, double *a_per_v)
{
    return step(number, BL_PREAMP_SENSITIVITIES, a_per_v);
}

int bl_preamp_offset(int number, double *ampere)
{
    return step(number, BL_PREAMP_OFFSETS, ampere);
}

int bl_preamp_number(double gain_v_per_a)
{
    for (int i = 0; i < BL_PREAMP_SENSITIVITIES; i++) {
        double a_per_v;

        (void)bl_preamp_sensitivity(i, &a_per_v);
        if (fabs(a_per_v * gain_v_per_a - 1.0) < 1e-6)
            return i;
    }
    return -1;
}

double bl_preamp_volts(const struct bl_preamp *preamp, double current_a)
{
    double volts = preamp->gain_v_per_a * (current_a + preamp->offset_a);

    if (preamp->blank)
        return 0.0;
    volts = fmax(-BL_PREAMP_LIMIT_V, fmin(BL_PREAMP_LIMIT_V, volts));
    return preamp->invert ? -volts : volts;
}
