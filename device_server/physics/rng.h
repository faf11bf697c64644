/* Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018). */
#ifndef BL_RNG_H
#define BL_RNG_H

#include <stdint.h>

struct bl_rng {
    uint64_t state[4];
};

/* Every seed gives a valid state, and the same seed the same numbers on every machine. */
void bl_rng_seed(struct bl_rng *rng, uint64_t seed);

/* Seed of one of many streams of numbers under one seed, each independent of the others. */
uint64_t bl_rng_stream(uint64_t seed, uint64_t index);

uint64_t bl_rng_next(struct bl_rng *rng);

/* Uniform in [0, 1) with 53 random bits. */
double bl_rng_uniform(struct bl_rng *rng);

/* Standard normal deviate. */
double bl_rng_normal(struct bl_rng *rng);

/* Poisson deviate of a mean from 0 to 1e15. A mean that is negative or not finite gives 0, one
   beyond the limit is taken as the limit. */
uint64_t bl_rng_poisson(struct bl_rng *rng, double mean);

#endif
