/* The current amplifiers of the chambers: settings as their front panels have them. */
#include "simulation_private.h"

#include <math.h>

#define DARK_A 2e-13 /* of a chamber with guard rings */
#define STEPS_OF_A_UNIT 9

/* Largest value of each setting; the smallest is 0, of SIM_OFFSET_FINE its negative. */
static const int largest[SIM_NPREAMP_SETTINGS] = {
    [SIM_SENS_NUM] = 8,   [SIM_SENS_UNIT] = 3,   [SIM_OFFSET_ON] = 1,    [SIM_OFFSET_SIGN] = 1,
    [SIM_OFFSET_NUM] = 8, [SIM_OFFSET_UNIT] = 3, [SIM_OFFSET_UNCAL] = 1, [SIM_OFFSET_FINE] = 1000,
    [SIM_INVERT] = 1,     [SIM_BLANK] = 1,
};

/* The settings as numbers of steps; those beyond the instrument's last fall back to it. */
static int number(int *num, int unit, int n)
{
    if (*num + STEPS_OF_A_UNIT * unit >= n)
        *num = n - 1 - STEPS_OF_A_UNIT * unit;
    return *num + STEPS_OF_A_UNIT * unit;
}

static void apply(struct sim *sim, int chamber)
{
    int *setting = sim->preamp_setting[chamber];
    double a_per_v = 1;
    double offset_a = 0;
    (void)bl_preamp_sensitivity(
        number(&setting[SIM_SENS_NUM], setting[SIM_SENS_UNIT], BL_PREAMP_SENSITIVITIES), &a_per_v);
    (void)bl_preamp_offset(
        number(&setting[SIM_OFFSET_NUM], setting[SIM_OFFSET_UNIT], BL_PREAMP_OFFSETS), &offset_a);
    if (setting[SIM_OFFSET_UNCAL])
        offset_a *= setting[SIM_OFFSET_FINE] / 1000.0;
    if (setting[SIM_OFFSET_SIGN])
        offset_a = -offset_a;
    sim->preamp[chamber] = (struct bl_preamp){
        .gain_v_per_a = 1 / a_per_v,
        .offset_a = setting[SIM_OFFSET_ON] ? offset_a : 0,
        .invert = setting[SIM_INVERT],
        .blank = setting[SIM_BLANK],
    };
}

void preamps_init(struct sim *sim)
{
    for (int i = 0; i < BL_NCHAMBERS; i++) {
        const double gain = bl_beamline_chamber(sim->beamline, i)->gain_v_per_a;
        const int step = (int)fmax(0, bl_preamp_number(gain));
        sim->preamp_setting[i][SIM_SENS_NUM] = step % STEPS_OF_A_UNIT;
        sim->preamp_setting[i][SIM_SENS_UNIT] = step / STEPS_OF_A_UNIT;
        sim->dark_a[i] = DARK_A;
        apply(sim, i);
    }
}

double sim_preamp_setting(struct sim *sim, int chamber, int setting)
{
    epicsMutexMustLock(sim->lock);
    const int value = sim->preamp_setting[chamber][setting];
    epicsMutexUnlock(sim->lock);
    return value;
}

int sim_preamp_set(struct sim *sim, int chamber, int setting, double value)
{
    const double smallest = setting == SIM_OFFSET_FINE ? -largest[setting] : 0;
    if (!(value >= smallest && value <= largest[setting]))
        return BL_ERANGE;
    (void)sim_change(sim);
    sim->preamp_setting[chamber][setting] = (int)value;
    apply(sim, chamber);
    sim_changed(sim, SIM_GAIN_CHANGED);
    return BL_OK;
}

double sim_preamp_gain(struct sim *sim, int chamber)
{
    epicsMutexMustLock(sim->lock);
    const double gain = sim->preamp[chamber].gain_v_per_a;
    epicsMutexUnlock(sim->lock);
    return gain;
}
