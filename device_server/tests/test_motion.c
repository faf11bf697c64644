/* Motion of an axis: times and positions from the textbook, and what must hold for any motion. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "motion.h"
#include "rng.h"

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

static const struct bl_motion_profile plain = {.velocity = 2, .base = 0, .accel = 4};

static void long_moves_are_trapezoids(void **state)
{
    (void)state;
    struct bl_motion m;
    bl_motion_rest(&m, 10);
    assert_int_equal(bl_motion_move(&m, 100, 15, &plain), BL_OK);
    /* distance / velocity + velocity / acceleration */
    NEAR(m.end_s, 100 + 5 / 2.0 + 2 / 4.0, 1e-12);
    NEAR(bl_motion_position(&m, 100.25), 10 + 4 * 0.25 * 0.25 / 2, 1e-12);
    NEAR(bl_motion_velocity(&m, 100.25), 1, 1e-12);
    NEAR(bl_motion_position(&m, 101), 10 + 0.5 + 2 * 0.5, 1e-12);
    NEAR(bl_motion_velocity(&m, 101), 2, 1e-12);
    assert_true(bl_motion_position(&m, m.end_s) == 15);
    assert_true(bl_motion_velocity(&m, m.end_s) == 0);
    assert_false(bl_motion_done(&m, m.end_s - 1e-9));
    assert_true(bl_motion_done(&m, m.end_s));
}

static void short_moves_are_triangles(void **state)
{
    (void)state;
    struct bl_motion m;
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, -0.25, &plain), BL_OK);
    NEAR(m.end_s, 2 * sqrt(0.25 / 4), 1e-12);
    NEAR(bl_motion_velocity(&m, m.end_s / 2), -sqrt(0.25 * 4), 1e-12);
}

static void base_velocity_is_taken_at_once(void **state)
{
    (void)state;
    const struct bl_motion_profile stepper = {.velocity = 2, .base = 1, .accel = 4};
    struct bl_motion m;
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 5, &stepper), BL_OK);
    NEAR(bl_motion_velocity(&m, 0), 1, 1e-12);
    /* two ramps of 0.25 s at 1.5 on average, the rest at 2 */
    NEAR(m.end_s, 0.5 + (5 - 0.75) / 2, 1e-12);
    const struct bl_motion_profile even = {.velocity = 2, .base = 2, .accel = 4};
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 5, &even), BL_OK);
    NEAR(m.end_s, 2.5, 1e-12);
    const struct bl_motion_profile instant = {.velocity = 2};
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 5, &instant), BL_OK);
    NEAR(m.end_s, 2.5, 1e-12);
}

static void no_distance_takes_no_time(void **state)
{
    (void)state;
    struct bl_motion m;
    bl_motion_rest(&m, 3);
    assert_int_equal(bl_motion_move(&m, 7, 3, &plain), BL_OK);
    assert_true(bl_motion_done(&m, 7));
    assert_true(bl_motion_position(&m, 7) == 3);
}

static void a_stop_takes_the_stopping_distance(void **state)
{
    (void)state;
    struct bl_motion m;
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 100, &plain), BL_OK);
    const double here = bl_motion_position(&m, 10);
    assert_int_equal(bl_motion_stop(&m, 10, 4), BL_OK);
    NEAR(m.end_s, 10.5, 1e-12);
    NEAR(m.end, here + 2 * 2 / (2 * 4.0), 1e-12);
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 100, &plain), BL_OK);
    assert_int_equal(bl_motion_stop(&m, 10, 0), BL_OK);
    assert_true(bl_motion_done(&m, 10));
    NEAR(bl_motion_position(&m, 11), here, 1e-12);
    assert_int_equal(bl_motion_stop(&m, 12, 4), BL_OK); /* at rest it changes nothing */
    NEAR(bl_motion_position(&m, 13), here, 1e-12);
}

static void a_target_behind_is_reached_by_turning(void **state)
{
    (void)state;
    struct bl_motion m;
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 100, &plain), BL_OK);
    const double here = bl_motion_position(&m, 10);
    assert_int_equal(bl_motion_move(&m, 10, 0, &plain), BL_OK);
    NEAR(bl_motion_position(&m, 10), here, 1e-12);
    NEAR(bl_motion_position(&m, 10.5), here + 0.5, 1e-12);
    NEAR(m.end_s, 10.5 + (here + 0.5) / 2 + 0.5, 1e-9);
    /* and so is one too close to stop at */
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 100, &plain), BL_OK);
    assert_int_equal(bl_motion_move(&m, 10, here + 0.1, &plain), BL_OK);
    assert_true(bl_motion_position(&m, 10.5) > here + 0.4);
    assert_true(bl_motion_position(&m, 100) == here + 0.1);
}

static void a_switch_ends_the_motion_where_it_is(void **state)
{
    (void)state;
    struct bl_motion m;
    bool hit;
    bl_motion_rest(&m, 0);
    assert_int_equal(bl_motion_move(&m, 0, 10, &plain), BL_OK);
    assert_int_equal(bl_motion_cut(&m, 0, 5, 1, &hit), BL_OK);
    assert_true(hit);
    NEAR(m.end_s, 0.5 + 4.5 / 2, 1e-12);
    assert_true(bl_motion_position(&m, 100) == 5);
    assert_int_equal(bl_motion_move(&m, 200, 10, &plain), BL_OK); /* further out: not at all */
    assert_int_equal(bl_motion_cut(&m, 200, 5, 1, &hit), BL_OK);
    assert_true(hit && bl_motion_done(&m, 200));
    assert_int_equal(bl_motion_move(&m, 300, 0, &plain), BL_OK); /* back in: freely */
    assert_int_equal(bl_motion_cut(&m, 300, 5, 1, &hit), BL_OK);
    assert_false(hit);
    assert_int_equal(bl_motion_cut(&m, 300, -5, -1, &hit), BL_OK);
    assert_false(hit);
    assert_true(bl_motion_position(&m, 400) == 0);
    assert_int_equal(bl_motion_cut(&m, 0, NAN, 1, &hit), BL_EINVAL);
    assert_int_equal(bl_motion_cut(&m, 0, 1, 0, &hit), BL_EINVAL);
}

static void nonsense_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const struct bl_motion_profile bad[] = {
        {.velocity = 0, .accel = 1},   {.velocity = -1, .accel = 1},
        {.velocity = NAN, .accel = 1}, {.velocity = INFINITY, .accel = 1},
        {.velocity = 1, .accel = -1},  {.velocity = 1, .accel = NAN},
        {.velocity = 1, .base = 2},    {.velocity = 1, .base = -1},
        {.velocity = 1, .base = NAN},
    };
    struct bl_motion m;
    bl_motion_rest(&m, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(bl_motion_move(&m, 0, 5, &bad[i]), BL_EINVAL);
    assert_int_equal(bl_motion_move(&m, 0, NAN, &plain), BL_EINVAL);
    assert_int_equal(bl_motion_move(&m, NAN, 5, &plain), BL_EINVAL);
    assert_int_equal(bl_motion_stop(&m, 0, -1), BL_EINVAL);
    assert_true(bl_motion_done(&m, 0) && bl_motion_position(&m, 0) == 1);
}

/* Position is continuous, no faster than allowed, and ends at the last target: for moves, turns and
   stops at random times with random profiles. */
static void any_motion_is_continuous_and_arrives(void **state)
{
    (void)state;
    struct bl_rng rng;
    bl_rng_seed(&rng, 20240501);
    for (int run = 0; run < 2000; run++) {
        struct bl_motion m;
        double now = 0;
        double target = 0;
        double fastest = 0;
        bl_motion_rest(&m, 0);
        for (int command = 0; command < 4; command++) {
            const double velocity = 0.1 + 10 * bl_rng_uniform(&rng);
            const struct bl_motion_profile p = {.velocity = velocity,
                                                .base = velocity * bl_rng_uniform(&rng) / 2,
                                                .accel = 0.5 + 20 * bl_rng_uniform(&rng)};
            const double before = bl_motion_position(&m, now);
            fastest = fmax(fastest, velocity);
            if (bl_rng_uniform(&rng) < 0.2) {
                assert_int_equal(bl_motion_stop(&m, now, p.accel), BL_OK);
                target = m.end;
            } else {
                target = 20 * bl_rng_uniform(&rng) - 10;
                assert_int_equal(bl_motion_move(&m, now, target, &p), BL_OK);
            }
            assert_true(m.n <= BL_MOTION_PIECES);
            NEAR(bl_motion_position(&m, now), before, 1e-9);
            const double until = now + 3 * bl_rng_uniform(&rng);
            const double step = (until - now) / 100;
            double last = before;
            for (int i = 1; i <= 100; i++) {
                const double t = now + i * step;
                const double x = bl_motion_position(&m, t);
                assert_true(fabs(x - last) <= fastest * step * (1 + 1e-9) + 1e-9);
                last = x;
            }
            now = until;
        }
        NEAR(bl_motion_position(&m, m.end_s - 1e-9), target, 1e-6);
        assert_true(bl_motion_position(&m, m.end_s) == target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_moves_are_trapezoids),
        cmocka_unit_test(short_moves_are_triangles),
        cmocka_unit_test(base_velocity_is_taken_at_once),
        cmocka_unit_test(no_distance_takes_no_time),
        cmocka_unit_test(a_stop_takes_the_stopping_distance),
        cmocka_unit_test(a_target_behind_is_reached_by_turning),
        cmocka_unit_test(a_switch_ends_the_motion_where_it_is),
        cmocka_unit_test(nonsense_is_refused_and_changes_nothing),
        cmocka_unit_test(any_motion_is_continuous_and_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
