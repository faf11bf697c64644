/* What the sample in the beam sends to the detectors beside it. */
#include <math.h>

#include "beam_private.h"
#include "constants.h"

/* mu*t along the normal, mean over the energies that the monochromator passes. */
static int mean_mu(const struct bl_beamline *beamline, const struct bl_position *position,
                   const struct bl_sample *sample, double energy_ev, double *mu)
{
    const struct bl_condition *condition = bl_position_condition(position);
    double fwhm, sum = 0;
    int status;

    if (!sample || sample->contains_resolution || sample->n == 0 ||
        energy_ev > sample->energy_ev[sample->n - 1])
        return bl_sample_mu(sample, condition, beamline->elements, energy_ev, mu);
    status = bl_beamline_resolution(beamline, position->crystal, energy_ev, &fwhm);
    for (size_t i = 0; i < BL_BANDPASS_NODES && status == BL_OK; i++) {
        status =
            bl_sample_mu(sample, condition, beamline->elements,
                         energy_ev + beamline->bandpass.node[i] * fwhm / BL_FWHM_PER_SIGMA, mu);
        sum += beamline->bandpass.weight[i] * *mu;
    }
    *mu = sum;
    return status;
}

static const struct bl_place *place_at(const struct bl_beamline *beamline,
                                       const struct bl_position *position)
{
    const struct bl_place *place = bl_holder_at(beamline->holder, position->x_um, position->y_um);

    return place && place->sample ? place : NULL;
}

int bl_beamline_emission(const struct bl_beamline *beamline, const struct bl_position *position,
                         const struct bl_light light[BL_NORDERS], struct bl_emission *emission)
{
    const struct bl_place *place = place_at(beamline, position);
    struct bl_plate plate = {.condition = *bl_position_condition(position),
                             .theta_deg = position->theta_deg};
    int status = BL_OK;

    emission->n = 0;
    if (!place)
        return BL_OK;
    plate.sample = place->sample;
    for (int i = 0; i < BL_NORDERS && status == BL_OK; i++) {
        if (!(light[i].on_sample > 0))
            continue;
        status = mean_mu(beamline, position, place->sample, light[i].energy_ev, &plate.mu);
        if (status == BL_OK)
            status = bl_emission_of(&plate, beamline->elements, beamline->lines, light[i].energy_ev,
                                    light[i].on_sample, emission);
    }
    return status;
}

int bl_beamline_diffracted(const struct bl_beamline *beamline, const struct bl_position *position,
                           const struct bl_light light[BL_NORDERS], double *photons_per_s)
{
    const struct bl_place *place = place_at(beamline, position);
    const struct bl_condition *condition = bl_position_condition(position);
    struct bl_powder_beam beam = {.energy_ev = light[BL_FUNDAMENTAL].energy_ev};
    struct bl_powder powder = {0};
    double scattered = 0, mu = 0, per_photon = 0;
    int status = bl_beamline_resolution(beamline, position->crystal, beam.energy_ev, &beam.fwhm_ev);

    if (status == BL_OK && place) {
        const struct bl_sample *sample = place->sample;

        powder.phase = bl_beamline_phase(beamline, place);
        powder.areal_density_g_cm2 = sample->areal_density_g_cm2 * condition->thickness;
        powder.phase_g_cm2 = powder.areal_density_g_cm2;
        status = mean_mu(beamline, position, sample, beam.energy_ev, &mu);
        if (status == BL_OK)
            status = bl_sample_scattering(sample, condition, beamline->elements, beam.energy_ev,
                                          &scattered);
        powder.attenuation_cm2_g = mu / powder.areal_density_g_cm2;
        powder.scattering_cm2_g = scattered / powder.areal_density_g_cm2;
    }
    if (status == BL_OK)
        status = bl_powder_rate(&beamline->diffractometer, beamline->elements, &powder, &beam,
                                position->diff_th_deg, position->diff_tth_deg, &per_photon);
    if (status == BL_ERANGE && powder.phase) { /* the phases' tables end before the elements' */
        powder.phase = NULL;
        status = bl_powder_rate(&beamline->diffractometer, beamline->elements, &powder, &beam,
                                position->diff_th_deg, position->diff_tth_deg, &per_photon);
    }
    if (status == BL_OK)
        *photons_per_s = light[BL_FUNDAMENTAL].on_sample * per_photon;
    return status;
}

const struct bl_xrf *bl_beamline_xrf(const struct bl_beamline *beamline)
{
    return &beamline->xrf;
}

const struct bl_phase *bl_beamline_phase(const struct bl_beamline *beamline,
                                         const struct bl_place *place)
{
    return beamline->phase[place - beamline->holder->place];
}
