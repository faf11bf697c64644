#include "ports.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <osiSock.h>

static const char *kind(const struct port *port)
{
    return port->type == SOCK_STREAM ? "TCP" : "UDP";
}

int port_is_free(const struct port *port, const char *interface, char *err, size_t errlen)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port->number)};
    const int yes = 1;
    int status = BL_OK;
    inet_pton(AF_INET, interface, &address.sin_addr);
    const int s = socket(AF_INET, port->type, 0);
    if (s < 0)
        return bl_fail(err, errlen, BL_EIO, "no socket to be had: %s", strerror(errno));
    /* A connection of an earlier server that is not yet forgotten is no hindrance. */
    if (port->type == SOCK_STREAM)
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    else if (port->shared)
        epicsSocketEnableAddressUseForDatagramFanout(s);
    if (bind(s, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        (port->type == SOCK_STREAM && listen(s, 1) != 0)) {
        const int cause = errno;
        if (cause == EADDRNOTAVAIL)
            status = bl_fail(err, errlen, BL_EIO,
                             "option --interface got %s, which is no address of this machine",
                             interface);
        else
            status = bl_fail(err, errlen, cause == EADDRINUSE ? PORT_TAKEN : BL_EIO,
                             "%s port %d (%s) on %s cannot be used: %s; stop what uses it or "
                             "choose another with %s",
                             port->protocol, port->number, kind(port), interface, strerror(cause),
                             port->option);
    }
    close(s);
    return status;
}

static bool has_port(int fd, const struct port *port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6; /* one for all interfaces may serve both */
    } address;
    socklen_t size = sizeof(address);
    int type;
    socklen_t type_size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != port->type)
        return false;
    if (getsockname(fd, &address.any, &size) != 0)
        return false;
    if (address.any.sa_family == AF_INET6)
        return ntohs(address.v6.sin6_port) == port->number;
    return address.any.sa_family == AF_INET && ntohs(address.v4.sin_port) == port->number;
}

int port_is_ours(const struct port *port, char *err, size_t errlen)
{
    DIR *folder = opendir("/proc/self/fd");
    bool found = false;
    if (folder == NULL)
        return bl_fail(err, errlen, BL_EIO, "/proc/self/fd cannot be read: %s", strerror(errno));
    for (struct dirent *entry = readdir(folder); entry != NULL && !found; entry = readdir(folder))
        found = has_port(atoi(entry->d_name), port);
    closedir(folder);
    if (found)
        return BL_OK;
    return bl_fail(err, errlen, PORT_TAKEN,
                   "%s port %d (%s) was taken by another program while the server started; choose "
                   "another with %s",
                   port->protocol, port->number, kind(port), port->option);
}
