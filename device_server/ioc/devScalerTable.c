/* Device support: waveforms that show the whole result of a scaler record, a row for each channel
   with a name. INP is "@scaler column"; the scaler forwards to the first column and that to the
   next, so that the record lock of the one is held by all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <alarm.h>
#include <dbAccess.h>
#include <devSup.h>
#include <epicsExport.h>
#include <menuFtype.h>
#include <recGbl.h>
#include <waveformRecord.h>

#include "scalerRecord.h"

static void name(const scalerRecord *scaler, int channel, void *row)
{
    _Static_assert(sizeof(scaler->nm[0]) <= MAX_STRING_SIZE, "a name must fit a row");
    memset(row, 0, MAX_STRING_SIZE);
    memcpy(row, scaler->nm[channel], sizeof(scaler->nm[channel]));
}

static void counts(const scalerRecord *scaler, int channel, void *row)
{
    *(epicsUInt32 *)row = scaler->s[channel];
}

static void rate(const scalerRecord *scaler, int channel, void *row)
{
    *(epicsFloat64 *)row = scaler->t > 0 ? scaler->s[channel] / scaler->t : 0;
}

static const struct column {
    const char *word;
    int type;
    size_t size;
    void (*fill)(const scalerRecord *scaler, int channel, void *row);
} columns[] = {
    {"names", menuFtypeSTRING, MAX_STRING_SIZE, name},
    {"counts", menuFtypeULONG, sizeof(epicsUInt32), counts},
    {"rates", menuFtypeDOUBLE, sizeof(epicsFloat64), rate},
};

struct pvt {
    const scalerRecord *scaler;
    const struct column *column;
};

static const scalerRecord *find_scaler(const char *record)
{
    struct dbAddr addr;
    if (dbNameToAddr(record, &addr) != 0 || strcmp(addr.precord->rdes->name, "scaler") != 0)
        return NULL;
    return (const scalerRecord *)addr.precord;
}

static long init_record(struct dbCommon *common)
{
    const waveformRecord *prec = (waveformRecord *)common;
    char record[PVNAME_STRINGSZ], word[16];
    struct pvt pvt = {NULL, NULL};
    if (prec->inp.type == INST_IO &&
        sscanf(prec->inp.value.instio.string, "%60s %15s", record, word) == 2) {
        pvt.scaler = find_scaler(record);
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
            if (strcmp(columns[i].word, word) == 0 && columns[i].type == prec->ftvl)
                pvt.column = &columns[i];
        }
    }
    if (pvt.scaler == NULL || pvt.column == NULL) {
        recGblRecordError(S_dev_badInpType, common,
                          "devScalerTable: INP names no scaler, or no column of FTVL");
        return S_dev_badInpType;
    }
    struct pvt *kept = malloc(sizeof(*kept));
    if (kept == NULL)
        return S_rec_outMem;
    *kept = pvt;
    common->dpvt = kept;
    return 0;
}

static long read_wf(waveformRecord *prec)
{
    const struct pvt *pvt = prec->dpvt;
    const scalerRecord *scaler = pvt->scaler;
    char *row = prec->bptr;
    prec->nord = 0;
    for (int i = 0; i < scaler->nch && prec->nord < prec->nelm; i++) {
        if (scaler->nm[i][0] == '\0')
            continue;
        pvt->column->fill(scaler, i, row);
        row += pvt->column->size;
        prec->nord++;
    }
    if (scaler->sevr == INVALID_ALARM)
        recGblSetSevrMsg(prec, READ_ALARM, INVALID_ALARM, "count failed");
    prec->udf = FALSE;
    return 0;
}

static const wfdset devWfScaler = {
    .common = {.number = 5, .init_record = init_record},
    .read_wf = read_wf,
};
epicsExportAddress(dset, devWfScaler);
