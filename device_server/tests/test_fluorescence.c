/* Fluorescence: lines, emission with self-absorption, the detector, and samples as they are set. */
#include "support.h"

#include "beam.h"
#include "constants.h"

static struct bl_elements *elements;
static struct bl_lines *lines;
static struct bl_beamline *beamline;

static int load(void **state)
{
    const struct bl_load_options options = {.samples_folder = BEAMLINE_SAMPLES};
    char err[BL_ERROR_LENGTH] = "";

    elements = load_tables();
    if (bl_lines_load(BEAMLINE_SAMPLES "/fluorescence.dat", elements, &lines, err, sizeof err) !=
            BL_OK ||
        bl_beamline_load(&options, &beamline, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return make_folder(state);
}

static int unload(void **state)
{
    bl_beamline_free(beamline);
    bl_lines_free(lines);
    bl_elements_free(elements);
    return remove_folder(state);
}

static const struct bl_sample *sample_named(const char *name)
{
    const struct bl_place *place = bl_holder_find(bl_beamline_holder(beamline), name);

    assert_non_null(place);
    return place->sample;
}

static int symbol(const char *name)
{
    int z;

    assert_int_equal(bl_elements_find(elements, name, &z), BL_OK);
    return z;
}

/* Fe: yield 0.351 and jump ratio 8.2 (Elam et al. 2002: 0.351; Krause, J. Phys. Chem. Ref. Data 8
   (1979) 307: 0.34), Ka at 6400.8 eV (weighted mean of 6403.8 and 6390.8, Bearden 1967). Pt has
   three L shells, outermost electrons last. */
static void test_lines(void **state)
{
    size_t n;
    const struct bl_shell *iron = bl_lines_shells(lines, symbol("Fe"), &n);

    (void)state;
    assert_int_equal(n, 1);
    assert_string_equal(iron->edge, "K");
    assert_near(iron->edge_ev, 7112, 1);
    assert_near(iron->yield, 0.345, 0.01);
    assert_near(iron->jump, 1 - 1 / 8.2, 0.01);
    assert_near(iron->line[0].energy_ev, 6400.8, 3);
    assert_near(iron->line[0].part, 0.88, 0.01);
    iron = bl_lines_shells(lines, symbol("Pt"), &n);
    assert_int_equal(n, 3);
    assert_string_equal(iron[0].edge, "L1");
    assert_string_equal(iron[2].edge, "L3");
    assert_near(iron[2].line[2].energy_ev, 9442, 3); /* La1 9442.3, Bearden */
    assert_null(bl_lines_shells(lines, 0, &n));
    assert_int_equal(n, 0);
    bl_lines_shells(lines, symbol("H"), &n);
    assert_int_equal(n, 0);
}

static void test_bad_lines(void **state)
{
    static const char *const cases[] = {
        "shell Fe\n",
        "shells Fe K 0.35 6400 1\n",
        "shell Fe K 1.35 6400 1\n",
        "shell Fe K 0.35\n",
        "shell Fe K 0.35 6400\n",
        "shell Fe K 0.35 7400 0.5\n",
        "shell Fe K 0.35 6400 1.5\n",
        "shell Xx K 0.35 6400 1\n",
        "shell Fe L9 0.35 6400 1\n",
        "shell Fe K 0.35 1 .1 2 .1 3 .1 4 .1 5 .1 6 .1 7 .1 8 .1 9 .1\n",
    };
    struct bl_lines *bad;
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_file("lines.dat", cases[i]);

        assert_true(bl_lines_load(path, elements, &bad, err, sizeof err) != BL_OK);
        assert_null(bad);
        assert_contains(err, "lines.dat line 1: expected 'shell SYMBOL EDGE");
    }
    assert_int_equal(bl_lines_load("/nowhere/lines.dat", elements, &bad, err, sizeof err), BL_EIO);
}

static double line_photons(const struct bl_emission *emission, double energy_ev)
{
    for (size_t i = 0; i < emission->n; i++) {
        if (fabs(emission->line[i].energy_ev - energy_ev) < 1)
            return emission->line[i].photons;
    }
    return 0;
}

/* R = flux eps (muK/sin a) (1 - exp(-S t))/S, S = muT(E)/sin a + muT(Ef)/sin b, written out for 5
   um of Fe at 7900 eV, whatever the angle; along the surface nothing comes. */
static void test_emission(void **state)
{
    const struct bl_sample *foil = sample_named("fe_foil");
    size_t n;
    const struct bl_shell *shell = bl_lines_shells(lines, symbol("Fe"), &n);
    const double angles[] = {0, 30, 45, 60, -30};
    double mu, mu_line, photo, total, scattering;

    (void)state;
    assert_int_equal(bl_sample_mu(foil, &bl_condition_default, elements, 7900, &mu), BL_OK);
    assert_int_equal(bl_sample_mu(foil, &bl_condition_default, elements, 6400.8, &mu_line), BL_OK);
    assert_int_equal(bl_sample_of_tables(foil, elements, 7900, &total), BL_OK);
    assert_int_equal(bl_elements_attenuation(elements, 26, BL_PHOTOELECTRIC, 7900, &photo), BL_OK);
    photo *= foil->areal_density_g_cm2;
    scattering = total - photo;
    for (size_t i = 0; i < sizeof angles / sizeof *angles; i++) {
        const struct bl_plate plate = {foil, bl_condition_default, mu, angles[i]};
        const double theta = angles[i] * BL_PI / 180;
        const double in = cos(theta), out = cos(BL_PI / 4 - theta);
        const double s = mu / in + mu_line / out, elastic = mu / in + mu / out;
        const double mu_k = mu - total + photo * shell->jump; /* what the file has, less the rest */
        struct bl_emission emission = {0};

        assert_int_equal(bl_emission_of(&plate, elements, lines, 7900, 1e10, &emission), BL_OK);
        assert_near(line_photons(&emission, 6400.8),
                    1e10 * shell->yield * shell->line[0].part * mu_k / in * (1 - exp(-s)) / s, 1e3);
        assert_near(line_photons(&emission, 7900),
                    1e10 * 0.75 * scattering / in * (1 - exp(-elastic)) / elastic, 1e3);
    }
    for (int i = 0; i < 2; i++) {
        const struct bl_plate plate = {foil, bl_condition_default, mu, i ? 90 : 135};
        struct bl_emission emission = {0};

        assert_int_equal(bl_emission_of(&plate, elements, lines, 7900, 1e10, &emission), BL_OK);
        assert_int_equal(emission.n, 0);
    }
}

/* A thin sample fluoresces in proportion to mu, a thick one saturates: the step of a spectrum is
   damped as mu/(mu + mu_f), the classic self-absorption. */
static void test_self_absorption(void **state)
{
    const struct bl_sample *foil = sample_named("fe_foil");
    double step[2];

    (void)state;
    for (int thick = 0; thick < 2; thick++) {
        const struct bl_condition condition = {.thickness = thick ? 100 : 0.01, .concentration = 1};
        double at[2];

        for (int i = 0; i < 2; i++) {
            const double energy = i ? 7130 : 7900;
            struct bl_plate plate = {foil, condition, 0, 0};
            struct bl_emission emission = {0};

            assert_int_equal(bl_sample_mu(foil, &condition, elements, energy, &plate.mu), BL_OK);
            assert_int_equal(bl_emission_of(&plate, elements, lines, energy, 1, &emission), BL_OK);
            at[i] = line_photons(&emission, 6400.8);
        }
        step[thick] = at[1] / at[0];
    }
    assert_true(step[0] > 1.2 * step[1]);
    assert_near(step[1], 1, 0.1);
}

/* Dead time n/(1+n tau): 1 us turns 7.2e5 cps into 4.2e5 (it is not the paralysed n exp(-n tau),
   which would leave 3.5e5). */
static void test_dead_time(void **state)
{
    (void)state;
    assert_near(bl_xrf_seen(7.2e5, 1e-6), 4.186e5, 100);
    assert_near(bl_xrf_seen(7.2e5, 0), 7.2e5, 0);
    assert_near(bl_xrf_seen(1e12, 1e-6), 1e6, 1e1);
}

/* 140 eV at Mn Ka, as data sheets of silicon drift detectors have it; nearly all of a line lies
   within 1.3 FWHM; 450 um of Si stop all of Fe Ka and some 45 % at 20 keV (NIST XCOM: 4.0 cm^2/g).
 */
static void test_detector(void **state)
{
    double at_iron, at_20_kev;

    (void)state;
    assert_near(bl_xrf_fwhm_ev(&bl_xrf_default, 5895), 139, 3);
    assert_near(bl_xrf_between(&bl_xrf_default, 6400, 6200, 6600), 0.999, 2e-3);
    assert_near(bl_xrf_between(&bl_xrf_default, 6400, 0, 6400), 0.5, 1e-9);
    assert_int_equal(bl_xrf_efficiency(&bl_xrf_default, elements, 6400, &at_iron), BL_OK);
    assert_int_equal(bl_xrf_efficiency(&bl_xrf_default, elements, 20000, &at_20_kev), BL_OK);
    assert_near(at_iron, exp(-14.8 * 1.2e-3 * 5), 0.01); /* 5 cm of N2 (XCOM: 14.8 cm^2/g) */
    assert_near(at_20_kev, 1 - exp(-4.0 * 2.329 * 0.045), 0.03);
    assert_int_equal(bl_xrf_efficiency(&bl_xrf_default, elements, 100, &at_iron), BL_ERANGE);
}

/* The mean spectrum holds all photons; a drawn one is Poisson in every channel (chi-square over 200
   spectra) and has exactly what was counted in the region. */
static void test_spectrum(void **state)
{
    struct bl_emission seen = {0};
    double mean[BL_MCA_CHANNELS], drawn[BL_MCA_CHANNELS], again[BL_MCA_CHANNELS];
    double sum = 0, in_region = 0, chi2 = 0, n_chi2 = 0;
    struct bl_rng rng;

    (void)state;
    bl_emission_add(&seen, 6400, 4e5);
    bl_emission_add(&seen, 7300, 1e5);
    bl_emission_add(&seen, 6400, 1e5);
    assert_int_equal(seen.n, 2);
    bl_xrf_spectrum(&bl_xrf_default, &seen, NULL, 0, 0, 0, mean);
    for (size_t i = 0; i < BL_MCA_CHANNELS; i++)
        sum += mean[i];
    assert_near(sum, 6e5, 1);
    for (uint64_t seed = 0; seed < 200; seed++) {
        bl_rng_seed(&rng, seed);
        bl_xrf_spectrum(&bl_xrf_default, &seen, &rng, 2000, 1000, 0, drawn);
        for (size_t i = 600; i < 760; i++) {
            if (mean[i] < 10)
                continue;
            chi2 += (drawn[i] - mean[i]) * (drawn[i] - mean[i]) / mean[i];
            n_chi2++;
        }
    }
    assert_true(n_chi2 > 5000);
    assert_near(chi2 / n_chi2, 1, 5 * sqrt(2 / n_chi2));
    bl_rng_seed(&rng, 5);
    bl_xrf_spectrum(&bl_xrf_default, &seen, &rng, 620, 659, 499321, drawn);
    for (size_t i = 620; i < 660; i++) {
        in_region += drawn[i];
        assert_near(drawn[i], rint(drawn[i]), 0);
    }
    assert_near(in_region, 499321, 0);
    bl_rng_seed(&rng, 5);
    bl_xrf_spectrum(&bl_xrf_default, &seen, &rng, 620, 659, 499321, again);
    assert_memory_equal(drawn, again, sizeof drawn);
}

/* Where there is no room for another line, its photons go to the nearest. */
static void test_full_emission(void **state)
{
    struct bl_emission emission = {0};

    (void)state;
    for (int i = 0; i < BL_EMISSION_LINES; i++)
        bl_emission_add(&emission, 1000 + 100 * i, 1);
    bl_emission_add(&emission, 1410, 1);
    assert_int_equal(emission.n, BL_EMISSION_LINES);
    assert_near(line_photons(&emission, 1400), 2, 0);
}

/* Thickness and concentration of a dilute sample; foils are all element, so that both are one. */
static void test_condition(void **state)
{
    const struct bl_sample *dilute = sample_named("fe2o3_dilute"), *foil = sample_named("fe_foil");
    const struct bl_condition twice = {.thickness = 2, .concentration = 1};
    const struct bl_condition none = {.thickness = 1, .concentration = 0};
    const struct bl_condition more = {.thickness = 1, .concentration = 2};
    double once, two, without, doubled, all, iron;

    (void)state;
    assert_int_equal(bl_sample_mu(dilute, &bl_condition_default, elements, 7300, &once), BL_OK);
    assert_int_equal(bl_sample_mu(dilute, &twice, elements, 7300, &two), BL_OK);
    assert_int_equal(bl_sample_mu(dilute, &none, elements, 7300, &without), BL_OK);
    assert_int_equal(bl_sample_mu(dilute, &more, elements, 7300, &doubled), BL_OK);
    assert_near(two, 2 * once, 1e-12);
    assert_near(doubled - once, once - without, 1e-12);
    assert_int_equal(bl_sample_of_tables(dilute, elements, 7300, &all), BL_OK);
    assert_int_equal(bl_elements_attenuation(elements, 26, BL_TOTAL, 7300, &iron), BL_OK);
    assert_near(without,
                all -
                    dilute->areal_density_g_cm2 * bl_formula_fraction(&dilute->formula, 26) * iron,
                1e-12);
    assert_int_equal(bl_sample_mu(foil, &bl_condition_default, elements, 7300, &once), BL_OK);
    assert_int_equal(bl_sample_mu(foil, &more, elements, 7300, &doubled), BL_OK);
    assert_near(doubled, 2 * once, 1e-9);
}

/* sigma^2 of Cu's first shell: 0.0084 to 0.0089 A^2 at 300 K, 0.0032 to 0.0036 at 80 K (Stern et
   al., Phys. Rev. B 21 (1980) 5521; Fornasini et al., Phys. Rev. B 70 (2004) 174301). The spectrum
   is damped by exp(-2 k^2 dsigma^2), the smooth part and the edge are not. */
static void test_temperature(void **state)
{
    const struct bl_sample *foil = sample_named("cu_foil");
    const struct bl_condition cold = {.thickness = 1, .concentration = 1, .temperature_k = 80};
    const struct bl_condition warm = {.thickness = 1, .concentration = 1, .temperature_k = 300};
    double before, after, smooth;

    (void)state;
    assert_near(foil->temperature_k, 300, 0);
    assert_near(bl_sample_sigma2(foil, 300), 0.0087, 0.0007);
    assert_near(bl_sample_sigma2(foil, 80), 0.0034, 0.0004);
    assert_near(bl_sample_sigma2(foil, 0), bl_sample_sigma2(foil, 1), 1e-6);
    for (double e = 8985; e < 9700; e += 7.3) {
        const double k2 = 0.26246842 * (e - foil->edge_ev);
        const double left =
            exp(-2 * k2 * (bl_sample_sigma2(foil, 80) - bl_sample_sigma2(foil, 300)));

        assert_int_equal(bl_sample_of_tables(foil, elements, e, &smooth), BL_OK);
        assert_int_equal(bl_sample_mu(foil, &warm, elements, e, &before), BL_OK);
        assert_int_equal(bl_sample_mu(foil, &cold, elements, e, &after), BL_OK);
        assert_near(after - smooth, left * (before - smooth), 1e-9);
    }
    assert_int_equal(bl_sample_mu(foil, &warm, elements, 8900, &before), BL_OK);
    assert_int_equal(bl_sample_mu(foil, &cold, elements, 8900, &after), BL_OK);
    assert_near(after, before, 0);
}

/* A powder has a formula and an amount, the tables' absorption, and lines of its phase. */
static void test_powder_sample(void **state)
{
    const struct bl_place *place = bl_holder_find(bl_beamline_holder(beamline), "lab6_powder");
    struct bl_position position = {.energy_ev = 8047.8, .ring_ma = 300, .shutter_open = 1};
    struct bl_light light[BL_NORDERS];
    double mu, table, on, off, two_theta;

    (void)state;
    assert_non_null(place);
    assert_string_equal(place->sample->title, "LaB6 powder, 20 um");
    assert_int_equal(place->sample->z, 0);
    assert_int_equal(bl_sample_mu(place->sample, &bl_condition_default, elements, 8000, &mu),
                     BL_OK);
    assert_int_equal(
        bl_formula_attenuation(&place->sample->formula, elements, BL_TOTAL, 8000, &table), BL_OK);
    assert_near(mu, 0.0047 * table, 1e-12);
    assert_string_equal(bl_beamline_phase(beamline, place)->name, "lanthanum_hexaboride");
    position.x_um = place->x_um;
    position.y_um = place->y_um;
    assert_int_equal(bl_beamline_light(beamline, &position, light), BL_OK);
    /* 110 of LaB6, a = 4.156826 A: 30.3854 deg at Cu Ka1 (NIST SRM 660) */
    assert_int_equal(bl_powder_two_theta_deg(4.156826 / sqrt(2.0), 1.5405929, &two_theta), BL_OK);
    assert_near(two_theta, 30.3854, 2e-4);
    position.diff_tth_deg = 30.385;
    position.diff_th_deg = 15.19;
    assert_int_equal(bl_beamline_diffracted(beamline, &position, light, &on), BL_OK);
    position.diff_tth_deg = 31.5;
    assert_int_equal(bl_beamline_diffracted(beamline, &position, light, &off), BL_OK);
    assert_true(on > 100 * off && off > 0);
    position.energy_ev = 22000; /* beyond the phases' tables: no lines, no error */
    assert_int_equal(bl_beamline_light(beamline, &position, light), BL_OK);
    assert_int_equal(bl_beamline_diffracted(beamline, &position, light, &on), BL_OK);
    assert_true(on > 0 && on < 2 * off);
}

static void test_bad_powders(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"name: x\n", "lacks formula or areal_density"},
        {"formula: Si\n", "lacks formula or areal_density"},
        {"areal_density: -1 g/cm^2\n", "line 1: areal_density must be a number"},
        {"formula: Xx\n", "line 1: "},
        {"# fine\nthickness: 3\n", "line 2: 'thickness"},
    };
    struct bl_sample *sample;
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_file("bad.powder", cases[i].text);

        assert_true(bl_sample_load_powder(path, elements, &sample, err, sizeof err) != BL_OK);
        assert_null(sample);
        assert_contains(err, cases[i].words);
    }
    assert_int_equal(bl_sample_load_powder(write_file("good.powder", "formula: Si\n"
                                                                     "areal_density: 1 g/cm^2\n"),
                                           elements, &sample, err, sizeof err),
                     BL_OK);
    assert_string_equal(sample->title, "good");
    bl_sample_free(sample);
    assert_int_equal(bl_sample_load_powder("/nowhere/x.powder", elements, &sample, err, sizeof err),
                     BL_EIO);
}

/* In the beam: harmonics excite too, an empty place emits nothing. */
static void test_in_the_beam(void **state)
{
    const struct bl_place *place = bl_holder_find(bl_beamline_holder(beamline), "cu_foil");
    struct bl_position position = {.energy_ev = 7000, .ring_ma = 300, .shutter_open = 1};
    struct bl_light light[BL_NORDERS];
    struct bl_emission emission;

    (void)state;
    position.x_um = place->x_um;
    position.y_um = place->y_um;
    assert_int_equal(bl_beamline_light(beamline, &position, light), BL_OK);
    assert_int_equal(bl_beamline_emission(beamline, &position, light, &emission), BL_OK);
    assert_near(line_photons(&emission, 8039.7), 0, 0);
    position.mirror_out = true; /* 21 keV is above the K edge of Cu */
    assert_int_equal(bl_beamline_light(beamline, &position, light), BL_OK);
    assert_int_equal(bl_beamline_emission(beamline, &position, light, &emission), BL_OK);
    assert_true(line_photons(&emission, 8039.7) > 1e4);
    place = bl_holder_find(bl_beamline_holder(beamline), BL_EMPTY_NAME);
    position.x_um = place->x_um;
    position.y_um = place->y_um;
    assert_int_equal(bl_beamline_emission(beamline, &position, light, &emission), BL_OK);
    assert_int_equal(emission.n, 0);
    assert_near(bl_beamline_xrf(beamline)->dead_time_s, 1e-6, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_emission),      cmocka_unit_test(test_self_absorption),
        cmocka_unit_test(test_dead_time),     cmocka_unit_test(test_detector),
        cmocka_unit_test(test_spectrum),      cmocka_unit_test(test_full_emission),
        cmocka_unit_test(test_condition),     cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_powder_sample), cmocka_unit_test(test_bad_powders),
        cmocka_unit_test(test_in_the_beam),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
