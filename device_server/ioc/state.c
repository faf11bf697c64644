/* What is set and shown beside axes and counts: ring, crystal, samples, the simulation. */
#include "simulation_private.h"

#include <epicsTime.h>

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
    sim_change(sim);
    sim->crystal = crystal;
    sim->axis[AXIS_BRAGG].scales++;
    sim_changed(sim, SIM_MONO_CHANGED);
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
    sim_change(sim);
    const int status = bl_beamline_set_reference(sim->beamline, name, NULL, 0);
    sim_changed(sim, SIM_REFERENCE_CHANGED);
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
    sim_changed(sim, 0);
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
    sim_change(sim);
    counting_seed(sim, seed);
    sim_changed(sim, 0);
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
    sim_change(sim);
    sim->noise = noise;
    sim_changed(sim, 0);
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
    sim_change(sim);
    sim->steady_ring = steady;
    sim_changed(sim, 0);
}
