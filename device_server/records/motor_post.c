#include "motor_private.h"

#include <math.h>
#include <string.h>

#include "alarm.h"
#include "dbEvent.h"
#include "recGbl.h"

/* Fields of which clients are told when they change, in the order in which they are told: the
   target before the limits, the readback before DMOV. */
#define FIELD(name) {offsetof(motorRecord, name), sizeof(((motorRecord *)0)->name)}
static const struct {
    size_t offset, size;
} fields[] = {
    FIELD(val),  FIELD(dval), FIELD(rval), FIELD(rlv),  FIELD(rbv),  FIELD(drbv), FIELD(rrbv),
    FIELD(diff), FIELD(rdif), FIELD(off),  FIELD(dir),  FIELD(set),  FIELD(hlm),  FIELD(llm),
    FIELD(dhlm), FIELD(dllm), FIELD(velo), FIELD(vbas), FIELD(vmax), FIELD(accl), FIELD(bdst),
    FIELD(bvel), FIELD(bacc), FIELD(jvel), FIELD(jar),  FIELD(hvel), FIELD(mres), FIELD(srev),
    FIELD(urev), FIELD(s),    FIELD(sbas), FIELD(sbak), FIELD(smax), FIELD(rdbd), FIELD(rtry),
    FIELD(rcnt), FIELD(ueip), FIELD(foff), FIELD(fof),  FIELD(vof),  FIELD(rmp),  FIELD(rep),
    FIELD(rvel), FIELD(lvio), FIELD(hls),  FIELD(lls),  FIELD(rhls), FIELD(rlls), FIELD(athm),
    FIELD(tdir), FIELD(cdir), FIELD(msta), FIELD(stop), FIELD(spmg), FIELD(sync), FIELD(twf),
    FIELD(twr),  FIELD(jogf), FIELD(jogr), FIELD(homf), FIELD(homr), FIELD(mip),  FIELD(miss),
    FIELD(movn), FIELD(dmov),
};
#undef FIELD
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

_Static_assert(NFIELDS * sizeof(epicsFloat64) <= MOTOR_POSTED_BYTES,
               "MOTOR_POSTED_BYTES too small");

static char *posted(const motorRecord *prec, size_t index)
{
    return prec->priv->posted + index * sizeof(epicsFloat64);
}

const void *motor_last_posted(const motorRecord *prec, const void *field)
{
    const size_t offset = (size_t)((const char *)field - (const char *)prec);
    for (size_t i = 0; i < NFIELDS; i++) {
        if (fields[i].offset == offset)
            return posted(prec, i);
    }
    return field;
}

/* The database posts a field that a client put. */
void motor_posted(motorRecord *prec, const void *field)
{
    const size_t offset = (size_t)((const char *)field - (const char *)prec);
    for (size_t i = 0; i < NFIELDS; i++) {
        if (fields[i].offset == offset)
            memcpy(posted(prec, i), field, fields[i].size);
    }
}

/* Deadbands hold for the readback of a moving motor; at rest clients know the exact position. */
static unsigned short readback_mask(motorRecord *prec)
{
    unsigned short mask = 0;
    const double deadband = prec->movn ? prec->mdel : 0;
    const double archive = prec->movn ? prec->adel : 0;
    if (!(fabs(prec->rbv - prec->mlst) <= deadband)) {
        mask |= DBE_VALUE;
        prec->mlst = prec->rbv;
    }
    if (!(fabs(prec->rbv - prec->alst) <= archive)) {
        mask |= DBE_LOG;
        prec->alst = prec->rbv;
    }
    return mask;
}

void motor_post(motorRecord *prec, unsigned short alarm_mask)
{
    for (size_t i = 0; i < NFIELDS; i++) {
        char *field = (char *)prec + fields[i].offset;
        const bool changed = memcmp(posted(prec, i), field, fields[i].size) != 0;
        const bool is_readback = (void *)field == (void *)&prec->rbv;
        const bool shows_alarm = is_readback || (void *)field == (void *)&prec->val;
        unsigned short mask = shows_alarm ? alarm_mask : 0;
        if (is_readback)
            mask |= readback_mask(prec);
        else if (changed)
            mask |= DBE_VALUE | DBE_LOG;
        memcpy(posted(prec, i), field, fields[i].size);
        if (mask != 0)
            db_post_events(prec, field, mask);
    }
}

void motor_alarms(motorRecord *prec)
{
    const struct motor_private *priv = prec->priv;
    if (priv->status_failed)
        recGblSetSevrMsg(prec, READ_ALARM, INVALID_ALARM, "position is not known");
    if (priv->command_failed)
        recGblSetSevrMsg(prec, WRITE_ALARM, INVALID_ALARM, "drive refused the command");
    if (priv->status.trouble)
        recGblSetSevrMsg(prec, STATE_ALARM, MAJOR_ALARM, "drive reports trouble");
    if (prec->hls)
        recGblSetSevrMsg(prec, HIGH_ALARM, prec->hlsv, "high limit switch");
    if (prec->lls)
        recGblSetSevrMsg(prec, LOW_ALARM, prec->hlsv, "low limit switch");
    if (prec->hhsv && prec->rbv >= prec->hihi)
        recGblSetSevr(prec, HIHI_ALARM, prec->hhsv);
    if (prec->llsv && prec->rbv <= prec->lolo)
        recGblSetSevr(prec, LOLO_ALARM, prec->llsv);
    if (prec->hsv && prec->rbv >= prec->high)
        recGblSetSevr(prec, HIGH_ALARM, prec->hsv);
    if (prec->lsv && prec->rbv <= prec->low)
        recGblSetSevr(prec, LOW_ALARM, prec->lsv);
}
