/* Current amplifiers and the environment. */
#include "support.h"

#include "environment.h"
#include "preamp.h"

/* SR570 manual: 28 sensitivities from 1 pA/V to 1 mA/V and 30 input offsets from 1 pA to 5 mA, both
   in steps 1-2-5. */
static void test_steps(void **state)
{
    double value, last = 0;

    (void)state;
    assert_int_equal(bl_preamp_sensitivity(0, &value), BL_OK);
    assert_near(value, 1e-12, 1e-21);
    assert_int_equal(bl_preamp_sensitivity(27, &value), BL_OK);
    assert_near(value, 1e-3, 1e-12);
    assert_int_equal(bl_preamp_sensitivity(28, &value), BL_ERANGE);
    assert_int_equal(bl_preamp_sensitivity(-1, &value), BL_ERANGE);
    assert_int_equal(bl_preamp_offset(29, &value), BL_OK);
    assert_near(value, 5e-3, 1e-12);
    assert_int_equal(bl_preamp_offset(30, &value), BL_ERANGE);
    for (int i = 0; i < BL_PREAMP_OFFSETS; i++) {
        assert_int_equal(bl_preamp_offset(i, &value), BL_OK);
        if (i > 0)
            assert_near(value / last, i % 3 == 2 ? 2.5 : 2, 1e-9);
        last = value;
    }
    for (int i = 0; i < BL_PREAMP_SENSITIVITIES; i++) {
        assert_int_equal(bl_preamp_sensitivity(i, &value), BL_OK);
        assert_int_equal(bl_preamp_number(1 / value), i);
    }
    assert_int_equal(bl_preamp_number(3e7), -1);
}

/* V = gain (I + offset), held within 5 V, turned round and blanked after that. */
static void test_output(void **state)
{
    struct bl_preamp preamp = {.gain_v_per_a = 5e7};

    (void)state;
    assert_near(bl_preamp_volts(&preamp, 20e-9), 1, 1e-12);
    preamp.offset_a = -15e-9;
    assert_near(bl_preamp_volts(&preamp, 20e-9), 0.25, 1e-12);
    preamp.invert = true;
    assert_near(bl_preamp_volts(&preamp, 20e-9), -0.25, 1e-12);
    assert_near(bl_preamp_volts(&preamp, 1e-3), -BL_PREAMP_LIMIT_V, 0);
    preamp.invert = false;
    assert_near(bl_preamp_volts(&preamp, 1e-3), 5, 0);
    assert_near(bl_preamp_volts(&preamp, -1e-3), -5, 0);
    preamp.blank = true;
    assert_near(bl_preamp_volts(&preamp, 1e-3), 0, 0);
}

/* Alarm limits of the records: 1e-6 and 1e-5 mbar, 27 and 30 degC; all is well within them for a
   day, and beyond them at once with the fault. */
static void test_environment(void **state)
{
    double lowest = 100, highest = 0;

    (void)state;
    for (double t = 0; t < 86400; t += 97) {
        const double c = bl_environment_hutch_c(t, false);

        assert_near(bl_environment_pressure_mbar(t, false), 2e-7, 0.21e-7);
        lowest = fmin(lowest, c);
        highest = fmax(highest, c);
        assert_true(bl_environment_pressure_mbar(t, true) > 1e-5);
        assert_true(bl_environment_hutch_c(t, true) > 30);
    }
    assert_near(lowest, 23.8, 1e-3);
    assert_near(highest, 24.2, 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
