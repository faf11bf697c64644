/* Shared by the files of the scaler record; not for device support. */
#ifndef SCALER_PRIVATE_H
#define SCALER_PRIVATE_H

#include "callback.h"
#include "dbAccess.h"
#include "scalerRecord.h"

#define SCALER_MAX_RATE_HZ 60 /* of displays and of automatic counts, in real time */

struct delayed {
    epicsCallback callback;
    bool pending;
    bool fired;
    epicsUInt64 due_ns; /* on the monotonic clock */
};

struct scaler_private {
    bool put;               /* CNT or CONT was put since the record last processed */
    bool failed;            /* the counter could not be read or started */
    struct delayed start;   /* of a count, after DLY or DLY1 */
    struct delayed display; /* RATE times a second while counting */
    epicsUInt64 started_ns; /* when the last automatic count was */
    epicsUInt32 counts[SCALER_MAX_CHANNELS];
    double posted_t;
    short posted_ss, posted_us;
};

/* scaler_settings.c: puts to fields, units and precision */
long scaler_special(struct dbAddr *addr, int after);
long scaler_units(struct dbAddr *addr, char *units);
long scaler_precision(const struct dbAddr *addr, long *precision);

#endif
