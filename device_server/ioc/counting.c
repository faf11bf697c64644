/* Counting: the mean rates in the chambers, integrated over beamline time while axes move, and the
   noise of the absorbed photons. The integral is cut at fixed beamline times after the start of a
   count, so that a seed gives the same counts however the threads are scheduled. Every draw has a
   stream of its own, by the number of the count and of the draw: how many numbers one draw takes
   depends on its mean, and a beam that has decayed a little more must not change all that follow.
 */
#include "simulation_private.h"

#include <math.h>
#include <string.h>

#include "rng.h"

#define SLICE_S 0.1
#define STEPS_MAX 64
#define FILL_S 60.0 /* of an empty ring */
#define BESIDE_STREAM ((uint64_t)1 << 32)

int sim_position(const struct sim *sim, double time_s, struct bl_position *position)
{
    position->energy_ev = axes_energy_ev(sim, time_s);
    position->x_um = bl_motion_position(&sim->axis[AXIS_X].motion, time_s);
    position->y_um = bl_motion_position(&sim->axis[AXIS_Y].motion, time_s);
    position->shutter_open = bl_motion_position(&sim->shutter, time_s);
    position->crystal = sim->crystal;
    position->pitch_rad = 1e-6 * (bl_motion_position(&sim->axis[AXIS_PITCH].motion, time_s) -
                                  sim->knob[SIM_PITCH_OPTIMUM]);
    position->theta_deg = bl_motion_position(&sim->axis[AXIS_THETA].motion, time_s);
    position->diff_th_deg = bl_motion_position(&sim->axis[AXIS_DIFF_TH].motion, time_s);
    position->diff_tth_deg = bl_motion_position(&sim->axis[AXIS_DIFF_TTH].motion, time_s);
    position->condition = &sim->condition;
    position->mirror_out = sim->knob[SIM_MIRROR] == 0;
    const int status = bl_ring_current(bl_beamline_ring(sim->beamline),
                                       sim->steady_ring ? 0 : time_s, &position->ring_ma);
    if (sim->fault[SIM_FAULT_DUMP] != 0)
        position->ring_ma = 0;
    else if (!sim->steady_ring)
        position->ring_ma *= fmax(0, fmin(1, (time_s - sim->filled_s) / FILL_S));
    return status == BL_OK && isnan(position->energy_ev) ? BL_ERANGE : status;
}

void counting_seed(struct sim *sim, uint64_t seed)
{
    sim->seed = seed;
    sim->counter.number = 0;
    sim->counter.forget_carry = true;
}

static int steps(const struct sim *sim, double from_s, double to_s)
{
    double n = axes_steps(sim, from_s, to_s);
    if (bl_motion_position(&sim->shutter, to_s) != bl_motion_position(&sim->shutter, from_s))
        n = fmax(n, 8);
    return 1 + (int)fmin(n, STEPS_MAX - 1);
}

static double draw(struct sim *sim, uint64_t stream, double mean)
{
    struct bl_rng rng;
    bl_rng_seed(&rng, bl_rng_stream(sim->counter.seed, stream));
    return (double)bl_rng_poisson(&rng, mean);
}

/* Photons absorbed where `mean` are to be expected. */
static double draw_absorbed(struct sim *sim, double mean)
{
    return sim->noise && mean > 0 ? draw(sim, sim->counter.draws++, mean) : mean;
}

double counting_draw_beside(struct sim *sim, double mean)
{
    return sim->noise && mean > 0 ? draw(sim, BESIDE_STREAM + sim->counter.side_draws++, mean)
                                  : mean;
}

/* What is counted in an interval of beamline time: V/F pulses of the chambers, and those of the
   detectors beside the beam. */
struct slice {
    double counts[SIM_NDETECTORS];
    struct xrf_count xrf;
};

static void count_chambers(struct sim *sim, const struct bl_light light[BL_NORDERS], double dt,
                           double counts[SIM_NDETECTORS])
{
    for (int chamber = 0; chamber < BL_NCHAMBERS; chamber++) {
        const struct bl_chamber *of = bl_beamline_chamber(sim->beamline, chamber);
        double current_a = sim->dark_a[chamber];
        for (int order = 0; order < BL_NORDERS; order++) {
            const double photons = draw_absorbed(sim, light[order].absorbed[chamber] * dt);
            current_a += bl_chamber_current_a(of, light[order].energy_ev, photons / dt);
        }
        /* A V/F converter counts nothing below zero. */
        counts[chamber] +=
            of->vf_hz_per_v * dt * fmax(0, bl_preamp_volts(&sim->preamp[chamber], current_a));
    }
}

static int count_beside(struct sim *sim, const struct bl_position *position,
                        const struct bl_light light[BL_NORDERS], double dt, struct slice *slice)
{
    struct xrf_count xrf;
    double diffracted = 0;
    int status = xrf_count(sim, position, light, dt, &xrf);
    if (status == BL_OK)
        status = bl_beamline_diffracted(sim->beamline, position, light, &diffracted);
    if (status != BL_OK)
        return status;
    xrf_add(&slice->xrf, &xrf, 1);
    for (int e = 0; e < BL_XRF_ELEMENTS; e++)
        slice->counts[SIM_IF] += xrf.roi[e];
    slice->counts[SIM_DIFFRACTED] += counting_draw_beside(sim, diffracted * dt);
    return BL_OK;
}

static int integrate(struct sim *sim, double from_s, double to_s, struct slice *slice)
{
    const int n = steps(sim, from_s, to_s);
    const double dt = (to_s - from_s) / n;
    memset(slice, 0, sizeof(*slice));
    for (int i = 0; i < n; i++) {
        struct bl_position position;
        struct bl_light light[BL_NORDERS];
        int status = sim_position(sim, from_s + (i + 0.5) * dt, &position);
        if (status == BL_OK)
            status = bl_beamline_light(sim->beamline, &position, light);
        if (status != BL_OK)
            return status;
        count_chambers(sim, light, dt, slice->counts);
        status = count_beside(sim, &position, light, dt, slice);
        if (status != BL_OK)
            return status;
    }
    return BL_OK;
}

/* A full time base ends a count that nothing else ends: its rates would be wrong from there on. */
static double time_preset_s(const struct counter *counter)
{
    return (counter->preset[0] > 0 ? counter->preset[0] : UINT32_MAX) / SIM_TIME_BASE_HZ;
}

static bool counts_channels(const struct counter *counter)
{
    for (int i = 1; i < SIM_NCHANNELS; i++) {
        if (counter->preset[i] > 0)
            return true;
    }
    return false;
}

/* Part of a slice after which a channel reaches its preset; 1 if none does. */
static double part_counted(const struct counter *counter, const double slice[SIM_NDETECTORS])
{
    double part = 1;
    for (int i = 0; i < SIM_NDETECTORS; i++) {
        const double missing =
            counter->preset[i + 1] + 1e-6 - counter->counts[i] - counter->carry[i];
        if (counter->preset[i + 1] > 0 && slice[i] >= missing)
            part = fmin(part, slice[i] > 0 ? fmax(0, missing / slice[i]) : 0);
    }
    return part;
}

static void finish(struct sim *sim)
{
    struct counter *counter = &sim->counter;
    const double elapsed_s = counter->to_s - counter->start_s;
    counter->armed = false;
    counter->done = true;
    for (int i = 0; i < SIM_NDETECTORS; i++)
        counter->rate_hz[i] = elapsed_s > 0 ? counter->counts[i] / elapsed_s : 0;
    counter->xrf_last = counter->xrf;
    counter->xrf_last.elapsed_s = elapsed_s;
    counter->xrf_last.seed = counter->seed;
    counter->mca_known = false;
    sim_tell(sim, SIM_COUNT_DONE);
}

void counting_advance(struct sim *sim, double now_s, bool exactly)
{
    struct counter *counter = &sim->counter;
    const double end_s = counter->start_s + time_preset_s(counter);
    while (counter->armed) {
        const double whole = floor((counter->to_s - counter->start_s) / SLICE_S + 1e-6) + 1;
        double to_s = fmin(counter->start_s + whole * SLICE_S, end_s);
        if (to_s > now_s) {
            if (!exactly || counter->to_s >= now_s)
                return;
            to_s = now_s;
        }
        struct slice slice;
        const int status = integrate(sim, counter->to_s, to_s, &slice);
        if (status != BL_OK) {
            memset(&slice, 0, sizeof(slice));
            counter->status = status;
        }
        const double part = part_counted(counter, slice.counts);
        for (int i = 0; i < SIM_NDETECTORS; i++)
            counter->counts[i] += part * slice.counts[i];
        xrf_add(&counter->xrf, &slice.xrf, part);
        counter->to_s += part * (to_s - counter->to_s);
        if (part == 1)
            counter->to_s = to_s;
        if (part < 1 || to_s >= end_s)
            finish(sim);
    }
}

bool counting_due(const struct sim *sim, double now_s, double *next_s)
{
    const struct counter *counter = &sim->counter;
    if (!counter->armed)
        return false;
    *next_s = fmin(*next_s, counter->start_s + time_preset_s(counter));
    if (counts_channels(counter))
        *next_s = fmin(*next_s, fmax(now_s, counter->to_s + SLICE_S));
    return counts_channels(counter);
}

/* The end of a count is told; not that of one started anew meanwhile. */
void counting_settle(struct sim *sim)
{
    sim->counter.told = sim->counter.told || sim->counter.ending;
    sim->counter.ending = false;
}

void sim_count_reset(struct sim *sim)
{
    struct counter *counter = &sim->counter;
    epicsMutexMustLock(sim->lock);
    for (int i = 0; i < SIM_NDETECTORS; i++) {
        const double pulses = counter->carry[i] + counter->counts[i];
        const bool carry_on = sim->noise && !counter->forget_carry && i < BL_NCHAMBERS;
        counter->carry[i] = carry_on ? pulses - floor(pulses) : 0.5;
        counter->counts[i] = 0;
    }
    counter->forget_carry = false;
    memset(&counter->xrf, 0, sizeof(counter->xrf));
    memset(counter->preset, 0, sizeof(counter->preset));
    counter->armed = counter->done = counter->ending = counter->told = false;
    counter->status = BL_OK;
    counter->start_s = counter->to_s = 0;
    epicsMutexUnlock(sim->lock);
}

int sim_count_preset(struct sim *sim, int channel, double counts)
{
    if (channel < 0 || channel >= SIM_NCHANNELS)
        return BL_EINVAL;
    epicsMutexMustLock(sim->lock);
    sim->counter.preset[channel] = counts;
    epicsMutexUnlock(sim->lock);
    return BL_OK;
}

void sim_count_arm(struct sim *sim, bool count)
{
    struct counter *counter = &sim->counter;
    epicsMutexMustLock(sim->lock);
    const double now_s = sim_now(sim);
    if (count) {
        counter->start_s = counter->to_s = now_s;
        counter->seed = bl_rng_stream(sim->seed, counter->number++);
        counter->draws = counter->side_draws = 0;
        counter->armed = sim->fault[SIM_FAULT_DETECTOR] == 0;
        counter->done = counter->ending = counter->told = false;
    } else {
        counting_advance(sim, now_s, true);
        counter->armed = false;
    }
    sim_tell(sim, 0);
    epicsMutexUnlock(sim->lock);
}

int sim_count_read(struct sim *sim, uint32_t counts[SIM_NCHANNELS], bool *done)
{
    struct counter *counter = &sim->counter;
    epicsMutexMustLock(sim->lock);
    counting_advance(sim, sim_now(sim), false);
    const double elapsed_s = counter->to_s - counter->start_s;
    counts[0] = (uint32_t)fmin(rint(elapsed_s * SIM_TIME_BASE_HZ), UINT32_MAX);
    for (int i = 0; i < SIM_NDETECTORS; i++)
        counts[i + 1] = (uint32_t)fmin(counter->counts[i] + counter->carry[i], UINT32_MAX);
    *done = counter->told;
    const int status = sim->fault[SIM_FAULT_DETECTOR] != 0 ? BL_EIO : counter->status;
    epicsMutexUnlock(sim->lock);
    return status;
}

int sim_count_rate(struct sim *sim, int detector, double *rate_hz)
{
    if (detector < 0 || detector >= SIM_NDETECTORS)
        return BL_EINVAL;
    epicsMutexMustLock(sim->lock);
    *rate_hz = sim->counter.rate_hz[detector];
    epicsMutexUnlock(sim->lock);
    return BL_OK;
}

double sim_dark_rate(struct sim *sim, int chamber)
{
    epicsMutexMustLock(sim->lock);
    const double volts = bl_preamp_volts(&sim->preamp[chamber], sim->dark_a[chamber]);
    epicsMutexUnlock(sim->lock);
    return fmax(0, volts) * bl_beamline_chamber(sim->beamline, chamber)->vf_hz_per_v;
}
