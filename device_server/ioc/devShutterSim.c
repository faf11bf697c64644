/* Device support: a bo record that opens and closes the shutter. A put with completion waits for
   the blade. */
#include <stdbool.h>

#include <alarm.h>
#include <boRecord.h>
#include <dbAccess.h>
#include <devSup.h>
#include <epicsExport.h>
#include <recGbl.h>

#include "simulation.h"

static bool following; /* an interlock moved the shutter: the record only shows it */

static void notify(void *user)
{
    struct dbCommon *record = user;
    boRecord *prec = user;
    dbScanLock(record);
    const bool open = sim_shutter_is_open(the_sim);
    if (record->pact) {
        prec->val = open;
        record->rset->process(record);
    } else if (prec->val != open) {
        following = true;
        prec->val = open;
        dbProcess(record);
        following = false;
    }
    dbScanUnlock(record);
}

static long init_record(struct dbCommon *common)
{
    boRecord *prec = (boRecord *)common;
    static struct sim_watch watch; /* there is one shutter */
    if (watch.user != NULL)
        return S_dev_Conflict;
    watch = (struct sim_watch){.events = SIM_SHUTTER_DONE, .notify = notify, .user = prec};
    sim_watch(the_sim, &watch);
    prec->val = prec->rbv = sim_shutter_is_open(the_sim);
    prec->udf = FALSE;
    return 2; /* no conversion */
}

static long write_bo(boRecord *prec)
{
    if (prec->pact || following)
        return 0;
    const int status = sim_shutter_move(the_sim, prec->val != 0);
    if (status == BL_OK) {
        prec->pact = TRUE;
        return 0;
    }
    prec->val = sim_shutter_is_open(the_sim);
    recGblSetSevrMsg(prec, WRITE_ALARM, INVALID_ALARM, "%s", bl_status_text(status));
    return -1;
}

static const bodset devShutterSim = {
    .common = {.number = 5, .init_record = init_record},
    .write_bo = write_bo,
};
epicsExportAddress(dset, devShutterSim);
