/* The running beamline: its clock, axes, shutter and counter, for device support.

   Beamline time runs `speed` times as fast as real time. Motions are functions of beamline time and
   a count is an integral over it, so nothing depends on how often the simulation's thread wakes up;
   it wakes up to tell records what has happened. All functions may be called from any thread. */
#ifndef SIMULATION_H
#define SIMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "beam.h"
#include "motion.h"

struct sim;

struct sim_options {
    double speed;
    uint64_t seed;
    bool noise;
};

#define SIM_SPEED_MIN 0.01
#define SIM_SPEED_MAX 100000.0

/* Takes over the beamline. NULL: out of memory. */
struct sim *sim_create(struct bl_beamline *beamline, const struct sim_options *options);
void sim_start(struct sim *sim);
void sim_stop(struct sim *sim); /* ends the thread */
void sim_free(struct sim *sim);

/* The one simulation of this process, for device support. */
extern struct sim *the_sim;

/* What happens; a watch is called, from the simulation's thread and with nothing locked, after
   one of its events. Watches are added before sim_start and stay.

   A motion or a count counts as under way until its end has been told to the watches that show a
   value (`shows`); then come the others, and last the one that gave the command: who waits for its
   completion finds everything else up to date. */
enum sim_event {
    SIM_SHUTTER_DONE = 1 << 0,
    SIM_COUNT_DONE = 1 << 1,
    SIM_SAMPLE_CHANGED = 1 << 2, /* another sample is in the beam */
    SIM_REFERENCE_CHANGED = 1 << 3,
    SIM_MONO_CHANGED = 1 << 4, /* crystal or calibration: the same angle is another energy */
    SIM_GAIN_CHANGED = 1 << 5,
    SIM_FAULTS_CHANGED = 1 << 6,
    SIM_CLOCK = 1 << 7,      /* every half second */
    SIM_AXIS_MOVES = 1 << 8, /* shifted left by the axis: every tick of a motion, and its end */
    SIM_BRAGG_MOVES = SIM_AXIS_MOVES /* the first axis */
};

struct sim_watch {
    unsigned events;
    bool shows;
    void (*notify)(void *user);
    void *user; /* for a motor: the owner that it gives with its commands */
    struct sim_watch *next;
};

void sim_watch(struct sim *sim, struct sim_watch *watch);

/* Drives: what a motor moves. */
struct sim_drive_state {
    double position;       /* by the encoder if it was asked for, else by the steps counted */
    double steps, encoder; /* encoder: NAN where it does not tell */
    double velocity;
    bool has_encoder;
    bool moving; /* until the end of the motion has been told */
    bool positive, high_switch, low_switch, at_home, homed;
    bool stalled;           /* the last command moved nothing */
    const void *owner;      /* who gave the last command .. */
    unsigned long commands; /* .. how many there were, .. */
    unsigned long scales;   /* .. and how often the number changed without motion */
};

int sim_drive_find(const char *name); /* -1: none of that name */
unsigned sim_drive_events(int drive);
/* `by_encoder` asks for positions and targets by the encoder of an axis that has one; else they are
   by the steps that the drive counts, of which an axis that is stuck loses some. */

/* Fails where the position is not known; everything else holds even so. */
int sim_drive_state(struct sim *sim, int drive, bool by_encoder, struct sim_drive_state *state);
int sim_drive_move(struct sim *sim, int drive, const void *owner, bool by_encoder, double target,
                   const struct bl_motion_profile *profile);
int sim_drive_home(struct sim *sim, int drive, const void *owner, bool by_encoder,
                   const struct bl_motion_profile *profile);
/* `accel` in the units of the drive; 0: at once. */
int sim_drive_stop(struct sim *sim, int drive, const void *owner, double accel);
int sim_drive_define(struct sim *sim, int drive, double position);
/* The user frame of the motor that owns the axis: user = sign * dial + offset. */
void sim_drive_frame(struct sim *sim, int drive, double sign, double offset);
/* Its soft limits, in dial units; both 0: none. They hold for all drives that move the axis. */
void sim_drive_limits(struct sim *sim, int drive, double low, double high);

/* Counter. Channel 0 is the time base; the chambers (BL_I0 ..) and what is beside the beam follow.
 */
enum sim_detector { SIM_IF = BL_NCHAMBERS, SIM_DIFFRACTED, SIM_NDETECTORS };
#define SIM_TIME_BASE_HZ 1e7
#define SIM_NCHANNELS (1 + SIM_NDETECTORS)

void sim_count_reset(struct sim *sim);
int sim_count_preset(struct sim *sim, int channel, double counts);
void sim_count_arm(struct sim *sim, bool count);
int sim_count_read(struct sim *sim, uint32_t counts[SIM_NCHANNELS], bool *done);
/* Counts per second of the last whole count. */
int sim_count_rate(struct sim *sim, int detector, double *rate_hz);
/* Counts per second of a chamber without beam. */
double sim_dark_rate(struct sim *sim, int chamber);

/* Fluorescence detector, of the last whole count: its elements, and BL_XRF_ELEMENTS for their sum.
 */
enum sim_xrf_value {
    SIM_XRF_ROI,   /* pulses in the region of interest */
    SIM_XRF_INPUT, /* photons/s that arrived */
    SIM_XRF_SEEN,  /* photons/s seen */
    SIM_XRF_DEAD   /* percent of the time */
};
double sim_xrf_value(struct sim *sim, int element, int value);
void sim_xrf_spectrum(struct sim *sim, int element, double channel[BL_MCA_CHANNELS]);

/* Shutter. A command that it does not follow fails. */
int sim_shutter_move(struct sim *sim, bool open);
bool sim_shutter_moving(struct sim *sim);
bool sim_shutter_is_open(struct sim *sim);

/* Current amplifiers: the settings of an SR570. */
enum sim_preamp_setting {
    SIM_SENS_NUM, /* index into 1, 2, 5 .. 500 */
    SIM_SENS_UNIT,
    SIM_OFFSET_ON,
    SIM_OFFSET_SIGN, /* 0: positive */
    SIM_OFFSET_NUM,
    SIM_OFFSET_UNIT,
    SIM_OFFSET_UNCAL,
    SIM_OFFSET_FINE, /* of the uncalibrated offset, in thousandths */
    SIM_INVERT,
    SIM_BLANK,
    SIM_NPREAMP_SETTINGS
};
double sim_preamp_setting(struct sim *sim, int chamber, int setting);
int sim_preamp_set(struct sim *sim, int chamber, int setting, double value);
double sim_preamp_gain(struct sim *sim, int chamber);

/* Faults, for tests of what clients do then. Those of an axis name it: its index plus one. */
enum sim_fault {
    SIM_FAULT_STUCK,
    SIM_FAULT_HIGH_LIMIT,
    SIM_FAULT_LOW_LIMIT,
    SIM_FAULT_ENCODER,
    SIM_FAULT_DETECTOR,
    SIM_FAULT_DUMP,
    SIM_FAULT_SHUTTER,
    SIM_FAULT_VACUUM,
    SIM_FAULT_COOLING,
    SIM_NFAULTS
};
int sim_fault(struct sim *sim, int fault); /* 0: none */
int sim_set_fault(struct sim *sim, int fault, int value);
int sim_faults(struct sim *sim); /* how many there are */
void sim_clear_faults(struct sim *sim);

/* Environment. */
double sim_pressure_mbar(struct sim *sim);
double sim_hutch_c(struct sim *sim);

/* What is set once and stays, by a number with limits. */
enum sim_knob {
    SIM_PITCH_OPTIMUM, /* urad: where on its axis the second crystal is parallel to the first */
    SIM_BRAGG_SLIP,    /* deg that the crystals have beyond what the Bragg axis counts */
    SIM_MIRROR,        /* 1: in the beam, where it rejects the harmonics */
    SIM_THICKNESS,     /* of the sample, times that of its file */
    SIM_CONCENTRATION, /* of its element, times that of its file */
    SIM_TEMPERATURE,   /* K */
    SIM_ROI_LOW,       /* eV: region of interest of the fluorescence detector .. */
    SIM_ROI_HIGH,      /* .. and its end */
    SIM_DEAD_TIME,     /* us after each photon that it sees */
    SIM_NKNOBS
};
double sim_knob(struct sim *sim, int knob);
int sim_set_knob(struct sim *sim, int knob, double value);

/* State of the beamline and of the simulation. */
int sim_ring_current(struct sim *sim, double *current_ma);
int sim_crystal(struct sim *sim);
int sim_set_crystal(struct sim *sim, int crystal);
const struct bl_place *sim_sample(struct sim *sim); /* NULL: none in the beam */
int sim_set_reference(struct sim *sim, const char *name);
const struct bl_beamline *sim_beamline(const struct sim *sim);
double sim_speed(struct sim *sim);
int sim_set_speed(struct sim *sim, double speed);
uint64_t sim_seed(struct sim *sim);
void sim_set_seed(struct sim *sim, uint64_t seed);
bool sim_noise(struct sim *sim);
void sim_set_noise(struct sim *sim, bool noise);
bool sim_steady_ring(struct sim *sim);
void sim_set_steady_ring(struct sim *sim, bool steady);

#endif
