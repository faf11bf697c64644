#include "xdi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"
#include "xdi_header.h"

enum role { ENERGY, MUTRANS, MU, I0, ITRANS, NROLES };

static const struct {
    enum role role;
    const char *label;
} labels[] = {
    {ENERGY, "energy"}, {MUTRANS, "mutrans"}, {MU, "mu"},
    {MU, "xmu"},        {I0, "i0"},           {ITRANS, "itrans"},
};

static const struct {
    const char *name;
    double ev;
} energy_units[] = {{"", 1.0}, {"ev", 1.0}, {"kev", 1000.0}};

struct reader {
    struct bl_xdi_reader head;
    int index[NROLES]; /* column of a role, -1 for none */
    double ev_per_unit;
    size_t capacity;
};

static size_t count_words(const char *line)
{
    size_t words = 0;

    while (*line) {
        line += strspn(line, " \t,");
        if (!*line)
            break;
        words++;
        line += strcspn(line, " \t,");
    }
    return words;
}

static int set_energy_unit(struct reader *reader)
{
    const char *unit = reader->head.column[reader->index[ENERGY]].unit;

    for (size_t i = 0; i < sizeof energy_units / sizeof *energy_units; i++) {
        if (bl_text_same(unit, energy_units[i].name)) {
            reader->ev_per_unit = energy_units[i].ev;
            return BL_OK;
        }
    }
    return BL_XDI_FAIL(&reader->head,
                       "%s: energy is in '%s'; allowed are eV and keV, so convert the column",
                       reader->head.xdi->path, unit);
}

static int assign_columns(struct reader *reader)
{
    const struct bl_xdi *xdi = reader->head.xdi;
    bool angle = false;

    for (size_t role = 0; role < NROLES; role++)
        reader->index[role] = -1;
    for (size_t i = reader->head.n_columns; i-- > 0;) { /* backwards: the first of two counts */
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
            if (bl_text_same(reader->head.column[i].label, labels[k].label))
                reader->index[labels[k].role] = (int)i;
        }
        if (bl_text_same(reader->head.column[i].label, "angle"))
            angle = true;
    }
    if (reader->index[ENERGY] < 0 && angle)
        return BL_XDI_FAIL(&reader->head,
                           "%s: gives the monochromator's angle; add a column of energy in eV",
                           xdi->path);
    if (reader->index[ENERGY] < 0)
        return BL_XDI_FAIL(&reader->head, "%s: no column is labelled energy (Column.1: energy eV)",
                           xdi->path);
    if (reader->index[MUTRANS] < 0 && reader->index[MU] < 0 &&
        (reader->index[I0] < 0 || reader->index[ITRANS] < 0))
        return BL_XDI_FAIL(&reader->head,
                           "%s: no transmission data; label columns i0 and itrans, or mutrans",
                           xdi->path);
    if (!*xdi->element || !*xdi->edge)
        return BL_XDI_FAIL(&reader->head,
                           "%s: Element.symbol or Element.edge is missing from the header",
                           xdi->path);
    /* One way to mu is used, so that the other columns may be empty. */
    if (reader->index[MUTRANS] < 0)
        reader->index[MUTRANS] = reader->index[MU];
    reader->index[MU] = -1;
    if (reader->index[MUTRANS] >= 0)
        reader->index[I0] = reader->index[ITRANS] = -1;
    return set_energy_unit(reader);
}

static int append(struct reader *reader, double energy_ev, double mu)
{
    struct bl_xdi *xdi = reader->head.xdi;

    if (xdi->n == reader->capacity) {
        size_t capacity = reader->capacity ? 2 * reader->capacity : 512;
        double *energies = realloc(xdi->energy_ev, capacity * sizeof *energies);
        double *values;

        if (!energies)
            return bl_fail(reader->head.err, reader->head.errlen, BL_ENOMEM, "%s: out of memory",
                           xdi->path);
        xdi->energy_ev = energies;
        values = realloc(xdi->mu, capacity * sizeof *values);
        if (!values)
            return bl_fail(reader->head.err, reader->head.errlen, BL_ENOMEM, "%s: out of memory",
                           xdi->path);
        xdi->mu = values;
        reader->capacity = capacity;
    }
    xdi->energy_ev[xdi->n] = energy_ev;
    xdi->mu[xdi->n++] = mu;
    return BL_OK;
}

static int absorption(struct reader *reader, const double *value, double *mu)
{
    double i0, itrans;

    if (reader->index[MUTRANS] >= 0) {
        *mu = value[reader->index[MUTRANS]];
        return BL_OK;
    }
    i0 = value[reader->index[I0]];
    itrans = value[reader->index[ITRANS]];
    if (!(i0 > 0 && itrans > 0))
        return BL_XDI_FAIL(&reader->head, "%s line %zu: i0 %g and itrans %g must be positive",
                           reader->head.xdi->path, reader->head.text.line, i0, itrans);
    *mu = log(i0 / itrans);
    return BL_OK;
}

/* Numbers of a row; a column that plays no role may hold anything. */
static int read_values(struct reader *reader, char *line, double value[BL_XDI_COLUMNS])
{
    const struct bl_xdi *xdi = reader->head.xdi;
    size_t words = count_words(line), number = reader->head.text.line;

    if (words < reader->head.n_columns)
        return BL_XDI_FAIL(&reader->head, "%s line %zu: %zu numbers in a row of %zu columns",
                           xdi->path, number, words, reader->head.n_columns);
    for (int i = 0; i < (int)reader->head.n_columns; i++) {
        char *word = bl_text_word(&line);
        bool used = false;

        for (size_t role = 0; role < NROLES; role++)
            used = used || reader->index[role] == i;
        if (!used)
            continue;
        if (!word || bl_text_number(word, &value[i]) != BL_OK)
            return BL_XDI_FAIL(&reader->head, "%s line %zu: '%.40s' is not a number", xdi->path,
                               number, word ? word : "");
        if (!isfinite(value[i]))
            return BL_XDI_FAIL(&reader->head, "%s line %zu: %s is not finite; remove that row",
                               xdi->path, number, reader->head.column[i].label);
    }
    return BL_OK;
}

static int read_row(struct reader *reader, char *line)
{
    const struct bl_xdi *xdi = reader->head.xdi;
    double value[BL_XDI_COLUMNS] = {0};
    double energy, mu = 0.0;
    int status = read_values(reader, line, value);

    if (status != BL_OK)
        return status;
    energy = value[reader->index[ENERGY]] * reader->ev_per_unit;
    if (!(energy > 0))
        return BL_XDI_FAIL(&reader->head, "%s line %zu: energy %g eV is not positive", xdi->path,
                           reader->head.text.line, energy);
    if (xdi->n > 0 && !(energy > xdi->energy_ev[xdi->n - 1]))
        return BL_XDI_FAIL(
            &reader->head,
            "%s line %zu: energy %.4f eV does not follow %.4f eV; energies must increase, "
            "so sort the file and merge repeated points",
            xdi->path, reader->head.text.line, energy, xdi->energy_ev[xdi->n - 1]);
    status = absorption(reader, value, &mu);
    return status == BL_OK ? append(reader, energy, mu) : status;
}

int bl_xdi_read(const char *path, struct bl_xdi **xdi, char *err, size_t errlen)
{
    struct reader reader = {.head = {.err = err, .errlen = errlen}};
    char *line;
    int status;

    *xdi = NULL;
    reader.head.xdi = calloc(1, sizeof *reader.head.xdi);
    if (!reader.head.xdi)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    bl_text_path(reader.head.xdi->path, BL_XDI_TEXT, path);
    status = bl_text_read(path, &reader.head.text, err, errlen);
    if (status == BL_OK)
        status = bl_xdi_read_header(&reader.head, &line);
    if (status == BL_OK)
        status = assign_columns(&reader);
    for (; status == BL_OK && line; line = bl_text_line(&reader.head.text)) {
        if (*line != '\0' && *line != '#')
            status = read_row(&reader, line);
    }
    if (status == BL_OK && reader.head.xdi->n < BL_XDI_MIN_POINTS)
        status = BL_XDI_FAIL(&reader.head, "%s: %zu points are too few, at least %d are needed",
                             reader.head.xdi->path, reader.head.xdi->n, BL_XDI_MIN_POINTS);
    bl_text_free(&reader.head.text);
    if (status == BL_OK)
        *xdi = reader.head.xdi;
    else
        bl_xdi_free(reader.head.xdi);
    return status;
}

void bl_xdi_free(struct bl_xdi *xdi)
{
    if (!xdi)
        return;
    free(xdi->energy_ev);
    free(xdi->mu);
    free(xdi);
}
