#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"
#include "status.h"

#define PREFIX_MAX 30 /* what a record's 60 characters leave for its name */

static const char help[] =
    "Usage: beamline-ioc [OPTION]...\n"
    "Serves a simulated XAFS beamline over EPICS Channel Access and PVAccess.\n"
    "\n"
    "  --prefix TEXT       first part of every PV name (default BL02:)\n"
    "  --port N            Channel Access port, TCP and UDP (default 5064)\n"
    "  --pva-port N        PVAccess TCP port; its UDP port is the next one (default 5075)\n"
    "  --interface ADDR    IPv4 address to serve on, 0.0.0.0 for all (default 127.0.0.1)\n"
    "  --seed N            of the noise (default 1)\n"
    "  --speed X           beamline seconds in one second, 0.01 to 100000 (default 1)\n"
    "  --samples FOLDER    sample library (default: the installed one)\n"
    "  --sample FILE       one more XDI file on the holder's next free place; repeatable\n"
    "  --no-noise          mean counts, without the noise of the photons\n"
    "  --steady-ring       ring current that neither decays nor is topped up\n"
    "  --exit-with-stdin   end when standard input ends, as it does when the parent dies\n"
    "  --verbose           show what EPICS says while it starts\n"
    "  --probe             read a PV of the server that runs with the other options, and end\n"
    "  --help, --version\n"
    "\n"
    "When it serves it prints one line on standard output: ready {json}. SIGINT and SIGTERM end "
    "it.\n"
    "What keeps it from serving is one line on standard error, and the exit code is not 0:\n"
    "3 for a port that is taken, else 1.\n";

enum {
    OPT_PREFIX = 256,
    OPT_PORT,
    OPT_PVA_PORT,
    OPT_INTERFACE,
    OPT_SEED,
    OPT_SPEED,
    OPT_SAMPLES,
    OPT_SAMPLE,
    OPT_NO_NOISE,
    OPT_STEADY,
    OPT_STDIN,
    OPT_VERBOSE,
    OPT_PROBE,
    OPT_HELP,
    OPT_VERSION
};

static const struct option names[] = {
    {"prefix", required_argument, NULL, OPT_PREFIX},
    {"port", required_argument, NULL, OPT_PORT},
    {"pva-port", required_argument, NULL, OPT_PVA_PORT},
    {"interface", required_argument, NULL, OPT_INTERFACE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"speed", required_argument, NULL, OPT_SPEED},
    {"samples", required_argument, NULL, OPT_SAMPLES},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"no-noise", no_argument, NULL, OPT_NO_NOISE},
    {"steady-ring", no_argument, NULL, OPT_STEADY},
    {"exit-with-stdin", no_argument, NULL, OPT_STDIN},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"probe", no_argument, NULL, OPT_PROBE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {0},
};

struct place {
    char *err;
    size_t errlen;
};

static int integer(const char *option, const char *text, uint64_t low, uint64_t high,
                   uint64_t *value, const struct place *p)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < low ||
        number > high)
        return bl_fail(p->err, p->errlen, BL_EINVAL,
                       "option %s got \"%s\"; allowed is a whole number from %llu to %llu", option,
                       text, (unsigned long long)low, (unsigned long long)high);
    *value = number;
    return BL_OK;
}

static int port(const char *option, const char *text, uint64_t high, int *value,
                const struct place *p)
{
    uint64_t number = 0;
    const int status = integer(option, text, 1, high, &number, p);
    if (status == BL_OK)
        *value = (int)number;
    return status;
}

static int speed(const char *text, double *value, const struct place *p)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= SIM_SPEED_MIN && number <= SIM_SPEED_MAX))
        return bl_fail(p->err, p->errlen, BL_EINVAL,
                       "option --speed got \"%s\"; allowed is a number from %g to %g", text,
                       SIM_SPEED_MIN, SIM_SPEED_MAX);
    *value = number;
    return BL_OK;
}

static int prefix(const char *text, const char **value, const struct place *p)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:";
    const size_t n = strlen(text);
    if (n > PREFIX_MAX || strspn(text, allowed) != n)
        return bl_fail(p->err, p->errlen, BL_EINVAL,
                       "option --prefix got \"%s\"; allowed are up to %d letters, digits and _-:",
                       text, PREFIX_MAX);
    *value = text;
    return BL_OK;
}

static int interface(const char *text, const char **value, const struct place *p)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1 || IN_MULTICAST(ntohl(address.s_addr)) ||
        address.s_addr == htonl(INADDR_BROADCAST))
        return bl_fail(p->err, p->errlen, BL_EINVAL,
                       "option --interface got \"%s\"; allowed is an IPv4 address of this machine, "
                       "such as 127.0.0.1",
                       text);
    *value = text;
    return BL_OK;
}

static int take(int option, const char *text, struct options *o, const struct place *p)
{
    switch (option) {
    case OPT_PREFIX:
        return prefix(text, &o->prefix, p);
    case OPT_PORT:
        return port("--port", text, 65535, &o->port, p);
    case OPT_PVA_PORT:
        return port("--pva-port", text, 65534, &o->pva_port, p);
    case OPT_INTERFACE:
        return interface(text, &o->interface, p);
    case OPT_SEED:
        return integer("--seed", text, 0, INT32_MAX, &o->seed, p);
    case OPT_SPEED:
        return speed(text, &o->speed, p);
    case OPT_SAMPLES:
        o->samples = text;
        return BL_OK;
    case OPT_SAMPLE:
        if (o->n_samples == OPTIONS_SAMPLES_MAX)
            return bl_fail(p->err, p->errlen, BL_EFULL, "option --sample: at most %d files",
                           OPTIONS_SAMPLES_MAX);
        o->sample[o->n_samples++] = text;
        return BL_OK;
    case OPT_NO_NOISE:
        o->noise = false;
        return BL_OK;
    case OPT_STEADY:
        o->steady_ring = true;
        return BL_OK;
    case OPT_STDIN:
        o->exit_with_stdin = true;
        return BL_OK;
    case OPT_VERBOSE:
        o->verbose = true;
        return BL_OK;
    case OPT_PROBE:
        o->probe = true;
        return BL_OK;
    default:
        return bl_fail(p->err, p->errlen, BL_EINVAL,
                       "unknown option; beamline-ioc --help lists all");
    }
}

enum options_result options_parse(int argc, char *argv[], struct options *options, char *err,
                                  size_t errlen)
{
    const struct place place = {err, errlen};
    *options = (struct options){.prefix = "BL02:",
                                .interface = "127.0.0.1",
                                .port = 5064,
                                .pva_port = 5075,
                                .speed = 1,
                                .seed = 1,
                                .noise = true};
    opterr = 0;
    for (;;) {
        const int at = optind;
        const int option = getopt_long(argc, argv, "+:", names, NULL);
        if (option == -1)
            break;
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return OPTIONS_DONE;
        }
        if (option == OPT_VERSION) {
            puts("beamline-ioc " BEAMLINE_VERSION);
            return OPTIONS_DONE;
        }
        if (option == '?' || option == ':') {
            bl_fail(err, errlen, BL_EINVAL, "option %s %s; beamline-ioc --help lists all", argv[at],
                    option == ':' ? "needs a value" : "is not known");
            return OPTIONS_BAD;
        }
        if (take(option, optarg, options, &place) != BL_OK)
            return OPTIONS_BAD;
    }
    if (optind < argc) {
        bl_fail(err, errlen, BL_EINVAL,
                "argument \"%s\" is not an option; beamline-ioc --help lists all", argv[optind]);
        return OPTIONS_BAD;
    }
    if (options->pva_port == options->port || options->pva_port + 1 == options->port) {
        bl_fail(err, errlen, BL_EINVAL,
                "options --port %d and --pva-port %d overlap (PVAccess uses %d and %d); choose "
                "another one",
                options->port, options->pva_port, options->pva_port, options->pva_port + 1);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}
