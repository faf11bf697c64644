/* Motion of one axis in time: pieces of constant acceleration, evaluated exactly at any instant.

   A stepper's base velocity is taken at once from rest and lost at once at the end, so that an axis
   with velocity v above it needs (v - base) / acceleration to start. An axis in motion may be sent
   elsewhere or stopped at any time; it then decelerates first where it has to. */
#ifndef BL_MOTION_H
#define BL_MOTION_H

#include <stdbool.h>
#include "status.h"

#define BL_MOTION_PIECES 5

struct bl_motion_profile {
    double velocity; /* largest speed, > 0, units/s */
    double base;     /* speed taken at once, 0 .. velocity */
    double accel;    /* units/s2; 0: the full speed at once */
};

struct bl_motion_piece {
    double start_s;
    double position;
    double velocity;
    double accel;
};

/* The axis rests at `end` from `end_s` on. */
struct bl_motion {
    int n;
    struct bl_motion_piece piece[BL_MOTION_PIECES];
    double end_s;
    double end;
};

/* At rest at a position, from for ever. */
void bl_motion_rest(struct bl_motion *motion, double position);

/* Sends the axis to `target` at time now_s, from wherever it then is and however fast.
   BL_EINVAL for a profile or a target that makes no sense; the motion is then unchanged. */
int bl_motion_move(struct bl_motion *motion, double now_s, double target,
                   const struct bl_motion_profile *profile);

/* Brings the axis to rest with the acceleration given (0: at once). */
int bl_motion_stop(struct bl_motion *motion, double now_s, double accel);

/* Ends the path where it passes `limit` outward (direction +1 or -1), as a limit switch does: at
   rest at once, at the first such instant from now_s on. *hit tells whether there is one. */
int bl_motion_cut(struct bl_motion *motion, double now_s, double limit, int direction, bool *hit);

double bl_motion_position(const struct bl_motion *motion, double time_s);
double bl_motion_velocity(const struct bl_motion *motion, double time_s);
bool bl_motion_done(const struct bl_motion *motion, double time_s);

#endif
