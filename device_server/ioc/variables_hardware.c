/* Variables of faults, environment, optics and current amplifiers. */
#include "variables.h"

#include <string.h>

static int get_fault(struct sim *sim, int arg, double *value)
{
    *value = sim_fault(sim, arg);
    return BL_OK;
}

static int set_fault(struct sim *sim, int arg, double value)
{
    return sim_set_fault(sim, arg, (int)value);
}

static int get_faults(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_faults(sim);
    return BL_OK;
}

static int clear_faults(struct sim *sim, int arg, double value)
{
    (void)arg;
    (void)value;
    sim_clear_faults(sim);
    return BL_OK;
}

static int get_pressure(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_pressure_mbar(sim);
    return BL_OK;
}

static int get_hutch(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_hutch_c(sim);
    return BL_OK;
}

static int get_setting(struct sim *sim, int arg, double *value)
{
    *value = sim_preamp_setting(sim, arg / SIM_NPREAMP_SETTINGS, arg % SIM_NPREAMP_SETTINGS);
    return BL_OK;
}

static int set_setting(struct sim *sim, int arg, double value)
{
    return sim_preamp_set(sim, arg / SIM_NPREAMP_SETTINGS, arg % SIM_NPREAMP_SETTINGS, value);
}

static int get_knob(struct sim *sim, int arg, double *value)
{
    *value = sim_knob(sim, arg);
    return BL_OK;
}

static int set_knob(struct sim *sim, int arg, double value)
{
    return sim_set_knob(sim, arg, value);
}

#define KNOB(name, index) {name, 0, index, .get = get_knob, .set = set_knob}
#define FAULT(name, index) {name, SIM_FAULTS_CHANGED, index, .get = get_fault, .set = set_fault}
#define SETTING(name, index, setting)                                                              \
    {name, SIM_GAIN_CHANGED, (index) * SIM_NPREAMP_SETTINGS + (setting), .get = get_setting,       \
     .set = set_setting}
#define PREAMP(prefix, index)                                                                      \
    SETTING(prefix ".sens_num", index, SIM_SENS_NUM),                                              \
        SETTING(prefix ".sens_unit", index, SIM_SENS_UNIT),                                        \
        SETTING(prefix ".offset_on", index, SIM_OFFSET_ON),                                        \
        SETTING(prefix ".offset_sign", index, SIM_OFFSET_SIGN),                                    \
        SETTING(prefix ".offset_num", index, SIM_OFFSET_NUM),                                      \
        SETTING(prefix ".offset_unit", index, SIM_OFFSET_UNIT),                                    \
        SETTING(prefix ".offset_cal", index, SIM_OFFSET_UNCAL),                                    \
        SETTING(prefix ".off_u", index, SIM_OFFSET_FINE),                                          \
        SETTING(prefix ".invert", index, SIM_INVERT), SETTING(prefix ".blank", index, SIM_BLANK)

static const struct variable variables[] = {
    {"fault.all", SIM_FAULTS_CHANGED, 0, .get = get_faults, .set = clear_faults},
    FAULT("fault.stuck", SIM_FAULT_STUCK),
    FAULT("fault.high_limit", SIM_FAULT_HIGH_LIMIT),
    FAULT("fault.low_limit", SIM_FAULT_LOW_LIMIT),
    FAULT("fault.encoder", SIM_FAULT_ENCODER),
    FAULT("fault.detector", SIM_FAULT_DETECTOR),
    FAULT("fault.dump", SIM_FAULT_DUMP),
    FAULT("fault.shutter", SIM_FAULT_SHUTTER),
    FAULT("fault.vacuum", SIM_FAULT_VACUUM),
    FAULT("fault.cooling", SIM_FAULT_COOLING),
    {"vacuum.pressure", SIM_CLOCK | SIM_FAULTS_CHANGED, 0, .get = get_pressure},
    {"hutch.temp", SIM_CLOCK | SIM_FAULTS_CHANGED, 0, .get = get_hutch},
    KNOB("mono.pitch_optimum", SIM_PITCH_OPTIMUM),
    KNOB("mono.slip", SIM_BRAGG_SLIP),
    KNOB("mirror.in", SIM_MIRROR),
    PREAMP("i0", BL_I0),
    PREAMP("it", BL_IT),
    PREAMP("ir", BL_IR),
};

const struct variable *variable_of_hardware(const char *name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcmp(variables[i].name, name) == 0)
            return &variables[i];
    }
    return NULL;
}
