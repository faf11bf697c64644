/* Shared by the files of the motor record; not for device support. */
#ifndef MOTOR_PRIVATE_H
#define MOTOR_PRIVATE_H

#include "dbAccess.h"
#include "menuAlarmSevr.h"
#include "motorRecord.h"

/* Bits of MIP, numbered as in synApps. */
enum motor_mip {
    MIP_JOGF = 0x1,
    MIP_JOGR = 0x2,
    MIP_HOMF = 0x8,
    MIP_HOMR = 0x10,
    MIP_MOVE = 0x20,
    MIP_RETRY = 0x40,
    MIP_MOVE_BL = 0x100, /* on the way to where the backlash is taken up from */
    MIP_STOP = 0x200,
    MIP_EXTERNAL = 0x8000
};

#define MOTOR_POSTED_BYTES 640

struct motor_private {
    void (*act)(motorRecord *prec); /* what the last put asks for, until the record processes */
    bool paused;                    /* a target waits for SPMG to go back to Go */
    bool status_failed;             /* the drive does not know its position .. */
    bool command_failed;            /* .. or refused the last command */
    double accepted;                /* DVAL of the last target taken */
    double accel;                   /* of the motion under way, for stopping it */
    motor_status status;
    char posted[MOTOR_POSTED_BYTES]; /* the values that clients were last told */
};

static inline const motor_dset *motor_drive(const motorRecord *prec)
{
    return (const motor_dset *)(const void *)prec->dset;
}

static inline double motor_sign(const motorRecord *prec)
{
    return prec->dir == motorDIR_Neg ? -1 : 1;
}

/* motor_command.c: what a put asks for, and how a motion goes on */
void motor_act_val(motorRecord *prec);
void motor_act_dval(motorRecord *prec);
void motor_act_rval(motorRecord *prec);
void motor_act_rlv(motorRecord *prec);
void motor_act_stop(motorRecord *prec);
void motor_act_spmg(motorRecord *prec);
void motor_act_sync(motorRecord *prec);
void motor_act_twf(motorRecord *prec);
void motor_act_twr(motorRecord *prec);
void motor_act_jogf(motorRecord *prec);
void motor_act_jogr(motorRecord *prec);
void motor_act_homf(motorRecord *prec);
void motor_act_homr(motorRecord *prec);
void motor_progress(motorRecord *prec);

/* motor_position.c: the four descriptions of a position */
void motor_read(motorRecord *prec);
void motor_from_dial(motorRecord *prec, double dial);
void motor_sync(motorRecord *prec);
void motor_user_readback(motorRecord *prec);
void motor_user_limits(motorRecord *prec);
bool motor_limited(const motorRecord *prec);
bool motor_allowed(const motorRecord *prec, double dial);

/* motor_settings.c: puts that are taken at once; each returns 0, or refuses with an error */
long motor_set_off(motorRecord *prec);
long motor_set_dir(motorRecord *prec);
long motor_set_sset(motorRecord *prec);
long motor_set_suse(motorRecord *prec);
long motor_set_hlm(motorRecord *prec);
long motor_set_llm(motorRecord *prec);
long motor_set_dial_limit(motorRecord *prec);
long motor_set_speed(motorRecord *prec);
long motor_set_mres(motorRecord *prec);
long motor_set_urev(motorRecord *prec);
long motor_set_revolutions(motorRecord *prec);
long motor_set_rdbd(motorRecord *prec);
long motor_set_rtry(motorRecord *prec);
long motor_set_ueip(motorRecord *prec);
long motor_set_fof(motorRecord *prec);
long motor_set_vof(motorRecord *prec);
void motor_set_defaults(motorRecord *prec);
void motor_frame_changed(motorRecord *prec);

/* motor_post.c: monitors and alarms */
void motor_alarms(motorRecord *prec);
void motor_post(motorRecord *prec, unsigned short alarm_mask);
void motor_posted(motorRecord *prec, const void *field);
const void *motor_last_posted(const motorRecord *prec, const void *field);

#endif
