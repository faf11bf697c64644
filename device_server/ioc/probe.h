/* Whether a server answers, asked as any other client asks. */
#ifndef PROBE_H
#define PROBE_H

#include <stddef.h>

#include "options.h"

/* Reads one PV over Channel Access from the server that runs with these options. BL_OK if it
   answers in time, else a status with one line in err. Ends with the process: EPICS keeps a thread.
 */
int probe(const struct options *options, char *err, size_t errlen);

#endif
