/* Powder lines: positions, intensities, widths, and a plate's absorption. */
#include "support.h"

#include "constants.h"
#include "powder.h"

#define CU_KA1_ANGSTROM 1.5405929 /* G. Hölzer et al., Phys. Rev. A 56 (1997) 4554 */

static struct bl_elements *elements;
static struct bl_phases *phases;
static const struct bl_powder_beam beam = {BL_HC_EV_ANGSTROM / CU_KA1_ANGSTROM, 1.1};

static int load(void **state)
{
    char err[BL_ERROR_LENGTH] = "";

    elements = load_tables();
    if (bl_phases_load(BEAMLINE_SAMPLES "/phases.dat", elements, &phases, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return make_folder(state);
}

static int unload(void **state)
{
    bl_phases_free(phases);
    bl_elements_free(elements);
    return remove_folder(state);
}

static const struct bl_phase *phase_of(const char *formula_text)
{
    struct bl_formula formula;
    const struct bl_phase *phase;

    assert_int_equal(bl_formula_parse(formula_text, elements, &formula, NULL, 0), BL_OK);
    phase = bl_phases_match(phases, &formula);
    assert_non_null(phase);
    return phase;
}

static double two_theta(double d_angstrom)
{
    double angle = NAN;

    assert_int_equal(bl_powder_two_theta_deg(d_angstrom, CU_KA1_ANGSTROM, &angle), BL_OK);
    return angle;
}

/* What is in the beam: so much of one phase and nothing else. */
static struct bl_powder plate(const struct bl_phase *phase, double areal_g_cm2)
{
    struct bl_powder powder = {
        .phase = phase, .phase_g_cm2 = areal_g_cm2, .areal_density_g_cm2 = areal_g_cm2};
    double photo;

    assert_int_equal(bl_formula_attenuation(&phase->formula, elements, BL_TOTAL, beam.energy_ev,
                                            &powder.attenuation_cm2_g),
                     BL_OK);
    assert_int_equal(
        bl_formula_attenuation(&phase->formula, elements, BL_PHOTOELECTRIC, beam.energy_ev, &photo),
        BL_OK);
    powder.scattering_cm2_g = powder.attenuation_cm2_g - photo;
    return powder;
}

static double rate(const struct bl_powder *powder, double theta_deg, double two_theta_deg)
{
    double value = NAN;

    assert_int_equal(bl_powder_rate(&bl_diffractometer_default, elements, powder, &beam, theta_deg,
                                    two_theta_deg, &value),
                     BL_OK);
    return value;
}

static double coupled(const struct bl_powder *powder, double two_theta_deg)
{
    return rate(powder, two_theta_deg / 2, two_theta_deg);
}

/* Where the detector finds a maximum, by steps of a tenth of a millidegree. */
static double peak(const struct bl_powder *powder, double near_deg)
{
    double best = near_deg;

    for (double at = near_deg - 0.1; at < near_deg + 0.1; at += 1e-4) {
        if (coupled(powder, at) > coupled(powder, best))
            best = at;
    }
    return best;
}

/* NIST SRM 640f and 660c, their certificates' lattice parameters. */
static void test_positions(void **state)
{
    const struct {
        const char *formula;
        int h, k, l;
        double two_theta_deg;
    } expected[] = {
        {"Si", 1, 1, 1, 28.4412},   {"Si", 2, 2, 0, 47.3007},   {"Si", 3, 1, 1, 56.1199},
        {"LaB6", 1, 0, 0, 21.3583}, {"LaB6", 1, 1, 0, 30.3854},
    };

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct bl_phase *phase = phase_of(expected[i].formula);
        const struct bl_powder powder = plate(phase, 0.1);
        size_t n = 0;

        while (n < phase->n_lines &&
               !(phase->line[n].h == expected[i].h && phase->line[n].k == expected[i].k &&
                 phase->line[n].l == expected[i].l))
            n++;
        assert_true(n < phase->n_lines);
        assert_near(two_theta(phase->line[n].d_angstrom), expected[i].two_theta_deg, 1e-4);
        assert_near(peak(&powder, expected[i].two_theta_deg), expected[i].two_theta_deg, 5e-4);
    }
}

/* Relative intensities of silicon and iron with Cu K-alpha and unpolarised light: powder
   diffraction file 27-1402 and 06-0696. */
static void test_intensities(void **state)
{
    const struct {
        const char *formula;
        size_t n;
        double relative[5];
        double tolerance;
    } expected[] = {
        {"Si", 5, {100, 60, 35, 8, 13}, 6},
        {"Fe", 4, {100, 20, 30, 10}, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct bl_phase *phase = phase_of(expected[i].formula);
        double first = 0;

        for (size_t n = 0; n < expected[i].n; n++) {
            const double at = two_theta(phase->line[n].d_angstrom) * BL_PI / 180;
            double squared, intensity;

            assert_int_equal(bl_phase_structure(phase, &phase->line[n], beam.energy_ev, &squared),
                             BL_OK);
            intensity = phase->line[n].multiplicity * squared * (1 + cos(at) * cos(at)) /
                        (sin(at / 2) * sin(at));
            if (n == 0)
                first = intensity / expected[i].relative[0];
            assert_near(intensity / first, expected[i].relative[n], expected[i].tolerance);
        }
    }
}

/* What is forbidden is not there; f' of iron changes its lines at its edge. */
static void test_structure_factors(void **state)
{
    const struct bl_phase *iron = phase_of("Fe"), *silicon = phase_of("Si");
    double at_edge, away;

    (void)state;
    for (size_t n = 0; n < iron->n_lines; n++)
        assert_int_equal((iron->line[n].h + iron->line[n].k + iron->line[n].l) % 2, 0);
    for (size_t n = 0; n < silicon->n_lines; n++) {
        const int h = silicon->line[n].h, k = silicon->line[n].k, l = silicon->line[n].l;

        assert_true((h % 2 && k % 2 && l % 2) || (h + k + l) % 4 == 0);
    }
    assert_int_equal(bl_phase_structure(iron, &iron->line[0], 7112, &at_edge), BL_OK);
    assert_int_equal(bl_phase_structure(iron, &iron->line[0], 6500, &away), BL_OK);
    assert_true(at_edge < 0.85 * away);
    assert_int_equal(bl_phase_structure(iron, &iron->line[0], 2000, &away), BL_ERANGE);
    /* form factor at rest in forward direction: the number of electrons */
    assert_int_equal(
        bl_scatterer_amplitude(silicon->scatterer[0], 0, beam.energy_ev, &at_edge, &away), BL_OK);
    assert_near(at_edge, 14 + 0.25, 0.05); /* f' = 0.25: Chantler */
}

/* Scherrer: K lambda/(D cos theta); a stress-free standard shows the instrument alone. */
static void test_widths(void **state)
{
    double gaussian, lorentzian, none;

    (void)state;
    bl_powder_widths(&bl_diffractometer_default, &beam, 400, 44.67, &gaussian, &lorentzian);
    assert_near(lorentzian,
                0.94 * CU_KA1_ANGSTROM / (400 * cos(22.335 * BL_PI / 180)) * 180 / BL_PI, 1e-9);
    bl_powder_widths(&bl_diffractometer_default, &beam, 0, 28.44, &gaussian, &none);
    assert_near(none, 0, 0);
    assert_near(gaussian, 0.035, 0.002); /* slit 0.05 deg of variance 0.05^2/12, band 0.004 deg */
}

/* The area of a line in two-theta: Warren's integrated intensity of a thick plate in symmetric
   reflection, by hand for Si 111. */
static void test_absolute(void **state)
{
    const struct bl_phase *silicon = phase_of("Si");
    const struct bl_powder thick = plate(silicon, 10.0);
    const double theta = 14.2206 * BL_PI / 180, mu_cm = thick.attenuation_cm2_g * 2.329;
    const double f = 4 * sqrt(2.0) * (10.54 + 0.25) * 0.989; /* f0 10.54, exp(-B s^2) 0.989 */
    const double cone = pow(2.818e-13, 2) * pow(1.5406e-8, 3) * 8 * f * f /
                        (4 * pow(160.2e-24, 2) * sin(theta)) *
                        (0.95 + 0.05 * pow(cos(2 * theta), 2));
    const double expected = cone / (2 * mu_cm) * 10 / (2 * BL_PI * 500 * sin(2 * theta)) * 0.05;
    double area = 0, background = coupled(&thick, 26.0);

    (void)state;
    for (double at = 27.4412; at < 29.4412; at += 1e-3)
        area += 1e-3 * (coupled(&thick, at) - background);
    assert_near(area / expected, 1, 0.04);
}

/* A thin plate's yield grows with what is lit, a thick one's stays; nothing comes along its
   surface, and through it only what it lets pass. */
static void test_plate(void **state)
{
    const struct bl_phase *iron = phase_of("Fe");
    const struct bl_powder thin = plate(iron, 1e-6), thick = plate(iron, 1.0);
    const double at = two_theta(iron->line[0].d_angstrom);
    const double air = rate(&(struct bl_powder){0}, at / 2, at);

    (void)state;
    assert_true(air > 0);
    assert_near((rate(&thin, at / 4, at) - air) / (rate(&thin, at / 2, at) - air),
                sin(at / 2 * BL_PI / 180) / sin(at / 4 * BL_PI / 180), 1e-2);
    assert_true(rate(&thick, at / 2, at) > 1000 * air);
    assert_near(rate(&thick, 0, at), air, 0);
    assert_near(rate(&thick, at, at), air, 0);
    assert_near(rate(&thick, 90 + at / 2, at), air, 1e-3 * air);
    assert_true(rate(&thin, 90 + at / 2, at) > 1.1 * air);
    assert_near(rate(&thick, -at / 2, -at), rate(&thick, at / 2, at), 1e-20);
    assert_near(rate(&thick, 0, 0.5), 0, 0); /* behind the beam stop */
}

static void test_arguments(void **state)
{
    const struct bl_powder nothing = {0};
    double value;

    (void)state;
    assert_int_equal(bl_powder_two_theta_deg(0.5, CU_KA1_ANGSTROM, &value), BL_ERANGE);
    assert_int_equal(bl_powder_two_theta_deg(-1, CU_KA1_ANGSTROM, &value), BL_ERANGE);
    assert_int_equal(
        bl_powder_rate(&bl_diffractometer_default, elements, &nothing, &beam, NAN, 20, &value),
        BL_EINVAL);
}

static void refuse(const char *content, const char *reason)
{
    struct bl_phases *loaded = (struct bl_phases *)1;
    char err[BL_ERROR_LENGTH] = "";

    assert_int_equal(
        bl_phases_load(write_file("phases.dat", content), elements, &loaded, err, sizeof err),
        BL_EFORMAT);
    assert_null(loaded);
    assert_contains(err, reason);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("1 2 3\n", "phases.dat line 1: expected a scatterer first");
    refuse("sites Fe 0.3\n", "line 1: expected a scatterer, or a phase, before");
    refuse("scatterer Xx 0.02\n", "of an element");
    refuse("scatterer Fe 0.02\n26 25\nanomalous 5000 1 1\nanomalous 4000 1 1\n",
           "line 4: expected 'anomalous ENERGY_EV F1 F2' with rising energies");
    refuse("phase iron Fe 23.5 7.9\n", "VOLUME_A3 DENSITY_G_CM3 SIZE_A");
    refuse("phase iron Fy 23.5 7.9 0\n", "unknown element");
    refuse("phase iron Fe 23.5 7.9 0\nsites Fe 0.3\n", "scatterers given above");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),         cmocka_unit_test(test_intensities),
        cmocka_unit_test(test_structure_factors), cmocka_unit_test(test_widths),
        cmocka_unit_test(test_absolute),          cmocka_unit_test(test_plate),
        cmocka_unit_test(test_arguments),         cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
