/* Record support of the scaler record. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alarm.h"
#include "callback.h"
#include "dbAccess.h"
#include "dbEvent.h"
#include "devSup.h"
#include "epicsExport.h"
#include "epicsThread.h"
#include "epicsTime.h"
#include "menuAlarmSevr.h"
#include "recGbl.h"
#include "recSup.h"
#include "special.h"

#define GEN_SIZE_OFFSET
#include "scalerRecord.h"
#undef GEN_SIZE_OFFSET
#include "scaler_private.h"

#define LONGEST_DELAY_S 1e8 /* timers and clocks of EPICS base count on for some decades */

enum scaler_state { IDLE, WAITING, COUNTING };                              /* SS */
enum user_state { USER_IDLE, USER_WAITING, USER_REQUESTED, USER_COUNTING }; /* US */

static const scaler_dset *counter(const scalerRecord *prec)
{
    return (const scaler_dset *)(const void *)prec->dset;
}

static double seconds_to(epicsUInt64 due_ns)
{
    return ((double)due_ns - (double)epicsMonotonicGet()) * 1e-9;
}

static void on_delay(epicsCallback *callback)
{
    scalerRecord *prec;
    callbackGetUser(prec, callback);
    struct delayed *delayed = (struct delayed *)(void *)callback;
    dbScanLock((struct dbCommon *)prec);
    const double early_s = seconds_to(delayed->due_ns);
    if (!delayed->pending) {
        /* cancelled after it had been queued */
    } else if (early_s > epicsThreadSleepQuantum()) {
        /* It had been queued when it was cancelled and scheduled anew. A timer's own inaccuracy is
           less than that. */
        callbackRequestDelayed(callback, early_s);
    } else {
        delayed->pending = false;
        delayed->fired = true;
        dbProcess((struct dbCommon *)prec);
        delayed->fired = false;
    }
    dbScanUnlock((struct dbCommon *)prec);
}

static void cancel(struct delayed *delayed)
{
    if (delayed->pending)
        callbackCancelDelayed(&delayed->callback);
    delayed->pending = false;
}

static void schedule(struct delayed *delayed, double seconds)
{
    cancel(delayed);
    seconds = fmin(seconds, LONGEST_DELAY_S);
    delayed->pending = true;
    delayed->due_ns = epicsMonotonicGet() + (epicsUInt64)(seconds * 1e9);
    callbackRequestDelayed(&delayed->callback, seconds);
}

static long init_record(struct dbCommon *common, int pass)
{
    scalerRecord *prec = (scalerRecord *)common;
    if (pass == 0) {
        prec->priv = calloc(1, sizeof(*prec->priv));
        if (prec->priv == NULL)
            return S_rec_outMem;
        struct delayed *const delayed[] = {&prec->priv->start, &prec->priv->display};
        for (int i = 0; i < 2; i++) {
            callbackSetCallback(on_delay, &delayed[i]->callback);
            callbackSetPriority(prec->prio, &delayed[i]->callback);
            callbackSetUser(prec, &delayed[i]->callback);
        }
        return 0;
    }
    const scaler_dset *dset = counter(prec);
    if (dset == NULL || dset->common.number < 8 || dset->reset == NULL || dset->preset == NULL ||
        dset->arm == NULL || dset->read == NULL) {
        recGblRecordError(S_dev_missingSup, prec, "scaler: init_record");
        return S_dev_missingSup;
    }
    if (dset->common.init_record != NULL) {
        const long status = dset->common.init_record(common);
        if (status != 0)
            return status;
    }
    if (prec->tp > 0) {
        prec->pr[0] = (epicsUInt32)fmin(rint(prec->tp * prec->freq), UINT32_MAX);
        prec->g[0] = scalerG_Y;
    }
    prec->cnt = prec->pcnt = scalerCNT_Done;
    prec->udf = FALSE;
    recGblResetAlarms(prec);
    recGblGetTimeStamp(prec);
    return 0;
}

/* Starts a count: the user's with all gated presets, an automatic one for TP1 seconds. */
static void start_count(scalerRecord *prec, bool user)
{
    const scaler_dset *dset = counter(prec);
    long status = dset->reset(prec);
    for (int i = 0; user && status == 0 && i < prec->nch; i++) {
        if (prec->g[i] == scalerG_Y)
            status = dset->preset(prec, i, prec->pr[i]);
    }
    if (!user && status == 0)
        status = dset->preset(prec, 0, (epicsUInt32)fmin(prec->tp1 * prec->freq, UINT32_MAX));
    if (status == 0)
        status = dset->arm(prec, true);
    /* What an automatic count ended with is shown until the next one is read. */
    prec->priv->failed = status != 0 || (!user && prec->priv->failed);
    prec->ss = status == 0 ? COUNTING : IDLE;
    if (user) {
        prec->us = status == 0 ? USER_COUNTING : USER_IDLE;
        prec->cnt = status == 0 ? scalerCNT_Count : scalerCNT_Done;
    }
}

static void read_counts(scalerRecord *prec)
{
    bool done = false;
    prec->priv->failed = counter(prec)->read(prec, prec->priv->counts, &done) != 0;
    memcpy(prec->s, prec->priv->counts, sizeof(prec->s));
    prec->t = prec->s[0] / prec->freq;
    if (!done || prec->ss != COUNTING)
        return;
    prec->ss = IDLE;
    prec->val = prec->t;
    if (prec->us == USER_COUNTING) {
        prec->us = USER_IDLE;
        prec->cnt = scalerCNT_Done;
    }
}

static void begin_user_count(scalerRecord *prec)
{
    if (prec->us != USER_IDLE)
        return;
    if (prec->ss != IDLE) /* an automatic count gives way */
        counter(prec)->arm(prec, false);
    prec->ss = IDLE;
    cancel(&prec->priv->display); /* that of an automatic count might be slower */
    if (prec->dly > 0) {
        prec->us = USER_WAITING;
        prec->ss = WAITING;
        schedule(&prec->priv->start, prec->dly);
    } else {
        start_count(prec, true);
    }
}

static void end_user_count(scalerRecord *prec)
{
    if (prec->us == USER_COUNTING) {
        counter(prec)->arm(prec, false);
        read_counts(prec);
    }
    prec->us = USER_IDLE;
    prec->ss = IDLE;
    prec->cnt = scalerCNT_Done;
}

static void start_automatic_count(scalerRecord *prec)
{
    prec->priv->started_ns = epicsMonotonicGet();
    start_count(prec, false);
}

/* Before the next automatic count: the shortest ones, one after the other, would do nothing but
   keep a processor busy. */
static double automatic_delay(const scalerRecord *prec)
{
    return fmax(prec->dly1, 1.0 / SCALER_MAX_RATE_HZ + seconds_to(prec->priv->started_ns));
}

static void count_automatically(scalerRecord *prec)
{
    struct scaler_private *priv = prec->priv;
    if (prec->us != USER_IDLE)
        return;
    if (prec->cont != scalerCONT_AutoCount) {
        if (prec->ss == COUNTING) {
            counter(prec)->arm(prec, false);
            read_counts(prec);
        }
        prec->ss = IDLE;
    } else if (prec->ss == IDLE) {
        const double delay = automatic_delay(prec);
        if (delay > 0) {
            prec->ss = WAITING;
            schedule(&priv->start, delay);
        } else {
            start_automatic_count(prec);
        }
    } else if (prec->ss == WAITING && priv->start.fired) {
        start_automatic_count(prec);
    }
}

static void post(scalerRecord *prec, unsigned short alarm_mask, const epicsUInt32 *before)
{
    struct scaler_private *priv = prec->priv;
    const unsigned short mask = DBE_VALUE | DBE_LOG;
    for (int i = 0; i < prec->nch; i++) {
        if (prec->s[i] != before[i])
            db_post_events(prec, &prec->s[i], mask);
    }
    if (prec->t != priv->posted_t)
        db_post_events(prec, &prec->t, mask);
    if (prec->ss != priv->posted_ss)
        db_post_events(prec, &prec->ss, mask);
    if (prec->us != priv->posted_us)
        db_post_events(prec, &prec->us, mask);
    if (prec->pcnt != prec->cnt) {
        db_post_events(prec, &prec->val, mask | alarm_mask);
        db_post_events(prec, &prec->cnt, mask | alarm_mask);
        prec->pcnt = prec->cnt;
        db_post_events(prec, &prec->pcnt, mask);
    } else if (alarm_mask) {
        db_post_events(prec, &prec->val, alarm_mask);
    }
    priv->posted_t = prec->t;
    priv->posted_ss = prec->ss;
    priv->posted_us = prec->us;
}

static long process(struct dbCommon *common)
{
    scalerRecord *prec = (scalerRecord *)common;
    struct scaler_private *priv = prec->priv;
    const bool was_user = prec->us != USER_IDLE;
    const bool was_auto = !was_user && prec->ss != IDLE;
    const bool put = priv->put;
    epicsUInt32 before[SCALER_MAX_CHANNELS];

    prec->pact = TRUE;
    priv->put = false;
    memcpy(before, prec->s, sizeof(before));
    recGblGetTimeStamp(prec);
    if (prec->ss == COUNTING)
        read_counts(prec);
    if (put && prec->cnt == scalerCNT_Count)
        begin_user_count(prec);
    else if (prec->cnt == scalerCNT_Done && was_user && prec->us != USER_IDLE)
        end_user_count(prec);
    else if (prec->us == USER_WAITING && priv->start.fired)
        start_count(prec, true);
    const bool user_now = prec->us != USER_IDLE;
    count_automatically(prec);
    if (prec->ss == COUNTING) {
        const double rate = prec->us == USER_IDLE && prec->rat1 > 0 ? prec->rat1 : prec->rate;
        if (!was_user && !was_auto)
            read_counts(prec);
        if (rate > 0 && !priv->display.pending)
            schedule(&priv->display, 1 / rate);
    } else {
        /* A display that is late shows a count that is over: nothing may change by it. */
        cancel(&priv->display);
    }
    if (prec->ss != WAITING)
        cancel(&priv->start);
    if (priv->failed)
        recGblSetSevrMsg(prec, READ_ALARM, INVALID_ALARM, "counter failed");
    post(prec, recGblResetAlarms(prec), before);
    /* A put to CNT with completion waits for this; automatic counts make no noise. */
    if (!user_now && (put || was_user || !was_auto))
        recGblFwdLink(prec);
    prec->pact = FALSE;
    return 0;
}

rset scalerRSET = {
    .number = RSETNUMBER,
    .init_record = init_record,
    .process = process,
    .special = scaler_special,
    .get_units = scaler_units,
    .get_precision = scaler_precision,
};
epicsExportAddress(rset, scalerRSET);
