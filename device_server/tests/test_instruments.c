/* Ion chambers, monochromator, source and ring against published numbers. */
#include "support.h"

#include "chamber.h"
#include "mono.h"
#include "ring.h"
#include "source.h"

static struct bl_elements *elements;

static int load(void **state)
{
    (void)state;
    elements = load_tables();
    return 0;
}

static int unload(void **state)
{
    (void)state;
    bl_elements_free(elements);
    return 0;
}

static struct bl_chamber nitrogen(double length_cm)
{
    struct bl_chamber chamber = {.gas = "N2",
                                 .length_cm = length_cm,
                                 .pressure_pa = 101325,
                                 .temperature_k = 273.15,
                                 .w_ev = 34.8,
                                 .gain_v_per_a = 5e7,
                                 .vf_hz_per_v = 1e5};
    char err[BL_ERROR_LENGTH] = "";

    if (bl_chamber_init(&chamber, elements, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return chamber;
}

/* 10 cm of N2 at 0 degC (1.2506 g/l, CRC Handbook) and 7612 eV: 9.9 % absorbed by the photoelectric
   effect, 10.4 % taken out of the beam; 1e10 photons/s make 34.8 nA with W = 34.8 eV. xraydb 4.5.8,
   ionchamber_fluxes, gives the same when one carrier is counted. */
static void test_nitrogen_chamber(void **state)
{
    struct bl_chamber chamber = nitrogen(10);
    double absorbed, transmitted;

    (void)state;
    assert_near(chamber.density_g_cm3, 1.2506e-3, 2e-6);
    assert_int_equal(bl_chamber_fractions(&chamber, elements, 7612, &absorbed, &transmitted),
                     BL_OK);
    assert_near(absorbed, 0.0994, 2e-4);
    assert_near(1 - transmitted, 0.1040, 2e-4);
    assert_near(bl_chamber_current_a(&chamber, 7612, 1e10 * absorbed), 34.8e-9, 0.1e-9);
}

/* Counts are the current times gain and V/F factor, and ev_per_count turns them back. */
static void test_counts(void **state)
{
    struct bl_chamber chamber = nitrogen(10);
    double photons = 9.9e8;
    double counts = bl_chamber_counts(&chamber, 7612, photons);

    (void)state;
    assert_near(counts, bl_chamber_current_a(&chamber, 7612, photons) * 5e7 * 1e5, 1e-9 * counts);
    assert_near(counts * bl_chamber_ev_per_count(&chamber) / 7612, photons, 1e-9 * photons);
    chamber.gain_v_per_a *= 10;
    assert_near(bl_chamber_counts(&chamber, 7612, photons), 10 * counts, 1e-8 * counts);
}

/* Ideal gas: twice the pressure or half the temperature is twice the path. */
static void test_gas_law(void **state)
{
    struct bl_chamber once = nitrogen(20), dense = nitrogen(10), mixed = nitrogen(10);
    double a, b, c, t;

    (void)state;
    dense.pressure_pa *= 2;
    assert_int_equal(bl_chamber_init(&dense, elements, NULL, 0), BL_OK);
    assert_int_equal(bl_chamber_fractions(&once, elements, 8000, &a, &t), BL_OK);
    assert_int_equal(bl_chamber_fractions(&dense, elements, 8000, &b, &t), BL_OK);
    assert_near(a, b, 1e-12);
    strcpy(mixed.gas, "He");
    assert_int_equal(bl_chamber_init(&mixed, elements, NULL, 0), BL_OK);
    assert_int_equal(bl_chamber_fractions(&mixed, elements, 8000, &c, &t), BL_OK);
    assert_true(c < 1e-3 && c > 0);
    assert_int_equal(bl_chamber_fractions(&once, elements, 100, &a, &t), BL_ERANGE);
}

static void test_bad_chambers(void **state)
{
    struct bl_chamber chamber = nitrogen(10);
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    chamber.length_cm = 0;
    assert_int_equal(bl_chamber_init(&chamber, elements, err, sizeof err), BL_EINVAL);
    assert_contains(err, "length 0 must be positive");
    chamber = nitrogen(10);
    chamber.w_ev = NAN;
    assert_int_equal(bl_chamber_init(&chamber, elements, err, sizeof err), BL_EINVAL);
    chamber = nitrogen(10);
    strcpy(chamber.gas, "air");
    assert_int_equal(bl_chamber_init(&chamber, elements, err, sizeof err), BL_EFORMAT);
    assert_contains(err, "formula 'air'");
}

/* Bragg's law: Fe K on Si(111) and Si(311) by hand, and there and back. */
static void test_bragg(void **state)
{
    const struct bl_crystal *si111 = bl_mono_crystal(BL_SI111), *si311 = bl_mono_crystal(BL_SI311);
    double angle, energy;

    (void)state;
    assert_string_equal(si111->name, "Si(111)");
    assert_near(si111->d_angstrom, 3.135601, 0);
    assert_near(si311->d_angstrom, 1.637514, 0);
    assert_null(bl_mono_crystal(2));
    assert_null(bl_mono_crystal(-1));
    assert_int_equal(bl_mono_bragg_deg(si111->d_angstrom, 7112, &angle), BL_OK);
    assert_near(angle, 16.1402, 1e-3); /* asin(1.743310 / 6.271202) */
    assert_int_equal(bl_mono_bragg_deg(si311->d_angstrom, 7112, &angle), BL_OK);
    assert_near(angle, 32.160, 2e-3);
    for (double e = 4000; e <= 20000; e += 37) {
        assert_int_equal(bl_mono_bragg_deg(si311->d_angstrom, e, &angle), BL_OK);
        assert_int_equal(bl_mono_energy_ev(si311->d_angstrom, angle, &energy), BL_OK);
        assert_near(energy, e, 1e-8);
    }
    assert_int_equal(bl_mono_bragg_deg(si311->d_angstrom, 3700, &angle), BL_ERANGE);
    assert_int_equal(bl_mono_bragg_deg(si311->d_angstrom, NAN, &angle), BL_ERANGE);
    assert_int_equal(bl_mono_bragg_deg(0, 7000, &angle), BL_ERANGE);
    assert_int_equal(bl_mono_energy_ev(si311->d_angstrom, 0, &energy), BL_ERANGE);
    assert_int_equal(bl_mono_energy_ev(si311->d_angstrom, 90.1, &energy), BL_ERANGE);
}

/* Si(111) at 7112 eV: one reflection 1.02 eV (xraydb 4.5.8 darwin_width: 1.017), the pair 0.94 eV,
   with 20 urad of divergence 0.97 eV. Si(111) and Si(311) resolve 1.4e-4 and 3e-5 (single). */
static void test_resolution(void **state)
{
    const struct bl_crystal *si111 = bl_mono_crystal(BL_SI111), *si311 = bl_mono_crystal(BL_SI311);
    struct bl_resolution fwhm;

    (void)state;
    assert_int_equal(bl_mono_resolution(si111, elements, 7112, 20e-6, &fwhm), BL_OK);
    assert_near(fwhm.single_ev, 1.017, 0.01);
    assert_near(fwhm.pair_ev, 0.94, 0.01);
    assert_near(fwhm.total_ev, 0.97, 0.01);
    assert_int_equal(bl_mono_resolution(si111, elements, 12000, 0, &fwhm), BL_OK);
    assert_near(fwhm.single_ev, 1.694, 0.017); /* darwin_width */
    assert_near(fwhm.total_ev, fwhm.pair_ev, 0);
    assert_int_equal(bl_mono_resolution(si311, elements, 12000, 0, &fwhm), BL_OK);
    assert_near(fwhm.single_ev / 12000, 3.0e-5, 0.2e-5);
    assert_int_equal(bl_mono_resolution(si111, elements, 1000, 0, &fwhm), BL_ERANGE);
    assert_int_equal(bl_mono_resolution(si111, elements, 7112, -1, &fwhm), BL_EINVAL);
}

/* Divergence wide against the Darwin width: the width is then E cot(theta) times it. */
static void test_divergence(void **state)
{
    struct bl_resolution fwhm;
    double angle;

    (void)state;
    assert_int_equal(bl_mono_bragg_deg(3.135601, 9000, &angle), BL_OK);
    assert_int_equal(bl_mono_resolution(bl_mono_crystal(BL_SI111), elements, 9000, 2e-4, &fwhm),
                     BL_OK);
    assert_near(fwhm.total_ev, 9000 * 2e-4 / tan(angle * acos(-1.0) / 180), 0.15);
}

/* G1: X-ray Data Booklet (2009), section 2.1: G1(1) = 0.6514, its maximum 0.918 at y = 0.286. */
static void test_spectrum(void **state)
{
    double best = 0, at = 0, flux;

    (void)state;
    assert_near(bl_source_g1(1.0), 0.6514, 1e-4);
    assert_near(bl_source_g1(1e-3), 0.2131, 1e-3);
    assert_near(bl_source_g1(5.0), 2.145e-2, 3e-4);
    for (double y = 0.01; y < 3; y += 0.001) {
        if (bl_source_g1(y) > best) {
            best = bl_source_g1(y);
            at = y;
        }
    }
    assert_near(best, 0.918, 1e-3);
    assert_near(at, 0.286, 0.01);
    assert_near(bl_source_g1(0), 0, 0);
    assert_near(bl_source_g1(-1), 0, 0);
    assert_int_equal(bl_source_flux(&bl_source_default, 7112, 300, &flux), BL_OK);
    assert_near(flux, 1e10, 1);
    assert_int_equal(bl_source_flux(&bl_source_default, 7112, 150, &flux), BL_OK);
    assert_near(flux, 5e9, 1);
    assert_int_equal(bl_source_flux(&bl_source_default, 0, 150, &flux), BL_EINVAL);
    assert_int_equal(bl_source_flux(&bl_source_default, 7112, -1, &flux), BL_EINVAL);
    assert_int_equal(bl_source_flux(&bl_source_default, 7112, NAN, &flux), BL_EINVAL);
}

/* Decay between top-ups, injection back to the top, the same every period. */
static void test_ring(void **state)
{
    const struct bl_ring ring = {
        .top_ma = 200, .lifetime_s = 1000, .period_s = 110, .injection_s = 10};
    struct bl_ring broken = ring;
    double top, end, middle, next, current, last = 200;

    (void)state;
    assert_int_equal(bl_ring_current(&ring, 0, &top), BL_OK);
    assert_near(top, 200, 0);
    assert_int_equal(bl_ring_current(&ring, 100, &end), BL_OK);
    assert_near(end, 200 * exp(-0.1), 1e-9);
    assert_int_equal(bl_ring_current(&ring, 105, &middle), BL_OK);
    assert_near(middle, (200 + end) / 2, 1e-9);
    assert_int_equal(bl_ring_current(&ring, 1e6 * 110 + 50, &next), BL_OK);
    assert_near(next, 200 * exp(-0.05), 1e-6);
    for (double t = 0; t < 1000; t += 0.05) { /* no jump anywhere */
        assert_int_equal(bl_ring_current(&ring, t, &current), BL_OK);
        assert_true(fabs(current - last) < 0.2);
        last = current;
    }
    assert_int_equal(bl_ring_current(&ring, -1, &current), BL_EINVAL);
    assert_int_equal(bl_ring_current(&ring, NAN, &current), BL_EINVAL);
    assert_int_equal(bl_ring_current(&ring, INFINITY, &current), BL_EINVAL);
    broken.injection_s = 110;
    assert_int_equal(bl_ring_current(&broken, 0, &current), BL_EINVAL);
    assert_int_equal(bl_ring_current(&bl_ring_default, 60, &current), BL_OK);
    assert_true(current > 298 && current < 300);
}

static void test_status_texts(void **state)
{
    (void)state;
    for (int status = 0; status < BL_NSTATUS; status++)
        assert_true(strlen(bl_status_text(status)) > 1);
    assert_string_equal(bl_status_text(-1), "unknown status");
    assert_string_equal(bl_status_text(BL_NSTATUS), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nitrogen_chamber),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_gas_law),
        cmocka_unit_test(test_bad_chambers),
        cmocka_unit_test(test_bragg),
        cmocka_unit_test(test_resolution),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_spectrum),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_status_texts),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
