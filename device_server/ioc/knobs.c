/* What is set once and stays: misalignments that a plan has to find, and optics without a motor. */
#include "simulation_private.h"

static const struct {
    double low, high, start;
    unsigned events;
} knobs[SIM_NKNOBS] = {
    [SIM_PITCH_OPTIMUM] = {-400, 400, 25, 0},
    [SIM_BRAGG_SLIP] = {-0.5, 0.5, 0, 0},
    [SIM_MIRROR] = {0, 1, 1, 0},
};

void knobs_init(struct sim *sim)
{
    for (int i = 0; i < SIM_NKNOBS; i++)
        sim->knob[i] = knobs[i].start;
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
    sim_changed(sim, knobs[knob].events);
    return BL_OK;
}
