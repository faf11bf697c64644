#include "environment.h"

#include <math.h>

#include "constants.h"

#define BASE_MBAR 2e-7
#define LEAK_MBAR 1e-3
#define DAY_S 86400.0

#define SET_POINT_C 24.0
#define SWING_C 0.2
#define CYCLE_S 1200.0
#define UNCOOLED_C 33.0

double bl_environment_pressure_mbar(double time_s, bool leak)
{
    return leak ? LEAK_MBAR : BASE_MBAR * (1.0 + 0.1 * sin(2.0 * BL_PI * time_s / DAY_S));
}

double bl_environment_hutch_c(double time_s, bool no_cooling)
{
    double set_point = no_cooling ? UNCOOLED_C : SET_POINT_C;

    return set_point + SWING_C * sin(2.0 * BL_PI * time_s / CYCLE_S);
}
