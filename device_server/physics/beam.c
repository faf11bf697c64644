#include "beam.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bandpass.h"
#include "constants.h"

/* Vertical divergence (FWHM) that the slits let through. */
#define DIVERGENCE_RAD 20e-6

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

struct bl_beamline {
    struct bl_elements *elements;
    struct bl_holder *holder;
    struct bl_ring ring;
    struct bl_source source;
    struct bl_chamber chamber[BL_NCHAMBERS];
    struct bl_bandpass bandpass;
    atomic_size_t reference; /* index of a place */
};

static int load_elements(struct bl_beamline *beamline, const struct bl_load_options *options,
                         char *err, size_t errlen)
{
    char path[4096];
    int length;

    if (options->tables_file)
        return bl_elements_load(options->tables_file, &beamline->elements, err, errlen);
    if (!options->samples_folder)
        return bl_fail(err, errlen, BL_EINVAL, "beamline: no samples folder and no tables file");
    length = snprintf(path, sizeof path, "%s/elements.dat", options->samples_folder);
    if (length < 0 || (size_t)length >= sizeof path)
        return bl_fail(err, errlen, BL_EINVAL, "samples folder: path too long");
    return bl_elements_load(path, &beamline->elements, err, errlen);
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
    status = load_elements(loaded, options, err, errlen);
    for (size_t i = 0; i < BL_NCHAMBERS && status == BL_OK; i++) {
        loaded->chamber[i] = default_chambers[i];
        status = bl_chamber_init(&loaded->chamber[i], loaded->elements, err, errlen);
    }
    if (status == BL_OK)
        status = bl_bandpass_init(&loaded->bandpass, loaded->elements, DIVERGENCE_RAD, err, errlen);
    if (status == BL_OK)
        status =
            bl_holder_load(options->samples_folder, options->sample_files, options->n_sample_files,
                           loaded->elements, &chambers, &loaded->holder, err, errlen);
    if (status == BL_OK) {
        choose_first_foil(loaded);
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

/* Mean transmission of sample (after It's view) and of sample and reference together. A spectrum
   that contains a monochromator's resolution is taken at the nominal energy, any other at the
   energies that the monochromator passes. */
static int transmissions(const struct bl_beamline *beamline, const struct bl_position *position,
                         const struct bl_sample *sample, const struct bl_sample *reference,
                         double *through_sample, double *through_both)
{
    const struct bl_elements *elements = beamline->elements;
    int spread_sample = sample && !sample->contains_resolution;
    int spread_reference = reference && !reference->contains_resolution;
    double energy = position->energy_ev;
    double fwhm, mu_sample, mu_reference;
    int status = bl_sample_mu(sample, elements, energy, &mu_sample);

    if (status == BL_OK)
        status = bl_sample_mu(reference, elements, energy, &mu_reference);
    if (status == BL_OK)
        status = bl_beamline_resolution(beamline, position->crystal, energy, &fwhm);
    if (status != BL_OK)
        return status;
    *through_sample = exp(-mu_sample);
    *through_both = exp(-mu_sample - mu_reference);
    if (!spread_sample && !spread_reference)
        return BL_OK;
    *through_sample = 0.0;
    *through_both = 0.0;
    for (size_t i = 0; i < BL_BANDPASS_NODES && status == BL_OK; i++) {
        double at = energy + beamline->bandpass.node[i] * fwhm / BL_FWHM_PER_SIGMA;
        double passed;

        if (spread_sample)
            status = bl_sample_mu(sample, elements, at, &mu_sample);
        if (status == BL_OK && spread_reference)
            status = bl_sample_mu(reference, elements, at, &mu_reference);
        passed = beamline->bandpass.weight[i] * exp(-mu_sample);
        *through_sample += passed;
        *through_both += passed * exp(-mu_reference);
    }
    return status;
}

int bl_beamline_absorbed(const struct bl_beamline *beamline, const struct bl_position *position,
                         double photons_per_s[BL_NCHAMBERS])
{
    const struct bl_place *place = bl_holder_at(beamline->holder, position->x_um, position->y_um);
    double absorbed[BL_NCHAMBERS], transmitted[BL_NCHAMBERS];
    double flux, through_sample, through_both;
    int status;

    if (!isfinite(position->x_um) || !isfinite(position->y_um) ||
        !(position->shutter_open >= 0 && position->shutter_open <= 1))
        return BL_EINVAL;
    status = bl_source_flux(&beamline->source, position->energy_ev, position->ring_ma, &flux);
    for (size_t i = 0; i < BL_NCHAMBERS && status == BL_OK; i++)
        status = bl_chamber_fractions(&beamline->chamber[i], beamline->elements,
                                      position->energy_ev, &absorbed[i], &transmitted[i]);
    if (status == BL_OK)
        status =
            transmissions(beamline, position, place ? place->sample : NULL,
                          bl_beamline_reference(beamline)->sample, &through_sample, &through_both);
    if (status != BL_OK)
        return status;
    flux *= position->shutter_open;
    photons_per_s[BL_I0] = flux * absorbed[BL_I0];
    flux *= transmitted[BL_I0];
    photons_per_s[BL_IT] = flux * through_sample * absorbed[BL_IT];
    photons_per_s[BL_IR] = flux * through_both * transmitted[BL_IT] * absorbed[BL_IR];
    return BL_OK;
}
