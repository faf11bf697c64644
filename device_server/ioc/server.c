/* _GNU_SOURCE, which the build defines, gives dladdr. */
#include "server.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dbAccess.h>
#include <dbStaticLib.h>
#include <envDefs.h>
#include <epicsExit.h>
#include <errlog.h>
#include <iocInit.h>
#include <iocshRegisterCommon.h>

#include "ports.h"
#include "simulation.h"

extern int dbThreadRealtimeLock; /* of EPICS base, in no header */

/* Record definitions, with the macros of each use beside P, the prefix. */
static const struct {
    const char *file, *macros;
} databases[] = {
    {"source.db", ""},
    {"mono.db", ""},
    {"kohzu.db", ""},
    {"sample.db", ""},
    {"scaler.db", ""},
    {"chamber.db", "CH=I0,V=i0,TEXT=Incident beam I0"},
    {"chamber.db", "CH=IT,V=it,TEXT=Transmitted beam It"},
    {"chamber.db", "CH=IR,V=ir,TEXT=Beam behind the reference Ir"},
    {"xrf.db", ""},
    {"xrf_element.db", "CH=E1,V=xrf.1"},
    {"xrf_element.db", "CH=E2,V=xrf.2"},
    {"xrf_element.db", "CH=E3,V=xrf.3"},
    {"xrf_element.db", "CH=E4,V=xrf.4"},
    {"xrf_element.db", "CH=SUM,V=xrf.sum"},
    {"diffractometer.db", ""},
    {"preamp.db", "CH=I0,V=i0"},
    {"preamp.db", "CH=IT,V=it"},
    {"preamp.db", "CH=IR,V=ir"},
    {"axes.db", ""},
    {"environment.db", ""},
    {"faults.db", ""},
    {"simulation.db", ""},
};

struct folders {
    char dbd[PATH_MAX];      /* EPICS base's record types */
    char pvxs_dbd[PATH_MAX]; /* PVAccess */
    char own_dbd[PATH_MAX];
    char db[PATH_MAX];
    char samples[PATH_MAX];
};

/* `relative` to the folder of the library that a symbol was loaded from. */
static int beside(const char *symbol, const char *relative, char path[PATH_MAX], char *err,
                  size_t errlen)
{
    Dl_info info;
    char file[PATH_MAX];
    if (dladdr(dlsym(RTLD_DEFAULT, symbol), &info) == 0 || realpath(info.dli_fname, file) == NULL)
        return bl_fail(err, errlen, BL_EIO, "the folder of an EPICS library was not found");
    *strrchr(file, '/') = '\0';
    if (snprintf(path, PATH_MAX, "%s/%s", file, relative) >= PATH_MAX)
        return bl_fail(err, errlen, BL_EIO, "path too long: %s", file);
    return BL_OK;
}

static int own_folder(const char *name, char path[PATH_MAX], char *err, size_t errlen)
{
    char file[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", file, sizeof(file) - 1);
    if (n < 0)
        return bl_fail(err, errlen, BL_EIO, "/proc/self/exe cannot be read");
    file[n] = '\0';
    *strrchr(file, '/') = '\0';
    if (snprintf(path, PATH_MAX, "%s/../_share/%s", file, name) >= PATH_MAX)
        return bl_fail(err, errlen, BL_EIO, "path too long: %s", file);
    return BL_OK;
}

static int find_folders(struct folders *f, char *err, size_t errlen)
{
    int status = beside("iocInit", "../dbd", f->dbd, err, errlen);
    if (status == BL_OK)
        status = beside("pvar_func_pvxsBaseRegistrar", "../dbd", f->pvxs_dbd, err, errlen);
    if (status == BL_OK)
        status = own_folder("dbd", f->own_dbd, err, errlen);
    if (status == BL_OK)
        status = own_folder("db", f->db, err, errlen);
    if (status == BL_OK)
        status = own_folder("samples", f->samples, err, errlen);
    return status;
}

/* Both servers are told where to serve by environment variables, which must not come from outside.
 */
static void set_environment(const struct options *o)
{
    const bool everywhere = strcmp(o->interface, "0.0.0.0") == 0;
    char port[16], pva_port[16], pva_udp_port[16];
    snprintf(port, sizeof(port), "%d", o->port);
    snprintf(pva_port, sizeof(pva_port), "%d", o->pva_port);
    snprintf(pva_udp_port, sizeof(pva_udp_port), "%d", o->pva_port + 1);
    const char *const address = everywhere ? "" : o->interface;
    const char *const automatic = everywhere ? "YES" : "NO";
    const char *const variables[][2] = {
        {"EPICS_CAS_SERVER_PORT", port},
        {"EPICS_CAS_INTF_ADDR_LIST", address},
        {"EPICS_CAS_BEACON_ADDR_LIST", address},
        {"EPICS_CAS_AUTO_BEACON_ADDR_LIST", automatic},
        {"EPICS_CAS_IGNORE_ADDR_LIST", ""},
        {"EPICS_PVAS_SERVER_PORT", pva_port},
        {"EPICS_PVAS_BROADCAST_PORT", pva_udp_port},
        {"EPICS_PVA_BROADCAST_PORT", pva_udp_port}, /* of links to other servers */
        {"EPICS_PVAS_INTF_ADDR_LIST", address},
        {"EPICS_PVAS_BEACON_ADDR_LIST", address},
        {"EPICS_PVAS_AUTO_BEACON_ADDR_LIST", automatic},
        {"EPICS_PVAS_IGNORE_ADDR_LIST", ""},
        {"EPICS_PVAS_TLS_KEYCHAIN", ""},
        {"PVXS_QSRV_ENABLE", "YES"},
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        epicsEnvSet(variables[i][0], variables[i][1]);
}

static int load_beamline(const struct options *o, const struct folders *f, char *err, size_t errlen)
{
    char tables[PATH_MAX];
    char cause[BL_ERROR_LENGTH] = "";
    struct bl_beamline *beamline = NULL;
    const struct bl_load_options load = {
        .samples_folder = o->samples != NULL ? o->samples : f->samples,
        .tables_file = tables,
        .sample_files = o->sample,
        .n_sample_files = o->n_samples,
    };
    const struct sim_options sim = {.speed = o->speed, .seed = o->seed, .noise = o->noise};
    if (snprintf(tables, sizeof(tables), "%s/elements.dat", f->samples) >= PATH_MAX)
        return bl_fail(err, errlen, BL_EIO, "path too long: %s", f->samples);
    const int status = bl_beamline_load(&load, &beamline, cause, sizeof(cause));
    if (status != BL_OK)
        return bl_fail(err, errlen, status, "samples cannot be loaded: %s", cause);
    the_sim = sim_create(beamline, &sim);
    if (the_sim == NULL) {
        bl_beamline_free(beamline);
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    }
    sim_set_steady_ring(the_sim, o->steady_ring);
    return BL_OK;
}

static int load_dbd(const char *folder, const char *name, char *err, size_t errlen)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (dbLoadDatabase(path, folder, NULL) != 0)
        return bl_fail(err, errlen, BL_EIO, "%s cannot be loaded; install beamline-ophyd again",
                       path);
    return BL_OK;
}

static int load_records(const struct options *o, const struct folders *f, char *err, size_t errlen)
{
    static const char *const own[] = {"motorRecord.dbd", "scalerRecord.dbd", "beamline.dbd"};
    char path[2 * PATH_MAX];
    char macros[128];
    int status = load_dbd(f->dbd, "base.dbd", err, errlen);
    for (size_t i = 0; status == BL_OK && i < sizeof(own) / sizeof(own[0]); i++) {
        snprintf(path, sizeof(path), "%s:%s", f->own_dbd, f->dbd);
        char file[2 * PATH_MAX];
        snprintf(file, sizeof(file), "%s/%s", f->own_dbd, own[i]);
        if (dbLoadDatabase(file, path, NULL) != 0)
            status = bl_fail(err, errlen, BL_EIO,
                             "%s cannot be loaded; install beamline-ophyd again", file);
    }
    if (status == BL_OK)
        status = load_dbd(f->pvxs_dbd, "pvxsIoc.dbd", err, errlen);
    if (status != BL_OK)
        return status;
    if (registerAllRecordDeviceDrivers(pdbbase) != 0)
        return bl_fail(err, errlen, BL_EIO, "record types cannot be registered");
    for (size_t i = 0; status == BL_OK && i < sizeof(databases) / sizeof(databases[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->db, databases[i].file);
        snprintf(macros, sizeof(macros), "P=%s,%s", o->prefix, databases[i].macros);
        if (dbLoadRecords(path, macros) != 0)
            status = bl_fail(err, errlen, BL_EIO,
                             "%s cannot be loaded; install beamline-ophyd again", path);
    }
    return status;
}

static void free_simulation(void *user)
{
    (void)user;
    sim_free(the_sim);
    the_sim = NULL;
}

int server_start(const struct options *o, char *err, size_t errlen)
{
    const struct port ports[] = {
        {"Channel Access", "--port", SOCK_STREAM, o->port, .shared = false},
        {"Channel Access", "--port", SOCK_DGRAM, o->port, .shared = false},
        {"PVAccess", "--pva-port", SOCK_STREAM, o->pva_port, .shared = false},
        {"PVAccess", "--pva-port", SOCK_DGRAM, o->pva_port + 1, .shared = true},
    };
    const size_t n_ports = sizeof(ports) / sizeof(ports[0]);
    struct folders folders;
    int status = find_folders(&folders, err, errlen);
    if (status == BL_OK)
        status = load_beamline(o, &folders, err, errlen);
    for (size_t i = 0; status == BL_OK && i < n_ports; i++)
        status = port_is_free(&ports[i], o->interface, err, errlen);
    if (status != BL_OK)
        return status;

    epicsAtExit(free_simulation, NULL); /* called after the database, registered later, has ended */
    set_environment(o);
    dbThreadRealtimeLock = 0; /* as root it would lock all memory of the process */
    iocshRegisterCommon();
    status = load_records(o, &folders, err, errlen);
    if (status == BL_OK && iocInit() != 0)
        status = bl_fail(err, errlen, BL_EIO, "the EPICS records cannot be started");
    for (size_t i = 0; status == BL_OK && i < n_ports; i++)
        status = port_is_ours(&ports[i], err, errlen);
    errlogFlush();
    if (status == BL_OK)
        sim_start(the_sim);
    return status;
}

void server_stop(void)
{
    sim_stop(the_sim);
}
