/* Tables of the elements and chemical formulas. */
#include "support.h"

#include "formula.h"

static struct bl_elements *elements;

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

static double attenuation(int z, enum bl_attenuation kind, double energy_ev)
{
    double value = NAN;

    assert_int_equal(bl_elements_attenuation(elements, z, kind, energy_ev, &value), BL_OK);
    return value;
}

/* Values of xraydb 4.5.8 (Elam tables): mu_elam(element, energy, kind); the table's stated 0.1 %.
 */
static void test_against_source(void **state)
{
    const struct {
        int z;
        double energy_ev;
        double total;
        double photoelectric;
    } known[] = {
#include "elam_values.h"
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_near(attenuation(known[i].z, BL_TOTAL, known[i].energy_ev), known[i].total,
                    1.2e-3 * known[i].total);
        assert_near(attenuation(known[i].z, BL_PHOTOELECTRIC, known[i].energy_ev),
                    known[i].photoelectric, 1.2e-3 * known[i].photoelectric);
    }
}

static void test_edges(void **state)
{
    struct bl_edge edge;

    (void)state;
    assert_int_equal(bl_elements_edge(elements, 26, "k", &edge), BL_OK);
    assert_near(edge.energy_ev, 7112.0, 0);
    assert_near(edge.jump_cm2_g, 407.69 - 53.20, 0.5);
    assert_int_equal(bl_elements_edge(elements, 82, "L3", &edge), BL_OK);
    assert_near(edge.energy_ev, 13035.0, 0);
    assert_int_equal(bl_elements_edge(elements, 82, "K", &edge), BL_ENOTFOUND); /* at 88 keV */
    assert_int_equal(bl_elements_edge(elements, 26, "Q", &edge), BL_ENOTFOUND);
    assert_int_equal(bl_elements_edge(elements, 0, "K", &edge), BL_ENOTFOUND);
}

/* No interpolation reaches across an edge, and the edge itself belongs to the upper side. */
static void test_interpolation_at_edge(void **state)
{
    double below = attenuation(26, BL_TOTAL, 7111.999), above = attenuation(26, BL_TOTAL, 7112.0);

    (void)state;
    assert_near(below, 53.197, 0.01);
    assert_near(above, 407.70, 0.1);
    assert_near(attenuation(26, BL_TOTAL, 7112.001), above, 1e-3);
    assert_true(attenuation(26, BL_TOTAL, 7100.0) > below);
    assert_true(attenuation(26, BL_TOTAL, 7120.0) < above);
}

static void test_range(void **state)
{
    double low, high, value = 1.5;

    (void)state;
    bl_elements_range(elements, &low, &high);
    assert_true(low <= 3500 && high >= 60010);
    assert_int_equal(bl_elements_attenuation(elements, 26, BL_TOTAL, low - 1, &value), BL_ERANGE);
    assert_int_equal(bl_elements_attenuation(elements, 26, BL_TOTAL, high + 1, &value), BL_ERANGE);
    assert_int_equal(bl_elements_attenuation(elements, 26, BL_TOTAL, NAN, &value), BL_ERANGE);
    assert_int_equal(bl_elements_attenuation(elements, 93, BL_TOTAL, 7000, &value), BL_EINVAL);
    assert_near(value, 1.5, 0); /* untouched on failure */
}

static void refuse_table(const char *content, const char *reason)
{
    struct bl_elements *broken = (struct bl_elements *)1;
    char err[BL_ERROR_LENGTH] = "";
    const char *path = write_file("broken.dat", content);

    assert_int_equal(bl_elements_load(path, &broken, err, sizeof err), BL_EFORMAT);
    assert_null(broken);
    assert_contains(err, "broken.dat");
    assert_contains(err, reason);
}

static void test_broken_tables(void **state)
{
    struct bl_elements *none;
    char err[BL_ERROR_LENGTH] = "";

    (void)state;
    refuse_table("", "element 1 has no attenuation");
    refuse_table("3000 1 1\n", "line 1: numbers before the first element");
    refuse_table("element 26\n", "line 1: expected 'element Z symbol mass'");
    refuse_table("element 200 Xx 5\n", "makes no sense");
    refuse_table("element 1 H 1\nelement 1 H 1\n3 1 1\n4 1 1\nelement 1 H 1\n", "twice");
    refuse_table("element 1 H 1\n3000 1\n", "line 2: expected an energy and two");
    refuse_table("element 1 H 1\n3000 1 -1\n", "line 2: expected an energy and two");
    refuse_table("element 1 H 1\n3000 1 nan\n", "line 2: expected an energy and two");
    refuse_table("element 1 H 1\n3000 1 1\n2000 1 1\n", "line 3: energies must not decrease");
    refuse_table("element 1 H 1\n3e3 1 1\n3e3 1 1\n3e3 1 1\n", "line 4: more than two points");
    refuse_table("element 1 H 1\nedge K\n", "line 2: expected 'edge NAME ENERGY'");
    refuse_table("element 1 H 1\nedge K 3500\n3000 1 1\n4000 1 1\n", "edge of H is not a pair");
    assert_int_equal(bl_elements_load("/nowhere/x.dat", &none, err, sizeof err), BL_EIO);
    assert_contains(err, "/nowhere/x.dat");
}

static void check_formula(const char *text, size_t n, double molar_mass, int z, double fraction)
{
    struct bl_formula formula;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_formula_parse(text, elements, &formula, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    assert_int_equal(formula.n, n);
    assert_near(formula.molar_mass_g, molar_mass, 0.02);
    assert_near(bl_formula_fraction(&formula, z), fraction, 1e-4);
}

static void test_formulas(void **state)
{
    (void)state;
    check_formula("Fe", 1, 55.845, 26, 1.0);
    check_formula("Fe2O3", 2, 159.687, 26, 0.69943);
    check_formula("Cu(OH)2", 3, 97.56, 29, 0.65135);
    check_formula(" Ni0.97 Zn0.03 O ", 3, 74.895, 28, 0.76015);
    check_formula("Ca(Fe(CN)3)2", 4, 307.87, 26, 0.36278);
    check_formula("HHeCN2", 4, 1.008 + 4.0026 + 12.011 + 28.0134, 2, 4.0026 / 45.035);
    check_formula("N2", 1, 28.0134, 7, 1.0);
}

static void refuse_formula(const char *text, const char *reason)
{
    struct bl_formula formula;
    char err[BL_ERROR_LENGTH] = "";

    assert_int_equal(bl_formula_parse(text, elements, &formula, err, sizeof err), BL_EFORMAT);
    assert_contains(err, reason);
    assert_contains(err, "Fe2O3"); /* the way out */
}

static void test_broken_formulas(void **state)
{
    (void)state;
    refuse_formula("", "expected an element");
    refuse_formula("fe", "expected an element");
    refuse_formula("Xy2", "unknown element at character 1");
    refuse_formula("FeJ", "unknown element at character 3");
    refuse_formula("Fe2O3)", "unexpected character at character 6");
    refuse_formula("Cu(OH", "missing ')'");
    refuse_formula("Cu()2", "expected an element");
    refuse_formula("Fe0", "not a positive number");
    refuse_formula("Fe1.2.3", "not a positive number");
    refuse_formula("Fe-O", "unexpected character");
    refuse_formula("Fe1234567890123456789012345", "too many digits");
    refuse_formula("((((((((((Fe))))))))))", "nested too deep");
    refuse_formula("HHeLiBeBCNOFNeNaMgAlSiPSClArKCaScTiVCrMn", "too many elements");
}

/* Compounds add by mass. */
static void test_compound(void **state)
{
    struct bl_formula formula;
    double value;

    (void)state;
    assert_int_equal(bl_formula_parse("Fe2O3", elements, &formula, NULL, 0), BL_OK);
    assert_int_equal(bl_formula_attenuation(&formula, elements, BL_TOTAL, 8000, &value), BL_OK);
    assert_near(
        value, 0.69943 * attenuation(26, BL_TOTAL, 8000) + 0.30057 * attenuation(8, BL_TOTAL, 8000),
        1e-4 * value);
    assert_int_equal(bl_formula_attenuation(&formula, elements, BL_TOTAL, 100, &value), BL_ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_source),        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_interpolation_at_edge), cmocka_unit_test(test_range),
        cmocka_unit_test(test_broken_tables),         cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_broken_formulas),       cmocka_unit_test(test_compound),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
