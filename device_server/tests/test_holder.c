/* The sample holder: places of the library, of dropped-in files, and bad layouts. */
#include "support.h"

#include "holder.h"

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

/* A folder with that layout (NULL for none) and those samples, copies of one valid file. */
static const char *make_library(const char *name, const char *layout, const char *const *stems)
{
    static char folder[256];
    char file[400], content[4000];
    size_t length;

    snprintf(folder, sizeof folder, "%s/%s", test_folder, name);
    assert_int_equal(mkdir(folder, 0700), 0);
    if (layout) {
        snprintf(file, sizeof file, "%s/holder.dat", name);
        write_file(file, layout);
    }
    length = (size_t)snprintf(content, sizeof content,
                              "# XDI/1.0\n# Column.1: energy eV\n# Column.2: mutrans\n"
                              "# Element.symbol: Fe\n# Element.edge: K\n#---\n");
    for (int i = 0; i < 40; i++)
        length += (size_t)snprintf(content + length, sizeof content - length, "%d %f\n",
                                   7000 + 10 * i, i < 12 ? 0.2 - 1e-4 * i : 1.6 - 5e-3 * i);
    for (; stems && *stems; stems++) {
        snprintf(file, sizeof file, "%s/%s.xdi", name, *stems);
        write_file(file, content);
    }
    return folder;
}

static struct bl_holder *load_good(const char *folder, const char *const *extra, size_t n_extra)
{
    struct bl_holder *holder;
    char err[BL_ERROR_LENGTH] = "";

    if (bl_holder_load(folder, extra, n_extra, elements, NULL, &holder, err, sizeof err) != BL_OK)
        fail_msg("%s", err);
    return holder;
}

static void refuse(const char *folder, const char *const *extra, size_t n_extra, int status,
                   const char *reason)
{
    struct bl_holder *holder = (struct bl_holder *)1;
    char err[BL_ERROR_LENGTH] = "";

    assert_int_equal(
        bl_holder_load(folder, extra, n_extra, elements, NULL, &holder, err, sizeof err), status);
    assert_null(holder);
    assert_contains(err, reason);
}

static void test_library(void **state)
{
    struct bl_holder *holder = load_good(BEAMLINE_SAMPLES, NULL, 0);
    const char *const names[] = {"fe_foil", "cu_foil", "fe2o3", "empty"};
    const struct bl_place *place;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        place = bl_holder_find(holder, names[i]);
        assert_non_null(place);
        assert_int_equal(place->sample == NULL, strcmp(names[i], "empty") == 0);
        assert_ptr_equal(bl_holder_at(holder, place->x_um, place->y_um), place);
        assert_true(fabs(place->x_um) <= 10000 && fabs(place->y_um) <= 10000);
    }
    assert_string_equal(bl_holder_at(holder, 0, 0)->name, "fe_foil");
    assert_null(bl_holder_find(holder, "Fe_foil"));
    bl_holder_free(holder);
}

/* The window of a place is 2 mm wide; between places is the open frame. */
static void test_window(void **state)
{
    const char *const stems[] = {"a", NULL};
    struct bl_holder *holder = load_good(make_library("window", "a 1000 -500\n", stems), NULL, 0);

    (void)state;
    assert_string_equal(bl_holder_at(holder, 2000, 500)->name, "a");
    assert_string_equal(bl_holder_at(holder, 0, -1500)->name, "a");
    assert_null(bl_holder_at(holder, -0.1, 0));
    assert_null(bl_holder_at(holder, 1000, 500.1));
    assert_null(bl_holder_at(holder, NAN, 0));
    bl_holder_free(holder);
}

/* Files without a line take the next free places in order of name, then the extra ones; nothing
   overlaps and an empty place is added. */
static void test_automatic(void **state)
{
    const char *const stems[] = {"b", "a", "c", NULL};
    const char *extra[2];
    struct bl_holder *holder;
    char path[400];

    (void)state;
    make_library("more", NULL, (const char *const[]){"z", NULL});
    snprintf(path, sizeof path, "%s/more/z.xdi", test_folder);
    extra[0] = path;
    holder = load_good(make_library("automatic", "# layout\n\nc 100 200\n", stems), extra, 1);
    assert_int_equal(holder->n, 5);
    assert_string_equal(holder->place[0].name, "c");
    assert_string_equal(holder->place[1].name, "a");
    assert_string_equal(holder->place[2].name, "b");
    assert_string_equal(holder->place[3].name, "empty");
    assert_string_equal(holder->place[4].name, "z");
    assert_near(holder->place[0].x_um, 100, 0);
    assert_near(holder->place[0].y_um, 200, 0);
    for (size_t i = 0; i < holder->n; i++) {
        const struct bl_place *place = &holder->place[i];

        assert_ptr_equal(bl_holder_at(holder, place->x_um, place->y_um), place);
    }
    bl_holder_free(holder);
    holder = load_good(NULL, extra, 1); /* no library at all */
    assert_int_equal(holder->n, 2);
    bl_holder_free(holder);
}

static void test_full(void **state)
{
    char names[BL_HOLDER_PLACES][8];
    const char *stems[BL_HOLDER_PLACES + 1] = {NULL};
    const char *extra[1];
    struct bl_holder *holder;
    char path[400];
    const char *folder;

    (void)state;
    for (size_t i = 0; i < BL_HOLDER_PLACES - 1; i++) {
        snprintf(names[i], sizeof names[i], "s%02zu", i);
        stems[i] = names[i];
    }
    make_library("one", NULL, (const char *const[]){"extra", NULL});
    snprintf(path, sizeof path, "%s/one/extra.xdi", test_folder);
    extra[0] = path;
    folder = make_library("full", NULL, stems);
    holder = load_good(folder, NULL, 0);
    assert_int_equal(holder->n, BL_HOLDER_PLACES);
    bl_holder_free(holder);
    refuse(folder, extra, 1, BL_EFULL, "no place left on the holder, which has 49");
    stems[BL_HOLDER_PLACES - 1] = "last";
    refuse(make_library("fuller", NULL, stems), NULL, 0, BL_EFULL,
           "no place left for the empty one");
}

static void test_refused(void **state)
{
    const char *const a[] = {"a", NULL};
    const char *extra[1];
    char path[400];

    (void)state;
    refuse("/nowhere", NULL, 0, BL_EIO, "samples folder /nowhere: No such file");
    refuse(make_library("bare", NULL, NULL), NULL, 0, BL_ENOTFOUND, "holds no .xdi file");
    refuse(make_library("r1", "a 0\n", a), NULL, 0, BL_EFORMAT,
           "holder.dat line 1: expected 'name x_um y_um'");
    refuse(make_library("r2", "#\na 0 0 0\n", a), NULL, 0, BL_EFORMAT, "line 2: expected");
    refuse(make_library("r3", "a 0 x\n", a), NULL, 0, BL_EFORMAT, "line 1: expected");
    refuse(make_library("r4", "a 0 10001\n", a), NULL, 0, BL_ERANGE, "not within +-10000 um");
    refuse(make_library("r5", "a 0 nan\n", a), NULL, 0, BL_ERANGE, "not within +-10000 um");
    refuse(make_library("r6", "a 0 0\nempty 1999 0\n", a), NULL, 0, BL_EINVAL,
           "line 2: place 'empty' is given twice, overlaps");
    refuse(make_library("r7", "a 0 0\na 4000 0\n", a), NULL, 0, BL_EINVAL, "given twice");
    refuse(make_library("r8", "b 0 0\n", a), NULL, 0, BL_ENOTFOUND, "there is no file b.xdi");
    refuse(make_library("r9", NULL, (const char *const[]){"empty", NULL}), NULL, 0, BL_EINVAL,
           "a place named 'empty' is on the holder already");
    snprintf(path, sizeof path, "%s/r1/a.xdi", test_folder);
    extra[0] = path;
    refuse(make_library("r10", NULL, a), extra, 1, BL_EINVAL,
           "a place named 'a' is on the holder already; rename the file");
    write_file("r10/broken.xdi", "no\n");
    snprintf(path, sizeof path, "%s/r10", test_folder);
    refuse(path, NULL, 0, BL_EFORMAT, "broken.xdi: is not an XDI file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),   cmocka_unit_test(test_window),
        cmocka_unit_test(test_automatic), cmocka_unit_test(test_full),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
