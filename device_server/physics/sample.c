#include "sample.h"

#include <stdlib.h>
#include <string.h>

#include "edge_step.h"
#include "status.h"
#include "text.h"
#include "xdi.h"

int bl_sample_name(const char *path, char name[BL_NAME_LENGTH], char *err, size_t errlen)
{
    const char *slash = strrchr(path, '/');
    const char *stem = slash ? slash + 1 : path;
    const char *dot = strrchr(stem, '.');
    size_t length = dot && dot != stem ? (size_t)(dot - stem) : strlen(stem);

    if (length == 0 || length >= BL_NAME_LENGTH)
        return bl_fail(err, errlen, BL_EINVAL,
                       "%.200s: the name of a sample is its file's and must have 1 to %d "
                       "characters; this has %zu, so rename the file",
                       stem, BL_NAME_LENGTH - 1, length);
    memcpy(name, stem, length);
    name[length] = '\0';
    return BL_OK;
}

/* Element, edge and formula, checked against each other and the tables. */
static int take_chemistry(struct bl_sample *sample, const struct bl_xdi *xdi,
                          const struct bl_elements *elements, double *jump_cm2_g, char *err,
                          size_t errlen)
{
    struct bl_edge edge;
    char reason[BL_ERROR_LENGTH];
    double lowest, highest;
    int z;

    if (bl_elements_find(elements, xdi->element, &z) != BL_OK)
        return bl_fail(err, errlen, BL_ENOTFOUND, "%s: Element.symbol '%.20s' is not an element",
                       xdi->path, xdi->element);
    bl_elements_range(elements, &lowest, &highest);
    if (bl_elements_edge(elements, z, xdi->edge, &edge) != BL_OK)
        return bl_fail(err, errlen, BL_ENOTFOUND, "%s: %s has no edge '%.20s' from %.0f to %.0f eV",
                       xdi->path, xdi->element, xdi->edge, lowest, highest);
    bl_text_copy(sample->formula_text, sizeof sample->formula_text,
                 *xdi->formula ? xdi->formula : xdi->element);
    if (bl_formula_parse(sample->formula_text, elements, &sample->formula, reason, sizeof reason))
        return bl_fail(err, errlen, BL_EFORMAT, "%s: Sample.%s", xdi->path, reason);
    if (!(bl_formula_fraction(&sample->formula, z) > 0))
        return bl_fail(err, errlen, BL_EFORMAT, "%s: Sample.formula '%s' lacks Element.symbol %s",
                       xdi->path, sample->formula_text, xdi->element);
    bl_text_copy(sample->element, sizeof sample->element, xdi->element);
    bl_text_copy(sample->edge, sizeof sample->edge, edge.name);
    sample->z = z;
    sample->edge_ev = edge.energy_ev;
    *jump_cm2_g = edge.jump_cm2_g * bl_formula_fraction(&sample->formula, z);
    return BL_OK;
}

static int check_range(const struct bl_xdi *xdi, const struct bl_elements *elements, char *err,
                       size_t errlen)
{
    double first = xdi->energy_ev[0], last = xdi->energy_ev[xdi->n - 1];
    double lowest, highest;

    bl_elements_range(elements, &lowest, &highest);
    if (first >= lowest && last <= highest)
        return BL_OK;
    return bl_fail(err, errlen, BL_ERANGE,
                   "%s: energies %g to %g eV are not within %.0f to %.0f eV; name the right unit "
                   "in Column.N (energy eV or energy keV)",
                   xdi->path, first, last, lowest, highest);
}

/* The one constant that puts a measured pre-edge onto the tables: the mean difference there. */
static void put_on_tables(struct bl_sample *sample, const double *table, size_t n_pre)
{
    double sum = 0.0;

    for (size_t i = 0; i < n_pre; i++)
        sum += sample->areal_density_g_cm2 * table[i] - sample->mu[i];
    sample->offset = sum / (double)n_pre;
    for (size_t i = 0; i < sample->n; i++)
        sample->mu[i] += sample->offset;
}

/* Amount of the sample, and the place of a measured spectrum on the tables. */
static int take_scale(struct bl_sample *sample, const struct bl_xdi *xdi,
                      const struct bl_elements *elements, char *err, size_t errlen)
{
    struct bl_edge_step step;
    double *table = malloc(xdi->n * sizeof *table);
    int status = BL_OK;

    if (!table)
        return bl_fail(err, errlen, BL_ENOMEM, "%s: out of memory", xdi->path);
    for (size_t i = 0; i < xdi->n && status == BL_OK; i++)
        status = bl_formula_attenuation(&sample->formula, elements, BL_TOTAL, xdi->energy_ev[i],
                                        &table[i]);
    if (status != BL_OK)
        bl_fail(err, errlen, status, "%s: energy %s", xdi->path, bl_status_text(status));
    else
        status = bl_edge_step_find(xdi, table, sample->edge_ev, &step, err, errlen);
    if (status != BL_OK)
        goto done;
    sample->areal_density_g_cm2 =
        xdi->areal_density_g_cm2 > 0 ? xdi->areal_density_g_cm2 : step.areal_density_g_cm2;
    if (!sample->absolute)
        put_on_tables(sample, table, step.n_pre);

done:
    free(table);
    return status;
}

/* Takes the chambers' response out of a measured ln(i0/itrans). */
static int take_out_response(struct bl_xdi *xdi, const struct bl_chamber_pair *chambers,
                             const struct bl_elements *elements, char *err, size_t errlen)
{
    for (size_t i = 0; i < xdi->n; i++) {
        double log_ratio;
        int status = bl_chamber_pair_log_ratio(chambers, elements, xdi->energy_ev[i], &log_ratio);

        if (status != BL_OK)
            return bl_fail(err, errlen, status, "%s: energy %s", xdi->path, bl_status_text(status));
        xdi->mu[i] -= log_ratio;
    }
    return BL_OK;
}

static int join(struct bl_sample *sample, const struct bl_elements *elements)
{
    size_t last = sample->n - 1;
    double low, high;
    int status = bl_sample_of_tables(sample, elements, sample->energy_ev[0], &low);

    if (status == BL_OK)
        status = bl_sample_of_tables(sample, elements, sample->energy_ev[last], &high);
    if (status != BL_OK)
        return status;
    sample->excess_low = sample->mu[0] - low;
    sample->excess_high = sample->mu[last] - high;
    return BL_OK;
}

static int build(struct bl_sample *sample, struct bl_xdi *xdi, const struct bl_elements *elements,
                 const struct bl_chamber_pair *chambers, char *err, size_t errlen)
{
    double jump_cm2_g;
    int status = take_chemistry(sample, xdi, elements, &jump_cm2_g, err, errlen);

    if (status == BL_OK)
        status = check_range(xdi, elements, err, errlen);
    if (status == BL_OK && chambers && !xdi->absolute)
        status = take_out_response(xdi, chambers, elements, err, errlen);
    if (status != BL_OK)
        return status;
    bl_text_copy(sample->title, sizeof sample->title,
                 *xdi->sample_name ? xdi->sample_name : sample->name);
    sample->absolute = xdi->absolute;
    sample->temperature_k = xdi->temperature_k;
    sample->einstein_k = xdi->absolute ? xdi->einstein_k : 0; /* chi is against the tables */
    sample->bond_mass_u = xdi->bond_mass_u;
    sample->contains_resolution = !xdi->intrinsic;
    sample->n = xdi->n;
    sample->mu = malloc(xdi->n * sizeof *sample->mu);
    sample->energy_ev = malloc(xdi->n * sizeof *sample->energy_ev);
    if (!sample->mu || !sample->energy_ev)
        return bl_fail(err, errlen, BL_ENOMEM, "%s: out of memory", xdi->path);
    memcpy(sample->mu, xdi->mu, xdi->n * sizeof *sample->mu);
    memcpy(sample->energy_ev, xdi->energy_ev, xdi->n * sizeof *sample->energy_ev);
    status = take_scale(sample, xdi, elements, err, errlen);
    if (status != BL_OK)
        return status;
    sample->edge_step = sample->areal_density_g_cm2 * jump_cm2_g;
    status = join(sample, elements);
    if (status != BL_OK)
        return bl_fail(err, errlen, status, "%s: %s", xdi->path, bl_status_text(status));
    return BL_OK;
}

int bl_sample_load(const char *path, const struct bl_elements *elements,
                   const struct bl_chamber_pair *chambers, struct bl_sample **sample, char *err,
                   size_t errlen)
{
    struct bl_xdi *xdi = NULL;
    struct bl_sample *loaded = calloc(1, sizeof *loaded);
    int status;

    *sample = NULL;
    if (!loaded)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    status = bl_sample_name(path, loaded->name, err, errlen);
    if (status == BL_OK)
        status = bl_xdi_read(path, &xdi, err, errlen);
    if (status == BL_OK)
        status = build(loaded, xdi, elements, chambers, err, errlen);
    bl_xdi_free(xdi);
    if (status == BL_OK)
        *sample = loaded;
    else
        bl_sample_free(loaded);
    return status;
}

void bl_sample_free(struct bl_sample *sample)
{
    if (!sample)
        return;
    free(sample->energy_ev);
    free(sample->mu);
    free(sample);
}
