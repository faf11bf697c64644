/* Faults that a test puts into the beamline, and the environment that some of them show in. */
#include "simulation_private.h"

#include <string.h>

#include "environment.h"

static bool names_axis(int fault)
{
    return fault <= SIM_FAULT_ENCODER;
}

int sim_fault(struct sim *sim, int fault)
{
    epicsMutexMustLock(sim->lock);
    const int value = sim->fault[fault];
    epicsMutexUnlock(sim->lock);
    return value;
}

int sim_faults(struct sim *sim)
{
    int n = 0;
    epicsMutexMustLock(sim->lock);
    for (int i = 0; i < SIM_NFAULTS; i++)
        n += sim->fault[i] != 0;
    epicsMutexUnlock(sim->lock);
    return n;
}

/* With the simulation locked and a count integrated: what follows at once. */
static void follow(struct sim *sim, double now_s, bool dumped_before)
{
    axes_fault(sim, now_s);
    if (shutter_interlocked(sim) && bl_motion_position(&sim->shutter, now_s) > 0)
        shutter_go(sim, now_s, false);
    if (sim->fault[SIM_FAULT_DETECTOR] != 0)
        sim->counter.armed = false;
    if (dumped_before && sim->fault[SIM_FAULT_DUMP] == 0)
        sim->filled_s = now_s;
}

int sim_set_fault(struct sim *sim, int fault, int value)
{
    if (value < 0 || value > (names_axis(fault) ? NAXES : 1))
        return BL_ERANGE;
    const double now_s = sim_change(sim);
    const bool dumped_before = sim->fault[SIM_FAULT_DUMP] != 0;
    sim->fault[fault] = value;
    follow(sim, now_s, dumped_before);
    sim_changed(sim, SIM_FAULTS_CHANGED);
    return BL_OK;
}

void sim_clear_faults(struct sim *sim)
{
    const double now_s = sim_change(sim);
    const bool dumped_before = sim->fault[SIM_FAULT_DUMP] != 0;
    memset(sim->fault, 0, sizeof(sim->fault));
    follow(sim, now_s, dumped_before);
    sim_changed(sim, SIM_FAULTS_CHANGED);
}

double sim_pressure_mbar(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const double value = bl_environment_pressure_mbar(sim_now(sim), sim->fault[SIM_FAULT_VACUUM]);
    epicsMutexUnlock(sim->lock);
    return value;
}

double sim_hutch_c(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const double value = bl_environment_hutch_c(sim_now(sim), sim->fault[SIM_FAULT_COOLING]);
    epicsMutexUnlock(sim->lock);
    return value;
}
