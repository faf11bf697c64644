/* What the Kohzu set of names shows of the monochromator; the database does the rest. */
#include "variables.h"

#include <math.h>
#include <string.h>

#define HC_KEV_ANGSTROM 12.39841984

static int energy_kev(struct sim *sim, double *kev)
{
    struct sim_drive_state state;
    const int status = sim_drive_state(sim, sim_drive_find("energy"), true, &state);
    *kev = state.position / 1000;
    return status;
}

static int get_energy(struct sim *sim, int arg, double *value)
{
    (void)arg;
    return energy_kev(sim, value);
}

static double d_angstrom(struct sim *sim)
{
    return bl_mono_crystal(sim_crystal(sim))->d_angstrom;
}

static int get_theta(struct sim *sim, int arg, double *value)
{
    double kev;
    const int status = energy_kev(sim, &kev);
    (void)arg;
    return status == BL_OK ? bl_mono_bragg_deg(d_angstrom(sim), 1000 * kev, value) : status;
}

static int get_lambda(struct sim *sim, int arg, double *value)
{
    double kev;
    const int status = energy_kev(sim, &kev);
    (void)arg;
    if (status == BL_OK)
        *value = HC_KEV_ANGSTROM / kev;
    return status;
}

/* Miller indices of the reflection; `arg` is which. */
static int get_miller(struct sim *sim, int arg, double *value)
{
    static const int miller[BL_NCRYSTALS][3] = {[BL_SI111] = {1, 1, 1}, [BL_SI311] = {3, 1, 1}};
    *value = miller[sim_crystal(sim)][arg];
    return BL_OK;
}

static int get_lattice(struct sim *sim, int arg, double *value)
{
    double squares = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        double index;
        (void)get_miller(sim, i, &index);
        squares += index * index;
    }
    *value = d_angstrom(sim) * sqrt(squares);
    return BL_OK;
}

static int get_2d(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = 2 * d_angstrom(sim);
    return BL_OK;
}

static int get_type(struct sim *sim, int arg, double *value)
{
    (void)sim;
    (void)arg;
    *value = 0; /* silicon, whichever the reflection */
    return BL_OK;
}

#define MOVES (SIM_BRAGG_MOVES | SIM_MONO_CHANGED)

static const struct variable variables[] = {
    {"kohzu.energy", MOVES, 0, .get = get_energy},
    {"kohzu.theta", MOVES, 0, .get = get_theta},
    {"kohzu.lambda", MOVES, 0, .get = get_lambda},
    {"kohzu.h", SIM_MONO_CHANGED, 0, .get = get_miller},
    {"kohzu.k", SIM_MONO_CHANGED, 1, .get = get_miller},
    {"kohzu.l", SIM_MONO_CHANGED, 2, .get = get_miller},
    {"kohzu.a", SIM_MONO_CHANGED, 0, .get = get_lattice},
    {"kohzu.2d", SIM_MONO_CHANGED, 0, .get = get_2d},
    {"kohzu.type", SIM_MONO_CHANGED, 0, .get = get_type},
};

const struct variable *variable_of_kohzu(const char *name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcmp(variables[i].name, name) == 0)
            return &variables[i];
    }
    return NULL;
}
