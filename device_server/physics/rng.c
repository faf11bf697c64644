#include "rng.h"

#include <math.h>
#include <stddef.h>

#include "constants.h"

#define MEAN_LIMIT 1e15

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

/* One number of splitmix64, by its place in the sequence of a seed. */
static uint64_t splitmix(uint64_t seed, uint64_t place)
{
    uint64_t z = seed + (place + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Spreads any seed, zero included, over the whole state. */
void bl_rng_seed(struct bl_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        rng->state[i] = splitmix(seed, i);
}

/* Twice, so that neither neighbouring seeds nor neighbouring indices share numbers. */
uint64_t bl_rng_stream(uint64_t seed, uint64_t index)
{
    return splitmix(splitmix(seed, 0), index);
}

uint64_t bl_rng_next(struct bl_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double bl_rng_uniform(struct bl_rng *rng)
{
    return (double)(bl_rng_next(rng) >> 11) * 0x1.0p-53;
}

/* Box-Muller, one of the pair: no state is kept beside the generator's own. */
double bl_rng_normal(struct bl_rng *rng)
{
    double radius = sqrt(-2.0 * log(1.0 - bl_rng_uniform(rng)));

    return radius * cos(2.0 * BL_PI * bl_rng_uniform(rng));
}

/* Product of uniforms until it falls below exp(-mean). */
static uint64_t poisson_small(struct bl_rng *rng, double mean)
{
    double limit = exp(-mean);
    double product = bl_rng_uniform(rng);
    uint64_t count = 0;

    while (product > limit) {
        product *= bl_rng_uniform(rng);
        count++;
    }
    return count;
}

/* ln(n!) less Stirling's leading terms, to double precision from n = 10 on. */
static double stirling_error(double n)
{
    double n2 = n * n;

    if (n < 10.0)
        return lgamma(n + 1.0) - (n + 0.5) * log(n) + n - 0.5 * log(2.0 * BL_PI);
    return (1.0 / 12.0 -
            (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / 1188.0 / n2) / n2) / n2) / n2) /
           n;
}

/* k ln(k/mean) + mean - k without cancellation at k near mean (Loader's saddle-point term). */
static double deviance(double k, double mean)
{
    double v = (k - mean) / (k + mean);
    double sum, power;

    if (fabs(v) >= 0.1)
        return k * log(k / mean) + mean - k;
    sum = (k - mean) * v;
    power = 2.0 * k * v;
    for (int j = 1; j < 1000; j++) {
        double next;

        power *= v * v;
        next = sum + power / (2 * j + 1);
        if (next == sum)
            break;
        sum = next;
    }
    return sum;
}

static double log_poisson(double k, double mean)
{
    if (k == 0.0)
        return -mean;
    return -stirling_error(k) - deviance(k, mean) - 0.5 * log(2.0 * BL_PI * k);
}

/* Transformed rejection with squeeze: W. Hoermann, Insurance: Mathematics and Economics 12 (1993)
   39-45, algorithm PTRS; the probability in a form that keeps its digits up to the largest mean. */
static uint64_t poisson_large(struct bl_rng *rng, double mean)
{
    double b = 0.931 + 2.53 * sqrt(mean);
    double a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    double v_squeeze = 0.9277 - 3.6224 / (b - 2.0);

    for (;;) {
        double u = bl_rng_uniform(rng) - 0.5;
        double v = 1.0 - bl_rng_uniform(rng);
        double us = 0.5 - fabs(u);
        double k = floor((2.0 * a / us + b) * u + mean + 0.43);

        if (us >= 0.07 && v <= v_squeeze)
            return (uint64_t)k;
        if (!(k >= 0.0) || (us < 0.013 && v > us))
            continue;
        if (log(v * inverse_alpha / (a / (us * us) + b)) <= log_poisson(k, mean))
            return (uint64_t)k;
    }
}

uint64_t bl_rng_poisson(struct bl_rng *rng, double mean)
{
    if (!(mean > 0.0) || isinf(mean))
        return 0;
    if (mean < 10.0)
        return poisson_small(rng, mean);
    return poisson_large(rng, mean < MEAN_LIMIT ? mean : MEAN_LIMIT);
}
