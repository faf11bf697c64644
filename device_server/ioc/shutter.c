/* The shutter, and the interlock that closes it when the vacuum is bad. */
#include "simulation_private.h"

#define TRAVEL_S 0.3

bool shutter_interlocked(const struct sim *sim)
{
    return sim->fault[SIM_FAULT_VACUUM] != 0;
}

void shutter_go(struct sim *sim, double now_s, bool open)
{
    const struct bl_motion_profile blade = {.velocity = 1 / TRAVEL_S};
    (void)bl_motion_move(&sim->shutter, now_s, open ? 1 : 0, &blade);
    sim->shutter_busy = true;
}

int sim_shutter_move(struct sim *sim, bool open)
{
    int status = BL_OK;
    const double now_s = sim_change(sim);
    if (sim->fault[SIM_FAULT_SHUTTER] != 0 || (open && shutter_interlocked(sim)))
        status = BL_EREFUSED;
    else
        shutter_go(sim, now_s, open);
    sim_changed(sim, 0);
    return status;
}

bool sim_shutter_moving(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const bool moving = !bl_motion_done(&sim->shutter, sim_now(sim));
    epicsMutexUnlock(sim->lock);
    return moving;
}

bool sim_shutter_is_open(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const bool open = bl_motion_position(&sim->shutter, sim_now(sim)) >= 1;
    epicsMutexUnlock(sim->lock);
    return open;
}
