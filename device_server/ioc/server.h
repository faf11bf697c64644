/* The EPICS IOC: records, Channel Access and PVAccess on the simulated beamline. */
#ifndef SERVER_H
#define SERVER_H

#include "options.h"

/* Loads the samples and starts to serve. On failure err holds one line. */
int server_start(const struct options *options, char *err, size_t errlen);

/* Ends the simulation's thread; epicsExit does the rest. */
void server_stop(void);

#endif
