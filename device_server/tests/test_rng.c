/* Random numbers: known states, determinism, and the distributions by chi-square. */
#include "support.h"

#include "rng.h"

/* States after seeding with 0: the first outputs of splitmix64, as its authors publish them. */
static void test_seeding(void **state)
{
    struct bl_rng rng;

    (void)state;
    bl_rng_seed(&rng, 0);
    assert_true(rng.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(rng.state[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(rng.state[2] == UINT64_C(0x06c45d188009454f));
    assert_true(rng.state[3] == UINT64_C(0xf88bb8a8724c81ec));
}

/* xoshiro256**: state 1, 2, 3, 4 gives rotl(2 * 5, 7) * 9 = 11520 first, then 0. */
static void test_generator(void **state)
{
    struct bl_rng rng = {{1, 2, 3, 4}};

    (void)state;
    assert_true(bl_rng_next(&rng) == 11520);
    assert_true(bl_rng_next(&rng) == 0);
    assert_true(bl_rng_next(&rng) == 1509978240);
}

static void test_same_seed_same_numbers(void **state)
{
    struct bl_rng a, b, c;
    int differ = 0;

    (void)state;
    bl_rng_seed(&a, 42);
    bl_rng_seed(&b, 42);
    bl_rng_seed(&c, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t drawn = bl_rng_poisson(&a, 1e6);

        assert_true(drawn == bl_rng_poisson(&b, 1e6));
        differ += drawn != bl_rng_poisson(&c, 1e6);
    }
    assert_true(differ > 950);
}

/* The first numbers of streams of one seed are independent of each other, and those of the next
   seed's streams are others. Chi-square of bytes, bounds at mean +- 5 sigma. */
static void test_streams(void **state)
{
    enum { N = 100000, BINS = 256 };
    unsigned histogram[BINS] = {0};
    double chi2 = 0, correlation = 0, before = 0;
    int same = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        struct bl_rng rng;
        double u;

        bl_rng_seed(&rng, bl_rng_stream(20260, i));
        u = bl_rng_uniform(&rng);
        histogram[(size_t)(u * BINS)]++;
        correlation += (u - 0.5) * (before - 0.5) * 12 / N;
        before = u;
        same += bl_rng_stream(20260, i + 1) == bl_rng_stream(20261, i);
    }
    for (size_t i = 0; i < BINS; i++) {
        double off = histogram[i] - (double)N / BINS;

        chi2 += off * off * BINS / N;
    }
    assert_near(chi2, BINS - 1, 5 * sqrt(2.0 * (BINS - 1)));
    assert_near(correlation, 0.0, 5 / sqrt((double)N));
    assert_int_equal(same, 0);
}

static void test_uniform_and_normal(void **state)
{
    enum { N = 200000 };
    struct bl_rng rng;
    double sum = 0, sum2 = 0, sum4 = 0, mean = 0;

    (void)state;
    bl_rng_seed(&rng, 7);
    for (int i = 0; i < N; i++) {
        double u = bl_rng_uniform(&rng);
        double x = bl_rng_normal(&rng);

        assert_true(u >= 0.0 && u < 1.0);
        mean += u / N;
        sum += x / N;
        sum2 += x * x / N;
        sum4 += x * x * x * x / N;
    }
    /* Five standard errors each. */
    assert_near(mean, 0.5, 5 * sqrt(1.0 / 12 / N));
    assert_near(sum, 0.0, 5 * sqrt(1.0 / N));
    assert_near(sum2, 1.0, 5 * sqrt(2.0 / N));
    assert_near(sum4, 3.0, 5 * sqrt(96.0 / N));
}

/* Chi-square of the whole distribution, bins of at least 20 expected counts; bounds are mean +-
   5 sigma of the chi-square distribution. */
static void poisson_chi_square(double mean, uint64_t seed)
{
    enum { N = 200000, MAX = 4000 };
    static unsigned histogram[MAX];
    struct bl_rng rng;
    double chi2 = 0, expected = 0, observed = 0;
    int bins = 0;

    memset(histogram, 0, sizeof histogram);
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < N; i++) {
        uint64_t k = bl_rng_poisson(&rng, mean);

        assert_true(k < MAX);
        histogram[k]++;
    }
    for (int k = 0; k < MAX; k++) {
        expected += N * exp(k * log(mean) - mean - lgamma(k + 1.0));
        observed += histogram[k];
        if (expected >= 20) {
            chi2 += (observed - expected) * (observed - expected) / expected;
            bins++;
            expected = observed = 0;
        }
    }
    assert_true(bins > 3);
    if (fabs(chi2 - (bins - 1)) > 5 * sqrt(2.0 * (bins - 1)))
        fail_msg("mean %g: chi-square %.1f of %d bins", mean, chi2, bins);
}

static void test_poisson_distribution(void **state)
{
    const double means[] = {0.3, 2.5, 9.99, 10.0, 17.3, 60.0, 500.0, 3000.0};

    (void)state;
    for (size_t i = 0; i < sizeof means / sizeof *means; i++)
        poisson_chi_square(means[i], 100 + i);
}

/* Large means: standardised deviates have mean 0, variance 1, and the tail of a normal. */
static void test_poisson_large(void **state)
{
    enum { N = 100000 };
    const double means[] = {1e5, 1e8, 1e10, 1e12};
    struct bl_rng rng;

    (void)state;
    for (size_t m = 0; m < sizeof means / sizeof *means; m++) {
        double sum = 0, sum2 = 0, beyond = 0;

        bl_rng_seed(&rng, 5 + m);
        for (int i = 0; i < N; i++) {
            double x = ((double)bl_rng_poisson(&rng, means[m]) - means[m]) / sqrt(means[m]);

            sum += x / N;
            sum2 += x * x / N;
            beyond += (fabs(x) > 2.0) / (double)N;
        }
        assert_near(sum, 0.0, 5 * sqrt(1.0 / N));
        assert_near(sum2, 1.0, 5 * sqrt(2.0 / N));
        assert_near(beyond, 0.0455, 0.005); /* 1 - erf(sqrt(2)) */
    }
}

static void test_poisson_odd_means(void **state)
{
    struct bl_rng rng;

    (void)state;
    bl_rng_seed(&rng, 1);
    assert_true(bl_rng_poisson(&rng, 0.0) == 0);
    assert_true(bl_rng_poisson(&rng, -1.0) == 0);
    assert_true(bl_rng_poisson(&rng, NAN) == 0);
    assert_true(bl_rng_poisson(&rng, INFINITY) == 0);
    assert_near((double)bl_rng_poisson(&rng, 1e18), 1e15, 1e9); /* the documented limit */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeding),
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_same_seed_same_numbers),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_uniform_and_normal),
        cmocka_unit_test(test_poisson_distribution),
        cmocka_unit_test(test_poisson_large),
        cmocka_unit_test(test_poisson_odd_means),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
