/* Samples from XDI files: place on the tables, continuation, library, measured spectra. */
#include "support.h"

#include "sample.h"
#include "xdi.h"

#define AREAL 4e-3 /* g/cm^2 of Fe, some 5 um */
#define GAINS -1.7 /* ln of the ratio of gains that a measurement holds */

static struct bl_elements *elements;
static char text[100000];

static int load(void **state)
{
    elements = load_tables();
    return make_folder(state);
}

static int unload(void **state)
{
    bl_elements_free(elements);
    return remove_folder(state);
}

static double table(double energy_ev)
{
    double value = NAN;

    assert_int_equal(bl_elements_attenuation(elements, 26, BL_TOTAL, energy_ev, &value), BL_OK);
    return value;
}

static double mu(const struct bl_sample *sample, double energy_ev)
{
    double value = NAN;

    assert_int_equal(bl_sample_mu(sample, &bl_condition_default, elements, energy_ev, &value),
                     BL_OK);
    return value;
}

/* A synthetic measurement of iron, straight from the tables, shifted and tilted. */
static const char *spectrum(const char *fields, double first, double last, double step,
                            double shift, double tilt_per_ev)
{
    size_t length = (size_t)snprintf(text, sizeof text,
                                     "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mutrans\n%s"
                                     "#---\n",
                                     fields);

    for (double energy = first; energy < last + 1e-6; energy += step)
        length += (size_t)snprintf(text + length, sizeof text - length, "%.3f %.10f\n", energy,
                                   AREAL * table(energy) + shift + tilt_per_ev * (energy - 7112));
    return text;
}

#define IRON "# Element.symbol: Fe\n# Element.edge: K\n"

static struct bl_sample *load_good(const char *name, const char *content)
{
    struct bl_sample *sample;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_sample_load(write_file(name, content), elements, NULL, &sample, err, sizeof err) !=
        BL_OK)
        fail_msg("%s", err);
    return sample;
}

static void refuse(const char *name, const char *content, int status, const char *reason)
{
    struct bl_sample *sample = (struct bl_sample *)1;
    char err[BL_ERROR_LENGTH] = "";

    assert_int_equal(
        bl_sample_load(write_file(name, content), elements, NULL, &sample, err, sizeof err),
        status);
    assert_null(sample);
    assert_contains(err, reason);
}

/* The recorded constant undoes the gains; the step gives the areal density. */
static void test_put_on_tables(void **state)
{
    struct bl_sample *sample = load_good("iron.xdi", spectrum(IRON, 6900, 7900, 1, GAINS, 0));

    (void)state;
    assert_string_equal(sample->name, "iron");
    assert_string_equal(sample->title, "iron");
    assert_string_equal(sample->formula_text, "Fe");
    assert_string_equal(sample->edge, "K");
    assert_near(sample->edge_ev, 7112.0, 0);
    assert_near(sample->offset, -GAINS, 1e-6);
    assert_near(sample->areal_density_g_cm2, AREAL, 1e-6 * AREAL);
    assert_near(sample->edge_step, AREAL * 354.5, 2e-3);
    assert_true(sample->contains_resolution);
    assert_false(sample->absolute);
    assert_near(mu(sample, 7612), AREAL * table(7612), 1e-6);
    assert_near(mu(sample, 5000), AREAL * table(5000), 1e-6);
    assert_near(mu(sample, 20000), AREAL * table(20000), 1e-6);
    bl_sample_free(sample);
}

/* Chambers and mounting tilt a spectrum: only a constant is changed, and no step at the joins. */
static void test_tilted(void **state)
{
    struct bl_sample *sample = load_good("tilted.xdi", spectrum(IRON, 6950, 7850, 1, GAINS, -4e-4));
    const double ends[] = {6950, 7850};

    (void)state;
    assert_near(sample->areal_density_g_cm2, AREAL, 1e-4 * AREAL);
    assert_near(mu(sample, 7612) - mu(sample, 7000), AREAL * (table(7612) - table(7000)) - 0.2448,
                1e-9);
    assert_true(fabs(sample->excess_low) > 0.01 && fabs(sample->excess_high) > 0.1);
    for (size_t i = 0; i < 2; i++)
        assert_near(mu(sample, ends[i] + 1e-7), mu(sample, ends[i] - 1e-7), 1e-7);
    /* decreasing and positive all the way up */
    for (double energy = 7850; energy < 60000; energy *= 1.01) {
        assert_true(mu(sample, energy) > 0);
        assert_true(mu(sample, 1.01 * energy) < mu(sample, energy));
    }
    bl_sample_free(sample);
}

static void test_linear_between_points(void **state)
{
    struct bl_sample *sample = load_good("coarse.xdi", spectrum(IRON, 6912, 7712, 8, GAINS, 0));

    (void)state;
    for (size_t i = 0; i + 1 < sample->n; i++) {
        double part = 0.3 * sample->energy_ev[i + 1] + 0.7 * sample->energy_ev[i];

        assert_near(mu(sample, part), 0.3 * sample->mu[i + 1] + 0.7 * sample->mu[i], 1e-12);
        assert_near(mu(sample, sample->energy_ev[i]), sample->mu[i], 1e-12);
    }
    bl_sample_free(sample);
}

/* The element's step, diluted by the formula it sits in. */
static void test_formula_counts(void **state)
{
    struct bl_sample *sample =
        load_good("oxide.xdi", spectrum(IRON "# Sample.formula: Fe2O3\n", 6900, 7900, 2, GAINS, 0));

    (void)state;
    assert_near(sample->areal_density_g_cm2, AREAL / 0.69943, 0.02 * AREAL);
    assert_near(sample->edge_step, AREAL * 354.5, 0.02 * AREAL * 354.5);
    bl_sample_free(sample);
}

static void test_absolute(void **state)
{
    struct bl_sample *sample =
        load_good("absolute.xdi",
                  spectrum(IRON "# Simulation.scale: absolute\n# Simulation.resolution: none\n"
                                "# Simulation.areal_density: 0.005 g/cm^2\n",
                           6900, 7900, 2, 0.25, 0));

    (void)state;
    assert_near(sample->offset, 0, 0);
    assert_near(sample->areal_density_g_cm2, 0.005, 0);
    assert_false(sample->contains_resolution);
    assert_near(mu(sample, 7500), AREAL * table(7500) + 0.25, 1e-6);
    bl_sample_free(sample);
}

static void test_outside_tables(void **state)
{
    struct bl_sample *sample = load_good("iron.xdi", spectrum(IRON, 6900, 7900, 1, GAINS, 0));
    double value;

    (void)state;
    assert_int_equal(bl_sample_mu(sample, &bl_condition_default, elements, 1000, &value),
                     BL_ERANGE);
    assert_int_equal(bl_sample_mu(sample, &bl_condition_default, elements, 1e6, &value), BL_ERANGE);
    assert_int_equal(bl_sample_mu(sample, &bl_condition_default, elements, NAN, &value), BL_ERANGE);
    assert_int_equal(bl_sample_mu(NULL, &bl_condition_default, elements, 7000, &value), BL_OK);
    assert_near(value, 0, 0);
    bl_sample_free(sample);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("a234567890123456789012345678901234567890.xdi", spectrum(IRON, 6900, 7900, 2, 0, 0),
           BL_EINVAL, "1 to 39 characters; this has 40, so rename");
    refuse("x.xdi", spectrum("# Element.symbol: Xx\n# Element.edge: K\n", 6900, 7900, 2, 0, 0),
           BL_ENOTFOUND, "Element.symbol 'Xx' is not an element");
    refuse("x.xdi", spectrum("# Element.symbol: Fe\n# Element.edge: L3\n", 6900, 7900, 2, 0, 0),
           BL_ENOTFOUND, "Fe has no edge 'L3' from");
    refuse("x.xdi", spectrum(IRON "# Sample.formula: Cu2O\n", 6900, 7900, 2, 0, 0), BL_EFORMAT,
           "'Cu2O' lacks Element.symbol Fe");
    refuse("x.xdi", spectrum(IRON "# Sample.formula: Fe2Oh\n", 6900, 7900, 2, 0, 0), BL_EFORMAT,
           "x.xdi: Sample.formula 'Fe2Oh': unknown element at character 4");
    refuse("x.xdi", spectrum(IRON, 7200, 7900, 2, 0, 0), BL_EFORMAT,
           "the Fe K edge at 7112.0 eV needs 3 points below 7082.0 eV");
    refuse("x.xdi", spectrum(IRON, 6900, 7130, 2, 0, 0), BL_EFORMAT, "an end above 7152.0 eV");
    refuse("x.xdi",
           "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mu\n" IRON
           "#---\n7.00 1\n7.01 1\n7.02 1\n"
           "7.03 1\n7.04 1\n7.05 1\n7.06 1\n7.12 2\n7.2 2\n7.3 2\n",
           BL_ERANGE, "name the right unit in Column.N");
}

static void test_exchanged(void **state)
{
    char *row;

    (void)state;
    spectrum(IRON, 6900, 7900, 2, 0, 0);
    for (row = strstr(text, "\n6900") + 1; row && *row; row = strchr(row, '\n') + 1)
        *strchr(row, ' ') = '\t'; /* make room for a sign */
    for (row = strstr(text, "\n6900") + 1; *row; row = strchr(row, '\n') + 1)
        memmove(strchr(row, '\t') + 1, "-", 1); /* -.xxx: the first digit gives way */
    refuse("x.xdi", text, BL_EFORMAT, "are i0 and itrans exchanged?");
}

/* The largest fall of what the file holds above the tables, from its start to just below the edge:
   there the edge's tail rises, and a dip would be none that a foil shows. */
static double dip(const struct bl_sample *sample)
{
    double highest = -INFINITY, deepest = 0;

    for (size_t k = 0; k < sample->n && sample->energy_ev[k] < sample->edge_ev - 20; k++) {
        double tables = NAN;

        assert_int_equal(bl_formula_attenuation(&sample->formula, elements, BL_TOTAL,
                                                sample->energy_ev[k], &tables),
                         BL_OK);
        const double excess = sample->mu[k] - sample->areal_density_g_cm2 * tables;
        highest = fmax(highest, excess);
        deepest = fmax(deepest, highest - excess);
    }
    return deepest;
}

/* Every file of the library loads, is absolute and has the amount its header tells. */
static void test_library(void **state)
{
    const struct {
        const char *file;
        double areal;
        double step_low, step_high;
    } library[] = {
        {"fe_foil", 3.937e-3, 1.38, 1.40}, /* 5 um */
        {"cu_foil", 5.376e-3, 1.2, 1.4},   {"ni_foil", 4.454e-3, 1.2, 1.4},
        {"fe2o3", 3.5e-3, 0.8, 0.9},       {"cuo", 6e-3, 1.1, 1.2},
        {"co_foil", 4.45e-3, 1.3, 1.45},   {"zn_foil", 5.712e-3, 1.1, 1.35},
        {"pt_foil", 10.725e-3, 1.1, 1.35}, {"au_foil", 9.65e-3, 0.95, 1.15},
        {"pb_foil", 11.34e-3, 0.95, 1.2},  {"feo", 4e-3, 1.05, 1.2},
        {"nio", 5e-3, 1.0, 1.2},           {"fe2o3_dilute", 30e-3, 0.045, 0.06},
    };

    (void)state;
    for (size_t i = 0; i < sizeof library / sizeof *library; i++) {
        struct bl_sample *sample;
        char path[512], err[BL_ERROR_LENGTH] = "";

        snprintf(path, sizeof path, "%s/%s.xdi", BEAMLINE_SAMPLES, library[i].file);
        if (bl_sample_load(path, elements, NULL, &sample, err, sizeof err) != BL_OK)
            fail_msg("%s", err);
        assert_near(sample->areal_density_g_cm2, library[i].areal, 1e-6);
        assert_true(sample->edge_step > library[i].step_low);
        assert_true(sample->edge_step < library[i].step_high);
        assert_near(sample->offset, 0, 0);
        assert_false(sample->contains_resolution);
        /* fine steps where the edge is; hardly anything to bridge at the joins */
        for (size_t k = 0; k + 1 < sample->n; k++) {
            if (fabs(sample->energy_ev[k] - sample->edge_ev) < 14)
                assert_true(sample->energy_ev[k + 1] - sample->energy_ev[k] < 0.2501);
        }
        assert_near(dip(sample) / sample->edge_step, 0, 0.001);
        assert_near(sample->excess_low, 0, 0.02);
        assert_near(sample->excess_high, 0, 0.02);
        bl_sample_free(sample);
    }
}

/* Real input: all spectra at hand, each in its range up to one constant. */
static void test_measured(void **state)
{
    const char *const files[] = {
        "CuO_tenorite_13K_01",     "Cu_Foil_rt_2016Foils", "Fe2O3_rt_01",    "Fe_Foil_rt_2016Foils",
        "Fe_metal_rt_01",          "Ni2O3_rt_01",          "Ni_metal_rt_01", "Ni_metal_rt_02",
        "Pb_Foil_L3_rt_2016Foils", "cu_metal_rt",
    };
    const char *folder = reference_data();

    (void)state;
    if (!folder) {
        print_message("skipped: no measured spectra (set BEAMLINE_REFERENCE_DATA)\n");
        skip();
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct bl_sample *sample;
        struct bl_xdi *xdi;
        char path[512], err[BL_ERROR_LENGTH] = "";
        double pre = 0, tables = 0, value;
        size_t n = 0;

        snprintf(path, sizeof path, "%s/%s.xdi", folder, files[i]);
        if (bl_sample_load(path, elements, NULL, &sample, err, sizeof err) != BL_OK ||
            bl_xdi_read(path, &xdi, err, sizeof err) != BL_OK)
            fail_msg("%s", err);
        assert_true(xdi->n > 340);
        for (size_t k = 0; k < xdi->n; k++) {
            assert_near(mu(sample, xdi->energy_ev[k]), xdi->mu[k] + sample->offset, 1e-12);
            if (xdi->energy_ev[k] > sample->edge_ev - 30)
                continue;
            assert_int_equal(bl_formula_attenuation(&sample->formula, elements, BL_TOTAL,
                                                    xdi->energy_ev[k], &value),
                             BL_OK);
            pre += mu(sample, xdi->energy_ev[k]);
            tables += value * sample->areal_density_g_cm2;
            n++;
        }
        assert_near(pre / (double)n, tables / (double)n, 1e-9);
        assert_true(sample->edge_step > 0.3 && sample->edge_step < 5);
        for (size_t end = 0; end < 2; end++) {
            double energy = sample->energy_ev[end ? sample->n - 1 : 0];

            assert_near(mu(sample, energy + 1e-6), mu(sample, energy - 1e-6), 1e-6);
        }
        assert_true(mu(sample, 4000) > 0);
        /* Chambers can tilt a weak spectrum below 0 at its end; from there it returns to 0. */
        assert_true(mu(sample, 20000) > fmin(0.0, sample->mu[sample->n - 1]));
        bl_sample_free(sample);
        bl_xdi_free(xdi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_on_tables),
        cmocka_unit_test(test_tilted),
        cmocka_unit_test(test_linear_between_points),
        cmocka_unit_test(test_formula_counts),
        cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_outside_tables),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_exchanged),
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_measured),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
