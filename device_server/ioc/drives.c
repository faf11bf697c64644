/* Drives: what a motor moves. That of the energy is no axis: it moves the Bragg angle. */
#include "simulation_private.h"

#include <math.h>
#include <string.h>

/* A drive's number from an axis' dial and back. */
static int same(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    (void)sim;
    (void)axis;
    *to = from;
    return BL_OK;
}

static int energy_from_dial(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    return bl_mono_energy_ev(axes_d_angstrom(sim), axis->sign * from + axis->offset, to);
}

static int energy_to_dial(const struct sim *sim, const struct axis *axis, double from, double *to)
{
    double bragg_deg;
    const int status = bl_mono_bragg_deg(axes_d_angstrom(sim), from, &bragg_deg);
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

int sim_drive_state(struct sim *sim, int drive, bool by_encoder, struct sim_drive_state *state)
{
    const int index = drives[drive].axis;
    const struct axis *axis = &sim->axis[index];
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    const double true_position = bl_motion_position(&axis->motion, now_s);
    const double step_s = 1e-3;
    const bool lost = axis_ranges[index].no_encoder || axes_faulty(sim, SIM_FAULT_ENCODER, index);
    *state = (struct sim_drive_state){
        .encoder = NAN,
        .has_encoder = !axis_ranges[index].no_encoder,
        .moving = axis->busy,
        .positive = axis->positive,
        .high_switch = true_position >= axis_ranges[index].high ||
                       axes_faulty(sim, SIM_FAULT_HIGH_LIMIT, index),
        .low_switch =
            true_position <= axis_ranges[index].low || axes_faulty(sim, SIM_FAULT_LOW_LIMIT, index),
        .at_home = fabs(true_position - axis_ranges[index].home) < 1e-9,
        .homed = axis->homed,
        .stalled = axis->stalled && !axis_ranges[index].no_encoder,
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
    state->position = axes_encoded(index, by_encoder) ? state->encoder : state->steps;
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
    const double lost =
        axes_encoded(index, by_encoder)
            ? 0
            : bl_motion_position(&axis->counted, now_s) - bl_motion_position(&axis->motion, now_s);
    const double zero = axis->zero + lost;
    const double dial_here = bl_motion_position(&axis->motion, now_s) + zero;
    int status = drives[drive].from_dial(sim, axis, dial_here, &here);
    if (status == BL_OK && isinf(target) && drives[drive].whole) /* on until a switch ends it */
        dial = (target > 0 ? axis_ranges[index].high + 1 : axis_ranges[index].low - 1) + zero;
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
    status = axes_start(sim, index, owner, now_s, by_encoder, dial - zero, &scaled);
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
    const int status =
        axes_start(sim, index, owner, now_s, by_encoder, axis_ranges[index].home, profile);
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
    axes_cut(sim, index, now_s);
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
