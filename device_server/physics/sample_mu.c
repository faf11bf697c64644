/* Absorption of a sample as its file has it, and as much and as warm as it is in the beam. */
#include "sample.h"

#include <math.h>
#include <string.h>

#include "constants.h"
#include "status.h"

/* hbar^2 / (2 u k_B) in A^2 K, and k^2 in 1/A^2 of an electron of 1 eV. */
#define EINSTEIN_A2_K 24.254
#define K2_PER_EV 0.26246842

/* Below its edge by more than this no near edge reaches, and a file tells nothing of a shell. */
#define NEAR_EDGE_EV 200.0

const struct bl_condition bl_condition_default = {.thickness = 1, .concentration = 1};

static double interpolate(const struct bl_sample *sample, double energy_ev)
{
    const double *x = sample->energy_ev;
    size_t low = 0, high = sample->n - 1;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (x[middle] <= energy_ev)
            low = middle;
        else
            high = middle;
    }
    return sample->mu[low] +
           (sample->mu[high] - sample->mu[low]) * ((energy_ev - x[low]) / (x[high] - x[low]));
}

int bl_sample_of_tables(const struct bl_sample *sample, const struct bl_elements *elements,
                        double energy_ev, double *mu)
{
    const int status = bl_formula_attenuation(&sample->formula, elements, BL_TOTAL, energy_ev, mu);

    *mu *= sample->areal_density_g_cm2;
    return status;
}

/* Of an element of the sample alone, by the tables. */
static int of_element(const struct bl_sample *sample, const struct bl_elements *elements, int z,
                      enum bl_attenuation kind, double energy_ev, double *mu)
{
    const int status = bl_elements_attenuation(elements, z, kind, energy_ev, mu);

    *mu *= sample->areal_density_g_cm2 * bl_formula_fraction(&sample->formula, z);
    return status;
}

static bool within_file(const struct bl_sample *sample, double energy_ev)
{
    return sample->n > 0 && energy_ev >= sample->energy_ev[0] &&
           energy_ev <= sample->energy_ev[sample->n - 1];
}

/* The file, continued by the tables. No step at the joins: above, what the file has more than the
   tables falls like absorption. */
static int of_file(const struct bl_sample *sample, const struct bl_elements *elements,
                   double energy_ev, double *mu)
{
    double last;
    int status;

    if (within_file(sample, energy_ev)) {
        *mu = interpolate(sample, energy_ev);
        return BL_OK;
    }
    status = bl_sample_of_tables(sample, elements, energy_ev, mu);
    if (status != BL_OK || sample->n == 0)
        return status;
    last = sample->energy_ev[sample->n - 1];
    if (energy_ev > last)
        *mu += sample->excess_high * pow(last / energy_ev, 3.0);
    else
        *mu += sample->excess_low;
    return BL_OK;
}

double bl_sample_sigma2(const struct bl_sample *sample, double temperature_k)
{
    const double zero = EINSTEIN_A2_K / (sample->bond_mass_u * sample->einstein_k);

    return temperature_k > 0 ? zero / tanh(0.5 * sample->einstein_k / temperature_k) : zero;
}

/* What is left of the fine structure at another temperature than the file's. */
static double damping(const struct bl_sample *sample, const struct bl_condition *condition,
                      double energy_ev)
{
    if (!(condition->temperature_k > 0 && sample->temperature_k > 0 && sample->einstein_k > 0) ||
        condition->temperature_k == sample->temperature_k || energy_ev <= sample->edge_ev)
        return 1.0;
    return exp(-2.0 * K2_PER_EV * (energy_ev - sample->edge_ev) *
               (bl_sample_sigma2(sample, condition->temperature_k) -
                bl_sample_sigma2(sample, sample->temperature_k)));
}

int bl_sample_mu(const struct bl_sample *sample, const struct bl_condition *condition,
                 const struct bl_elements *elements, double energy_ev, double *mu)
{
    double left, smooth = 0, all = 0, element = 0;
    int status;

    *mu = 0.0;
    if (!sample)
        return BL_OK;
    status = of_file(sample, elements, energy_ev, mu);
    left = damping(sample, condition, energy_ev);
    if (status == BL_OK && left != 1.0 && within_file(sample, energy_ev)) {
        status = bl_sample_of_tables(sample, elements, energy_ev, &smooth);
        *mu = smooth + left * (*mu - smooth);
    }
    if (status == BL_OK && condition->concentration != 1.0 && sample->z > 0) {
        status = bl_sample_of_tables(sample, elements, energy_ev, &all);
        if (status == BL_OK)
            status = of_element(sample, elements, sample->z, BL_TOTAL, energy_ev, &element);
        *mu += (condition->concentration - 1.0) * (*mu - (all - element));
    }
    *mu *= condition->thickness;
    return status;
}

int bl_sample_shell(const struct bl_sample *sample, const struct bl_condition *condition,
                    const struct bl_elements *elements, const struct bl_shell *shell, double part,
                    double energy_ev, double mu, double *absorbed)
{
    const bool own = shell->z == sample->z && strcmp(shell->edge, sample->edge) == 0;
    const double amount =
        condition->thickness * (shell->z == sample->z ? condition->concentration : 1.0);
    double all = 0, element = 0, photo = 0;
    int status = BL_OK;

    *absorbed = 0;
    if (energy_ev < shell->edge_ev - (own ? NEAR_EDGE_EV : 0))
        return BL_OK;
    if (energy_ev >= shell->edge_ev)
        status = of_element(sample, elements, shell->z, BL_PHOTOELECTRIC, energy_ev, &photo);
    *absorbed = amount * part * photo;
    if (!own || status != BL_OK)
        return status;
    status = bl_sample_of_tables(sample, elements, energy_ev, &all);
    if (status == BL_OK)
        status = of_element(sample, elements, shell->z, BL_TOTAL, energy_ev, &element);
    *absorbed += mu - condition->thickness * (all + (condition->concentration - 1.0) * element);
    *absorbed = fmax(0, *absorbed);
    return status;
}

int bl_sample_scattering(const struct bl_sample *sample, const struct bl_condition *condition,
                         const struct bl_elements *elements, double energy_ev, double *scattered)
{
    double total = 0, photo = 0;
    int status = bl_formula_attenuation(&sample->formula, elements, BL_TOTAL, energy_ev, &total);

    if (status == BL_OK)
        status =
            bl_formula_attenuation(&sample->formula, elements, BL_PHOTOELECTRIC, energy_ev, &photo);
    *scattered = condition->thickness * sample->areal_density_g_cm2 * (total - photo);
    return status;
}
