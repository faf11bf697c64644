/* What surrounds the beam: vacuum of the mono and temperature of the hutch, as functions of
   beamline time. */
#ifndef BL_ENVIRONMENT_H
#define BL_ENVIRONMENT_H

#include <stdbool.h>

/* A day's slow change around the base pressure; a leak brings it up to what interlocks act on. */
double bl_environment_pressure_mbar(double time_s, bool leak);

/* The cycle of the air conditioning around its set point; without cooling the hutch is hot. */
double bl_environment_hutch_c(double time_s, bool no_cooling);

#endif
