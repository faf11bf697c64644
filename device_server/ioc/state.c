/* What is set and shown beside axes and counts: shutter, ring, crystal, samples, the simulation. */
#include "simulation_private.h"

#include <epicsTime.h>

#define SHUTTER_TRAVEL_S 0.3

/* Locks, and integrates a count up to this moment, since something is about to change. */
static double change(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    counting_advance(sim, now_s, true);
    return now_s;
}

static void changed(struct sim *sim, unsigned events)
{
    sim_tell(sim, events);
    epicsMutexUnlock(sim->lock);
}

void sim_shutter_move(struct sim *sim, bool open)
{
    const struct bl_motion_profile blade = {.velocity = 1 / SHUTTER_TRAVEL_S};
    const double now_s = change(sim);
    (void)bl_motion_move(&sim->shutter, now_s, open ? 1 : 0, &blade);
    sim->shutter_busy = true;
    changed(sim, 0);
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

int sim_ring_current(struct sim *sim, double *current_ma)
{
    epicsMutexMustLock(sim->lock);
    struct bl_position position;
    const int status = sim_position(sim, sim_now(sim), &position);
    *current_ma = position.ring_ma;
    epicsMutexUnlock(sim->lock);
    return status == BL_ERANGE ? BL_OK : status; /* a mono out of reach does not stop the ring */
}

int sim_crystal(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const int value = sim->crystal;
    epicsMutexUnlock(sim->lock);
    return value;
}

int sim_set_crystal(struct sim *sim, int crystal)
{
    if (bl_mono_crystal(crystal) == NULL)
        return BL_ENOTFOUND;
    change(sim);
    sim->crystal = crystal;
    sim->axis[AXIS_BRAGG].scales++;
    changed(sim, SIM_MONO_CHANGED);
    return BL_OK;
}

const struct bl_place *sim_sample(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const struct bl_place *sample = sim->sample;
    epicsMutexUnlock(sim->lock);
    return sample;
}

int sim_set_reference(struct sim *sim, const char *name)
{
    change(sim);
    const int status = bl_beamline_set_reference(sim->beamline, name, NULL, 0);
    changed(sim, SIM_REFERENCE_CHANGED);
    return status;
}

const struct bl_beamline *sim_beamline(const struct sim *sim)
{
    return sim->beamline;
}

double sim_speed(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const double value = sim->speed;
    epicsMutexUnlock(sim->lock);
    return value;
}

static void rebase(struct sim *sim, double speed)
{
    sim->beam_s = sim_now(sim);
    sim->real_ns = epicsMonotonicGet();
    sim->speed = speed;
}

int sim_set_speed(struct sim *sim, double speed)
{
    if (!(speed >= SIM_SPEED_MIN && speed <= SIM_SPEED_MAX))
        return BL_ERANGE;
    epicsMutexMustLock(sim->lock);
    rebase(sim, speed);
    changed(sim, 0);
    return BL_OK;
}

uint64_t sim_seed(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const uint64_t value = sim->seed;
    epicsMutexUnlock(sim->lock);
    return value;
}

/* The same numbers follow as after a start with this seed. */
void sim_set_seed(struct sim *sim, uint64_t seed)
{
    change(sim);
    counting_seed(sim, seed);
    changed(sim, 0);
}

bool sim_noise(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const bool value = sim->noise;
    epicsMutexUnlock(sim->lock);
    return value;
}

void sim_set_noise(struct sim *sim, bool noise)
{
    change(sim);
    sim->noise = noise;
    changed(sim, 0);
}

bool sim_steady_ring(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const bool value = sim->steady_ring;
    epicsMutexUnlock(sim->lock);
    return value;
}

void sim_set_steady_ring(struct sim *sim, bool steady)
{
    change(sim);
    sim->steady_ring = steady;
    changed(sim, 0);
}
