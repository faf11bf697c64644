/* What is set once and stays: misalignments that a plan has to find, and optics without a motor. */
#include "simulation_private.h"

static const struct {
    double low, high, start;
    unsigned events;
} knobs[SIM_NKNOBS] = {
    [SIM_PITCH_OPTIMUM] = {-400, 400, 25, 0},
    [SIM_BRAGG_SLIP] = {-0.5, 0.5, 0, 0},
    [SIM_MIRROR] = {0, 1, 1, 0},
    [SIM_THICKNESS] = {0.01, 100, 1, SIM_SAMPLE_CHANGED},
    [SIM_CONCENTRATION] = {0, 100, 1, SIM_SAMPLE_CHANGED},
    [SIM_TEMPERATURE] = {4, 1000, 300, SIM_SAMPLE_CHANGED},
    [SIM_ROI_LOW] = {0, BL_MCA_CHANNELS * BL_MCA_EV, 6200, 0},
    [SIM_ROI_HIGH] = {0, BL_MCA_CHANNELS * BL_MCA_EV, 6600, 0},
    [SIM_DEAD_TIME] = {0, 100, 1, 0},
};

static void follow(struct sim *sim)
{
    sim->condition = (struct bl_condition){.thickness = sim->knob[SIM_THICKNESS],
                                           .concentration = sim->knob[SIM_CONCENTRATION],
                                           .temperature_k = sim->knob[SIM_TEMPERATURE]};
}

void knobs_init(struct sim *sim)
{
    for (int i = 0; i < SIM_NKNOBS; i++)
        sim->knob[i] = knobs[i].start;
    follow(sim);
}

double sim_knob(struct sim *sim, int knob)
{
    epicsMutexMustLock(sim->lock);
    const double value = sim->knob[knob];
    epicsMutexUnlock(sim->lock);
    return value;
}

int sim_set_knob(struct sim *sim, int knob, double value)
{
    if (!(value >= knobs[knob].low && value <= knobs[knob].high))
        return BL_ERANGE;
    (void)sim_change(sim);
    sim->knob[knob] = value;
    follow(sim);
    sim_changed(sim, knobs[knob].events);
    return BL_OK;
}
