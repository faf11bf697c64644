/* Record support of the motor record: what EPICS base calls. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alarm.h"
#include "dbEvent.h"
#include "devSup.h"
#include "epicsExport.h"
#include "epicsMath.h"
#include "errlog.h"
#include "recGbl.h"
#include "recSup.h"
#include "special.h"

#define GEN_SIZE_OFFSET
#include "motorRecord.h"
#undef GEN_SIZE_OFFSET
#include "motor_private.h"

/* What a put to a field does: `act` moves the motor and waits for the record to process, `set` is
   done at once. */
static const struct {
    int field;
    void (*act)(motorRecord *);
    long (*set)(motorRecord *);
} reactions[] = {
    {motorRecordVAL, motor_act_val, NULL},          {motorRecordDVAL, motor_act_dval, NULL},
    {motorRecordRVAL, motor_act_rval, NULL},        {motorRecordRLV, motor_act_rlv, NULL},
    {motorRecordSTOP, motor_act_stop, NULL},        {motorRecordSPMG, motor_act_spmg, NULL},
    {motorRecordSYNC, motor_act_sync, NULL},        {motorRecordTWF, motor_act_twf, NULL},
    {motorRecordTWR, motor_act_twr, NULL},          {motorRecordJOGF, motor_act_jogf, NULL},
    {motorRecordJOGR, motor_act_jogr, NULL},        {motorRecordHOMF, motor_act_homf, NULL},
    {motorRecordHOMR, motor_act_homr, NULL},        {motorRecordOFF, NULL, motor_set_off},
    {motorRecordDIR, NULL, motor_set_dir},          {motorRecordSSET, NULL, motor_set_sset},
    {motorRecordSUSE, NULL, motor_set_suse},        {motorRecordHLM, NULL, motor_set_hlm},
    {motorRecordLLM, NULL, motor_set_llm},          {motorRecordDHLM, NULL, motor_set_dial_limit},
    {motorRecordDLLM, NULL, motor_set_dial_limit},  {motorRecordVELO, NULL, motor_set_speed},
    {motorRecordVBAS, NULL, motor_set_speed},       {motorRecordVMAX, NULL, motor_set_speed},
    {motorRecordACCL, NULL, motor_set_speed},       {motorRecordBDST, NULL, motor_set_speed},
    {motorRecordBVEL, NULL, motor_set_speed},       {motorRecordBACC, NULL, motor_set_speed},
    {motorRecordJVEL, NULL, motor_set_speed},       {motorRecordJAR, NULL, motor_set_speed},
    {motorRecordHVEL, NULL, motor_set_speed},       {motorRecordMRES, NULL, motor_set_mres},
    {motorRecordUREV, NULL, motor_set_urev},        {motorRecordSREV, NULL, motor_set_urev},
    {motorRecordRDBD, NULL, motor_set_rdbd},        {motorRecordRTRY, NULL, motor_set_rtry},
    {motorRecordUEIP, NULL, motor_set_ueip},        {motorRecordFOF, NULL, motor_set_fof},
    {motorRecordVOF, NULL, motor_set_vof},          {motorRecordS, NULL, motor_set_revolutions},
    {motorRecordSBAS, NULL, motor_set_revolutions}, {motorRecordSBAK, NULL, motor_set_revolutions},
    {motorRecordSMAX, NULL, motor_set_revolutions},
};

static long init_record(struct dbCommon *common, int pass)
{
    motorRecord *prec = (motorRecord *)common;
    const motor_dset *drive = motor_drive(prec);
    if (pass == 0) {
        prec->priv = calloc(1, sizeof(*prec->priv));
        return prec->priv == NULL ? S_rec_outMem : 0;
    }
    if (drive == NULL || drive->common.number < 10 || drive->status == NULL ||
        drive->move == NULL || drive->stop == NULL) {
        recGblRecordError(S_dev_missingSup, prec, "motor: init_record");
        return S_dev_missingSup;
    }
    motor_set_defaults(prec);
    motor_user_limits(prec);
    if (drive->common.init_record != NULL) {
        const long status = drive->common.init_record(common);
        if (status != 0)
            return status;
    }
    if (drive->frame != NULL)
        drive->frame(prec);
    if (drive->limits != NULL)
        drive->limits(prec);
    motor_read(prec);
    if (prec->ueip == motorUEIP_Yes && !prec->priv->status.has_encoder)
        prec->ueip = motorUEIP_No;
    motor_sync(prec);
    prec->dmov = !prec->movn;
    /* The position is known from the start; a record left in its initial alarm would be refused by
       clients that look at severities before a move. */
    prec->udf = FALSE;
    recGblResetAlarms(prec);
    recGblGetTimeStamp(prec);
    prec->mlst = prec->alst = prec->rbv;
    motor_post(prec, 0);
    return 0;
}

static long process(struct dbCommon *common)
{
    motorRecord *prec = (motorRecord *)common;
    struct motor_private *priv = prec->priv;
    void (*act)(motorRecord *) = priv->act;

    prec->pact = TRUE;
    priv->act = NULL;
    recGblGetTimeStamp(prec);
    motor_read(prec);
    if (act != NULL)
        act(prec);
    motor_progress(prec);
    motor_alarms(prec);
    motor_post(prec, recGblResetAlarms(prec));
    /* A put with completion waits for this: it ends when the motion does. */
    if (prec->dmov)
        recGblFwdLink(prec);
    prec->pact = FALSE;
    return 0;
}

static long special(struct dbAddr *addr, int after)
{
    motorRecord *prec = (motorRecord *)addr->precord;
    const int field = dbGetFieldIndex(addr);
    if (!after)
        return 0;
    for (size_t i = 0; i < sizeof(reactions) / sizeof(reactions[0]); i++) {
        if (reactions[i].field != field)
            continue;
        if (reactions[i].set != NULL) {
            const long status = reactions[i].set(prec);
            motor_posted(prec, addr->pfield);
            return status;
        }
        /* The value that stands for the record is left to it to post. */
        if (field != motorRecordVAL)
            motor_posted(prec, addr->pfield);
        prec->priv->act = reactions[i].act;
        return 0;
    }
    return 0;
}

enum dimension { NONE, POSITION, SPEED, ACCELERATION, SECONDS, REVOLUTIONS };

static enum dimension dimension(const struct dbAddr *addr)
{
    switch (dbGetFieldIndex(addr)) {
    case motorRecordVELO:
    case motorRecordVBAS:
    case motorRecordVMAX:
    case motorRecordBVEL:
    case motorRecordJVEL:
    case motorRecordHVEL:
        return SPEED;
    case motorRecordJAR:
        return ACCELERATION;
    case motorRecordACCL:
    case motorRecordBACC:
        return SECONDS;
    case motorRecordS:
    case motorRecordSBAS:
    case motorRecordSBAK:
    case motorRecordSMAX:
        return REVOLUTIONS;
    default:
        return addr->field_type == DBF_DOUBLE ? POSITION : NONE;
    }
}

static long get_units(struct dbAddr *addr, char *units)
{
    const motorRecord *prec = (const motorRecord *)addr->precord;
    static const char *const suffix[] = {"", "", "/s", "/s2", ""};
    const enum dimension d = dimension(addr);
    if (d == SECONDS)
        strcpy(units, "s");
    else if (d == REVOLUTIONS)
        strcpy(units, "rev/s");
    else if (d != NONE) /* EGU is shorter than a DBR's units, the suffix might not fit any more */
        snprintf(units, DB_UNITS_SIZE, "%.*s%s", DB_UNITS_SIZE - 4, prec->egu, suffix[d]);
    return 0;
}

static long get_precision(const struct dbAddr *addr, long *precision)
{
    const motorRecord *prec = (const motorRecord *)addr->precord;
    *precision = prec->prec;
    if (dimension(addr) == SECONDS || dimension(addr) == REVOLUTIONS)
        *precision = 3;
    recGblGetPrec(addr, precision);
    return 0;
}

/* The range of a field: user or dial limits; a motor without limits serves 0, 0. */
static bool range(struct dbAddr *addr, double *high, double *low)
{
    const motorRecord *prec = (const motorRecord *)addr->precord;
    switch (dbGetFieldIndex(addr)) {
    case motorRecordVAL:
    case motorRecordRBV:
        *high = prec->hlm;
        *low = prec->llm;
        break;
    case motorRecordDVAL:
    case motorRecordDRBV:
        *high = prec->dhlm;
        *low = prec->dllm;
        break;
    case motorRecordVELO:
        *high = prec->vmax;
        *low = prec->vbas;
        return true;
    default:
        return false;
    }
    if (!motor_limited(prec))
        *high = *low = 0;
    return true;
}

static long get_graphic_double(struct dbAddr *addr, struct dbr_grDouble *display)
{
    const motorRecord *prec = (const motorRecord *)addr->precord;
    const int field = dbGetFieldIndex(addr);
    const bool user = field == motorRecordVAL || field == motorRecordRBV;
    if (user && prec->hopr > prec->lopr) {
        display->upper_disp_limit = prec->hopr;
        display->lower_disp_limit = prec->lopr;
    } else if (!range(addr, &display->upper_disp_limit, &display->lower_disp_limit)) {
        recGblGetGraphicDouble(addr, display);
    }
    return 0;
}

static long get_control_double(struct dbAddr *addr, struct dbr_ctrlDouble *control)
{
    if (!range(addr, &control->upper_ctrl_limit, &control->lower_ctrl_limit))
        recGblGetControlDouble(addr, control);
    return 0;
}

/* Limits of the alarms, of which those without a severity are none. */
static long get_alarm_double(struct dbAddr *addr, struct dbr_alDouble *limits)
{
    const motorRecord *prec = (const motorRecord *)addr->precord;
    const int field = dbGetFieldIndex(addr);
    if (field != motorRecordVAL && field != motorRecordRBV) {
        recGblGetAlarmDouble(addr, limits);
        return 0;
    }
    limits->upper_alarm_limit = prec->hhsv ? prec->hihi : epicsNAN;
    limits->upper_warning_limit = prec->hsv ? prec->high : epicsNAN;
    limits->lower_warning_limit = prec->lsv ? prec->low : epicsNAN;
    limits->lower_alarm_limit = prec->llsv ? prec->lolo : epicsNAN;
    return 0;
}

rset motorRSET = {
    .number = RSETNUMBER,
    .init_record = init_record,
    .process = process,
    .special = special,
    .get_units = get_units,
    .get_precision = get_precision,
    .get_graphic_double = get_graphic_double,
    .get_control_double = get_control_double,
    .get_alarm_double = get_alarm_double,
};
epicsExportAddress(rset, motorRSET);
