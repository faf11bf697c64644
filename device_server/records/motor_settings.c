#include "motor_private.h"

#include <math.h>

#include "dbEvent.h"

/* A value that makes no sense goes back to what it was; the client's put fails. */
static long refuse(motorRecord *prec, epicsFloat64 *field)
{
    *field = *(const epicsFloat64 *)motor_last_posted(prec, field);
    return S_db_badField;
}

/* VAL and RBV are posted before the limits: a client that checks a target against limits kept from
   monitors would else compare the old value with the new limits. */
void motor_frame_changed(motorRecord *prec)
{
    motor_from_dial(prec, prec->dval);
    motor_user_limits(prec);
    if (motor_drive(prec)->frame != NULL)
        motor_drive(prec)->frame(prec);
    motor_post(prec, 0);
    db_post_events(prec, NULL, DBE_PROPERTY);
}

long motor_set_off(motorRecord *prec)
{
    if (!isfinite(prec->off))
        return refuse(prec, &prec->off);
    motor_frame_changed(prec);
    return 0;
}

long motor_set_dir(motorRecord *prec)
{
    const short high = prec->hls;
    const short low = prec->lls;
    if (prec->dir != *(const epicsEnum16 *)motor_last_posted(prec, &prec->dir)) {
        prec->hls = low;
        prec->lls = high;
    }
    motor_frame_changed(prec);
    return 0;
}

long motor_set_sset(motorRecord *prec)
{
    prec->set = motorSET_Set;
    motor_post(prec, 0);
    return 0;
}

long motor_set_suse(motorRecord *prec)
{
    prec->set = motorSET_Use;
    motor_post(prec, 0);
    return 0;
}

long motor_set_fof(motorRecord *prec)
{
    prec->fof = 0;
    prec->foff = motorFOFF_Frozen;
    motor_post(prec, 0);
    return 0;
}

long motor_set_vof(motorRecord *prec)
{
    prec->vof = 0;
    prec->foff = motorFOFF_Variable;
    motor_post(prec, 0);
    return 0;
}

static void limits_changed(motorRecord *prec)
{
    motor_user_limits(prec);
    prec->lvio = !motor_allowed(prec, prec->dval);
    if (motor_drive(prec)->limits != NULL)
        motor_drive(prec)->limits(prec);
    motor_post(prec, 0);
}

long motor_set_dial_limit(motorRecord *prec)
{
    if (!isfinite(prec->dhlm))
        return refuse(prec, &prec->dhlm);
    if (!isfinite(prec->dllm))
        return refuse(prec, &prec->dllm);
    limits_changed(prec);
    return 0;
}

long motor_set_hlm(motorRecord *prec)
{
    if (!isfinite(prec->hlm))
        return refuse(prec, &prec->hlm);
    if (prec->dir == motorDIR_Neg)
        prec->dllm = -(prec->hlm - prec->off);
    else
        prec->dhlm = prec->hlm - prec->off;
    limits_changed(prec);
    return 0;
}

long motor_set_llm(motorRecord *prec)
{
    if (!isfinite(prec->llm))
        return refuse(prec, &prec->llm);
    if (prec->dir == motorDIR_Neg)
        prec->dhlm = -(prec->llm - prec->off);
    else
        prec->dllm = prec->llm - prec->off;
    limits_changed(prec);
    return 0;
}

/* Speeds stay between VBAS and VMAX; a motor that could not move at all is refused. */
static void clamp(epicsFloat64 *speed, double low, double high)
{
    *speed = fmin(fmax(*speed, low), high);
}

/* The same speeds in revolutions of the motor. */
static void revolutions(motorRecord *prec)
{
    const double travel = fabs(prec->urev);
    prec->s = prec->velo / travel;
    prec->sbas = prec->vbas / travel;
    prec->sbak = prec->bvel / travel;
    prec->smax = prec->vmax / travel;
}

long motor_set_speed(motorRecord *prec)
{
    epicsFloat64 *const positive[] = {&prec->velo, &prec->vmax, &prec->bvel, &prec->jvel,
                                      &prec->hvel};
    epicsFloat64 *const not_negative[] = {&prec->vbas, &prec->accl, &prec->bacc, &prec->jar};
    for (unsigned i = 0; i < sizeof(positive) / sizeof(positive[0]); i++) {
        if (!isfinite(*positive[i]) || *positive[i] <= 0)
            return refuse(prec, positive[i]);
    }
    for (unsigned i = 0; i < sizeof(not_negative) / sizeof(not_negative[0]); i++) {
        if (!isfinite(*not_negative[i]) || *not_negative[i] < 0)
            return refuse(prec, not_negative[i]);
    }
    if (!isfinite(prec->bdst))
        return refuse(prec, &prec->bdst);
    if (prec->vbas > prec->vmax)
        prec->vbas = prec->vmax;
    clamp(&prec->velo, prec->vbas, prec->vmax);
    clamp(&prec->bvel, prec->vbas, prec->vmax);
    clamp(&prec->jvel, prec->vbas, prec->vmax);
    clamp(&prec->hvel, prec->vbas, prec->vmax);
    revolutions(prec);
    motor_post(prec, 0);
    return 0;
}

long motor_set_revolutions(motorRecord *prec)
{
    const struct {
        epicsFloat64 *put, *speed;
    } pairs[] = {{&prec->s, &prec->velo},
                 {&prec->sbas, &prec->vbas},
                 {&prec->sbak, &prec->bvel},
                 {&prec->smax, &prec->vmax}};
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (*pairs[i].put != *(const epicsFloat64 *)motor_last_posted(prec, pairs[i].put))
            *pairs[i].speed = *pairs[i].put * fabs(prec->urev);
    }
    const long status = motor_set_speed(prec);
    revolutions(prec);
    return status;
}

long motor_set_mres(motorRecord *prec)
{
    if (!isfinite(prec->mres) || prec->mres == 0)
        return refuse(prec, &prec->mres);
    prec->urev = prec->mres * prec->srev;
    revolutions(prec);
    motor_from_dial(prec, prec->dval);
    motor_post(prec, 0);
    return 0;
}

long motor_set_urev(motorRecord *prec)
{
    if (prec->srev <= 0) {
        prec->srev = *(const epicsInt32 *)motor_last_posted(prec, &prec->srev);
        return S_db_badField;
    }
    if (!isfinite(prec->urev) || prec->urev == 0)
        return refuse(prec, &prec->urev);
    prec->mres = prec->urev / prec->srev;
    revolutions(prec);
    motor_from_dial(prec, prec->dval);
    motor_post(prec, 0);
    return 0;
}

long motor_set_rdbd(motorRecord *prec)
{
    if (!isfinite(prec->rdbd) || prec->rdbd < 0)
        return refuse(prec, &prec->rdbd);
    return 0;
}

long motor_set_rtry(motorRecord *prec)
{
    if (prec->rtry >= 0)
        return 0;
    prec->rtry = *(const epicsInt16 *)motor_last_posted(prec, &prec->rtry);
    return S_db_badField;
}

/* At rest the target becomes where the motor now is said to be; one that moves still goes to it. A
   command that was refused for want of an encoder is over; the record processes next, and its alarm
   ends. */
long motor_set_ueip(motorRecord *prec)
{
    struct motor_private *priv = prec->priv;
    if (prec->ueip == motorUEIP_Yes && !priv->status.has_encoder) {
        prec->ueip = motorUEIP_No;
        return S_db_badField;
    }
    priv->command_failed = false;
    motor_read(prec);
    if (prec->mip == 0 && !priv->paused && !priv->status_failed)
        motor_sync(prec);
    motor_post(prec, 0);
    return 0;
}

static void fill(epicsFloat64 *field, double value)
{
    if (*field == 0)
        *field = value;
}

/* What a database leaves out. */
void motor_set_defaults(motorRecord *prec)
{
    if (prec->srev <= 0)
        prec->srev = 200;
    fill(&prec->mres, prec->urev != 0 ? prec->urev / prec->srev : 1);
    prec->urev = prec->mres * prec->srev;
    fill(&prec->eres, prec->mres);
    fill(&prec->rdbd, fabs(prec->mres));
    fill(&prec->velo, prec->vbas > 0 ? prec->vbas : 1);
    fill(&prec->vmax, prec->velo);
    fill(&prec->bvel, prec->velo);
    fill(&prec->jvel, prec->velo);
    fill(&prec->hvel, prec->velo);
    fill(&prec->jar, prec->accl > 0 ? prec->jvel / prec->accl : 0);
    revolutions(prec);
}
