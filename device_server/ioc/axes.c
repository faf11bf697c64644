/* Axes of the beamline: where they are, and what ends their motions. */
#include "simulation_private.h"

#include <math.h>

const struct axis_range axis_ranges[NAXES] = {
    [AXIS_BRAGG] = {3, 80, 10, INFINITY}, /* its step is one of energy */
    [AXIS_PITCH] = {-550, 550, 0, 2},         [AXIS_X] = {-11000, 11000, 0, 50},
    [AXIS_Y] = {-11000, 11000, 0, 50},        [AXIS_Z] = {-5500, 5500, 0, INFINITY},
    [AXIS_THETA] = {-185, 185, 0, 0.2, true}, [AXIS_DIFF_TH] = {-12, 92, 0, INFINITY},
    [AXIS_DIFF_TTH] = {-12, 152, 0, 0.005},
};

_Static_assert(AXIS_BRAGG == 0, "SIM_BRAGG_MOVES is the event of the first axis");

#define STEP_EV 0.25 /* within a count, no step of a moving mono is wider */

#define START_ENERGY_EV 7000.0
#define START_CRYSTAL BL_SI111

double axes_d_angstrom(const struct sim *sim)
{
    return bl_mono_crystal(sim->crystal)->d_angstrom;
}

void axes_init(struct sim *sim)
{
    const struct bl_holder *holder = bl_beamline_holder(sim->beamline);
    double start[NAXES] = {[AXIS_PITCH] = sim->knob[SIM_PITCH_OPTIMUM]};
    sim->crystal = START_CRYSTAL;
    (void)bl_mono_bragg_deg(axes_d_angstrom(sim), START_ENERGY_EV, &start[AXIS_BRAGG]);
    for (size_t i = 0; i < holder->n; i++) { /* the first place that holds something */
        if (holder->place[i].sample == NULL)
            continue;
        start[AXIS_X] = holder->place[i].x_um;
        start[AXIS_Y] = holder->place[i].y_um;
        break;
    }
    for (int i = 0; i < NAXES; i++) {
        bl_motion_rest(&sim->axis[i].motion, start[i]);
        bl_motion_rest(&sim->axis[i].counted, start[i]);
        sim->axis[i].sign = 1;
    }
}

bool axes_faulty(const struct sim *sim, int fault, int index)
{
    return sim->fault[fault] == index + 1;
}

double axes_energy_ev(const struct sim *sim, double time_s)
{
    double energy_ev;
    const double angle_deg =
        bl_motion_position(&sim->axis[AXIS_BRAGG].motion, time_s) + sim->knob[SIM_BRAGG_SLIP];
    return bl_mono_energy_ev(axes_d_angstrom(sim), angle_deg, &energy_ev) == BL_OK ? energy_ev
                                                                                   : NAN;
}

double axes_steps(const struct sim *sim, double from_s, double to_s)
{
    double n = fabs(axes_energy_ev(sim, to_s) - axes_energy_ev(sim, from_s)) / STEP_EV;
    for (int i = 0; i < NAXES; i++) {
        const struct bl_motion *motion = &sim->axis[i].motion;
        n = fmax(n, fabs(bl_motion_position(motion, to_s) - bl_motion_position(motion, from_s)) /
                        axis_ranges[i].step);
    }
    return n;
}

unsigned axes_events(struct sim *sim, double now_s, double *next_s)
{
    unsigned events = 0;
    for (int i = 0; i < NAXES; i++) {
        struct axis *axis = &sim->axis[i];
        if (!axis->busy)
            continue;
        const double end_s = fmax(axis->motion.end_s, axis->counted.end_s);
        events |= (unsigned)SIM_AXIS_MOVES << i;
        if (now_s < end_s) {
            *next_s = fmin(*next_s, end_s);
            continue;
        }
        axis->ending = true;
        if (axis->homing && axis->motion.end == axis_ranges[i].home) {
            axis->homed = true;
            bl_motion_rest(&axis->counted, axis->motion.end);
        }
        axis->homing = false;
    }
    return events;
}

/* The ends of motions are told; not of those started anew meanwhile. */
void axes_settle(struct sim *sim)
{
    for (int i = 0; i < NAXES; i++) {
        if (sim->axis[i].ending)
            sim->axis[i].busy = false;
        sim->axis[i].ending = false;
    }
}

bool axes_owned_by(const struct sim *sim, const void *owner)
{
    for (int i = 0; i < NAXES; i++) {
        if (sim->axis[i].owner == owner)
            return true;
    }
    return false;
}

bool axes_encoded(int index, bool by_encoder)
{
    return by_encoder && !axis_ranges[index].no_encoder;
}

/* The steps counted follow the motion, `lost` apart. */
static void count_along(struct axis *axis, double lost)
{
    axis->counted = axis->motion;
    axis->counted.end += lost;
    for (int i = 0; i < axis->counted.n; i++)
        axis->counted.piece[i].position += lost;
}

/* Ends a motion where a limit switch does: where it is, or at once where it is thought to be. */
void axes_cut(struct sim *sim, int index, double now_s)
{
    struct axis *axis = &sim->axis[index];
    struct bl_motion *motion = &axis->motion;
    const double here = bl_motion_position(motion, now_s);
    const bool high = axes_faulty(sim, SIM_FAULT_HIGH_LIMIT, index);
    const bool low = axes_faulty(sim, SIM_FAULT_LOW_LIMIT, index);
    const double lost = bl_motion_position(&axis->counted, now_s) - here;
    bool hit;
    (void)bl_motion_cut(motion, now_s,
                        high ? fmin(here, axis_ranges[index].high) : axis_ranges[index].high, 1,
                        &hit);
    (void)bl_motion_cut(
        motion, now_s, low ? fmax(here, axis_ranges[index].low) : axis_ranges[index].low, -1, &hit);
    if (!axis->stalled)
        count_along(axis, lost);
}

/* An axis that is stuck stays where it is, while its drive counts steps to the end. */
static void hold(struct sim *sim, int index, double now_s)
{
    struct axis *axis = &sim->axis[index];
    axis->stalled = true;
    bl_motion_rest(&axis->motion, bl_motion_position(&axis->motion, now_s));
}

int axes_start(struct sim *sim, int index, const void *owner, double now_s, bool by_encoder,
               double true_target, const struct bl_motion_profile *profile)
{
    struct axis *axis = &sim->axis[index];
    const double here = bl_motion_position(&axis->motion, now_s);
    if (axes_encoded(index, by_encoder) && axes_faulty(sim, SIM_FAULT_ENCODER, index))
        return BL_EIO;
    const int status = bl_motion_move(&axis->motion, now_s, true_target, profile);
    if (status != BL_OK)
        return status;
    axis->stalled = false;
    axes_cut(sim, index, now_s);
    if (axes_faulty(sim, SIM_FAULT_STUCK, index))
        hold(sim, index, now_s);
    axis->positive = true_target >= here;
    axis->busy = true;
    axis->ending = axis->homing = false;
    axis->owner = owner;
    axis->commands++;
    return BL_OK;
}

void axes_fault(struct sim *sim, double now_s)
{
    for (int i = 0; i < NAXES; i++) {
        if (bl_motion_done(&sim->axis[i].motion, now_s))
            continue;
        axes_cut(sim, i, now_s);
        if (axes_faulty(sim, SIM_FAULT_STUCK, i))
            hold(sim, i, now_s);
    }
}
