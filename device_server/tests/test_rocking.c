/* The second crystal: rocking curves, detuning, harmonics and the flux of both crystal pairs. */
#include "support.h"

#include "beam.h"
#include "constants.h"

static struct bl_elements *elements;
static struct bl_rocking *rocking;
static struct bl_beamline *beamline;

static int load(void **state)
{
    const struct bl_load_options options = {.samples_folder = BEAMLINE_SAMPLES};
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    elements = load_tables();
    rocking = calloc(1, sizeof *rocking);
    if (!rocking || bl_rocking_init(rocking, elements, err, sizeof err) != BL_OK ||
        bl_beamline_load(&options, &beamline, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    bl_beamline_free(beamline);
    free(rocking);
    bl_elements_free(elements);
    return 0;
}

static double passed(int crystal, enum bl_order order, double energy_ev, double pitch_rad)
{
    double value;

    assert_int_equal(bl_rocking_passed(rocking, crystal, order, energy_ev, pitch_rad, &value),
                     BL_OK);
    return value;
}

/* Full width at half maximum of the pair's curve, in urad. */
static double fwhm_urad(int crystal, enum bl_order order, double energy_ev)
{
    const double half = 0.5 * passed(crystal, order, energy_ev, 0);
    double low = 0, high = 1e-3;

    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);

        if (passed(crystal, order, energy_ev, middle) > half)
            low = middle;
        else
            high = middle;
    }
    return 2e6 * low;
}

/* Darwin width in urad of one reflection: xraydb 4.5.8 darwin_width at 7112 eV gives 41 for
   Si(111). The pair's curve is the convolution of two, 55 urad wide; those of a Darwin curve are
   wider than one by 1.3 to 1.4 at any energy, for both crystals. */
static void test_widths(void **state)
{
    const double energies[] = {5000, 7112, 9000, 12000, 18000};

    (void)state;
    assert_near(fwhm_urad(BL_SI111, BL_FUNDAMENTAL, 7112), 55, 1);
    for (int crystal = 0; crystal < BL_NCRYSTALS; crystal++) {
        for (size_t i = 0; i < sizeof energies / sizeof *energies; i++) {
            struct bl_resolution fwhm;
            double bragg_deg, single;

            assert_int_equal(
                bl_mono_resolution(bl_mono_crystal(crystal), elements, energies[i], 0, &fwhm),
                BL_OK);
            assert_int_equal(
                bl_mono_bragg_deg(bl_mono_crystal(crystal)->d_angstrom, energies[i], &bragg_deg),
                BL_OK);
            single = 1e6 * fwhm.single_ev / energies[i] * tan(bragg_deg * BL_PI / 180);
            if (crystal == BL_SI111 && energies[i] == 7112)
                assert_near(single, 41, 1);
            assert_near(fwhm_urad(crystal, BL_FUNDAMENTAL, energies[i]) / single, 1.35, 0.05);
        }
    }
}

/* Widths of reflections at one angle go as |f|/n^2: 6.446 * 0.900 of Si(333) against 10.54 + 0.21
   of Si(111), 3.081 * 0.680 of Si(933) against 8.17 + 0.21 of Si(311). f0: Waasmaier and Kirfel,
   Acta Cryst. A51 (1995) 416; B = 0.46 A^2; f' of the fundamental at 9 keV: NIST FFAST. */
static void test_third_order_is_narrow(void **state)
{
    (void)state;
    assert_near(fwhm_urad(BL_SI111, BL_THIRD, 9000) / fwhm_urad(BL_SI111, BL_FUNDAMENTAL, 9000),
                6.446 * 0.900 / 10.75 / 9, 0.002);
    assert_near(fwhm_urad(BL_SI311, BL_THIRD, 9000) / fwhm_urad(BL_SI311, BL_FUNDAMENTAL, 9000),
                3.081 * 0.680 / 8.38 / 9, 0.002);
}

/* Even, falling, and in the tails as the inverse square, without a step where the table ends. */
static void test_shape(void **state)
{
    double last = passed(BL_SI111, BL_FUNDAMENTAL, 9000, 0);

    (void)state;
    for (double pitch = 1e-7; pitch < 1e-3; pitch *= 1.01) {
        double now = passed(BL_SI111, BL_FUNDAMENTAL, 9000, pitch);

        assert_true(now < last && now > 0.94 * last);
        assert_near(passed(BL_SI111, BL_FUNDAMENTAL, 9000, -pitch), now, 0);
        last = now;
    }
    assert_near(passed(BL_SI111, BL_FUNDAMENTAL, 9000, 1e-3) /
                    passed(BL_SI111, BL_FUNDAMENTAL, 9000, 2e-3),
                4, 1e-9);
}

/* The integral over energy of what both crystals pass: Si(311) has 0.2 of Si(111). Intrinsic widths
   1.33e-4 and 2.9e-5 (X-ray Data Booklet; Matsushita and Hashizume, Handbook on Synchrotron
   Radiation 1 (1983) 261), of which the product of two curves keeps equal parts. */
static void test_crystals(void **state)
{
    (void)state;
    assert_near(passed(BL_SI311, BL_FUNDAMENTAL, 9000, 0) /
                    passed(BL_SI111, BL_FUNDAMENTAL, 9000, 0),
                2.9e-5 / 1.33e-4, 0.02);
    assert_near(passed(BL_SI111, BL_FUNDAMENTAL, 12000, 0), 1.33e-4, 0.1e-4);
}

static void test_refused(void **state)
{
    double value = 7;

    (void)state;
    assert_int_equal(bl_rocking_passed(rocking, 2, BL_FUNDAMENTAL, 7112, 0, &value), BL_EINVAL);
    assert_int_equal(bl_rocking_passed(rocking, -1, BL_FUNDAMENTAL, 7112, 0, &value), BL_EINVAL);
    assert_int_equal(bl_rocking_passed(rocking, 0, BL_FUNDAMENTAL, 7112, NAN, &value), BL_EINVAL);
    assert_int_equal(bl_rocking_passed(rocking, 0, BL_FUNDAMENTAL, 3000, 0, &value), BL_ERANGE);
    assert_int_equal(bl_rocking_passed(rocking, 0, BL_FUNDAMENTAL, NAN, 0, &value), BL_ERANGE);
    assert_int_equal(bl_rocking_passed(rocking, BL_SI311, BL_FUNDAMENTAL, 3700, 0, &value),
                     BL_ERANGE);
    assert_near(value, 7, 0);
}

static struct bl_position at(const char *name, double energy_ev)
{
    const struct bl_place *place = bl_holder_find(bl_beamline_holder(beamline), name);

    assert_non_null(place);
    return (struct bl_position){.energy_ev = energy_ev,
                                .x_um = place->x_um,
                                .y_um = place->y_um,
                                .ring_ma = 300,
                                .shutter_open = 1,
                                .mirror_out = true};
}

static void light_at(const struct bl_position *position, struct bl_light light[BL_NORDERS])
{
    assert_int_equal(bl_beamline_light(beamline, position, light), BL_OK);
}

/* Charge in a chamber, in eV/s. */
static double charge(const struct bl_light light[BL_NORDERS], int chamber)
{
    double sum = 0;

    for (int i = 0; i < BL_NORDERS; i++)
        sum += light[i].energy_ev * light[i].absorbed[chamber];
    return sum;
}

/* ln(I0/It) with the harmonics, and the fraction h of It's charge that they make without sample. */
static double apparent_mu(const char *name, double energy_ev, double pitch_rad, double *h)
{
    struct bl_position with = at(name, energy_ev), without = at(BL_EMPTY_NAME, energy_ev);
    struct bl_light sample[BL_NORDERS], empty[BL_NORDERS];

    with.pitch_rad = without.pitch_rad = pitch_rad;
    light_at(&with, sample);
    light_at(&without, empty);
    assert_near(sample[BL_THIRD].energy_ev, 3 * sample[BL_FUNDAMENTAL].energy_ev, 1e-9);
    *h = empty[BL_THIRD].energy_ev * empty[BL_THIRD].absorbed[BL_IT] /
         (empty[BL_FUNDAMENTAL].energy_ev * empty[BL_FUNDAMENTAL].absorbed[BL_IT]);
    return log(charge(empty, BL_IT) / charge(sample, BL_IT));
}

/* mu' = ln((1+h)/(exp(-mu)+h exp(-mu3))), far above the edge, where the band is narrow against all
   structure; tuned crystals at 7612 eV have 2 % of their photons and some 0.2 % of the signal in
   the third order, and a fifth of the intensity given away takes it to less than a hundredth. */
static void test_harmonics(void **state)
{
    const struct bl_sample *foil = bl_holder_find(bl_beamline_holder(beamline), "fe_foil")->sample;
    struct bl_position position = at(BL_EMPTY_NAME, 7900);
    struct bl_light light[BL_NORDERS];
    double mu, mu3, h, detuned_h, tuned, detuned;

    (void)state;
    assert_int_equal(bl_sample_mu(foil, &bl_condition_default, elements, 7900, &mu), BL_OK);
    assert_int_equal(bl_sample_mu(foil, &bl_condition_default, elements, 3 * 7900, &mu3), BL_OK);
    tuned = apparent_mu("fe_foil", 7900, 0, &h);
    assert_true(h > 1e-3 && h < 3e-3);
    assert_near(tuned, log((1 + h) / (exp(-mu) + h * exp(-mu3))), 2e-4);
    assert_true(mu - tuned > 3e-3);
    detuned = apparent_mu("fe_foil", 7900, 15e-6, &detuned_h);
    assert_true(detuned_h < h / 100);
    assert_near(detuned, mu, 2e-4);
    light_at(&position, light);
    assert_near(light[BL_THIRD].on_sample / light[BL_FUNDAMENTAL].on_sample, 0.02, 0.005);
}

/* The formula on the numbers of the design: h = 1 % turns 1.36 into 1.334 and 3.0 into 2.85; mu3 is
   a 22nd of mu far above an edge (E^-2.8). It is the sum that the chambers make of both orders. */
static void test_formula(void **state)
{
    const double cases[][2] = {{1.36, 1.334}, {3.0, 2.85}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const double mu = cases[i][0], h = 0.01;
        const struct bl_light empty[BL_NORDERS] = {{1, 0, {0, 1}}, {3, 0, {0, h / 3}}};
        const struct bl_light sample[BL_NORDERS] = {{1, 0, {0, exp(-mu)}},
                                                    {3, 0, {0, h / 3 * exp(-mu / 22)}}};

        assert_near(log(charge(empty, BL_IT) / charge(sample, BL_IT)), cases[i][1], 0.003);
    }
}

/* A pair turned by an angle reflects half way between its crystals: E cot(theta)/2 of it. */
static void test_detuned_energy(void **state)
{
    struct bl_position position = at(BL_EMPTY_NAME, 7112);
    struct bl_light light[BL_NORDERS];

    (void)state;
    light_at(&position, light);
    assert_near(light[BL_FUNDAMENTAL].energy_ev, 7112, 1e-9);
    position.pitch_rad = 20e-6;
    light_at(&position, light);
    assert_near(light[BL_FUNDAMENTAL].energy_ev, 7112 - 7112 * 10e-6 / tan(16.1402 * BL_PI / 180),
                1e-4);
}

/* At 20 keV the third order is at 60 keV; above it the tables end, and with them the harmonic. */
static void test_end_of_tables(void **state)
{
    struct bl_position position = at(BL_EMPTY_NAME, 20000);
    struct bl_light light[BL_NORDERS];

    (void)state;
    light_at(&position, light);
    assert_true(light[BL_THIRD].on_sample > 0);
    position.energy_ev = 20400;
    light_at(&position, light);
    assert_near(light[BL_THIRD].on_sample, 0, 0);
    assert_true(light[BL_FUNDAMENTAL].on_sample > 0);
    position.pitch_rad = INFINITY;
    assert_int_equal(bl_beamline_light(beamline, &position, light), BL_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),        cmocka_unit_test(test_third_order_is_narrow),
        cmocka_unit_test(test_shape),         cmocka_unit_test(test_crystals),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_harmonics),
        cmocka_unit_test(test_formula),       cmocka_unit_test(test_detuned_energy),
        cmocka_unit_test(test_end_of_tables),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
