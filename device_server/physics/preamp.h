/* A current amplifier in the manner of the Stanford Research SR570. */
#ifndef BL_PREAMP_H
#define BL_PREAMP_H

#include <stdbool.h>

#define BL_PREAMP_LIMIT_V 5.0 /* its output saturates there, on both sides */
#define BL_PREAMP_SENSITIVITIES 28
#define BL_PREAMP_OFFSETS 30

struct bl_preamp {
    double gain_v_per_a;
    double offset_a; /* added to the input */
    bool invert;
    bool blank; /* output held at zero */
};

/* The instrument's steps, 1-2-5: sensitivities from 1 pA/V (number 0) to 1 mA/V as A/V, offsets
   from 1 pA to 5 mA as A. BL_ERANGE for a number that it lacks. */
int bl_preamp_sensitivity(int number, double *a_per_v);
int bl_preamp_offset(int number, double *ampere);

/* Number of the sensitivity whose gain it is, -1: none. */
int bl_preamp_number(double gain_v_per_a);

/* Output in V for a current in A. */
double bl_preamp_volts(const struct bl_preamp *preamp, double current_a);

#endif
