#include "beam.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beam_private.h"
#include "constants.h"

/* Vertical divergence (FWHM) that the slits let through. */
#define DIVERGENCE_RAD 20e-6

/* Cosine of the sample's rotation, along whose surface the path has an end. */
#define GRAZING 1e-3

#define PATH_LENGTH 4096

/* Nitrogen at standard conditions; W: ICRU Report 31. */
#define NITROGEN(length, gain)                                                                     \
    {.gas = "N2",                                                                                  \
     .length_cm = (length),                                                                        \
     .pressure_pa = BL_STANDARD_PRESSURE_PA,                                                       \
     .temperature_k = 273.15,                                                                      \
     .w_ev = 34.8,                                                                                 \
     .gain_v_per_a = (gain),                                                                       \
     .vf_hz_per_v = 1e5}

static const struct bl_chamber default_chambers[BL_NCHAMBERS] = {
    [BL_I0] = NITROGEN(10.0, 5e7),
    [BL_IT] = NITROGEN(15.0, 5e7),
    [BL_IR] = NITROGEN(15.0, 1e8),
};

/* A file beside another, or in a folder. */
static int file_in(char *path, size_t size, const char *folder, size_t length, const char *name,
                   char *err, size_t errlen)
{
    const int n = snprintf(path, size, "%.*s/%s", (int)length, folder, name);

    if (n < 0 || (size_t)n >= size)
        return bl_fail(err, errlen, BL_EINVAL, "samples folder: path too long");
    return BL_OK;
}

/* Tables of elements, of phases and of lines, which are all in one folder. */
static int load_tables(struct bl_beamline *beamline, const struct bl_load_options *options,
                       char *err, size_t errlen)
{
    const char *folder = options->tables_file ? options->tables_file : options->samples_folder;
    const char *slash = options->tables_file ? strrchr(options->tables_file, '/') : NULL;
    char path[PATH_LENGTH];
    size_t length;
    int status;

    if (!folder)
        return bl_fail(err, errlen, BL_EINVAL, "beamline: no samples folder and no tables file");
    if (options->tables_file && !slash)
        return bl_fail(err, errlen, BL_EINVAL, "tables file %.100s: give it with its folder",
                       options->tables_file);
    length = slash ? (size_t)(slash - folder) : strlen(folder);
    status =
        file_in(path, sizeof path, folder, length, slash ? slash + 1 : "elements.dat", err, errlen);
    if (status == BL_OK)
        status = bl_elements_load(path, &beamline->elements, err, errlen);
    if (status == BL_OK)
        status = file_in(path, sizeof path, folder, length, "phases.dat", err, errlen);
    if (status == BL_OK)
        status = bl_phases_load(path, beamline->elements, &beamline->phases, err, errlen);
    if (status == BL_OK)
        status = file_in(path, sizeof path, folder, length, "fluorescence.dat", err, errlen);
    if (status == BL_OK)
        status = bl_lines_load(path, beamline->elements, &beamline->lines, err, errlen);
    return status;
}

static void choose_first_foil(struct bl_beamline *beamline)
{
    const struct bl_holder *holder = beamline->holder;
    size_t index = 0;

    while (index + 1 < holder->n && !holder->place[index].sample)
        index++;
    atomic_init(&beamline->reference, index);
}

int bl_beamline_load(const struct bl_load_options *options, struct bl_beamline **beamline,
                     char *err, size_t errlen)
{
    struct bl_beamline *loaded = calloc(1, sizeof *loaded);
    struct bl_chamber_pair chambers;
    int status;

    *beamline = NULL;
    if (!loaded)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    chambers.i0 = &loaded->chamber[BL_I0];
    chambers.itrans = &loaded->chamber[BL_IT];
    loaded->ring = bl_ring_default;
    loaded->source = bl_source_default;
    loaded->xrf = bl_xrf_default;
    loaded->diffractometer = bl_diffractometer_default;
    status = load_tables(loaded, options, err, errlen);
    for (size_t i = 0; i < BL_NCHAMBERS && status == BL_OK; i++) {
        loaded->chamber[i] = default_chambers[i];
        status = bl_chamber_init(&loaded->chamber[i], loaded->elements, err, errlen);
    }
    if (status == BL_OK)
        status = bl_bandpass_init(&loaded->bandpass, loaded->elements, DIVERGENCE_RAD, err, errlen);
    if (status == BL_OK)
        status = bl_rocking_init(&loaded->rocking, loaded->elements, err, errlen);
    if (status == BL_OK)
        status = bl_rocking_passed(&loaded->rocking, BL_SI111, BL_FUNDAMENTAL,
                                   loaded->source.reference_ev, 0, &loaded->passed_reference);
    if (status == BL_OK)
        status =
            bl_holder_load(options->samples_folder, options->sample_files, options->n_sample_files,
                           loaded->elements, &chambers, &loaded->holder, err, errlen);
    if (status == BL_OK) {
        choose_first_foil(loaded);
        for (size_t i = 0; i < loaded->holder->n; i++) {
            const struct bl_sample *sample = loaded->holder->place[i].sample;

            if (sample)
                loaded->phase[i] = bl_phases_match(loaded->phases, &sample->formula);
        }
        *beamline = loaded;
    } else {
        bl_beamline_free(loaded);
    }
    return status;
}

void bl_beamline_free(struct bl_beamline *beamline)
{
    if (!beamline)
        return;
    bl_holder_free(beamline->holder);
    bl_lines_free(beamline->lines);
    bl_phases_free(beamline->phases);
    bl_elements_free(beamline->elements);
    free(beamline);
}

const struct bl_elements *bl_beamline_elements(const struct bl_beamline *beamline)
{
    return beamline->elements;
}

const struct bl_holder *bl_beamline_holder(const struct bl_beamline *beamline)
{
    return beamline->holder;
}

const struct bl_ring *bl_beamline_ring(const struct bl_beamline *beamline)
{
    return &beamline->ring;
}

const struct bl_chamber *bl_beamline_chamber(const struct bl_beamline *beamline, int index)
{
    return index >= 0 && index < BL_NCHAMBERS ? &beamline->chamber[index] : NULL;
}

int bl_beamline_set_reference(struct bl_beamline *beamline, const char *name, char *err,
                              size_t errlen)
{
    const struct bl_place *place = bl_holder_find(beamline->holder, name);

    if (!place)
        return bl_fail(err, errlen, BL_ENOTFOUND,
                       "reference foil: no place '%.60s' on the sample holder; take one of its "
                       "names or '%s'",
                       name, BL_EMPTY_NAME);
    atomic_store(&beamline->reference, (size_t)(place - beamline->holder->place));
    return BL_OK;
}

const struct bl_place *bl_beamline_reference(const struct bl_beamline *beamline)
{
    return &beamline->holder->place[atomic_load(&beamline->reference)];
}

int bl_beamline_resolution(const struct bl_beamline *beamline, int crystal, double energy_ev,
                           double *fwhm_ev)
{
    return bl_bandpass_fwhm(&beamline->bandpass, crystal, energy_ev, fwhm_ev);
}

/* Samples between the chambers. */
struct samples {
    const struct bl_sample *sample, *reference;
    const struct bl_condition *condition; /* of the sample */
    double path;                          /* 1/cos(theta) of the sample */
};

/* Transmission of sample, and of sample and reference together, at one energy. */
static int transmissions_at(const struct bl_beamline *beamline, const struct samples *in,
                            double energy_ev, double *through_sample, double *through_both)
{
    double mu_sample, mu_reference;
    int status = bl_sample_mu(in->sample, in->condition, beamline->elements, energy_ev, &mu_sample);

    if (status == BL_OK)
        status = bl_sample_mu(in->reference, &bl_condition_default, beamline->elements, energy_ev,
                              &mu_reference);
    if (status != BL_OK)
        return status;
    *through_sample = exp(-in->path * mu_sample);
    *through_both = *through_sample * exp(-mu_reference);
    return BL_OK;
}

/* Their means over the energies that the monochromator passes. A spectrum that contains a
   monochromator's resolution is taken at the nominal energy. */
static int transmissions(const struct bl_beamline *beamline, int crystal, const struct samples *in,
                         double energy_ev, double *through_sample, double *through_both)
{
    const struct bl_elements *elements = beamline->elements;
    const bool spread_sample = in->sample && !in->sample->contains_resolution;
    const bool spread_reference = in->reference && !in->reference->contains_resolution;
    double fwhm, mu_sample, mu_reference;
    int status = bl_beamline_resolution(beamline, crystal, energy_ev, &fwhm);

    if (status == BL_OK && !spread_sample && !spread_reference)
        return transmissions_at(beamline, in, energy_ev, through_sample, through_both);
    if (status == BL_OK)
        status = bl_sample_mu(in->sample, in->condition, elements, energy_ev, &mu_sample);
    if (status == BL_OK)
        status =
            bl_sample_mu(in->reference, &bl_condition_default, elements, energy_ev, &mu_reference);
    *through_sample = 0.0;
    *through_both = 0.0;
    for (size_t i = 0; i < BL_BANDPASS_NODES && status == BL_OK; i++) {
        double at = energy_ev + beamline->bandpass.node[i] * fwhm / BL_FWHM_PER_SIGMA;
        double passed;

        if (spread_sample)
            status = bl_sample_mu(in->sample, in->condition, elements, at, &mu_sample);
        if (status == BL_OK && spread_reference)
            status =
                bl_sample_mu(in->reference, &bl_condition_default, elements, at, &mu_reference);
        passed = beamline->bandpass.weight[i] * exp(-in->path * mu_sample);
        *through_sample += passed;
        *through_both += passed * exp(-mu_reference);
    }
    return status;
}

/* Photons/s in front of I0, of an order whose fundamental has the energy given. */
static int flux_of(const struct bl_beamline *beamline, const struct bl_position *position,
                   enum bl_order order, double fundamental_ev, double *photons_per_s)
{
    double passed;
    int status = bl_source_flux(&beamline->source, fundamental_ev * bl_order_number(order),
                                position->ring_ma, photons_per_s);

    if (status == BL_OK)
        status = bl_rocking_passed(&beamline->rocking, position->crystal, order, fundamental_ev,
                                   position->pitch_rad, &passed);
    if (status == BL_OK)
        *photons_per_s *= position->shutter_open * passed / beamline->passed_reference;
    return status;
}

static int light_of(const struct bl_beamline *beamline, const struct bl_position *position,
                    enum bl_order order, double fundamental_ev, struct bl_light *light)
{
    const struct bl_place *place = bl_holder_at(beamline->holder, position->x_um, position->y_um);
    const struct samples in = {
        .sample = place ? place->sample : NULL,
        .reference = bl_beamline_reference(beamline)->sample,
        .condition = bl_position_condition(position),
        .path = 1 / fmax(fabs(cos(position->theta_deg * BL_PI / 180.0)), GRAZING)};
    double absorbed[BL_NCHAMBERS], transmitted[BL_NCHAMBERS];
    double flux, through_sample, through_both;
    int status = flux_of(beamline, position, order, fundamental_ev, &flux);

    light->energy_ev = fundamental_ev * bl_order_number(order);
    for (size_t i = 0; i < BL_NCHAMBERS && status == BL_OK; i++)
        status = bl_chamber_fractions(&beamline->chamber[i], beamline->elements, light->energy_ev,
                                      &absorbed[i], &transmitted[i]);
    if (status == BL_OK && order == BL_FUNDAMENTAL)
        status = transmissions(beamline, position->crystal, &in, light->energy_ev, &through_sample,
                               &through_both);
    else if (status == BL_OK)
        status = transmissions_at(beamline, &in, light->energy_ev, &through_sample, &through_both);
    if (status != BL_OK)
        return status;
    light->absorbed[BL_I0] = flux * absorbed[BL_I0];
    light->on_sample = flux * transmitted[BL_I0];
    light->absorbed[BL_IT] = light->on_sample * through_sample * absorbed[BL_IT];
    light->absorbed[BL_IR] = light->on_sample * through_both * transmitted[BL_IT] * absorbed[BL_IR];
    return BL_OK;
}

/* The pair passes what both crystals reflect, half way between their angles. */
static int detuned_energy(const struct bl_position *position, double *energy_ev)
{
    const struct bl_crystal *crystal = bl_mono_crystal(position->crystal);
    double bragg_deg;
    int status;

    if (!crystal || !isfinite(position->energy_ev))
        return BL_EINVAL;
    status = bl_mono_bragg_deg(crystal->d_angstrom, position->energy_ev, &bragg_deg);
    if (status == BL_OK)
        *energy_ev =
            position->energy_ev * (1 - 0.5 * position->pitch_rad / tan(bragg_deg * BL_PI / 180.0));
    return status;
}

int bl_beamline_light(const struct bl_beamline *beamline, const struct bl_position *position,
                      struct bl_light light[BL_NORDERS])
{
    struct bl_light found[BL_NORDERS] = {{0}};
    double lowest_ev, highest_ev, energy_ev;
    int status;

    if (!isfinite(position->x_um) || !isfinite(position->y_um) || !isfinite(position->pitch_rad) ||
        !isfinite(position->theta_deg) ||
        !(position->shutter_open >= 0 && position->shutter_open <= 1))
        return BL_EINVAL;
    status = detuned_energy(position, &energy_ev);
    if (status == BL_OK)
        status = light_of(beamline, position, BL_FUNDAMENTAL, energy_ev, &found[BL_FUNDAMENTAL]);
    bl_elements_range(beamline->elements, &lowest_ev, &highest_ev);
    found[BL_THIRD].energy_ev = energy_ev * bl_order_number(BL_THIRD);
    if (status == BL_OK && position->mirror_out && found[BL_THIRD].energy_ev <= highest_ev)
        status = light_of(beamline, position, BL_THIRD, energy_ev, &found[BL_THIRD]);
    for (int i = 0; i < BL_NORDERS && status == BL_OK; i++)
        light[i] = found[i];
    return status;
}
