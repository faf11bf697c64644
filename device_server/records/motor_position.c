#include "motor_private.h"

#include <limits.h>
#include <math.h>

static epicsInt32 whole(double dial, double resolution)
{
    const double steps = rint(dial / resolution);
    if (!(fabs(steps) < INT_MAX))
        return steps > 0 ? INT_MAX : INT_MIN;
    return (epicsInt32)steps;
}

static epicsInt32 raw(const motorRecord *prec, double dial)
{
    return whole(dial, prec->mres);
}

static bool same_place(const motorRecord *prec, double a, double b)
{
    return fabs(a - b) < 1e-6 * fabs(prec->mres);
}

/* Readbacks follow the drive; where it is at the target they show the target's very digits. One
   that does not know its position still tells whether it moves. */
void motor_read(motorRecord *prec)
{
    struct motor_private *priv = prec->priv;
    const motor_status *status = &priv->status;
    priv->status_failed = motor_drive(prec)->status(prec, &priv->status) != 0;
    if (!priv->status_failed) {
        prec->drbv = same_place(prec, status->position, prec->dval) ? prec->dval : status->position;
        prec->rrbv = raw(prec, prec->drbv);
        motor_user_readback(prec);
        prec->rmp = raw(prec, status->steps);
        prec->rvel = raw(prec, status->velocity);
    }
    if (status->has_encoder && isfinite(status->encoder))
        prec->rep = whole(status->encoder, prec->eres);
    prec->movn = status->moving;
    prec->rhls = status->high_switch;
    prec->rlls = status->low_switch;
    prec->hls = prec->dir == motorDIR_Neg ? status->low_switch : status->high_switch;
    prec->lls = prec->dir == motorDIR_Neg ? status->high_switch : status->low_switch;
    prec->athm = status->at_home;
    prec->tdir = status->positive;
    /* Bits as in synApps: direction, done, plus limit, home, encoder, problem, moving, minus limit,
       homed. */
    prec->msta = (status->positive ? 0x1u : 0) | (status->moving ? 0x400u : 0x2u) |
                 (status->high_switch ? 0x4u : 0) | (status->at_home ? 0x88u : 0) |
                 (status->has_encoder ? 0x100u : 0) | (status->trouble ? 0x200u : 0) |
                 (status->low_switch ? 0x2000u : 0) | (status->homed ? 0x4000u : 0);
}

void motor_user_readback(motorRecord *prec)
{
    prec->rbv = motor_sign(prec) * prec->drbv + prec->off;
    if (same_place(prec, prec->rbv, prec->val))
        prec->rbv = prec->val;
    prec->diff = prec->dval - prec->drbv;
    prec->rdif = (epicsInt32)fmax(INT_MIN, fmin(INT_MAX, (double)prec->rval - prec->rrbv));
}

/* Sets VAL, DVAL and RVAL to one position. */
void motor_from_dial(motorRecord *prec, double dial)
{
    const double user = motor_sign(prec) * dial + prec->off;
    if (!same_place(prec, user, prec->val))
        prec->val = user;
    prec->dval = dial;
    prec->rval = raw(prec, dial);
    motor_user_readback(prec);
}

/* The target becomes where the motor is. */
void motor_sync(motorRecord *prec)
{
    motor_from_dial(prec, prec->drbv);
    prec->priv->accepted = prec->dval;
}

void motor_user_limits(motorRecord *prec)
{
    const bool reversed = prec->dir == motorDIR_Neg;
    prec->hlm = (reversed ? -prec->dllm : prec->dhlm) + prec->off;
    prec->llm = (reversed ? -prec->dhlm : prec->dllm) + prec->off;
}

/* As in synApps: two limits of 0 are none; two others that are equal hold the motor there. */
bool motor_limited(const motorRecord *prec)
{
    return prec->dhlm != 0 || prec->dllm != 0;
}

bool motor_allowed(const motorRecord *prec, double dial)
{
    const epicsInt32 steps = raw(prec, dial);
    if (!isfinite(dial) || steps == INT_MAX || steps <= -INT_MAX)
        return false;
    const double slack = 1e-6 * fabs(prec->mres);
    return !motor_limited(prec) || (dial <= prec->dhlm + slack && dial >= prec->dllm - slack);
}
