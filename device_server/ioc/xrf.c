/* The fluorescence detector: four elements, each dead for a while after every photon, with one
   region of interest whose pulses the counter counts. */
#include "simulation_private.h"

#include <math.h>
#include <string.h>

#include "rng.h"

/* Streams of noise of the spectra, beside those of the counts. */
#define SPECTRUM_STREAM ((uint64_t)1 << 40)

/* Whole channels of the region of interest: first one, and the one after the last. */
static void region(const struct sim *sim, double *first, double *end)
{
    *first = floor(sim->knob[SIM_ROI_LOW] / BL_MCA_EV);
    *end = fmax(*first, ceil(sim->knob[SIM_ROI_HIGH] / BL_MCA_EV));
}

int xrf_count(struct sim *sim, const struct bl_position *position,
              const struct bl_light light[BL_NORDERS], double dt, struct xrf_count *slice)
{
    const struct bl_xrf *xrf = bl_beamline_xrf(sim->beamline);
    const double tau_s = 1e-6 * sim->knob[SIM_DEAD_TIME];
    struct bl_emission emission;
    double first, end, efficiency[BL_EMISSION_LINES], within[BL_EMISSION_LINES];
    int status = bl_beamline_emission(sim->beamline, position, light, &emission);

    memset(slice, 0, sizeof(*slice));
    region(sim, &first, &end);
    for (size_t k = 0; k < emission.n && status == BL_OK; k++) {
        const double energy = emission.line[k].energy_ev;
        status =
            bl_xrf_efficiency(xrf, bl_beamline_elements(sim->beamline), energy, &efficiency[k]);
        within[k] = bl_xrf_between(xrf, energy, first * BL_MCA_EV, end * BL_MCA_EV);
    }
    for (int e = 0; e < BL_XRF_ELEMENTS && status == BL_OK; e++) {
        double rate = 0, in_region = 0;
        for (size_t k = 0; k < emission.n; k++)
            rate += emission.line[k].photons * efficiency[k] * xrf->solid_angle[e];
        const double live = rate > 0 ? bl_xrf_seen(rate, tau_s) / rate : 1;
        for (size_t k = 0; k < emission.n; k++) {
            const double pulses =
                emission.line[k].photons * efficiency[k] * xrf->solid_angle[e] * live * dt;
            bl_emission_add(&slice->seen[e], emission.line[k].energy_ev, pulses);
            in_region += within[k] * pulses;
        }
        slice->input[e] = rate * dt;
        slice->roi[e] = counting_draw_beside(sim, in_region);
    }
    return status;
}

void xrf_add(struct xrf_count *count, const struct xrf_count *slice, double part)
{
    for (int e = 0; e < BL_XRF_ELEMENTS; e++) {
        for (size_t k = 0; k < slice->seen[e].n; k++)
            bl_emission_add(&count->seen[e], slice->seen[e].line[k].energy_ev,
                            part * slice->seen[e].line[k].photons);
        count->input[e] += part * slice->input[e];
        count->roi[e] += part * slice->roi[e];
    }
}

static double seen(const struct xrf_count *count, int element)
{
    double sum = 0;
    for (size_t k = 0; k < count->seen[element].n; k++)
        sum += count->seen[element].line[k].photons;
    return sum;
}

double sim_xrf_value(struct sim *sim, int element, int value)
{
    const struct xrf_count *count = &sim->counter.xrf_last;
    const int from = element < BL_XRF_ELEMENTS ? element : 0;
    const int to = element < BL_XRF_ELEMENTS ? element : BL_XRF_ELEMENTS - 1;
    double roi = 0, input = 0, pulses = 0;
    epicsMutexMustLock(sim->lock);
    for (int e = from; e <= to; e++) {
        roi += count->roi[e];
        input += count->input[e];
        pulses += seen(count, e);
    }
    const double elapsed_s = count->elapsed_s;
    epicsMutexUnlock(sim->lock);
    switch (value) {
    case SIM_XRF_ROI:
        return rint(roi);
    case SIM_XRF_INPUT:
        return elapsed_s > 0 ? input / elapsed_s : 0;
    case SIM_XRF_SEEN:
        return elapsed_s > 0 ? pulses / elapsed_s : 0;
    default:
        return input > 0 ? 100 * (1 - pulses / input) : 0;
    }
}

static void make_spectra(struct sim *sim)
{
    const struct xrf_count *count = &sim->counter.xrf_last;
    double first, end;
    region(sim, &first, &end);
    for (int e = 0; e < BL_XRF_ELEMENTS; e++) {
        struct bl_rng rng;
        bl_rng_seed(&rng, bl_rng_stream(count->seed, SPECTRUM_STREAM + (uint64_t)e));
        bl_xrf_spectrum(bl_beamline_xrf(sim->beamline), &count->seen[e], sim->noise ? &rng : NULL,
                        (size_t)first, (size_t)fmax(0, end - 1), rint(count->roi[e]),
                        sim->counter.mca[e]);
    }
    sim->counter.mca_known = true;
}

void sim_xrf_spectrum(struct sim *sim, int element, double channel[BL_MCA_CHANNELS])
{
    epicsMutexMustLock(sim->lock);
    if (!sim->counter.mca_known)
        make_spectra(sim);
    for (size_t i = 0; i < BL_MCA_CHANNELS; i++) {
        channel[i] = 0;
        for (int e = 0; e < BL_XRF_ELEMENTS; e++)
            channel[i] += e == element || element == BL_XRF_ELEMENTS ? sim->counter.mca[e][i] : 0;
    }
    epicsMutexUnlock(sim->lock);
}
