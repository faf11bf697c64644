#include "ring.h"

#include <math.h>

#include "status.h"

/* A third-generation ring in top-up: 10 h lifetime, filled up every 2 min in 2 s. */
const struct bl_ring bl_ring_default = {
    .top_ma = 300.0, .lifetime_s = 36000.0, .period_s = 120.0, .injection_s = 2.0};

int bl_ring_current(const struct bl_ring *ring, double time_s, double *current_ma)
{
    double decay_s = ring->period_s - ring->injection_s;
    double phase, lowest;

    if (!(ring->top_ma >= 0 && ring->lifetime_s > 0 && ring->injection_s > 0 && decay_s > 0) ||
        !(time_s >= 0) || !isfinite(time_s))
        return BL_EINVAL;
    phase = fmod(time_s, ring->period_s);
    if (phase <= decay_s) {
        *current_ma = ring->top_ma * exp(-phase / ring->lifetime_s);
        return BL_OK;
    }
    lowest = ring->top_ma * exp(-decay_s / ring->lifetime_s);
    *current_ma = lowest + (ring->top_ma - lowest) * (phase - decay_s) / ring->injection_s;
    return BL_OK;
}
