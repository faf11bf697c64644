/* The beamline as a whole: absorbed photons against the numbers of the design and measured files.
 */
#include "support.h"

#include <pthread.h>

#include "beam.h"
#include "rng.h"
#include "xdi.h"

static struct bl_beamline *library;

static struct bl_beamline *load_beamline(const char *folder, const char *const *files, size_t n)
{
    const struct bl_load_options options = {.samples_folder = folder,
                                            .tables_file = BEAMLINE_SAMPLES "/elements.dat",
                                            .sample_files = files,
                                            .n_sample_files = n};
    struct bl_beamline *beamline;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_beamline_load(&options, &beamline, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return beamline;
}

static int load(void **state)
{
    library = load_beamline(BEAMLINE_SAMPLES, NULL, 0);
    return make_folder(state);
}

static int unload(void **state)
{
    bl_beamline_free(library);
    return remove_folder(state);
}

static struct bl_position at(const struct bl_beamline *beamline, const char *name, double energy_ev)
{
    const struct bl_place *place = bl_holder_find(bl_beamline_holder(beamline), name);

    assert_non_null(place);
    return (struct bl_position){.energy_ev = energy_ev,
                                .x_um = place->x_um,
                                .y_um = place->y_um,
                                .ring_ma = 300,
                                .shutter_open = 1};
}

/* Of the fundamental: the mirror keeps the harmonics out. */
static void absorbed_at(const struct bl_beamline *beamline, const struct bl_position *position,
                        double photons[BL_NCHAMBERS])
{
    struct bl_light light[BL_NORDERS];

    assert_int_equal(bl_beamline_light(beamline, position, light), BL_OK);
    for (int i = 0; i < BL_NCHAMBERS; i++) {
        photons[i] = light[BL_FUNDAMENTAL].absorbed[i];
        assert_near(light[BL_THIRD].absorbed[i], 0, 0);
    }
}

static void absorbed(const struct bl_beamline *beamline, const char *name, double energy_ev,
                     double photons[BL_NCHAMBERS])
{
    const struct bl_position position = at(beamline, name, energy_ev);

    absorbed_at(beamline, &position, photons);
}

/* mu*t as a user gets it: against the empty place, so that chambers cancel. */
static double measured_mu(const struct bl_beamline *beamline, const char *name, double energy_ev)
{
    double with[BL_NCHAMBERS], without[BL_NCHAMBERS];

    absorbed(beamline, name, energy_ev, with);
    absorbed(beamline, BL_EMPTY_NAME, energy_ev, without);
    assert_near(with[BL_I0], without[BL_I0], 0);
    return log(without[BL_IT] / with[BL_IT]);
}

/* 5 um of Fe: mu*t 1.36 at 7612 eV and a step of 1.38 to 1.40 (xraydb 4.5.8, Elam). chi(k) is
   averaged out over some oscillations; 1 % is what remains of it. */
static void test_iron_foil(void **state)
{
    double mean = 0, weight = 0;

    (void)state;
    for (double e = 7512; e <= 7712; e += 2, weight++)
        mean += measured_mu(library, "fe_foil", e);
    assert_near(mean / weight, 1.36, 0.0136);
    assert_near(bl_holder_find(bl_beamline_holder(library), "fe_foil")->sample->edge_step, 1.39,
                0.01);
    assert_true(measured_mu(library, "fe_foil", 7100) < 0.25);
    assert_true(measured_mu(library, "fe_foil", 7132) > 1.4);
}

/* Sigma of mu*t is 6.2e-5 for 1 s of 1e10 photons/s at mu*t = 1.36, I0 10 cm and It 15 cm of N2:
   Poisson statistics of the absorbed photons, from the rates and from 4000 simulated counts. */
static void test_noise(void **state)
{
    double rate[BL_NCHAMBERS], scale, sum = 0, sum2 = 0;
    struct bl_rng rng;
    const int n = 4000;

    (void)state;
    absorbed(library, "fe_foil", 7612, rate);
    scale = 1e10 * 0.09943 / rate[BL_I0]; /* to 1e10 photons/s at this energy */
    assert_near(sqrt((1 / rate[BL_I0] + 1 / rate[BL_IT]) / scale), 6.2e-5, 0.15e-5);
    bl_rng_seed(&rng, 11);
    for (int i = 0; i < n; i++) {
        double i0 = (double)bl_rng_poisson(&rng, scale * rate[BL_I0]);
        double it = (double)bl_rng_poisson(&rng, scale * rate[BL_IT]);
        double deviation = log(i0 / it) - log(rate[BL_I0] / rate[BL_IT]);

        sum += deviation / n;
        sum2 += deviation * deviation / n;
    }
    assert_near(sum, 0, 5 * 6.2e-5 / sqrt(n));
    assert_near(sqrt(sum2), 6.2e-5, 0.4e-5);
}

/* V/F counts of order 1e5/s. */
static void test_count_rates(void **state)
{
    double rate[BL_NCHAMBERS];

    (void)state;
    for (double e = 7000; e <= 9500; e += 500) {
        absorbed(library, BL_EMPTY_NAME, e, rate);
        for (int i = 0; i < BL_NCHAMBERS; i++) {
            double counts = bl_chamber_counts(bl_beamline_chamber(library, i), e, rate[i]);

            assert_true(counts > 2e4 && counts < 5e5);
        }
    }
}

/* Chambers and reference in the order of the beam. */
static void test_order_in_beam(void **state)
{
    double bare[BL_NCHAMBERS], foil[BL_NCHAMBERS], both[BL_NCHAMBERS], absorb[3], pass[3];
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    assert_string_equal(bl_beamline_reference(library)->name, "fe_foil");
    assert_int_equal(bl_beamline_set_reference(library, BL_EMPTY_NAME, err, sizeof err), BL_OK);
    absorbed(library, BL_EMPTY_NAME, 7300, bare);
    for (int i = 0; i < BL_NCHAMBERS; i++)
        assert_int_equal(bl_chamber_fractions(bl_beamline_chamber(library, i),
                                              bl_beamline_elements(library), 7300, &absorb[i],
                                              &pass[i]),
                         BL_OK);
    assert_near(bare[BL_IT] / bare[BL_I0], pass[0] * absorb[1] / absorb[0], 1e-12);
    assert_near(bare[BL_IR] / bare[BL_IT], pass[1] * absorb[2] / absorb[1], 1e-12);
    absorbed(library, "fe_foil", 7300, foil);
    assert_near(foil[BL_IR] / bare[BL_IR], foil[BL_IT] / bare[BL_IT], 1e-12);
    assert_int_equal(bl_beamline_set_reference(library, "fe_foil", err, sizeof err), BL_OK);
    absorbed(library, BL_EMPTY_NAME, 7300, both);
    assert_near(both[BL_IT], bare[BL_IT], 0);
    assert_near(both[BL_IR] / bare[BL_IR], foil[BL_IT] / bare[BL_IT], 1e-12);
    assert_int_equal(bl_beamline_set_reference(library, "gold", err, sizeof err), BL_ENOTFOUND);
    assert_contains(err, "no place 'gold' on the sample holder");
    assert_string_equal(bl_beamline_reference(library)->name, "fe_foil");
}

/* Flux follows ring current and shutter; a closed shutter leaves nothing. */
static void test_intensity(void **state)
{
    struct bl_position position = at(library, "fe_foil", 7000);
    double full[BL_NCHAMBERS], half[BL_NCHAMBERS];

    (void)state;
    absorbed_at(library, &position, full);
    position.ring_ma = 150;
    absorbed_at(library, &position, half);
    for (int i = 0; i < BL_NCHAMBERS; i++)
        assert_near(half[i], full[i] / 2, 1e-9 * full[i]);
    position.shutter_open = 0;
    absorbed_at(library, &position, half);
    for (int i = 0; i < BL_NCHAMBERS; i++)
        assert_near(half[i], 0, 0);
}

static void test_refused_positions(void **state)
{
    const struct bl_position good = at(library, "fe_foil", 7112);
    struct bl_position bad;
    struct bl_light light[BL_NORDERS] = {{.energy_ev = 3}};
    double fwhm;

    (void)state;
    const struct {
        double energy, x, ring, shutter;
        int crystal, status;
    } cases[] = {
        {3000, 0, 300, 1, 0, BL_ERANGE},      {40000, 0, 300, 1, 0, BL_ERANGE},
        {NAN, 0, 300, 1, 0, BL_EINVAL},       {7112, NAN, 300, 1, 0, BL_EINVAL},
        {7112, 0, -1, 1, 0, BL_EINVAL},       {7112, 0, 300, 1.1, 0, BL_EINVAL},
        {7112, 0, 300, NAN, 0, BL_EINVAL},    {7112, 0, 300, 1, 2, BL_EINVAL},
        {7112, 0, INFINITY, 1, 0, BL_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bad = good;
        bad.energy_ev = cases[i].energy;
        bad.x_um = cases[i].x;
        bad.ring_ma = cases[i].ring;
        bad.shutter_open = cases[i].shutter;
        bad.crystal = cases[i].crystal;
        assert_int_equal(bl_beamline_light(library, &bad, light), cases[i].status);
        assert_near(light[0].energy_ev, 3, 0); /* untouched on failure */
    }
    assert_int_equal(bl_beamline_resolution(library, 0, 7112, &fwhm), BL_OK);
    assert_near(fwhm, 0.97, 0.01);
    assert_int_equal(bl_beamline_resolution(library, 5, 7112, &fwhm), BL_EINVAL);
    assert_null(bl_beamline_chamber(library, BL_NCHAMBERS));
    assert_null(bl_beamline_chamber(library, -1));
}

/* A library sample is broadened by the monochromator: the mean of the transmitted intensity over a
   Gaussian of its width, here by a fine sum; better crystals broaden less. */
static void test_resolution_applied(void **state)
{
    const struct bl_sample *foil = bl_holder_find(bl_beamline_holder(library), "fe_foil")->sample;
    double largest = 0;

    (void)state;
    for (double e = 7100; e < 7160; e += 0.37) {
        double fwhm, mu, sum = 0, norm = 0, expected;

        assert_int_equal(bl_beamline_resolution(library, BL_SI111, e, &fwhm), BL_OK);
        for (double x = -3 * fwhm; x <= 3 * fwhm; x += 0.002) {
            double weight = exp(-4 * log(2.0) * x * x / (fwhm * fwhm));

            assert_int_equal(bl_sample_mu(foil, &bl_condition_default,
                                          bl_beamline_elements(library), e + x, &mu),
                             BL_OK);
            sum += weight * exp(-mu);
            norm += weight;
        }
        expected = -log(sum / norm);
        assert_int_equal(
            bl_sample_mu(foil, &bl_condition_default, bl_beamline_elements(library), e, &mu),
            BL_OK);
        assert_near(measured_mu(library, "fe_foil", e), expected, 2e-4);
        largest = fmax(largest, fabs(expected - mu));
    }
    assert_true(largest > 5e-3); /* it does matter */
}

/* ln(I0/It) as the V/F converters count it, which is what a scan shows. */
static double counted_mu(const struct bl_beamline *beamline, const char *name, double energy_ev)
{
    double rate[BL_NCHAMBERS];

    absorbed(beamline, name, energy_ev, rate);
    return log(bl_chamber_counts(bl_beamline_chamber(beamline, BL_I0), energy_ev, rate[BL_I0]) /
               bl_chamber_counts(bl_beamline_chamber(beamline, BL_IT), energy_ev, rate[BL_IT]));
}

/* The heart of the demo: a measured file in the beam is counted as it is, up to its one constant:
   no second broadening, no second response of the chambers, linear between its points, at any
   energy of its range. What the response bends between two points is below 2e-6. */
static void check_follows(const char *path)
{
    struct bl_beamline *beamline = load_beamline(NULL, &path, 1);
    const struct bl_place *place = NULL;
    const struct bl_holder *holder = bl_beamline_holder(beamline);
    struct bl_xdi *xdi;
    char err[BL_ERROR_LENGTH] = "";

    for (size_t i = 0; i < holder->n; i++) {
        if (holder->place[i].sample)
            place = &holder->place[i];
    }
    assert_non_null(place);
    if (bl_xdi_read(path, &xdi, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    for (size_t i = 0; i + 1 < xdi->n; i++) {
        for (int part = 0; part < 4; part++) {
            double f = part / 4.0;
            double energy = (1 - f) * xdi->energy_ev[i] + f * xdi->energy_ev[i + 1];
            double expected = (1 - f) * xdi->mu[i] + f * xdi->mu[i + 1] + place->sample->offset;

            assert_near(counted_mu(beamline, place->name, energy), expected, part ? 2e-6 : 1e-9);
        }
    }
    bl_xdi_free(xdi);
    bl_beamline_free(beamline);
}

static void test_measured_files(void **state)
{
    const char *const files[] = {"Fe_Foil_rt_2016Foils", "Cu_Foil_rt_2016Foils", "Fe2O3_rt_01"};
    const char *folder = reference_data();
    char path[512];

    (void)state;
    if (!folder) {
        print_message("skipped: no measured spectra (set BEAMLINE_REFERENCE_DATA)\n");
        skip();
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s.xdi", folder, files[i]);
        check_follows(path);
    }
}

static void test_synthetic_file(void **state)
{
    static char text[20000];
    size_t length = (size_t)snprintf(text, sizeof text,
                                     "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mutrans\n"
                                     "# Element.symbol: Cu\n# Element.edge: K\n#---\n");

    (void)state;
    for (int i = 0; i < 200; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%.2f %.6f\n",
                                   8850 + 2.5 * i, i < 52 ? -1.2 : 0.3 + 0.1 * sin(0.9 * i));
    check_follows(write_file("synthetic.xdi", text));
}

struct run {
    const struct bl_beamline *beamline;
    double sum;
};

static void *run_scan(void *argument)
{
    struct run *run = argument;
    struct bl_position position = {.ring_ma = 300, .shutter_open = 1};
    struct bl_light light[BL_NORDERS];

    for (int i = 0; i < 20000; i++) {
        position.energy_ev = 7000 + 0.05 * i;
        if (bl_beamline_light(run->beamline, &position, light) == BL_OK) {
            for (int chamber = 0; chamber < BL_NCHAMBERS; chamber++)
                run->sum += light[BL_FUNDAMENTAL].absorbed[chamber];
        }
    }
    return NULL;
}

/* Several threads at once get what one gets alone. */
static void test_threads(void **state)
{
    struct run run[3] = {{library, 0}, {library, 0}, {library, 0}};
    pthread_t thread[2];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run_scan, &run[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    run_scan(&run[2]);
    assert_true(run[2].sum > 0);
    assert_near(run[0].sum, run[2].sum, 0);
    assert_near(run[1].sum, run[2].sum, 0);
}

static void test_refused_loads(void **state)
{
    const char *file = "/nowhere/x.xdi";
    struct bl_load_options options = {0};
    struct bl_beamline *beamline;
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    assert_int_equal(bl_beamline_load(&options, &beamline, err, sizeof err), BL_EINVAL);
    assert_null(beamline);
    assert_contains(err, "no samples folder");
    options.samples_folder = test_folder;
    assert_int_equal(bl_beamline_load(&options, &beamline, err, sizeof err), BL_EIO);
    assert_contains(err, "elements.dat");
    options.tables_file = BEAMLINE_SAMPLES "/elements.dat";
    options.samples_folder = BEAMLINE_SAMPLES;
    options.sample_files = &file;
    options.n_sample_files = 1;
    assert_int_equal(bl_beamline_load(&options, &beamline, err, sizeof err), BL_EIO);
    assert_contains(err, "/nowhere/x.xdi");
    assert_null(beamline);
    bl_beamline_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iron_foil),          cmocka_unit_test(test_noise),
        cmocka_unit_test(test_count_rates),        cmocka_unit_test(test_order_in_beam),
        cmocka_unit_test(test_intensity),          cmocka_unit_test(test_refused_positions),
        cmocka_unit_test(test_resolution_applied), cmocka_unit_test(test_measured_files),
        cmocka_unit_test(test_synthetic_file),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused_loads),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
