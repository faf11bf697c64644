/* State of the simulation; shared by the files that make it up. */
#ifndef SIMULATION_PRIVATE_H
#define SIMULATION_PRIVATE_H

#include <epicsEvent.h>
#include <epicsMutex.h>
#include <epicsThread.h>

#include "preamp.h"
#include "simulation.h"

/* In the order in which the records of faults name them. */
enum {
    AXIS_BRAGG,
    AXIS_PITCH,
    AXIS_X,
    AXIS_Y,
    AXIS_Z,
    AXIS_THETA,
    AXIS_DIFF_TH,
    AXIS_DIFF_TTH,
    NAXES
};

/* Positions of the motion are true ones: what the beam sees, and what an encoder tells. A drive
   counts its steps, which are the same until the axis is stuck. Dials count from a zero of their
   own: dial = true + zero. */
struct axis {
    struct bl_motion motion;
    struct bl_motion counted;
    double zero;
    double sign, offset; /* user = sign * dial + offset */
    double low, high;    /* soft limits of the dial; both 0: none */
    bool busy;           /* a motion whose end has not been told yet .. */
    bool ending;         /* .. and is being told */
    bool positive;       /* direction of the last motion */
    bool homing, homed;
    bool stalled; /* the last command found the axis stuck */
    const void *owner;
    unsigned long commands, scales;
};

/* In true positions; the limits are where the switches are. `step` is how far an axis may move
   between two looks at what it changes. */
struct axis_range {
    double low, high, home;
    double step;
    bool no_encoder;
};

/* What the fluorescence detector saw in a count: by element the pulses of each line, all photons
   that arrived, and the pulses counted in the region of interest. */
struct xrf_count {
    struct bl_emission seen[BL_XRF_ELEMENTS];
    double input[BL_XRF_ELEMENTS];
    double roi[BL_XRF_ELEMENTS];
    double elapsed_s;
    uint64_t seed;
};

struct counter {
    bool armed, done;
    bool ending;                  /* that it is done is being told .. */
    bool told;                    /* .. and has been */
    int status;                   /* of the physics during the count */
    double start_s, to_s;         /* integrated from .. to */
    double preset[SIM_NCHANNELS]; /* counts that end the count; 0: none */
    double counts[SIM_NDETECTORS];
    double carry[SIM_NDETECTORS]; /* part of a pulse left in a converter by the last count */
    struct xrf_count xrf;         /* of this count */
    struct xrf_count xrf_last;    /* of the last whole one .. */
    double mca[BL_XRF_ELEMENTS][BL_MCA_CHANNELS]; /* .. and its spectra, .. */
    bool mca_known;                               /* .. once somebody wanted them */
    bool forget_carry;
    uint64_t number;     /* of the next count since the seed was set */
    uint64_t seed;       /* of the noise of this count .. */
    uint64_t draws;      /* .. and how many times it has been drawn for the chambers .. */
    uint64_t side_draws; /* .. and for the detectors beside the beam */
    double rate_hz[SIM_NDETECTORS]; /* of the last whole count */
};

struct sim {
    epicsMutexId lock;
    epicsEventId wake, ended;
    bool running, stopping;
    struct sim_watch *watches;
    unsigned pending; /* events to be told */

    uint64_t real_ns; /* the clock: this real time .. */
    double beam_s;    /* .. was that beamline time */
    double speed;
    uint64_t clock_told_ns;

    struct bl_beamline *beamline;
    struct axis axis[NAXES];
    int crystal;
    struct bl_motion shutter;
    bool shutter_busy;
    struct counter counter;
    const struct bl_place *sample;
    int preamp_setting[BL_NCHAMBERS][SIM_NPREAMP_SETTINGS];
    struct bl_preamp preamp[BL_NCHAMBERS]; /* follows from the settings */
    double dark_a[BL_NCHAMBERS];
    double knob[SIM_NKNOBS];
    struct bl_condition condition; /* follows from the knobs */
    int fault[SIM_NFAULTS];
    double filled_s; /* when the ring was last empty */

    uint64_t seed;
    bool noise, steady_ring;
};

/* All with the simulation locked. */
double sim_now(const struct sim *sim);
void sim_tell(struct sim *sim, unsigned events);
/* Locks, and integrates a count up to this moment, since something is about to change .. */
double sim_change(struct sim *sim);
/* .. tells that it has, and unlocks. */
void sim_changed(struct sim *sim, unsigned events);

/* axes.c */
void axes_init(struct sim *sim);
double axes_energy_ev(const struct sim *sim, double time_s); /* of the beam; NAN: no reflection */
unsigned axes_events(struct sim *sim, double now_s, double *next_s); /* and when more is due */
void axes_settle(struct sim *sim);
bool axes_owned_by(const struct sim *sim, const void *owner);
double axes_steps(const struct sim *sim, double from_s, double to_s); /* that resolve a motion */
void axes_fault(struct sim *sim, double now_s); /* after the faults have changed */
extern const struct axis_range axis_ranges[NAXES];
double axes_d_angstrom(const struct sim *sim); /* of the monochromator's crystals */
bool axes_faulty(const struct sim *sim, int fault, int index);
bool axes_encoded(int index, bool by_encoder); /* whether it is an encoder that tells where it is */
int axes_start(struct sim *sim, int index, const void *owner, double now_s, bool by_encoder,
               double true_target, const struct bl_motion_profile *profile);
void axes_cut(struct sim *sim, int index, double now_s); /* where a limit switch ends the motion */

/* knobs.c, preamps.c, shutter.c */
void knobs_init(struct sim *sim);
void preamps_init(struct sim *sim);
bool shutter_interlocked(const struct sim *sim);
void shutter_go(struct sim *sim, double now_s, bool open);

/* xrf.c: pulses of a slice of a count, and what they add to it; part: of the slice */
int xrf_count(struct sim *sim, const struct bl_position *position,
              const struct bl_light light[BL_NORDERS], double dt, struct xrf_count *slice);
void xrf_add(struct xrf_count *count, const struct xrf_count *slice, double part);

/* counting.c: pulses where `mean` are to be expected, of a detector beside the beam */
double counting_draw_beside(struct sim *sim, double mean);

/* counting.c: integrates up to now (before anything changes: exactly up to now) */
void counting_seed(struct sim *sim, uint64_t seed);
void counting_settle(struct sim *sim);
void counting_advance(struct sim *sim, double now_s, bool exactly);
bool counting_due(const struct sim *sim, double now_s, double *next_s);
int sim_position(const struct sim *sim, double time_s, struct bl_position *position);

#endif
