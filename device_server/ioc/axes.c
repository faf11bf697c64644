/* Axes of the beamline and the drives that move them. The energy is no axis: its drive moves the
   Bragg angle. */
#include "simulation_private.h"

#include <math.h>
#include <string.h>

/* Positions are true ones; hard limits are where the switches are. `step` is how far an axis may
   move between two looks at what it changes. */
static const struct {
    double low, high, home;
    double step;
    bool no_encoder;
} axes[NAXES] = {
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

/* A drive's number from an axis' dial and back. */
static int same(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    (void)sim;
    (void)axis;
    *to = from;
    return BL_OK;
}

static double d_angstrom(const struct sim *sim)
{
    return bl_mono_crystal(sim->crystal)->d_angstrom;
}

static int energy_from_dial(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    return bl_mono_energy_ev(d_angstrom(sim), axis->sign * from + axis->offset, to);
}

static int energy_to_dial(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    double bragg_deg;
    const int status = bl_mono_bragg_deg(d_angstrom(sim), from, &bragg_deg);
    if (status == BL_OK)
        *to = axis->sign * (bragg_deg - axis->offset);
    return status;
}

static const struct {
    const char *name;
    int axis;
    bool whole; /* the drive is the axis: it can be homed and redefined */
    unsigned events;
    int (*from_dial)(const struct sim *, const struct axis *, double, double *);
    int (*to_dial)(const struct sim *, const struct axis *, double, double *);
} drives[] = {
    {"bragg", AXIS_BRAGG, true, 0, same, same},
    {"energy", AXIS_BRAGG, false, SIM_MONO_CHANGED, energy_from_dial, energy_to_dial},
    {"pitch", AXIS_PITCH, true, 0, same, same},
    {"sample_x", AXIS_X, true, 0, same, same},
    {"sample_y", AXIS_Y, true, 0, same, same},
    {"sample_z", AXIS_Z, true, 0, same, same},
    {"sample_theta", AXIS_THETA, true, 0, same, same},
    {"diff_th", AXIS_DIFF_TH, true, 0, same, same},
    {"diff_tth", AXIS_DIFF_TTH, true, 0, same, same},
};
#define NDRIVES ((int)(sizeof(drives) / sizeof(drives[0])))

void axes_init(struct sim *sim)
{
    const struct bl_holder *holder = bl_beamline_holder(sim->beamline);
    double start[NAXES] = {[AXIS_PITCH] = sim->knob[SIM_PITCH_OPTIMUM]};
    sim->crystal = START_CRYSTAL;
    (void)bl_mono_bragg_deg(d_angstrom(sim), START_ENERGY_EV, &start[AXIS_BRAGG]);
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

static bool faulty(const struct sim *sim, int fault, int index)
{
    return sim->fault[fault] == index + 1;
}

double axes_energy_ev(const struct sim *sim, double time_s)
{
    double energy_ev;
    const double angle_deg =
        bl_motion_position(&sim->axis[AXIS_BRAGG].motion, time_s) + sim->knob[SIM_BRAGG_SLIP];
    return bl_mono_energy_ev(d_angstrom(sim), angle_deg, &energy_ev) == BL_OK ? energy_ev : NAN;
}

double axes_steps(const struct sim *sim, double from_s, double to_s)
{
    double n = fabs(axes_energy_ev(sim, to_s) - axes_energy_ev(sim, from_s)) / STEP_EV;
    for (int i = 0; i < NAXES; i++) {
        const struct bl_motion *motion = &sim->axis[i].motion;
        n = fmax(n, fabs(bl_motion_position(motion, to_s) - bl_motion_position(motion, from_s)) /
                        axes[i].step);
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
        if (axis->homing && axis->motion.end == axes[i].home) {
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

int sim_drive_find(const char *name)
{
    for (int i = 0; i < NDRIVES; i++) {
        if (strcmp(drives[i].name, name) == 0)
            return i;
    }
    return -1;
}

unsigned sim_drive_events(int drive)
{
    return ((unsigned)SIM_AXIS_MOVES << drives[drive].axis) | SIM_FAULTS_CHANGED |
           drives[drive].events;
}

/* Whether it is an encoder that tells the position. */
static bool encoded(int index, bool by_encoder)
{
    return by_encoder && !axes[index].no_encoder;
}

int sim_drive_state(struct sim *sim, int drive, bool by_encoder, struct sim_drive_state *state)
{
    const int index = drives[drive].axis;
    const struct axis *axis = &sim->axis[index];
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    const double true_position = bl_motion_position(&axis->motion, now_s);
    const double step_s = 1e-3;
    const bool lost = axes[index].no_encoder || faulty(sim, SIM_FAULT_ENCODER, index);
    *state = (struct sim_drive_state){
        .encoder = NAN,
        .has_encoder = !axes[index].no_encoder,
        .moving = axis->busy,
        .positive = axis->positive,
        .high_switch =
            true_position >= axes[index].high || faulty(sim, SIM_FAULT_HIGH_LIMIT, index),
        .low_switch = true_position <= axes[index].low || faulty(sim, SIM_FAULT_LOW_LIMIT, index),
        .at_home = fabs(true_position - axes[index].home) < 1e-9,
        .homed = axis->homed,
        .stalled = axis->stalled && !axes[index].no_encoder,
        .owner = axis->owner,
        .commands = axis->commands,
        .scales = axis->scales,
    };
    const double dial = bl_motion_position(&axis->counted, now_s) + axis->zero;
    double there;
    int status = drives[drive].from_dial(sim, axis, dial, &state->steps);
    const double ahead = dial + bl_motion_velocity(&axis->counted, now_s) * step_s;
    if (status == BL_OK && drives[drive].from_dial(sim, axis, ahead, &there) == BL_OK)
        state->velocity = (there - state->steps) / step_s;
    if (status == BL_OK && !lost)
        status = drives[drive].from_dial(sim, axis, true_position + axis->zero, &state->encoder);
    state->position = encoded(index, by_encoder) ? state->encoder : state->steps;
    if (status == BL_OK && isnan(state->position))
        status = BL_EIO;
    epicsMutexUnlock(sim->lock);
    return status;
}

/* The record of an axis checks its own targets; those of other drives are not known to it. */
static bool within_limits(const struct axis *axis, double dial)
{
    const double slack = 1e-9;
    const bool limited = axis->low != 0 || axis->high != 0;
    return !limited || (dial >= axis->low - slack && dial <= axis->high + slack);
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
static void cut(struct sim *sim, int index, double now_s)
{
    struct axis *axis = &sim->axis[index];
    struct bl_motion *motion = &axis->motion;
    const double here = bl_motion_position(motion, now_s);
    const bool high = faulty(sim, SIM_FAULT_HIGH_LIMIT, index);
    const bool low = faulty(sim, SIM_FAULT_LOW_LIMIT, index);
    const double lost = bl_motion_position(&axis->counted, now_s) - here;
    bool hit;
    (void)bl_motion_cut(motion, now_s, high ? fmin(here, axes[index].high) : axes[index].high, 1,
                        &hit);
    (void)bl_motion_cut(motion, now_s, low ? fmax(here, axes[index].low) : axes[index].low, -1,
                        &hit);
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

static int start(struct sim *sim, int index, const void *owner, double now_s, bool by_encoder,
                 double true_target, const struct bl_motion_profile *profile)
{
    struct axis *axis = &sim->axis[index];
    const double here = bl_motion_position(&axis->motion, now_s);
    if (encoded(index, by_encoder) && faulty(sim, SIM_FAULT_ENCODER, index))
        return BL_EIO;
    const int status = bl_motion_move(&axis->motion, now_s, true_target, profile);
    if (status != BL_OK)
        return status;
    axis->stalled = false;
    cut(sim, index, now_s);
    if (faulty(sim, SIM_FAULT_STUCK, index))
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
        cut(sim, i, now_s);
        if (faulty(sim, SIM_FAULT_STUCK, i))
            hold(sim, i, now_s);
    }
}

int sim_drive_move(struct sim *sim, int drive, const void *owner, bool by_encoder, double target,
                   const struct bl_motion_profile *profile)
{
    const int index = drives[drive].axis;
    struct axis *axis = &sim->axis[index];
    struct bl_motion_profile scaled = *profile;
    double dial;
    double here;
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    counting_advance(sim, now_s, true);
    const double lost = encoded(index, by_encoder) ? 0
                                                   : bl_motion_position(&axis->counted, now_s) -
                                                         bl_motion_position(&axis->motion, now_s);
    const double zero = axis->zero + lost;
    const double dial_here = bl_motion_position(&axis->motion, now_s) + zero;
    int status = drives[drive].from_dial(sim, axis, dial_here, &here);
    if (status == BL_OK && isinf(target) && drives[drive].whole) /* on until a switch ends it */
        dial = (target > 0 ? axes[index].high + 1 : axes[index].low - 1) + zero;
    else if (status == BL_OK)
        status = drives[drive].to_dial(sim, axis, target, &dial);
    if (status == BL_OK && !drives[drive].whole && !within_limits(axis, dial))
        status = BL_ERANGE;
    if (status != BL_OK)
        goto done;
    if (!drives[drive].whole && target != here) {
        /* The axis' speed is the one that covers this distance in the same time. */
        const double scale = fabs((dial - dial_here) / (target - here));
        scaled.velocity *= scale;
        scaled.base *= scale;
        scaled.accel *= scale;
    }
    status = start(sim, index, owner, now_s, by_encoder, dial - zero, &scaled);
done:
    sim_tell(sim, 0);
    epicsMutexUnlock(sim->lock);
    return status;
}

int sim_drive_home(struct sim *sim, int drive, const void *owner, bool by_encoder,
                   const struct bl_motion_profile *profile)
{
    const int index = drives[drive].axis;
    if (!drives[drive].whole)
        return BL_EINVAL;
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    counting_advance(sim, now_s, true);
    const int status = start(sim, index, owner, now_s, by_encoder, axes[index].home, profile);
    sim->axis[index].homing = status == BL_OK;
    sim_tell(sim, 0);
    epicsMutexUnlock(sim->lock);
    return status;
}

int sim_drive_stop(struct sim *sim, int drive, const void *owner, double accel)
{
    const int index = drives[drive].axis;
    struct axis *axis = &sim->axis[index];
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    counting_advance(sim, now_s, true);
    double per_unit = 1;
    if (!drives[drive].whole) {
        const double dial = bl_motion_position(&axis->motion, now_s) + axis->zero;
        const double step = 1e-4;
        double here;
        double there;
        if (drives[drive].from_dial(sim, axis, dial, &here) == BL_OK &&
            drives[drive].from_dial(sim, axis, dial + step, &there) == BL_OK)
            per_unit = fabs(step / (there - here));
    }
    const int status = bl_motion_stop(&axis->motion, now_s, accel * per_unit);
    if (axis->stalled)
        (void)bl_motion_stop(&axis->counted, now_s, accel * per_unit);
    cut(sim, index, now_s);
    axis->owner = owner;
    sim_tell(sim, 0);
    epicsMutexUnlock(sim->lock);
    return status;
}

int sim_drive_define(struct sim *sim, int drive, double position)
{
    const int index = drives[drive].axis;
    struct axis *axis = &sim->axis[index];
    if (!drives[drive].whole || !isfinite(position))
        return BL_EINVAL;
    epicsMutexMustLock(sim->lock);
    const double here = bl_motion_position(&axis->motion, sim_now(sim));
    axis->zero = position - here;
    if (!axis->busy) /* its steps are counted anew, too */
        bl_motion_rest(&axis->counted, here);
    axis->scales++;
    sim_tell(sim, index == AXIS_BRAGG ? SIM_MONO_CHANGED : 0);
    epicsMutexUnlock(sim->lock);
    return BL_OK;
}

void sim_drive_frame(struct sim *sim, int drive, double sign, double offset)
{
    const int index = drives[drive].axis;
    struct axis *axis = &sim->axis[index];
    if (!drives[drive].whole)
        return;
    epicsMutexMustLock(sim->lock);
    axis->sign = sign;
    axis->offset = offset;
    axis->scales++;
    sim_tell(sim, index == AXIS_BRAGG ? SIM_MONO_CHANGED : 0);
    epicsMutexUnlock(sim->lock);
}

void sim_drive_limits(struct sim *sim, int drive, double low, double high)
{
    struct axis *axis = &sim->axis[drives[drive].axis];
    if (!drives[drive].whole)
        return;
    epicsMutexMustLock(sim->lock);
    axis->low = low;
    axis->high = high;
    epicsMutexUnlock(sim->lock);
}
