/* The beamline's parts, shared by the files that make it up. Internal to the physics. */
#ifndef BL_BEAM_PRIVATE_H
#define BL_BEAM_PRIVATE_H

#include <stdatomic.h>

#include "bandpass.h"
#include "beam.h"

struct bl_beamline {
    struct bl_elements *elements;
    struct bl_phases *phases;
    struct bl_lines *lines;
    struct bl_holder *holder;
    const struct bl_phase *phase[BL_HOLDER_PLACES]; /* of each place's sample, NULL: none known */
    struct bl_ring ring;
    struct bl_source source;
    struct bl_chamber chamber[BL_NCHAMBERS];
    struct bl_xrf xrf;
    struct bl_diffractometer diffractometer;
    struct bl_bandpass bandpass;
    struct bl_rocking rocking;
    double passed_reference; /* by tuned Si(111) crystals at the source's reference energy */
    atomic_size_t reference; /* index of a place */
};

static inline const struct bl_condition *bl_position_condition(const struct bl_position *position)
{
    return position->condition ? position->condition : &bl_condition_default;
}

#endif
