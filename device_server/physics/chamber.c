#include "chamber.h"

#include <math.h>

#include "constants.h"
#include "status.h"

int bl_chamber_init(struct bl_chamber *chamber, const struct bl_elements *elements, char *err,
                    size_t errlen)
{
    const struct {
        const char *what;
        double value;
    } positive[] = {
        {"length", chamber->length_cm},          {"pressure", chamber->pressure_pa},
        {"temperature", chamber->temperature_k}, {"energy of an ion pair", chamber->w_ev},
        {"gain", chamber->gain_v_per_a},         {"V/F factor", chamber->vf_hz_per_v},
    };
    int status;

    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        if (!(positive[i].value > 0) || !isfinite(positive[i].value))
            return bl_fail(err, errlen, BL_EINVAL, "ion chamber: %s %g must be positive",
                           positive[i].what, positive[i].value);
    }
    status = bl_formula_parse(chamber->gas, elements, &chamber->filling, err, errlen);
    if (status != BL_OK)
        return status;
    /* Ideal gas; 1 g/m^3 is 1e-6 g/cm^3. */
    chamber->density_g_cm3 = 1e-6 * chamber->pressure_pa * chamber->filling.molar_mass_g /
                             (BL_GAS_CONSTANT_J_PER_MOL_K * chamber->temperature_k);
    return BL_OK;
}

int bl_chamber_fractions(const struct bl_chamber *chamber, const struct bl_elements *elements,
                         double energy_ev, double *absorbed, double *transmitted)
{
    double areal = chamber->density_g_cm3 * chamber->length_cm;
    double total, photoelectric;
    int status = bl_formula_attenuation(&chamber->filling, elements, BL_TOTAL, energy_ev, &total);

    if (status == BL_OK)
        status = bl_formula_attenuation(&chamber->filling, elements, BL_PHOTOELECTRIC, energy_ev,
                                        &photoelectric);
    if (status != BL_OK)
        return status;
    *absorbed = -expm1(-photoelectric * areal);
    *transmitted = exp(-total * areal);
    return BL_OK;
}

int bl_chamber_pair_log_ratio(const struct bl_chamber_pair *pair,
                              const struct bl_elements *elements, double energy_ev,
                              double *log_ratio)
{
    double absorbed_i0, absorbed_itrans, passed_i0, passed_itrans;
    int status = bl_chamber_fractions(pair->i0, elements, energy_ev, &absorbed_i0, &passed_i0);

    if (status == BL_OK)
        status = bl_chamber_fractions(pair->itrans, elements, energy_ev, &absorbed_itrans,
                                      &passed_itrans);
    if (status == BL_OK)
        *log_ratio = log(bl_chamber_counts(pair->i0, energy_ev, absorbed_i0) /
                         bl_chamber_counts(pair->itrans, energy_ev, passed_i0 * absorbed_itrans));
    return status;
}

double bl_chamber_current_a(const struct bl_chamber *chamber, double energy_ev,
                            double absorbed_per_s)
{
    return absorbed_per_s * energy_ev * BL_ELECTRON_CHARGE_C / chamber->w_ev;
}

double bl_chamber_ev_per_count(const struct bl_chamber *chamber)
{
    return chamber->w_ev / (BL_ELECTRON_CHARGE_C * chamber->gain_v_per_a * chamber->vf_hz_per_v);
}

double bl_chamber_counts(const struct bl_chamber *chamber, double energy_ev, double photons)
{
    return photons * energy_ev / bl_chamber_ev_per_count(chamber);
}
