/* Network ports of the server: free before it starts, its own afterwards. EPICS base and pvxs take
   another port when theirs is taken; here that is an error. */
#ifndef PORTS_H
#define PORTS_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#define PORT_TAKEN BL_NSTATUS /* a status beside the common ones: another port may do */

struct port {
    const char *protocol; /* "Channel Access" */
    const char *option;   /* "--port" */
    int type;             /* SOCK_STREAM or SOCK_DGRAM */
    int number;
    bool shared; /* with programs that ask for it: PVAccess clients, which listen for beacons */
};

/* BL_OK if the port can be bound on the interface, PORT_TAKEN if another program has it (for one
   that is shared: has it for itself). */
int port_is_free(const struct port *port, const char *interface, char *err, size_t errlen);

/* BL_OK if a socket of this process has the port, else PORT_TAKEN. */
int port_is_ours(const struct port *port, char *err, size_t errlen);

#endif
