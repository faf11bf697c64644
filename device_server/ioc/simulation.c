/* The simulation's clock and thread. */
#include "simulation_private.h"

#include <math.h>
#include <stdlib.h>

#include <epicsTime.h>

#define TICK_S 0.02 /* real time between two looks at a moving axis */
#define IDLE_S 0.5  /* and between two when nothing moves */

struct sim *the_sim;

double sim_now(const struct sim *sim)
{
    return sim->beam_s + (double)(epicsMonotonicGet() - sim->real_ns) * 1e-9 * sim->speed;
}

void sim_tell(struct sim *sim, unsigned events)
{
    sim->pending |= events;
    epicsEventSignal(sim->wake);
}

double sim_change(struct sim *sim)
{
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    counting_advance(sim, now_s, true);
    return now_s;
}

void sim_changed(struct sim *sim, unsigned events)
{
    sim_tell(sim, events);
    epicsMutexUnlock(sim->lock);
}

static void look_at_sample(struct sim *sim, double now_s)
{
    const struct bl_place *sample = bl_holder_at(
        bl_beamline_holder(sim->beamline), bl_motion_position(&sim->axis[AXIS_X].motion, now_s),
        bl_motion_position(&sim->axis[AXIS_Y].motion, now_s));
    if (sample != sim->sample) {
        sim->sample = sample;
        sim->pending |= SIM_SAMPLE_CHANGED;
    }
}

/* Brings everything up to now; returns the events to tell and the real time to the next look. */
static unsigned advance(struct sim *sim, double *wait_s)
{
    const double now_s = sim_now(sim);
    double next_s = INFINITY; /* beamline time of the next event */
    *wait_s = IDLE_S;
    counting_advance(sim, now_s, false);
    if (counting_due(sim, now_s, &next_s))
        *wait_s = TICK_S;
    unsigned events = axes_events(sim, now_s, &next_s);
    if (events != 0)
        *wait_s = TICK_S;
    look_at_sample(sim, now_s);
    if (sim->shutter_busy) {
        if (bl_motion_done(&sim->shutter, now_s)) {
            sim->shutter_busy = false;
            events |= SIM_SHUTTER_DONE;
        } else {
            next_s = fmin(next_s, sim->shutter.end_s);
        }
    }
    if (epicsMonotonicGet() - sim->clock_told_ns >= IDLE_S * 1e9) {
        sim->clock_told_ns = epicsMonotonicGet();
        events |= SIM_CLOCK;
    }
    *wait_s = fmin(*wait_s, fmax(0, (next_s - now_s) / sim->speed));
    events |= sim->pending;
    sim->pending = 0;
    if (events & SIM_COUNT_DONE)
        sim->counter.ending = sim->counter.done;
    return events;
}

enum rank { SHOWS, FOLLOWS, COMMANDED, NRANKS };

static enum rank rank(struct sim *sim, const struct sim_watch *watch)
{
    if (watch->shows)
        return SHOWS;
    epicsMutexMustLock(sim->lock);
    const bool owner = axes_owned_by(sim, watch->user);
    epicsMutexUnlock(sim->lock);
    return owner ? COMMANDED : FOLLOWS;
}

static void tell(struct sim *sim, unsigned events)
{
    for (enum rank r = SHOWS; r < NRANKS; r++) {
        for (struct sim_watch *watch = sim->watches; watch != NULL; watch = watch->next) {
            if ((watch->events & events) && rank(sim, watch) == r)
                watch->notify(watch->user);
        }
        if (r == SHOWS) {
            epicsMutexMustLock(sim->lock);
            axes_settle(sim);
            counting_settle(sim);
            epicsMutexUnlock(sim->lock);
        }
    }
}

static void run(void *user)
{
    struct sim *sim = user;
    epicsMutexMustLock(sim->lock);
    while (!sim->stopping) {
        double wait_s;
        const unsigned events = advance(sim, &wait_s);
        epicsMutexUnlock(sim->lock);
        if (events != 0)
            tell(sim, events);
        epicsEventWaitWithTimeout(sim->wake, wait_s);
        epicsMutexMustLock(sim->lock);
    }
    epicsMutexUnlock(sim->lock);
    epicsEventSignal(sim->ended);
}

struct sim *sim_create(struct bl_beamline *beamline, const struct sim_options *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL)
        return NULL;
    sim->lock = epicsMutexMustCreate();
    sim->wake = epicsEventMustCreate(epicsEventEmpty);
    sim->ended = epicsEventMustCreate(epicsEventEmpty);
    sim->beamline = beamline;
    sim->speed = options->speed;
    sim->noise = options->noise;
    sim->real_ns = epicsMonotonicGet();
    sim->filled_s = -INFINITY;
    bl_motion_rest(&sim->shutter, 1);
    knobs_init(sim);
    axes_init(sim);
    preamps_init(sim);
    sim_set_seed(sim, options->seed);
    look_at_sample(sim, 0);
    return sim;
}

void sim_start(struct sim *sim)
{
    sim->running = true;
    epicsThreadMustCreate("simulation", epicsThreadPriorityMedium,
                          epicsThreadGetStackSize(epicsThreadStackMedium), run, sim);
}

void sim_stop(struct sim *sim)
{
    if (!sim->running)
        return;
    epicsMutexMustLock(sim->lock);
    sim->stopping = true;
    epicsMutexUnlock(sim->lock);
    epicsEventSignal(sim->wake);
    epicsEventWait(sim->ended);
    sim->running = false;
}

void sim_free(struct sim *sim)
{
    if (sim == NULL)
        return;
    sim_stop(sim);
    bl_beamline_free(sim->beamline);
    epicsEventDestroy(sim->wake);
    epicsEventDestroy(sim->ended);
    epicsMutexDestroy(sim->lock);
    free(sim);
}

void sim_watch(struct sim *sim, struct sim_watch *watch)
{
    watch->next = sim->watches;
    sim->watches = watch;
}
