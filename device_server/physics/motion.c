#include "motion.h"

#include <math.h>

/* A motion under construction, and where it has got to. */
struct path {
    struct bl_motion motion;
    double time_s;
    double position;
};

static void append(struct path *path, double velocity, double accel, double duration_s)
{
    if (!(duration_s > 0))
        return;
    path->motion.piece[path->motion.n++] = (struct bl_motion_piece){
        .start_s = path->time_s, .position = path->position, .velocity = velocity, .accel = accel};
    path->position += (velocity + accel * duration_s / 2) * duration_s;
    path->time_s += duration_s;
}

static const struct bl_motion_piece *piece_at(const struct bl_motion *motion, double time_s)
{
    const struct bl_motion_piece *found = NULL;
    for (int i = 0; i < motion->n && motion->piece[i].start_s <= time_s; i++)
        found = &motion->piece[i];
    return found;
}

static bool profile_ok(const struct bl_motion_profile *profile)
{
    return isfinite(profile->velocity) && profile->velocity > 0 && isfinite(profile->accel) &&
           profile->accel >= 0 && isfinite(profile->base) && profile->base >= 0 &&
           profile->base <= profile->velocity;
}

/* Distance in which a speed is lost. */
static double stopping_distance(double speed, double base, double accel)
{
    if (accel <= 0 || speed <= base)
        return 0;
    return (speed * speed - base * base) / (2 * accel);
}

/* From speed `start` (>= 0, towards the target) over `distance` to rest. All signs are taken out.
 */
static void approach(struct path *path, double sign, double start, double distance,
                     const struct bl_motion_profile *profile)
{
    const double a = profile->accel;
    if (a <= 0) {
        append(path, sign * profile->velocity, 0, distance / profile->velocity);
        return;
    }
    const double from = fmax(start, profile->base);
    const double base = profile->base;
    const double highest = sqrt(fmax(0, a * distance + (from * from + base * base) / 2));
    /* An axis already faster than the new profile allows slows down to it. */
    const double peak = fmin(profile->velocity, fmax(highest, base));
    const double change = fabs(peak * peak - from * from) / (2 * a);
    const double slowing = (peak * peak - base * base) / (2 * a);
    const double cruise = distance - change - slowing;
    append(path, sign * from, sign * (peak >= from ? a : -a), fabs(peak - from) / a);
    if (peak > 0)
        append(path, sign * peak, 0, cruise / peak);
    append(path, sign * peak, -sign * a, (peak - base) / a);
}

void bl_motion_rest(struct bl_motion *motion, double position)
{
    *motion = (struct bl_motion){.n = 0, .end_s = -INFINITY, .end = position};
}

int bl_motion_move(struct bl_motion *motion, double now_s, double target,
                   const struct bl_motion_profile *profile)
{
    if (!profile_ok(profile) || !isfinite(target) || !isfinite(now_s))
        return BL_EINVAL;
    struct path path = {.time_s = now_s, .position = bl_motion_position(motion, now_s)};
    const double velocity = bl_motion_velocity(motion, now_s);
    const double speed = fabs(velocity);
    double sign = target < path.position ? -1 : 1;
    double start = speed;

    const bool away = speed > 0 && velocity * sign < 0;
    const double needed = stopping_distance(speed, profile->base, profile->accel);
    if (away || needed > fabs(target - path.position)) {
        if (profile->accel > 0 && speed > profile->base)
            append(&path, velocity, velocity > 0 ? -profile->accel : profile->accel,
                   (speed - profile->base) / profile->accel);
        sign = target < path.position ? -1 : 1;
        start = 0;
    }
    approach(&path, sign, start, fabs(target - path.position), profile);
    path.motion.end_s = path.time_s;
    path.motion.end = target;
    *motion = path.motion;
    return BL_OK;
}

int bl_motion_stop(struct bl_motion *motion, double now_s, double accel)
{
    if (!isfinite(now_s) || !isfinite(accel) || accel < 0)
        return BL_EINVAL;
    if (bl_motion_done(motion, now_s))
        return BL_OK;
    struct path path = {.time_s = now_s, .position = bl_motion_position(motion, now_s)};
    const double velocity = bl_motion_velocity(motion, now_s);
    if (accel > 0)
        append(&path, velocity, velocity > 0 ? -accel : accel, fabs(velocity) / accel);
    path.motion.end_s = path.time_s;
    path.motion.end = path.position;
    *motion = path.motion;
    return BL_OK;
}

/* Time in [0, duration] at which a piece passes `limit` outward, or a negative number. */
static double crossing(const struct bl_motion_piece *piece, double limit, int direction,
                       double duration)
{
    const double d = limit - piece->position;
    const double v = piece->velocity;
    const double a = piece->accel;
    double roots[2] = {-1, -1};
    if (a == 0) {
        roots[0] = v != 0 ? d / v : -1;
    } else {
        const double square = v * v + 2 * a * d;
        if (square < 0)
            return -1;
        roots[0] = (-v - sqrt(square)) / a;
        roots[1] = (-v + sqrt(square)) / a;
    }
    for (int i = 0; i < 2; i++) {
        const double there = direction * (v + a * roots[i]);
        const bool outward = there > 0 || (there == 0 && direction * a > 0);
        if (outward && roots[i] >= 0 && roots[i] <= duration)
            return roots[i];
    }
    return -1;
}

int bl_motion_cut(struct bl_motion *motion, double now_s, double limit, int direction, bool *hit)
{
    *hit = false;
    if (!isfinite(now_s) || !isfinite(limit) || (direction != 1 && direction != -1))
        return BL_EINVAL;
    for (int i = 0; i < motion->n; i++) {
        struct bl_motion_piece piece = motion->piece[i];
        const double stop_s = i + 1 < motion->n ? motion->piece[i + 1].start_s : motion->end_s;
        if (stop_s <= now_s)
            continue;
        if (piece.start_s < now_s) {
            piece.position = bl_motion_position(motion, now_s);
            piece.velocity = bl_motion_velocity(motion, now_s);
            piece.start_s = now_s;
        }
        const double after = crossing(&piece, limit, direction, stop_s - piece.start_s);
        if (after < 0)
            continue;
        motion->n = i + 1;
        motion->end_s = piece.start_s + after;
        motion->end = limit;
        *hit = true;
        return BL_OK;
    }
    return BL_OK;
}

double bl_motion_position(const struct bl_motion *motion, double time_s)
{
    if (bl_motion_done(motion, time_s))
        return motion->end;
    const struct bl_motion_piece *piece = piece_at(motion, time_s);
    if (piece == NULL)
        return motion->n > 0 ? motion->piece[0].position : motion->end;
    const double dt = time_s - piece->start_s;
    return piece->position + (piece->velocity + piece->accel * dt / 2) * dt;
}

double bl_motion_velocity(const struct bl_motion *motion, double time_s)
{
    const struct bl_motion_piece *piece = piece_at(motion, time_s);
    if (piece == NULL || bl_motion_done(motion, time_s))
        return 0;
    return piece->velocity + piece->accel * (time_s - piece->start_s);
}

bool bl_motion_done(const struct bl_motion *motion, double time_s)
{
    return time_s >= motion->end_s;
}
