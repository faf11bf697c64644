#include "probe.h"

#include <arpa/inet.h>
#include <cadef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "status.h"

#define PROBE_TIMEOUT_S 3.0
#define PROBE_PV "MONO:ENERGY.RBV"

/* A CA client starts a repeater of beacons unless somebody has its port; one that reads once needs
   none, so the port is its own. */
static int own_repeater_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof(address);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    char number[8];
    snprintf(number, sizeof(number), "%d", ntohs(address.sin_port));
    return setenv("EPICS_CA_REPEATER_PORT", number, 1);
}

int probe(const struct options *options, char *err, size_t errlen)
{
    const bool everywhere = strcmp(options->interface, "0.0.0.0") == 0;
    char address[32], name[64];
    double energy;
    chid channel;
    snprintf(address, sizeof(address), "%s:%d", everywhere ? "127.0.0.1" : options->interface,
             options->port);
    snprintf(name, sizeof(name), "%s" PROBE_PV, options->prefix);
    if (own_repeater_port() != 0 || setenv("EPICS_CA_ADDR_LIST", address, 1) != 0 ||
        setenv("EPICS_CA_AUTO_ADDR_LIST", "NO", 1) != 0)
        return bl_fail(err, errlen, BL_EFULL, "no socket to ask %s with", address);
    int status = ca_context_create(ca_disable_preemptive_callback);
    if (status == ECA_NORMAL)
        status = ca_create_channel(name, NULL, NULL, 0, &channel);
    if (status == ECA_NORMAL)
        status = ca_pend_io(PROBE_TIMEOUT_S);
    if (status == ECA_NORMAL)
        status = ca_get(DBR_DOUBLE, channel, &energy);
    if (status == ECA_NORMAL)
        status = ca_pend_io(PROBE_TIMEOUT_S);
    if (status != ECA_NORMAL)
        return bl_fail(err, errlen, BL_EINVAL, "no answer for %s at %s within %g s: %s", name,
                       address, PROBE_TIMEOUT_S, ca_message(status));
    printf("%s is %.10g\n", name, energy);
    return BL_OK;
}
