/* Device support: the scaler record on the counter of the simulation. */
#include <stdlib.h>
#include <string.h>

#include <dbAccess.h>
#include <devSup.h>
#include <epicsExport.h>

#include "scalerRecord.h"
#include "simulation.h"

static void notify(void *user)
{
    struct dbCommon *record = user;
    dbScanLock(record);
    dbProcess(record);
    dbScanUnlock(record);
}

static long init_record(struct dbCommon *common)
{
    scalerRecord *prec = (scalerRecord *)common;
    static struct sim_watch watch; /* there is one counter */
    if (watch.user != NULL)
        return S_dev_Conflict;
    watch = (struct sim_watch){.events = SIM_COUNT_DONE, .notify = notify, .user = prec};
    sim_watch(the_sim, &watch);
    prec->nch = SCALER_MAX_CHANNELS; /* those behind the last chamber have no cable */
    prec->freq = SIM_TIME_BASE_HZ;
    return 0;
}

static long reset(scalerRecord *prec)
{
    (void)prec;
    sim_count_reset(the_sim);
    return 0;
}

/* A preset of zero is met by the first pulse; a channel without a cable never meets its own. */
static long preset(scalerRecord *prec, int channel, epicsUInt32 counts)
{
    (void)prec;
    if (channel >= SIM_NCHANNELS)
        return 0;
    return sim_count_preset(the_sim, channel, counts > 0 ? counts : 1);
}

static long arm(scalerRecord *prec, bool count)
{
    (void)prec;
    sim_count_arm(the_sim, count);
    return 0;
}

static long read_counts(scalerRecord *prec, epicsUInt32 counts[SCALER_MAX_CHANNELS], bool *done)
{
    (void)prec;
    memset(counts, 0, SCALER_MAX_CHANNELS * sizeof(*counts));
    return sim_count_read(the_sim, counts, done);
}

static const scaler_dset devScalerSim = {
    .common = {.number = 8, .init_record = init_record},
    .reset = reset,
    .preset = preset,
    .arm = arm,
    .read = read_counts,
};
epicsExportAddress(dset, devScalerSim);
