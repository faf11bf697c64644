/* Reader of XDI files: both header forms, columns, units, and every way to be wrong. */
#include "support.h"

#include "xdi.h"

#define ELEMENT "# Element.symbol: Fe\n# Element.edge: K\n"
#define COLUMNS "# Column.1: energy eV\n# Column.2: i0\n# Column.3: itrans\n"
#define HEADER "# XDI/1.0\n" ELEMENT COLUMNS "#---\n"

static char text[20000];

/* A file of n rows: 7000 eV and up in steps of 10, i0 = 1000, itrans falling. */
static const char *with_rows(const char *header, int n, const char *extra)
{
    size_t length = (size_t)snprintf(text, sizeof text, "%s", header);

    for (int i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, " %d.5  1000.0  %d\n",
                                   7000 + 10 * i, 900 - i);
    snprintf(text + length, sizeof text - length, "%s", extra);
    return text;
}

static struct bl_xdi *read_good(const char *content)
{
    struct bl_xdi *xdi;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_xdi_read(write_file("good.xdi", content), &xdi, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return xdi;
}

static void refuse(const char *content, const char *reason)
{
    struct bl_xdi *xdi = (struct bl_xdi *)1;
    char err[BL_ERROR_LENGTH] = "";

    assert_int_equal(bl_xdi_read(write_file("bad.xdi", content), &xdi, err, sizeof err),
                     BL_EFORMAT);
    assert_null(xdi);
    assert_contains(err, "bad.xdi");
    assert_contains(err, reason);
    assert_null(strchr(err, '\n'));
}

static void test_plain_header(void **state)
{
    struct bl_xdi *xdi = read_good(with_rows(
        "# XDI/1.0\n# Sample.name: Iron: a foil\n# Sample.formula: Fe\n" ELEMENT COLUMNS
        "# ///\n# Element.symbol: Zn is what a comment may say\n#----\n# energy i0 itrans\n",
        12, ""));

    (void)state;
    assert_string_equal(xdi->element, "Fe");
    assert_string_equal(xdi->edge, "K");
    assert_string_equal(xdi->formula, "Fe");
    assert_string_equal(xdi->sample_name, "Iron: a foil");
    assert_int_equal(xdi->n, 12);
    assert_near(xdi->energy_ev[3], 7030.5, 0);
    assert_near(xdi->mu[3], log(1000.0 / 897.0), 1e-15);
    assert_false(xdi->absolute);
    assert_false(xdi->intrinsic);
    bl_xdi_free(xdi);
}

/* GSE's form: no blank after #, capitals, columns exchanged, a line that looks like a field. */
static void test_gse_header(void **state)
{
    struct bl_xdi *xdi = read_good(
        with_rows("#XDI/1.1  GSE/2.0\r\n# COLUMN.1: Energy EV\r\n# Column.2: itrans\r\n"
                  "# Column.3: i0\r\n# element.SYMBOL:  Fe\r\n# Element.edge:  K\r\n"
                  "# ScanParameters.Region1:   -100.000,   -10.000,     5.000  False  0.50\r\n"
                  "#-----\r\n#  energy  itrans  i0\r\n",
                  11, "\r\n"));

    (void)state;
    assert_string_equal(xdi->element, "Fe");
    assert_int_equal(xdi->n, 11);
    assert_near(xdi->mu[0], log(900.0 / 1000.0), 1e-15);
    bl_xdi_free(xdi);
}

static void test_columns(void **state)
{
    struct bl_xdi *xdi;

    (void)state;
    /* mutrans wins over i0 and itrans */
    xdi = read_good(with_rows("# XDI/1.0\n" ELEMENT
                              "# Column.1: energy eV\n# Column.2: i0\n# Column.3: mutrans\n#---\n",
                              10, ""));
    assert_near(xdi->mu[0], 900.0, 0);
    bl_xdi_free(xdi);
    /* labels from the line under the dashes; keV; unnamed and surplus columns */
    xdi = read_good("# XDI/1.0\n" ELEMENT "#---\n# energy i0 xmu\n"
                    "7000 1 1 9\n7001 1 2 9\n7002 1 3 9\n7003 1 4 9\n7004 1 5 9\n"
                    "7005 1 6 9\n7006 1 7 9\n7007 1 8 9\n7008 1 9 9\n7009 1 10 9\n");
    assert_near(xdi->mu[9], 10.0, 0);
    bl_xdi_free(xdi);
    xdi = read_good("# XDI/1.0\n" ELEMENT "# Column.1: energy keV\n# Column.3: mu\n#---\n"
                    "7.0 x 1\n7.1 x 2\n7.2 x 3\n7.3 x 4\n7.4 x 5\n"
                    "7.5 x 6\n7.6 x 7\n7.7 x 8\n7.8 x 9\n7.9 x 10\n");
    assert_near(xdi->energy_ev[9], 7900.0, 1e-9);
    bl_xdi_free(xdi);
}

static void test_own_family(void **state)
{
    struct bl_xdi *xdi = read_good(
        with_rows("# XDI/1.0\n# Simulation.scale: absolute\n# Simulation.resolution: none\n"
                  "# Simulation.areal_density: 0.00394 g/cm^2\n" ELEMENT COLUMNS "#---\n",
                  10, ""));

    (void)state;
    assert_true(xdi->absolute);
    assert_true(xdi->intrinsic);
    assert_near(xdi->areal_density_g_cm2, 0.00394, 0);
    bl_xdi_free(xdi);
    refuse(with_rows("# XDI/1.0\n# Simulation.scale: big\n" ELEMENT COLUMNS "#---\n", 10, ""),
           "allowed are 'absolute' and 'relative'");
    refuse(with_rows("# XDI/1.0\n# Simulation.resolution: 1 eV\n" ELEMENT COLUMNS "#---\n", 10, ""),
           "allowed are 'none' and 'contained'");
    refuse(
        with_rows("# XDI/1.0\n# Simulation.areal_density: -1\n" ELEMENT COLUMNS "#---\n", 10, ""),
        "must be positive");
}

/* A temperature in any other unit says nothing to the server; a bond must be one. */
static void test_temperature_and_bond(void **state)
{
    static const char *const bad[] = {"236.4 K", "236.4 K, 31.77", "K, u", "-1 K, 31.77 u",
                                      "236.4 C, 31.77 u"};
    struct bl_xdi *xdi = read_good(
        with_rows("# XDI/1.0\n# Sample.temperature: 77 K\n# Simulation.bond: 236.4 K, 31.77 u "
                  "(Cu-Cu)\n" ELEMENT COLUMNS "#---\n",
                  10, ""));

    (void)state;
    assert_near(xdi->temperature_k, 77, 0);
    assert_near(xdi->einstein_k, 236.4, 0);
    assert_near(xdi->bond_mass_u, 31.77, 0);
    bl_xdi_free(xdi);
    xdi = read_good(
        with_rows("# XDI/1.0\n# Sample.temperature: room\n" ELEMENT COLUMNS "#---\n", 10, ""));
    assert_near(xdi->temperature_k, 0, 0);
    bl_xdi_free(xdi);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char header[512];

        snprintf(header, sizeof header,
                 "# XDI/1.0\n# Simulation.bond: %s\n" ELEMENT COLUMNS "#---\n", bad[i]);
        refuse(with_rows(header, 10, ""), "Simulation.bond must be");
    }
}

static void test_not_xdi(void **state)
{
    (void)state;
    refuse("", "not an XDI file");
    refuse("energy mu\n1 2\n", "not an XDI file");
    refuse("# a comment\n1 2\n", "not an XDI file");
    refuse("# XDI/2.0\n", "only 1.x is");
    refuse("# XDI/10.0\n", "only 1.x is");
}

static void test_header_lacks(void **state)
{
    (void)state;
    refuse(with_rows("# XDI/1.0\n# Element.edge: K\n" COLUMNS "#---\n", 10, ""),
           "Element.symbol or Element.edge is missing");
    refuse(with_rows("# XDI/1.0\n# Element.symbol: Fe\n" COLUMNS "#---\n", 10, ""),
           "Element.symbol or Element.edge is missing");
    refuse(with_rows("# XDI/1.0\n" ELEMENT "# Column.1: energy eV\n# Column.2: i0\n#---\n", 10, ""),
           "no transmission data");
    refuse(with_rows("# XDI/1.0\n" ELEMENT "# Column.1: e\n# Column.2: i0\n# Column.3: itrans\n"
                     "#---\n",
                     10, ""),
           "no column is labelled energy");
    refuse(with_rows("# XDI/1.0\n" ELEMENT "# Column.1: angle degrees\n# Column.2: i0\n"
                     "# Column.3: itrans\n#---\n",
                     10, ""),
           "monochromator's angle");
    refuse(with_rows("# XDI/1.0\n" ELEMENT "# Column.1: energy degrees\n# Column.2: i0\n"
                     "# Column.3: itrans\n#---\n",
                     10, ""),
           "energy is in 'degrees'; allowed are eV and keV");
    refuse(with_rows("# XDI/1.0\n# Column.0: energy eV\n" ELEMENT, 10, ""),
           "line 2: Column.0 is not a column");
    refuse(with_rows("# XDI/1.0\n# Column.65: energy eV\n" ELEMENT, 10, ""), "not a column");
}

/* Rows: the line is named; the header takes 7 lines, ten good rows follow, so the bad one is
 * line 18. */
static void test_bad_rows(void **state)
{
    (void)state;
    refuse(with_rows(HEADER, 10, "7200 1000\n"), "line 18: 2 numbers in a row of 3 columns");
    refuse(with_rows(HEADER, 10, "7200 1000 abc\n"), "line 18: 'abc' is not a number");
    refuse(with_rows(HEADER, 10, "7200 1000 12x\n"), "line 18: '12x' is not a number");
    refuse(with_rows(HEADER, 10, "7200 nan 100\n"), "line 18: i0 is not finite");
    refuse(with_rows(HEADER, 10, "inf 1000 100\n"), "line 18: energy is not finite");
    refuse(with_rows(HEADER, 10, "7200 0 100\n"), "line 18: i0 0 and itrans 100 must be positive");
    refuse(with_rows(HEADER, 10, "7200 1000 -1\n"), "line 18: i0 1000 and itrans -1");
    refuse(with_rows(HEADER, 10, "7090.5 1000 100\n"),
           "line 18: energy 7090.5000 eV does not follow 7090.5000 eV");
    refuse(with_rows(HEADER, 10, "7000 1000 100\n"), "sort the file");
    refuse("# XDI/1.0\n" ELEMENT COLUMNS "#---\n-5 1000 900\n", "is not positive");
    refuse(with_rows(HEADER, 9, ""), "9 points are too few, at least 10");
    refuse(with_rows(HEADER, 0, ""), "0 points are too few");
}

static void test_unreadable(void **state)
{
    struct bl_xdi *xdi;
    char err[BL_ERROR_LENGTH] = "";
    char path[600];
    FILE *file;

    (void)state;
    assert_int_equal(bl_xdi_read("/nowhere/a.xdi", &xdi, err, sizeof err), BL_EIO);
    assert_contains(err, "/nowhere/a.xdi: No such file");
    assert_int_equal(bl_xdi_read(test_folder, &xdi, err, sizeof err), BL_EIO);
    assert_contains(err, "not a regular file");
    snprintf(path, sizeof path, "%s", write_file("zero.xdi", "# XDI/1.0\n"));
    file = fopen(path, "ab");
    assert_non_null(file);
    fwrite("a\0b", 1, 3, file);
    fclose(file);
    assert_int_equal(bl_xdi_read(path, &xdi, err, sizeof err), BL_EFORMAT);
    assert_contains(err, "zero bytes");
    /* errors stay printable and within a small buffer */
    refuse("# XDI/1.0\n# Column.\x1b[31m: energy\n" ELEMENT, "Column.?[31m");
    assert_int_equal(bl_xdi_read("/nowhere/a.xdi", &xdi, err, 10), BL_EIO);
    assert_int_equal(strlen(err), 9);
    assert_int_equal(bl_xdi_read("/nowhere/a.xdi", &xdi, NULL, 0), BL_EIO);
}

/* A few thousand damaged files: whatever comes, an answer and a line, never a crash. */
static void test_damaged(void **state)
{
    static char good[20000], damaged[20000];
    uint32_t random = 1;
    int refused = 0;

    (void)state;
    strcpy(good, with_rows(HEADER, 12, ""));
    for (int i = 0; i < 3000; i++) {
        struct bl_xdi *xdi;
        char err[BL_ERROR_LENGTH] = "";
        int status;

        strcpy(damaged, good);
        for (int k = 0; k < 4; k++) {
            random = random * 1664525u + 1013904223u;
            damaged[(random >> 8) % strlen(good)] = (char)(1 + (random >> 24) % 255);
        }
        status = bl_xdi_read(write_file("damaged.xdi", damaged), &xdi, err, sizeof err);
        if (status != BL_OK) {
            refused++;
            assert_true(strlen(err) > 0);
        }
        bl_xdi_free(xdi);
    }
    assert_true(refused > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_header),
        cmocka_unit_test(test_gse_header),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_own_family),
        cmocka_unit_test(test_temperature_and_bond),
        cmocka_unit_test(test_not_xdi),
        cmocka_unit_test(test_header_lacks),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
