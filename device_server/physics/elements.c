#include "elements.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"

#define MAX_POINTS 256
#define MAX_EDGES 12
#define SYMBOL_LENGTH 4

/* One element. An edge is a pair of points of the same energy. */
struct element {
    char symbol[SYMBOL_LENGTH];
    double mass;
    size_t n_edges;
    struct bl_edge edge[MAX_EDGES];
    size_t n;
    double log_energy[MAX_POINTS];
    double log_attenuation[BL_NATTENUATIONS][MAX_POINTS];
};

struct bl_elements {
    double lowest_ev;
    double highest_ev;
    struct element element[BL_MAX_Z + 1]; /* by Z; 0 is unused */
};

struct reader {
    const char *path;
    struct bl_text text;
    struct element *current;
    char *err;
    size_t errlen;
};

static int fail(const struct reader *reader, const char *what)
{
    return bl_fail(reader->err, reader->errlen, BL_EFORMAT, "%s line %zu: %s", reader->path,
                   reader->text.line, what);
}

/* "element 26 Fe 55.845" */
static int read_element(struct reader *reader, struct bl_elements *elements, char *rest)
{
    char *z_word = bl_text_word(&rest);
    char *symbol = bl_text_word(&rest);
    char *mass_word = bl_text_word(&rest);
    double z, mass;

    if (!mass_word || bl_text_number(z_word, &z) || bl_text_number(mass_word, &mass))
        return fail(reader, "expected 'element Z symbol mass'");
    if (!(z >= 1 && z <= BL_MAX_Z && z == floor(z)) || strlen(symbol) >= SYMBOL_LENGTH ||
        !(mass > 0) || !isfinite(mass))
        return fail(reader, "element number, symbol or mass makes no sense");
    reader->current = &elements->element[(size_t)z];
    if (reader->current->mass > 0)
        return fail(reader, "element given twice");
    bl_text_copy(reader->current->symbol, SYMBOL_LENGTH, symbol);
    reader->current->mass = mass;
    return BL_OK;
}

/* "edge K 7112" */
static int read_edge(struct reader *reader, char *rest)
{
    char *name = bl_text_word(&rest);
    char *word = bl_text_word(&rest);
    struct bl_edge *edge;
    double energy;

    if (!reader->current || !word || bl_text_number(word, &energy) || !(energy > 0) ||
        strlen(name) >= sizeof edge->name)
        return fail(reader, "expected 'edge NAME ENERGY' of an element");
    if (reader->current->n_edges == MAX_EDGES)
        return fail(reader, "too many edges");
    edge = &reader->current->edge[reader->current->n_edges++];
    bl_text_copy(edge->name, sizeof edge->name, name);
    edge->energy_ev = energy;
    return BL_OK;
}

/* "energy total photoelectric" */
static int read_point(struct reader *reader, char *line)
{
    struct element *element = reader->current;
    double value[1 + BL_NATTENUATIONS];
    size_t n;

    for (size_t i = 0; i < 1 + BL_NATTENUATIONS; i++) {
        char *word = bl_text_word(&line);

        if (!word || bl_text_number(word, &value[i]) || !(value[i] > 0) || !isfinite(value[i]))
            return fail(reader, "expected an energy and two attenuation coefficients");
        value[i] = log(value[i]);
    }
    if (!element)
        return fail(reader, "numbers before the first element");
    n = element->n;
    if (n == MAX_POINTS)
        return fail(reader, "too many points");
    if (n > 0 && value[0] < element->log_energy[n - 1])
        return fail(reader, "energies must not decrease");
    if (n > 1 && value[0] <= element->log_energy[n - 2])
        return fail(reader, "more than two points of one energy");
    element->log_energy[n] = value[0];
    for (size_t kind = 0; kind < BL_NATTENUATIONS; kind++)
        element->log_attenuation[kind][n] = value[1 + kind];
    element->n++;
    return BL_OK;
}

/* Jumps come from the pair of points at each edge. */
static int finish_edges(struct element *element)
{
    const double *total = element->log_attenuation[BL_TOTAL];

    for (size_t e = 0; e < element->n_edges; e++) {
        struct bl_edge *edge = &element->edge[e];
        double log_edge = log(edge->energy_ev);
        size_t i = 1;

        while (i < element->n &&
               !(element->log_energy[i - 1] == log_edge && element->log_energy[i] == log_edge))
            i++;
        if (i >= element->n)
            return BL_EFORMAT;
        edge->jump_cm2_g = exp(total[i]) - exp(total[i - 1]);
    }
    return BL_OK;
}

static int finish(struct reader *reader, struct bl_elements *elements)
{
    double lowest = 0, highest = INFINITY;

    for (size_t z = 1; z <= BL_MAX_Z; z++) {
        struct element *element = &elements->element[z];

        if (element->n < 2)
            return bl_fail(reader->err, reader->errlen, BL_EFORMAT,
                           "%s: element %zu has no attenuation", reader->path, z);
        lowest = fmax(lowest, element->log_energy[0]);
        highest = fmin(highest, element->log_energy[element->n - 1]);
        if (finish_edges(element) != BL_OK)
            return bl_fail(reader->err, reader->errlen, BL_EFORMAT,
                           "%s: an edge of %s is not a pair of points", reader->path,
                           element->symbol);
    }
    elements->lowest_ev = exp(lowest);
    elements->highest_ev = exp(highest);
    return BL_OK;
}

int bl_elements_load(const char *path, struct bl_elements **elements, char *err, size_t errlen)
{
    struct reader reader = {.path = path, .err = err, .errlen = errlen};
    struct bl_elements *loaded = NULL;
    char shown[256];
    char *line;
    int status;

    *elements = NULL;
    bl_text_path(shown, sizeof shown, path);
    reader.path = shown;
    status = bl_text_read(path, &reader.text, err, errlen);
    if (status != BL_OK)
        return status;
    loaded = calloc(1, sizeof *loaded);
    if (!loaded) {
        status = bl_fail(err, errlen, BL_ENOMEM, "%s: out of memory", shown);
        goto done;
    }
    while (status == BL_OK && (line = bl_text_line(&reader.text)) != NULL) {
        if (*line == '\0' || *line == '#')
            continue;
        if (strncmp(line, "element ", 8) == 0)
            status = read_element(&reader, loaded, line + 8);
        else if (strncmp(line, "edge ", 5) == 0)
            status = read_edge(&reader, line + 5);
        else
            status = read_point(&reader, line);
    }
    if (status == BL_OK)
        status = finish(&reader, loaded);

done:
    bl_text_free(&reader.text);
    if (status == BL_OK)
        *elements = loaded;
    else
        free(loaded);
    return status;
}

void bl_elements_free(struct bl_elements *elements)
{
    free(elements);
}

void bl_elements_range(const struct bl_elements *elements, double *lowest_ev, double *highest_ev)
{
    *lowest_ev = elements->lowest_ev;
    *highest_ev = elements->highest_ev;
}

int bl_elements_find(const struct bl_elements *elements, const char *symbol, int *z)
{
    for (int i = 1; i <= BL_MAX_Z; i++) {
        if (strcmp(elements->element[i].symbol, symbol) == 0) {
            *z = i;
            return BL_OK;
        }
    }
    return BL_ENOTFOUND;
}

const char *bl_elements_symbol(const struct bl_elements *elements, int z)
{
    return z >= 1 && z <= BL_MAX_Z ? elements->element[z].symbol : "";
}

int bl_elements_mass(const struct bl_elements *elements, int z, double *g_per_mol)
{
    if (z < 1 || z > BL_MAX_Z)
        return BL_ENOTFOUND;
    *g_per_mol = elements->element[z].mass;
    return BL_OK;
}

int bl_elements_edge(const struct bl_elements *elements, int z, const char *name,
                     struct bl_edge *edge)
{
    const struct element *element;

    if (z < 1 || z > BL_MAX_Z)
        return BL_ENOTFOUND;
    element = &elements->element[z];
    for (size_t i = 0; i < element->n_edges; i++) {
        if (bl_text_same(element->edge[i].name, name)) {
            *edge = element->edge[i];
            return BL_OK;
        }
    }
    return BL_ENOTFOUND;
}

int bl_elements_attenuation(const struct bl_elements *elements, int z, enum bl_attenuation kind,
                            double energy_ev, double *cm2_g)
{
    const struct element *element;
    const double *x, *y;
    double log_energy, fraction;
    size_t low, high;

    if (z < 1 || z > BL_MAX_Z || (unsigned)kind >= BL_NATTENUATIONS)
        return BL_EINVAL;
    if (!(energy_ev >= elements->lowest_ev && energy_ev <= elements->highest_ev))
        return BL_ERANGE;
    element = &elements->element[z];
    x = element->log_energy;
    y = element->log_attenuation[kind];
    log_energy = log(energy_ev);
    low = 0;
    high = element->n - 1;
    while (high - low > 1) { /* x[low] <= log_energy: of an edge's pair the upper point */
        size_t middle = low + (high - low) / 2;

        if (x[middle] <= log_energy)
            low = middle;
        else
            high = middle;
    }
    fraction = x[high] > x[low] ? (log_energy - x[low]) / (x[high] - x[low]) : 1.0;
    *cm2_g = exp(y[low] + fraction * (y[high] - y[low]));
    return BL_OK;
}
