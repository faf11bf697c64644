#include "phases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"

#define MAX_PHASES 64
#define MAX_SCATTERERS 64
#define SAME_FRACTION 1e-3 /* compositions this close are the same */

struct bl_scatterer {
    char symbol[4];
    double f0_step;
    size_t n_f0, n_anomalous;
    double *f0;
    struct anomalous {
        double energy_ev, f1, f2;
    } *anomalous;
};

struct bl_phases {
    size_t n_scatterers, n;
    struct bl_scatterer scatterer[MAX_SCATTERERS];
    struct bl_phase phase[MAX_PHASES];
};

struct reader {
    struct bl_phases *phases;
    const struct bl_elements *elements;
    struct bl_text text;
    char path[256];
    char *err;
    size_t errlen;
};

static int refuse(const struct reader *reader, const char *expected)
{
    return bl_fail(reader->err, reader->errlen, BL_EFORMAT, "%s line %zu: expected %s",
                   reader->path, reader->text.line, expected);
}

/* Room for one more element of an array that grows by doubling. */
static void *one_more(void *array, size_t n, size_t size)
{
    if (n != 0 && (n & (n - 1)) != 0)
        return array;
    return realloc(array, (n ? 2 * n : 1) * size);
}

static int read_numbers(char **line, double *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *word = bl_text_word(line);

        if (!word || bl_text_number(word, &numbers[i]) != BL_OK || !isfinite(numbers[i]))
            return BL_EFORMAT;
    }
    return BL_OK;
}

static int read_scatterer(struct reader *reader, char *line)
{
    struct bl_phases *phases = reader->phases;
    struct bl_scatterer *scatterer = &phases->scatterer[phases->n_scatterers];
    const char *symbol = bl_text_word(&line);
    int z;

    if (phases->n_scatterers == MAX_SCATTERERS || !symbol ||
        bl_elements_find(reader->elements, symbol, &z) != BL_OK ||
        read_numbers(&line, &scatterer->f0_step, 1) != BL_OK || !(scatterer->f0_step > 0))
        return refuse(reader, "'scatterer SYMBOL F0_STEP' of an element");
    bl_text_copy(scatterer->symbol, sizeof scatterer->symbol, symbol);
    phases->n_scatterers++;
    return BL_OK;
}

static int read_form_factors(struct reader *reader, char *line)
{
    struct bl_phases *phases = reader->phases;
    struct bl_scatterer *scatterer = &phases->scatterer[phases->n_scatterers - 1];
    const char *word;

    while ((word = bl_text_word(&line)) != NULL) {
        double value, *grown;

        if (bl_text_number(word, &value) != BL_OK || !isfinite(value))
            return refuse(reader, "form factors");
        grown = one_more(scatterer->f0, scatterer->n_f0, sizeof *grown);
        if (!grown)
            return bl_fail(reader->err, reader->errlen, BL_ENOMEM, "out of memory");
        scatterer->f0 = grown;
        scatterer->f0[scatterer->n_f0++] = value;
    }
    return BL_OK;
}

static int read_anomalous(struct reader *reader, char *line)
{
    struct bl_phases *phases = reader->phases;
    struct bl_scatterer *scatterer = &phases->scatterer[phases->n_scatterers - 1];
    const size_t n = scatterer->n_anomalous;
    struct anomalous *grown;
    double number[3];

    if (read_numbers(&line, number, 3) != BL_OK ||
        (n > 0 && !(number[0] > scatterer->anomalous[n - 1].energy_ev)))
        return refuse(reader, "'anomalous ENERGY_EV F1 F2' with rising energies");
    grown = one_more(scatterer->anomalous, n, sizeof *grown);
    if (!grown)
        return bl_fail(reader->err, reader->errlen, BL_ENOMEM, "out of memory");
    scatterer->anomalous = grown;
    scatterer->anomalous[n] = (struct anomalous){number[0], number[1], number[2]};
    scatterer->n_anomalous++;
    return BL_OK;
}

static int read_phase(struct reader *reader, char *line)
{
    struct bl_phases *phases = reader->phases;
    struct bl_phase *phase = &phases->phase[phases->n];
    const char *name = bl_text_word(&line);
    const char *formula = name ? bl_text_word(&line) : NULL;
    char reason[BL_ERROR_LENGTH] = "";
    double number[3];

    if (phases->n == MAX_PHASES || !name || !formula || read_numbers(&line, number, 3) != BL_OK ||
        !(number[0] > 0 && number[1] > 0 && number[2] >= 0))
        return refuse(reader, "'phase NAME FORMULA VOLUME_A3 DENSITY_G_CM3 SIZE_A'");
    if (bl_formula_parse(formula, reader->elements, &phase->formula, reason, sizeof reason))
        return bl_fail(reader->err, reader->errlen, BL_EFORMAT, "%s line %zu: %s", reader->path,
                       reader->text.line, reason);
    bl_text_copy(phase->name, sizeof phase->name, name);
    bl_text_copy(phase->formula_text, sizeof phase->formula_text, formula);
    phase->volume_a3 = number[0];
    phase->density_g_cm3 = number[1];
    phase->size_angstrom = number[2];
    phases->n++;
    return BL_OK;
}

static const struct bl_scatterer *find_scatterer(const struct bl_phases *phases, const char *symbol)
{
    for (size_t i = 0; i < phases->n_scatterers; i++) {
        const struct bl_scatterer *scatterer = &phases->scatterer[i];

        if (strcmp(scatterer->symbol, symbol) == 0)
            return scatterer->n_f0 > 1 && scatterer->n_anomalous > 1 ? scatterer : NULL;
    }
    return NULL;
}

static int read_sites(struct reader *reader, char *line)
{
    struct bl_phase *phase = &reader->phases->phase[reader->phases->n - 1];
    const char *symbol;

    while ((symbol = bl_text_word(&line)) != NULL) {
        const struct bl_scatterer *scatterer = find_scatterer(reader->phases, symbol);

        if (phase->n_sites == BL_PHASE_SITES || !scatterer ||
            read_numbers(&line, &phase->b_a2[phase->n_sites], 1) != BL_OK ||
            !(phase->b_a2[phase->n_sites] >= 0))
            return refuse(reader, "'sites SYMBOL B_A2', at most two scatterers given above");
        phase->scatterer[phase->n_sites++] = scatterer;
    }
    return BL_OK;
}

static int read_line(struct reader *reader, char *line)
{
    struct bl_phase *phase = &reader->phases->phase[reader->phases->n - 1];
    const size_t n = phase->n_lines;
    struct bl_phase_line *grown;
    double number[5 + BL_PHASE_SITES] = {0};

    if (phase->n_sites == 0 || read_numbers(&line, number, 5 + phase->n_sites) != BL_OK ||
        !(number[3] >= 1 && number[4] > 0) || (n > 0 && number[4] > phase->line[n - 1].d_angstrom))
        return refuse(reader,
                      "'line H K L MULTIPLICITY D_A SUM ..' after 'sites', longest D_A first");
    grown = one_more(phase->line, n, sizeof *grown);
    if (!grown)
        return bl_fail(reader->err, reader->errlen, BL_ENOMEM, "out of memory");
    phase->line = grown;
    phase->line[n] = (struct bl_phase_line){.h = (int)number[0],
                                            .k = (int)number[1],
                                            .l = (int)number[2],
                                            .multiplicity = number[3],
                                            .d_angstrom = number[4]};
    memcpy(phase->line[n].sum, number + 5, sizeof phase->line[n].sum);
    phase->n_lines++;
    return BL_OK;
}

static int read_row(struct reader *reader, char *line)
{
    static const struct {
        const char *word;
        enum { ANYWHERE, AFTER_SCATTERER, AFTER_PHASE } where;
        int (*read)(struct reader *reader, char *line);
    } rows[] = {
        {"scatterer", ANYWHERE, read_scatterer}, {"anomalous", AFTER_SCATTERER, read_anomalous},
        {"phase", ANYWHERE, read_phase},         {"sites", AFTER_PHASE, read_sites},
        {"line", AFTER_PHASE, read_line},
    };
    char *rest = line;
    const size_t length = strcspn(line, " \t");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (length != strlen(rows[i].word) || strncmp(line, rows[i].word, length) != 0)
            continue;
        if ((rows[i].where == AFTER_SCATTERER && reader->phases->n_scatterers == 0) ||
            (rows[i].where == AFTER_PHASE && reader->phases->n == 0))
            return refuse(reader, "a scatterer, or a phase, before what belongs to it");
        (void)bl_text_word(&rest);
        return rows[i].read(reader, rest);
    }
    if (reader->phases->n_scatterers == 0)
        return refuse(reader, "a scatterer first");
    return read_form_factors(reader, line);
}

int bl_phases_load(const char *path, const struct bl_elements *elements, struct bl_phases **phases,
                   char *err, size_t errlen)
{
    struct reader reader = {.elements = elements, .err = err, .errlen = errlen};
    char *line;
    int status;

    *phases = NULL;
    bl_text_path(reader.path, sizeof reader.path, path);
    reader.phases = calloc(1, sizeof *reader.phases);
    if (!reader.phases)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    status = bl_text_read(path, &reader.text, err, errlen);
    while (status == BL_OK && (line = bl_text_line(&reader.text)) != NULL) {
        if (*line && *line != '#')
            status = read_row(&reader, line);
    }
    bl_text_free(&reader.text);
    if (status == BL_OK)
        *phases = reader.phases;
    else
        bl_phases_free(reader.phases);
    return status;
}

void bl_phases_free(struct bl_phases *phases)
{
    if (!phases)
        return;
    for (size_t i = 0; i < phases->n_scatterers; i++) {
        free(phases->scatterer[i].f0);
        free(phases->scatterer[i].anomalous);
    }
    for (size_t i = 0; i < phases->n; i++)
        free(phases->phase[i].line);
    free(phases);
}

size_t bl_phases_count(const struct bl_phases *phases)
{
    return phases->n;
}

const struct bl_phase *bl_phases_get(const struct bl_phases *phases, size_t index)
{
    return index < phases->n ? &phases->phase[index] : NULL;
}

const struct bl_phase *bl_phases_match(const struct bl_phases *phases,
                                       const struct bl_formula *formula)
{
    for (size_t i = 0; i < phases->n; i++) {
        const struct bl_formula *own = &phases->phase[i].formula;
        size_t same = 0;

        while (same < own->n && own->n == formula->n &&
               fabs(bl_formula_fraction(formula, own->z[same]) - own->mass_fraction[same]) <
                   SAME_FRACTION)
            same++;
        if (same == own->n)
            return &phases->phase[i];
    }
    return NULL;
}

int bl_scatterer_amplitude(const struct bl_scatterer *scatterer, double s, double energy_ev,
                           double *real, double *imaginary)
{
    const struct anomalous *row = scatterer->anomalous;
    const double at = s / scatterer->f0_step;
    size_t low = 0, high = scatterer->n_anomalous - 1;
    double part;

    if (!(at >= 0 && at < (double)(scatterer->n_f0 - 1)) ||
        !(energy_ev >= row[low].energy_ev && energy_ev <= row[high].energy_ev))
        return BL_ERANGE;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;

        if (row[middle].energy_ev <= energy_ev)
            low = middle;
        else
            high = middle;
    }
    part = (energy_ev - row[low].energy_ev) / (row[high].energy_ev - row[low].energy_ev);
    *real = row[low].f1 + part * (row[high].f1 - row[low].f1);
    *imaginary = row[low].f2 + part * (row[high].f2 - row[low].f2);
    low = (size_t)at;
    *real +=
        scatterer->f0[low] + (at - (double)low) * (scatterer->f0[low + 1] - scatterer->f0[low]);
    return BL_OK;
}

int bl_phase_structure(const struct bl_phase *phase, const struct bl_phase_line *line,
                       double energy_ev, double *f_squared)
{
    const double s = 0.5 / line->d_angstrom;
    double real = 0, imaginary = 0;

    for (size_t i = 0; i < phase->n_sites; i++) {
        const double sum = line->sum[i] * exp(-phase->b_a2[i] * s * s);
        double f, f2;
        const int status = bl_scatterer_amplitude(phase->scatterer[i], s, energy_ev, &f, &f2);

        if (status != BL_OK)
            return status;
        real += sum * f;
        imaginary += sum * f2;
    }
    *f_squared = real * real + imaginary * imaginary;
    return BL_OK;
}
