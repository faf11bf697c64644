/* The beamline: source, monochromator, chambers, sample holder and reference foil in one. After
   load everything but the reference foil's choice is immutable, and that choice is atomic, so that
   all functions except load and free may be called from any thread. */
#ifndef BL_BEAM_H
#define BL_BEAM_H

#include "chamber.h"
#include "fluorescence.h"
#include "holder.h"
#include "mono.h"
#include "powder.h"
#include "ring.h"
#include "rocking.h"
#include "source.h"
#include "status.h"

enum bl_chamber_index { BL_I0, BL_IT, BL_IR, BL_NCHAMBERS };

struct bl_position {
    double energy_ev;
    double x_um; /* sample stage */
    double y_um;
    double ring_ma;
    double shutter_open; /* 0 closed .. 1 open */
    int crystal;         /* enum bl_crystal_index */
    double pitch_rad;    /* of the second crystal, from where it is parallel to the first */
    bool mirror_out;     /* the mirror, while it is in, rejects the harmonics */
    double theta_deg;    /* rotation of the sample: it is t/cos(theta) thick */
    double diff_th_deg;  /* diffractometer: beam to the sample's surface .. */
    double diff_tth_deg; /* .. and to the detector */
    const struct bl_condition *condition; /* of the sample; NULL: as its file has it */
};

/* Light of one order of reflection. */
struct bl_light {
    double energy_ev;
    double on_sample;              /* photons/s that arrive there .. */
    double absorbed[BL_NCHAMBERS]; /* .. and that are absorbed by the photoelectric effect */
};

struct bl_load_options {
    const char *samples_folder;      /* XDI and powder files and holder.dat; NULL: none */
    const char *tables_file;         /* NULL: elements.dat in the samples folder; the tables of
                                        phases and lines are beside it */
    const char *const *sample_files; /* further XDI files, on the next free places */
    size_t n_sample_files;
};

struct bl_beamline;

/* On failure *beamline is NULL and err holds one line. */
int bl_beamline_load(const struct bl_load_options *options, struct bl_beamline **beamline,
                     char *err, size_t errlen);
void bl_beamline_free(struct bl_beamline *beamline);

const struct bl_elements *bl_beamline_elements(const struct bl_beamline *beamline);
const struct bl_holder *bl_beamline_holder(const struct bl_beamline *beamline);
const struct bl_ring *bl_beamline_ring(const struct bl_beamline *beamline);

/* A chamber as configured (BL_I0 ..), NULL if there is none of that index. */
const struct bl_chamber *bl_beamline_chamber(const struct bl_beamline *beamline, int index);

/* The reference foil behind It, by the name of a place; "empty" for none. The default is the first
   place that has a sample. */
int bl_beamline_set_reference(struct bl_beamline *beamline, const char *name, char *err,
                              size_t errlen);
const struct bl_place *bl_beamline_reference(const struct bl_beamline *beamline);

/* FWHM in eV of what the monochromator passes at an energy. */
int bl_beamline_resolution(const struct bl_beamline *beamline, int crystal, double energy_ev,
                           double *fwhm_ev);

/* Mean photons/s of each order; the noise of a count is Poisson on those absorbed. BL_ERANGE
   outside the tables, BL_EINVAL for what is not a number. */
int bl_beamline_light(const struct bl_beamline *beamline, const struct bl_position *position,
                      struct bl_light light[BL_NORDERS]);

/* What the sample in that light emits, as photons/s. */
int bl_beamline_emission(const struct bl_beamline *beamline, const struct bl_position *position,
                         const struct bl_light light[BL_NORDERS], struct bl_emission *emission);

/* Mean photons/s in the detector of the diffractometer, of the fundamental. The sample on it is the
   one in the beam. */
int bl_beamline_diffracted(const struct bl_beamline *beamline, const struct bl_position *position,
                           const struct bl_light light[BL_NORDERS], double *photons_per_s);

const struct bl_xrf *bl_beamline_xrf(const struct bl_beamline *beamline);

/* The crystal phase of a place's sample, NULL where the library knows none. */
const struct bl_phase *bl_beamline_phase(const struct bl_beamline *beamline,
                                         const struct bl_place *place);

#endif
