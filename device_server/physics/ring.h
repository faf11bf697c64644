/* Current of the storage ring: slow decay and top-up, a pure function of beamline time. */
#ifndef BL_RING_H
#define BL_RING_H

struct bl_ring {
    double top_ma;      /* right after a top-up */
    double lifetime_s;  /* of the exponential decay */
    double period_s;    /* from top-up to top-up */
    double injection_s; /* duration of a top-up, at the end of the period */
};

extern const struct bl_ring bl_ring_default;

/* Current at a time (s) since the start of the simulation; BL_EINVAL for a ring that makes no
   sense or a time that is negative or not finite. */
int bl_ring_current(const struct bl_ring *ring, double time_s, double *current_ma);

#endif
