#include "holder.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"

#define PATH_LENGTH 4096
#define SPACING_UM 3000.0
#define FILE_ENDING ".xdi"
#define POWDER_ENDING ".powder"

/* Free places are taken from the middle outwards, row by row. */
static const double grid[] = {0, 1, -1, 2, -2, 3, -3};
#define GRID_SIZE (sizeof grid / sizeof *grid)

struct loader {
    struct bl_holder *holder;
    const struct bl_elements *elements;
    const struct bl_chamber_pair *chambers;
    char *err;
    size_t errlen;
};

static int ends_with(const char *text, const char *ending)
{
    const size_t length = strlen(text), of_ending = strlen(ending);

    return length > of_ending && bl_text_same(text + length - of_ending, ending);
}

static int overlaps(const struct bl_holder *holder, double x_um, double y_um)
{
    for (size_t i = 0; i < holder->n; i++) {
        if (fabs(holder->place[i].x_um - x_um) < 2 * BL_HOLDER_HALF_WIDTH_UM &&
            fabs(holder->place[i].y_um - y_um) < 2 * BL_HOLDER_HALF_WIDTH_UM)
            return 1;
    }
    return 0;
}

static struct bl_place *add_place(struct bl_holder *holder, const char *name, double x_um,
                                  double y_um)
{
    struct bl_place *place = &holder->place[holder->n++];

    bl_text_copy(place->name, sizeof place->name, name);
    place->x_um = x_um;
    place->y_um = y_um;
    return place;
}

static int free_place(const struct bl_holder *holder, double *x_um, double *y_um)
{
    if (holder->n == BL_HOLDER_PLACES)
        return BL_EFULL;
    for (size_t row = 0; row < GRID_SIZE; row++) {
        for (size_t column = 0; column < GRID_SIZE; column++) {
            *x_um = SPACING_UM * grid[column];
            *y_um = SPACING_UM * grid[row];
            if (!overlaps(holder, *x_um, *y_um))
                return BL_OK;
        }
    }
    return BL_EFULL;
}

static struct bl_place *find(struct bl_holder *holder, const char *name)
{
    for (size_t i = 0; i < holder->n; i++) {
        if (strcmp(holder->place[i].name, name) == 0)
            return &holder->place[i];
    }
    return NULL;
}

/* Puts a sample on the place of its name, else on the next free one. */
static int place_sample(struct loader *loader, const char *path)
{
    struct bl_sample *sample = NULL;
    struct bl_place *place;
    double x_um, y_um;
    int status =
        ends_with(path, POWDER_ENDING)
            ? bl_sample_load_powder(path, loader->elements, &sample, loader->err, loader->errlen)
            : bl_sample_load(path, loader->elements, loader->chambers, &sample, loader->err,
                             loader->errlen);

    if (status != BL_OK)
        return status;
    place = find(loader->holder, sample->name);
    if (strcmp(sample->name, BL_EMPTY_NAME) == 0 || (place && place->sample)) {
        status = bl_fail(loader->err, loader->errlen, BL_EINVAL,
                         "%.200s: a place named '%s' is on the holder already; rename the file",
                         path, sample->name);
        goto done;
    }
    if (!place) {
        status = free_place(loader->holder, &x_um, &y_um);
        if (status != BL_OK) {
            status = bl_fail(loader->err, loader->errlen, status,
                             "%.200s: no place left on the holder, which has %d", path,
                             BL_HOLDER_PLACES);
            goto done;
        }
        place = add_place(loader->holder, sample->name, x_um, y_um);
    }
    place->sample = sample;

done:
    if (status != BL_OK)
        bl_sample_free(sample);
    return status;
}

static int ensure_empty(struct loader *loader)
{
    double x_um, y_um;
    int status = BL_OK;

    if (find(loader->holder, BL_EMPTY_NAME))
        return BL_OK;
    status = free_place(loader->holder, &x_um, &y_um);
    if (status != BL_OK)
        return bl_fail(loader->err, loader->errlen, status,
                       "sample holder: no place left for the empty one among %d", BL_HOLDER_PLACES);
    add_place(loader->holder, BL_EMPTY_NAME, x_um, y_um);
    return BL_OK;
}

static int read_layout_line(struct loader *loader, const char *path, size_t number, char *line)
{
    char *name = bl_text_word(&line);
    char *x_word = name ? bl_text_word(&line) : NULL;
    char *y_word = x_word ? bl_text_word(&line) : NULL;
    double x_um, y_um;

    if (!y_word || bl_text_number(x_word, &x_um) || bl_text_number(y_word, &y_um) ||
        bl_text_word(&line) || strlen(name) >= BL_NAME_LENGTH)
        return bl_fail(loader->err, loader->errlen, BL_EFORMAT,
                       "%.200s line %zu: expected 'name x_um y_um'", path, number);
    if (!(fabs(x_um) <= BL_HOLDER_LIMIT_UM && fabs(y_um) <= BL_HOLDER_LIMIT_UM))
        return bl_fail(loader->err, loader->errlen, BL_ERANGE,
                       "%.200s line %zu: place (%g, %g) um is not within +-%g um", path, number,
                       x_um, y_um, BL_HOLDER_LIMIT_UM);
    if (loader->holder->n == BL_HOLDER_PLACES || overlaps(loader->holder, x_um, y_um) ||
        find(loader->holder, name))
        return bl_fail(loader->err, loader->errlen, BL_EINVAL,
                       "%.200s line %zu: place '%s' is given twice, overlaps another (they need "
                       "%g um) or is beyond the %d that fit",
                       path, number, name, 2 * BL_HOLDER_HALF_WIDTH_UM, BL_HOLDER_PLACES);
    add_place(loader->holder, name, x_um, y_um);
    return BL_OK;
}

/* A folder without holder.dat is fine: all places are automatic then. */
static int read_layout(struct loader *loader, const char *folder)
{
    char path[PATH_LENGTH];
    struct bl_text text;
    char *line;
    FILE *probe;
    int status;

    if ((size_t)snprintf(path, sizeof path, "%s/holder.dat", folder) >= sizeof path)
        return bl_fail(loader->err, loader->errlen, BL_EINVAL, "samples folder: path too long");
    probe = fopen(path, "rb");
    if (!probe && errno == ENOENT)
        return BL_OK;
    if (probe)
        fclose(probe);
    status = bl_text_read(path, &text, loader->err, loader->errlen);
    while (status == BL_OK && (line = bl_text_line(&text)) != NULL) {
        if (*line != '\0' && *line != '#')
            status = read_layout_line(loader, path, text.line, line);
    }
    bl_text_free(&text);
    return status;
}

static int is_sample_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (ends_with(entry->d_name, FILE_ENDING) || ends_with(entry->d_name, POWDER_ENDING));
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* the same order in every locale */
}

static int load_folder(struct loader *loader, const char *folder)
{
    char path[PATH_LENGTH];
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_sample_file, compare_names);
    int status = BL_OK;

    if (n < 0)
        return bl_fail(loader->err, loader->errlen, BL_EIO, "samples folder %.200s: %s", folder,
                       strerror(errno));
    if (n == 0)
        status = bl_fail(loader->err, loader->errlen, BL_ENOTFOUND,
                         "samples folder %.200s: holds no %s file", folder, FILE_ENDING);
    if (status == BL_OK)
        status = read_layout(loader, folder);
    for (int i = 0; i < n && status == BL_OK; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) >= sizeof path)
            status = bl_fail(loader->err, loader->errlen, BL_EINVAL, "%.200s: path too long",
                             entries[i]->d_name);
        else
            status = place_sample(loader, path);
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    for (size_t i = 0; i < loader->holder->n && status == BL_OK; i++) {
        const struct bl_place *place = &loader->holder->place[i];

        if (!place->sample && strcmp(place->name, BL_EMPTY_NAME) != 0)
            status =
                bl_fail(loader->err, loader->errlen, BL_ENOTFOUND,
                        "%.200s/holder.dat: there is no file %s%s (or %s); add it or remove the "
                        "line",
                        folder, place->name, FILE_ENDING, POWDER_ENDING);
    }
    return status;
}

int bl_holder_load(const char *folder, const char *const *extra, size_t n_extra,
                   const struct bl_elements *elements, const struct bl_chamber_pair *chambers,
                   struct bl_holder **holder, char *err, size_t errlen)
{
    struct loader loader = {
        .elements = elements, .chambers = chambers, .err = err, .errlen = errlen};
    int status = BL_OK;

    *holder = NULL;
    loader.holder = calloc(1, sizeof *loader.holder);
    if (!loader.holder)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    if (folder)
        status = load_folder(&loader, folder);
    if (status == BL_OK)
        status = ensure_empty(&loader);
    for (size_t i = 0; i < n_extra && status == BL_OK; i++)
        status = place_sample(&loader, extra[i]);
    if (status == BL_OK)
        *holder = loader.holder;
    else
        bl_holder_free(loader.holder);
    return status;
}

void bl_holder_free(struct bl_holder *holder)
{
    if (!holder)
        return;
    for (size_t i = 0; i < holder->n; i++)
        bl_sample_free(holder->place[i].sample);
    free(holder);
}

const struct bl_place *bl_holder_at(const struct bl_holder *holder, double x_um, double y_um)
{
    for (size_t i = 0; i < holder->n; i++) {
        const struct bl_place *place = &holder->place[i];

        if (fabs(x_um - place->x_um) <= BL_HOLDER_HALF_WIDTH_UM &&
            fabs(y_um - place->y_um) <= BL_HOLDER_HALF_WIDTH_UM)
            return place;
    }
    return NULL;
}

const struct bl_place *bl_holder_find(const struct bl_holder *holder, const char *name)
{
    for (size_t i = 0; i < holder->n; i++) {
        if (strcmp(holder->place[i].name, name) == 0)
            return &holder->place[i];
    }
    return NULL;
}
