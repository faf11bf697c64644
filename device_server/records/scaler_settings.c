/* Puts to the fields of a scaler, and what they are shown with. */
#include "scaler_private.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "dbEvent.h"
#include "recGbl.h"

#define MIN_RATE_HZ 0.1f         /* but for 0: not at all */
#define DEFAULT_GATE_PRESET 1000 /* of a channel that is gated without one, as in synApps */

static long refuse(epicsFloat64 *field, double former)
{
    *field = former;
    return S_db_badField;
}

static void post_preset(scalerRecord *prec, int channel)
{
    db_post_events(prec, &prec->pr[channel], DBE_VALUE | DBE_LOG);
    db_post_events(prec, &prec->g[channel], DBE_VALUE | DBE_LOG);
}

static long time_preset(scalerRecord *prec)
{
    const double counts = rint(prec->tp * prec->freq);
    if (!(counts >= 0 && counts <= UINT32_MAX))
        return refuse(&prec->tp, prec->pr[0] / prec->freq);
    prec->pr[0] = (epicsUInt32)counts;
    prec->g[0] = scalerG_Y;
    post_preset(prec, 0);
    return 0;
}

long scaler_special(struct dbAddr *addr, int after)
{
    scalerRecord *prec = (scalerRecord *)addr->precord;
    const int field = dbGetFieldIndex(addr);
    if (!after)
        return 0;
    if (field == scalerRecordCNT || field == scalerRecordCONT) {
        prec->priv->put = true;
    } else if (field == scalerRecordTP) {
        return time_preset(prec);
    } else if (field == scalerRecordTP1) {
        if (!(prec->tp1 * prec->freq >= 1 && prec->tp1 * prec->freq <= UINT32_MAX))
            return refuse(&prec->tp1, 1);
    } else if (field == scalerRecordFREQ) {
        if (!(isfinite(prec->freq) && prec->freq > 0))
            return refuse(&prec->freq, 1e7);
        return time_preset(prec);
    } else if (field == scalerRecordRATE || field == scalerRecordRAT1) {
        epicsFloat32 *rate = addr->pfield;
        *rate =
            isfinite(*rate) && *rate > 0 ? fminf(fmaxf(*rate, MIN_RATE_HZ), SCALER_MAX_RATE_HZ) : 0;
    } else if (field >= scalerRecordPR1 && field <= scalerRecordPR32) {
        const int channel = field - scalerRecordPR1;
        if (prec->pr[channel] > 0)
            prec->g[channel] = scalerG_Y;
        if (channel == 0) {
            prec->tp = prec->pr[0] / prec->freq;
            db_post_events(prec, &prec->tp, DBE_VALUE | DBE_LOG);
        }
        db_post_events(prec, &prec->g[channel], DBE_VALUE | DBE_LOG);
    } else if (field >= scalerRecordG1 && field <= scalerRecordG32) {
        const int channel = field - scalerRecordG1;
        if (prec->g[channel] == scalerG_Y && prec->pr[channel] == 0) {
            prec->pr[channel] = DEFAULT_GATE_PRESET;
            db_post_events(prec, &prec->pr[channel], DBE_VALUE | DBE_LOG);
        }
    }
    return 0;
}

static bool is_seconds(const struct dbAddr *addr)
{
    switch (dbGetFieldIndex(addr)) {
    case scalerRecordTP:
    case scalerRecordTP1:
    case scalerRecordT:
    case scalerRecordVAL:
    case scalerRecordDLY:
    case scalerRecordDLY1:
        return true;
    default:
        return false;
    }
}

long scaler_units(struct dbAddr *addr, char *units)
{
    const int field = dbGetFieldIndex(addr);
    if (is_seconds(addr))
        strcpy(units, "s");
    else if (field == scalerRecordFREQ || field == scalerRecordRATE || field == scalerRecordRAT1)
        strcpy(units, "Hz");
    else if (field >= scalerRecordPR1 && field <= scalerRecordS32)
        strcpy(units, "counts");
    return 0;
}

long scaler_precision(const struct dbAddr *addr, long *precision)
{
    *precision = ((const scalerRecord *)addr->precord)->prec;
    if (!is_seconds(addr))
        recGblGetPrec(addr, precision);
    return 0;
}
