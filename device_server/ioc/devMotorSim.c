/* Device support: motor records on the drives of the simulation. OUT is "@drive". */
#include <stdlib.h>

#include <alarm.h>
#include <dbAccess.h>
#include <devSup.h>
#include <epicsExport.h>
#include <recGbl.h>

#include "motorRecord.h"
#include "simulation.h"

struct pvt {
    motorRecord *record;
    int drive;
    unsigned long commands, scales; /* those that the record knows of */
    struct sim_watch watch;
};

static void notify(void *user)
{
    struct dbCommon *record = user;
    dbScanLock(record);
    dbProcess(record);
    dbScanUnlock(record);
}

static long init_record(struct dbCommon *common)
{
    motorRecord *prec = (motorRecord *)common;
    struct pvt *pvt = calloc(1, sizeof(*pvt));
    if (pvt == NULL)
        return S_rec_outMem;
    pvt->record = prec;
    pvt->drive = prec->out.type == INST_IO ? sim_drive_find(prec->out.value.instio.string) : -1;
    if (pvt->drive < 0) {
        recGblRecordError(S_dev_badOutType, prec, "devMotorSim: OUT names no drive");
        free(pvt);
        return S_dev_badOutType;
    }
    pvt->watch =
        (struct sim_watch){.events = sim_drive_events(pvt->drive), .notify = notify, .user = prec};
    sim_watch(the_sim, &pvt->watch);
    prec->dpvt = pvt;
    return 0;
}

static long status(motorRecord *prec, motor_status *status)
{
    struct pvt *pvt = prec->dpvt;
    struct sim_drive_state state;
    const bool known =
        sim_drive_state(the_sim, pvt->drive, prec->ueip == motorUEIP_Yes, &state) == BL_OK;
    const bool moved_by_other = state.commands != pvt->commands && state.owner != prec;
    *status = (motor_status){
        .position = state.position,
        .steps = state.steps,
        .encoder = state.encoder,
        .velocity = state.velocity,
        .has_encoder = state.has_encoder,
        .moving = state.moving,
        .high_switch = state.high_switch,
        .low_switch = state.low_switch,
        .at_home = state.at_home,
        .homed = state.homed,
        .positive = state.positive,
        .trouble = state.stalled,
        .redefined = state.scales != pvt->scales || (moved_by_other && !state.moving),
        .interrupted = state.owner != prec,
    };
    if (!known) /* the record learns of the changes together with the position */
        return -1;
    pvt->commands = state.commands;
    pvt->scales = state.scales;
    return 0;
}

static struct bl_motion_profile profile(const motor_command *command)
{
    return (struct bl_motion_profile){
        .velocity = command->velocity, .base = command->base, .accel = command->accel};
}

static long move(motorRecord *prec, const motor_command *command)
{
    const struct pvt *pvt = prec->dpvt;
    const struct bl_motion_profile p = profile(command);
    return sim_drive_move(the_sim, pvt->drive, prec, prec->ueip == motorUEIP_Yes, command->target,
                          &p);
}

static long home(motorRecord *prec, const motor_command *command)
{
    const struct pvt *pvt = prec->dpvt;
    const struct bl_motion_profile p = profile(command);
    return sim_drive_home(the_sim, pvt->drive, prec, prec->ueip == motorUEIP_Yes, &p);
}

static long stop(motorRecord *prec, double accel)
{
    const struct pvt *pvt = prec->dpvt;
    return sim_drive_stop(the_sim, pvt->drive, prec, accel);
}

static long define(motorRecord *prec, double position)
{
    const struct pvt *pvt = prec->dpvt;
    return sim_drive_define(the_sim, pvt->drive, position);
}

static void frame(motorRecord *prec)
{
    const struct pvt *pvt = prec->dpvt;
    sim_drive_frame(the_sim, pvt->drive, prec->dir == motorDIR_Neg ? -1 : 1, prec->off);
}

static void limits(motorRecord *prec)
{
    const struct pvt *pvt = prec->dpvt;
    sim_drive_limits(the_sim, pvt->drive, prec->dllm, prec->dhlm);
}

static const motor_dset devMotorSim = {
    .common = {.number = 10, .init_record = init_record},
    .status = status,
    .move = move,
    .stop = stop,
    .home = home,
    .define = define,
    .frame = frame,
    .limits = limits,
};
epicsExportAddress(dset, devMotorSim);
