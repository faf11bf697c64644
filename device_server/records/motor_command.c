#include "motor_private.h"

#include <math.h>

/* Tells clients that the record is busy, and only then goes on: DMOV goes to 0 at every command,
   also for one that moves nothing. The alarm of a refused command ends with the next one. */
static void begin(motorRecord *prec)
{
    prec->dmov = 0;
    prec->miss = 0;
    prec->rcnt = 0;
    prec->priv->command_failed = false;
    motor_post(prec, 0);
}

static void finish(motorRecord *prec)
{
    prec->mip = 0;
    prec->jogf = prec->jogr = prec->homf = prec->homr = 0;
    prec->priv->paused = false;
    prec->dmov = 1;
    if (prec->spmg == motorSPMG_Move)
        prec->spmg = motorSPMG_Pause;
}

static void finish_here(motorRecord *prec)
{
    motor_sync(prec);
    finish(prec);
}

static motor_command command(motorRecord *prec, double target, double velocity, double accel)
{
    prec->priv->accel = accel;
    return (motor_command){
        .target = target, .velocity = velocity, .base = fmin(prec->vbas, velocity), .accel = accel};
}

static double ramp(const motorRecord *prec, double velocity, double seconds)
{
    const double gained = velocity - prec->vbas;
    return seconds > 0 && gained > 0 ? gained / seconds : 0;
}

/* The status that the drive gave to a command: an error ends the motion before it starts. */
static void launched(motorRecord *prec, long status, unsigned mip)
{
    prec->priv->command_failed = status != 0;
    prec->mip = (epicsUInt16)mip;
    if (status != 0) {
        finish_here(prec);
        return;
    }
    motor_read(prec);
    prec->cdir = prec->priv->status.positive;
}

static void launch_fast(motorRecord *prec, double target, unsigned mip)
{
    const motor_command c = command(prec, target, prec->velo, ramp(prec, prec->velo, prec->accl));
    launched(prec, motor_drive(prec)->move(prec, &c), mip);
}

static void launch_final(motorRecord *prec)
{
    const motor_command c =
        command(prec, prec->dval, prec->bvel, ramp(prec, prec->bvel, prec->bacc));
    launched(prec, motor_drive(prec)->move(prec, &c), MIP_MOVE);
}

/* A move ends in the direction of BDST, so that the drive's play is always on one side: it first
   goes to BDST before the target, unless it is already between there and the target. */
static void launch(motorRecord *prec)
{
    const double distance = prec->dval - prec->drbv;
    if (prec->bdst == 0)
        launch_fast(prec, prec->dval, MIP_MOVE);
    else if (distance * prec->bdst > 0 && fabs(distance) <= fabs(prec->bdst))
        launch_final(prec);
    else
        launch_fast(prec, prec->dval - prec->bdst, MIP_MOVE | MIP_MOVE_BL);
}

/* Takes DVAL as the new target, or puts the old one back. */
static void go(motorRecord *prec)
{
    struct motor_private *priv = prec->priv;
    const bool busy = prec->mip != 0;
    if (!motor_allowed(prec, prec->dval)) {
        prec->lvio = 1;
        motor_from_dial(prec, priv->accepted);
        if (!busy) {
            begin(prec);
            finish(prec);
        }
        return;
    }
    prec->lvio = 0;
    motor_from_dial(prec, prec->dval);
    priv->accepted = prec->dval;
    begin(prec);
    if (prec->spmg == motorSPMG_Stop)
        finish_here(prec);
    else if (prec->spmg == motorSPMG_Pause)
        priv->paused = true;
    else if (!prec->movn && prec->rval == prec->rrbv)
        finish(prec);
    else
        launch(prec);
}

static void define(motorRecord *prec, double dial)
{
    const motor_dset *drive = motor_drive(prec);
    prec->priv->command_failed = drive->define == NULL || drive->define(prec, dial) != 0;
    motor_read(prec);
    motor_sync(prec);
}

/* SET mode calibrates: with FOFF variable a user value changes OFF, else the drive's own number.
   Nothing moves, so DMOV stays 1: a client might take its change for the end of a move. */
void motor_act_val(motorRecord *prec)
{
    if (prec->set == motorSET_Set && prec->foff == motorFOFF_Variable && isfinite(prec->val)) {
        prec->off = prec->val - motor_sign(prec) * prec->drbv;
        prec->priv->accepted = prec->dval = prec->drbv;
        motor_frame_changed(prec);
        return;
    }
    prec->dval = motor_sign(prec) * (prec->val - prec->off);
    motor_act_dval(prec);
}

void motor_act_dval(motorRecord *prec)
{
    if (prec->set == motorSET_Set && isfinite(prec->dval))
        define(prec, prec->dval);
    else
        go(prec);
}

void motor_act_rval(motorRecord *prec)
{
    prec->dval = prec->rval * prec->mres;
    motor_act_dval(prec);
}

static void step(motorRecord *prec, double by)
{
    prec->val += by;
    motor_act_val(prec);
}

void motor_act_rlv(motorRecord *prec)
{
    const double by = prec->rlv;
    prec->rlv = 0;
    step(prec, by);
}

void motor_act_twf(motorRecord *prec)
{
    const bool pressed = prec->twf != 0;
    prec->twf = 0;
    if (pressed)
        step(prec, prec->twv);
}

void motor_act_twr(motorRecord *prec)
{
    const bool pressed = prec->twr != 0;
    prec->twr = 0;
    if (pressed)
        step(prec, -prec->twv);
}

static void halt(motorRecord *prec)
{
    if (prec->mip != 0 && !(prec->mip & MIP_STOP)) {
        /* A motion that someone else began is ended as one of this motor's own would be. */
        const double accel =
            prec->mip & MIP_EXTERNAL ? ramp(prec, prec->velo, prec->accl) : prec->priv->accel;
        prec->priv->command_failed = motor_drive(prec)->stop(prec, accel) != 0;
        prec->mip |= MIP_STOP;
        motor_read(prec);
    }
}

void motor_act_stop(motorRecord *prec)
{
    const bool pressed = prec->stop != 0;
    prec->stop = 0;
    if (!pressed)
        return;
    prec->jogf = prec->jogr = prec->homf = prec->homr = 0;
    prec->priv->command_failed = false;
    if (prec->mip == 0 && prec->priv->paused)
        finish_here(prec);
    prec->priv->paused = false;
    halt(prec);
}

void motor_act_spmg(motorRecord *prec)
{
    struct motor_private *priv = prec->priv;
    if (prec->spmg == motorSPMG_Stop) {
        prec->stop = 1;
        motor_act_stop(prec);
    } else if (prec->spmg == motorSPMG_Pause) {
        priv->paused = priv->paused || (prec->mip & MIP_MOVE);
        halt(prec);
    } else if (priv->paused) {
        priv->paused = false;
        launch(prec);
    }
}

void motor_act_sync(motorRecord *prec)
{
    prec->sync = 0;
    if (prec->mip == 0 && !prec->priv->paused)
        motor_sync(prec);
}

/* SPMG holds the motor: nothing but a target, which may wait, is taken. */
static bool held(const motorRecord *prec)
{
    return prec->spmg == motorSPMG_Stop || prec->spmg == motorSPMG_Pause;
}

/* A jog goes on until it is let go of, a soft limit is reached or a switch ends it. */
static void jog(motorRecord *prec, bool pressed, bool forward, unsigned mip)
{
    if (!pressed) {
        if (prec->mip & mip)
            halt(prec);
        return;
    }
    const bool positive = forward == (prec->dir == motorDIR_Pos);
    const double limit = positive ? prec->dhlm : prec->dllm;
    const bool beyond =
        motor_limited(prec) && (positive ? prec->drbv >= prec->dhlm : prec->drbv <= prec->dllm);
    prec->lvio = beyond;
    if (beyond || held(prec)) {
        prec->jogf = prec->jogr = 0;
        return;
    }
    begin(prec);
    const double target = motor_limited(prec) ? limit : (positive ? INFINITY : -INFINITY);
    const motor_command c = command(prec, target, prec->jvel, prec->jar);
    launched(prec, motor_drive(prec)->move(prec, &c), mip);
}

void motor_act_jogf(motorRecord *prec)
{
    jog(prec, prec->jogf != 0, true, MIP_JOGF);
}

void motor_act_jogr(motorRecord *prec)
{
    jog(prec, prec->jogr != 0, false, MIP_JOGR);
}

static void home(motorRecord *prec, bool pressed, unsigned mip)
{
    const motor_dset *drive = motor_drive(prec);
    if (!pressed) {
        if (prec->mip & mip)
            halt(prec);
        return;
    }
    if (held(prec)) {
        prec->homf = prec->homr = 0;
        return;
    }
    begin(prec);
    const motor_command c = command(prec, 0, prec->hvel, ramp(prec, prec->hvel, prec->accl));
    launched(prec, drive->home != NULL ? drive->home(prec, &c) : -1, mip);
}

void motor_act_homf(motorRecord *prec)
{
    home(prec, prec->homf != 0, MIP_HOMF);
}

void motor_act_homr(motorRecord *prec)
{
    home(prec, prec->homr != 0, MIP_HOMR);
}

/* A move that did not arrive is tried again, RTRY times; where that is 0, MISS stays 0 as well. */
static void missed(motorRecord *prec)
{
    if (prec->rcnt >= prec->rtry) {
        finish(prec);
        prec->miss = prec->rtry > 0;
        return;
    }
    prec->rcnt++;
    launch(prec);
    if (prec->mip != 0)
        prec->mip |= MIP_RETRY;
}

/* What follows from the drive's state after every read of it. */
void motor_progress(motorRecord *prec)
{
    struct motor_private *priv = prec->priv;
    const motor_status *status = &priv->status;
    if (status->moving) {
        if (prec->mip == 0) {
            prec->mip = MIP_EXTERNAL;
            prec->dmov = 0;
        }
        return;
    }
    if (prec->mip == 0) {
        if (status->redefined && !priv->paused && !priv->status_failed)
            motor_sync(prec);
        return;
    }
    if (prec->mip & MIP_STOP) {
        prec->mip = 0;
        if (!priv->paused)
            finish_here(prec);
    } else if (priv->status_failed) { /* whether it arrived cannot be told */
        finish_here(prec);
    } else if (prec->mip & MIP_MOVE_BL) {
        if (status->high_switch || status->low_switch || status->interrupted)
            finish_here(prec);
        else
            launch_final(prec);
    } else if (prec->mip & MIP_MOVE) {
        if (fabs(prec->dval - prec->drbv) <= fmax(prec->rdbd, fabs(prec->mres))) {
            finish(prec);
        } else if (status->high_switch || status->low_switch || status->interrupted) {
            finish_here(prec);
        } else {
            missed(prec);
        }
    } else {
        finish_here(prec);
    }
}
