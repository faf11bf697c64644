/* Device support: records that show or set one variable of the beamline. The link is "@variable".
   A failed status becomes an alarm. */
#include <stdlib.h>
#include <string.h>

#include <aiRecord.h>
#include <alarm.h>
#include <aoRecord.h>
#include <biRecord.h>
#include <boRecord.h>
#include <callback.h>
#include <dbAccess.h>
#include <dbScan.h>
#include <devSup.h>
#include <epicsExport.h>
#include <longoutRecord.h>
#include <mbboRecord.h>
#include <menuFtype.h>
#include <recGbl.h>
#include <stringinRecord.h>
#include <stringoutRecord.h>
#include <waveformRecord.h>

#include "variables.h"

struct pvt {
    const struct variable *variable;
    IOSCANPVT changed;
    struct sim_watch watch;
    bool following; /* shows what another record has changed */
};

#define NO_CONVERSION 2 /* what init_record of outputs and read of inputs return */

static void notify(void *user)
{
    struct pvt *pvt = user;
    for (int priority = 0; priority < NUM_CALLBACK_PRIORITIES; priority++)
        scanIoImmediate(pvt->changed, priority);
}

static long attach(struct dbCommon *prec)
{
    const struct link *link = dbGetDevLink(prec);
    struct pvt *pvt = calloc(1, sizeof(*pvt));
    if (pvt == NULL)
        return S_rec_outMem;
    if (link != NULL && link->type == INST_IO)
        pvt->variable = variable_find(link->value.instio.string);
    if (pvt->variable == NULL) {
        recGblRecordError(S_dev_noDeviceFound, prec, "devBeamline: the link names no variable");
        free(pvt);
        return S_dev_noDeviceFound;
    }
    scanIoInit(&pvt->changed);
    pvt->watch = (struct sim_watch){
        .events = pvt->variable->events, .shows = true, .notify = notify, .user = pvt};
    sim_watch(the_sim, &pvt->watch);
    prec->dpvt = pvt;
    return 0;
}

static long get_ioint_info(int detach, struct dbCommon *prec, IOSCANPVT *scan)
{
    const struct pvt *pvt = prec->dpvt;
    (void)detach;
    if (pvt == NULL)
        return S_dev_NoInit;
    *scan = pvt->changed;
    return 0;
}

static const struct variable *variable(void *record)
{
    return ((const struct pvt *)((struct dbCommon *)record)->dpvt)->variable;
}

static long fail(void *record, int status, int alarm)
{
    recGblSetSevrMsg(record, alarm, INVALID_ALARM, "%s", bl_status_text(status));
    return -1;
}

static long get_number(void *record, double *value)
{
    const struct variable *v = variable(record);
    const int status = v->get != NULL ? v->get(the_sim, v->arg, value) : BL_EINVAL;
    if (status != BL_OK)
        return fail(record, status, READ_ALARM);
    ((struct dbCommon *)record)->udf = FALSE;
    return 0;
}

static long set_number(void *record, double value)
{
    if (((const struct pvt *)((struct dbCommon *)record)->dpvt)->following)
        return 0;
    const struct variable *v = variable(record);
    const int status = v->set != NULL ? v->set(the_sim, v->arg, value) : BL_EINVAL;
    return status == BL_OK ? 0 : fail(record, status, WRITE_ALARM);
}

static long get_text(void *record, char text[BL_NAME_LENGTH])
{
    const struct variable *v = variable(record);
    const int status = v->get_text != NULL ? v->get_text(the_sim, v->arg, text) : BL_EINVAL;
    if (status != BL_OK)
        return fail(record, status, READ_ALARM);
    ((struct dbCommon *)record)->udf = FALSE;
    return 0;
}

/* A number in, and one out that starts with the variable's present value. */
#define NUMBER_IN(type, field)                                                                     \
    static long read_##type(type##Record *prec)                                                    \
    {                                                                                              \
        double value;                                                                              \
        if (get_number(prec, &value) == 0)                                                         \
            prec->field = value;                                                                   \
        return NO_CONVERSION;                                                                      \
    }

#define NUMBER_OUT(type, field, written)                                                           \
    static void follow_##type(void *user)                                                          \
    {                                                                                              \
        type##Record *prec = user;                                                                 \
        struct pvt *pvt = prec->dpvt;                                                              \
        double value;                                                                              \
        dbScanLock(user);                                                                          \
        if (!prec->pact && get_number(prec, &value) == 0 && value != prec->field) {                \
            pvt->following = true;                                                                 \
            prec->field = value;                                                                   \
            dbProcess(user);                                                                       \
            pvt->following = false;                                                                \
        }                                                                                          \
        dbScanUnlock(user);                                                                        \
    }                                                                                              \
    static long init_##type(struct dbCommon *common)                                               \
    {                                                                                              \
        type##Record *prec = (type##Record *)common;                                               \
        double value;                                                                              \
        const long status = attach(common);                                                        \
        if (status == 0) {                                                                         \
            ((struct pvt *)prec->dpvt)->watch.notify = follow_##type;                              \
            ((struct pvt *)prec->dpvt)->watch.user = prec;                                         \
        }                                                                                          \
        if (status == 0 && get_number(prec, &value) == 0)                                          \
            prec->field = value;                                                                   \
        return status == 0 ? NO_CONVERSION : status;                                               \
    }                                                                                              \
    static long write_##type(type##Record *prec)                                                   \
    {                                                                                              \
        const long status = set_number(prec, prec->written);                                       \
        double value;                                                                              \
        if (status != 0 && get_number(prec, &value) == 0) { /* what holds on */                    \
            prec->written = value;                                                                 \
            prec->field = value;                                                                   \
        }                                                                                          \
        return status;                                                                             \
    }

NUMBER_IN(ai, val)
NUMBER_IN(bi, val)
NUMBER_OUT(ao, val, oval)
NUMBER_OUT(bo, val, val)
NUMBER_OUT(longout, val, val)
NUMBER_OUT(mbbo, val, val)

static long read_stringin(stringinRecord *prec)
{
    return get_text(prec, prec->val);
}

static long init_stringout(struct dbCommon *common)
{
    const long status = attach(common);
    return status == 0 ? get_text(common, ((stringoutRecord *)common)->val) : status;
}

static long write_stringout(stringoutRecord *prec)
{
    const struct variable *v = variable(prec);
    const int status = v->set_text != NULL ? v->set_text(the_sim, v->arg, prec->val) : BL_EINVAL;
    if (status == BL_OK)
        return 0;
    (void)get_text(prec, prec->val); /* what holds on */
    return fail(prec, status, WRITE_ALARM);
}

static long read_waveform(waveformRecord *prec)
{
    const struct variable *v = variable(prec);
    size_t n = 0;
    int status = BL_EINVAL;
    if (prec->ftvl == menuFtypeDOUBLE && v->get_array != NULL)
        status = v->get_array(the_sim, v->arg, prec->nelm, prec->bptr, &n);
    else if (prec->ftvl == menuFtypeSTRING && v->get_texts != NULL)
        status = v->get_texts(the_sim, v->arg, prec->nelm, prec->bptr, &n);
    if (status != BL_OK)
        return fail(prec, status, READ_ALARM);
    prec->nord = (epicsUInt32)n;
    prec->udf = FALSE;
    return 0;
}

_Static_assert(BL_NAME_LENGTH == MAX_STRING_SIZE, "names must fit a DBF_STRING exactly");

#define COMMON(entries, init) {entries, NULL, NULL, init, get_ioint_info}

static const aidset devAiBeamline = {COMMON(6, attach), read_ai, NULL};
static const aodset devAoBeamline = {COMMON(6, init_ao), write_ao, NULL};
static const bidset devBiBeamline = {COMMON(5, attach), read_bi};
static const bodset devBoBeamline = {COMMON(5, init_bo), write_bo};
static const longoutdset devLoBeamline = {COMMON(5, init_longout), write_longout};
static const mbbodset devMbboBeamline = {COMMON(5, init_mbbo), write_mbbo};
static const stringindset devSiBeamline = {COMMON(5, attach), read_stringin};
static const stringoutdset devSoBeamline = {COMMON(5, init_stringout), write_stringout};
static const wfdset devWfBeamline = {COMMON(5, attach), read_waveform};

epicsExportAddress(dset, devAiBeamline);
epicsExportAddress(dset, devAoBeamline);
epicsExportAddress(dset, devBiBeamline);
epicsExportAddress(dset, devBoBeamline);
epicsExportAddress(dset, devLoBeamline);
epicsExportAddress(dset, devMbboBeamline);
epicsExportAddress(dset, devSiBeamline);
epicsExportAddress(dset, devSoBeamline);
epicsExportAddress(dset, devWfBeamline);
