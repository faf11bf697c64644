/* Variables of faults, environment, optics and current amplifiers. */
#include "variables.h"

#include <string.h>

#include "text.h"

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

/* Of the fluorescence detector: the element times 8, and which of its values. */
static int get_xrf(struct sim *sim, int arg, double *value)
{
    *value = sim_xrf_value(sim, arg / 8, arg % 8);
    return BL_OK;
}

static int get_spectrum(struct sim *sim, int arg, size_t room, double *values, size_t *n)
{
    double channel[BL_MCA_CHANNELS];
    sim_xrf_spectrum(sim, arg, channel);
    for (*n = 0; *n < BL_MCA_CHANNELS && *n < room; (*n)++)
        values[*n] = channel[*n];
    return BL_OK;
}

static int get_bin(struct sim *sim, int arg, double *value)
{
    (void)sim;
    (void)arg;
    *value = BL_MCA_EV;
    return BL_OK;
}

static int get_phase(struct sim *sim, int arg, char text[BL_NAME_LENGTH])
{
    (void)arg;
    const struct bl_place *place = sim_sample(sim);
    const struct bl_phase *phase =
        place != NULL ? bl_beamline_phase(sim_beamline(sim), place) : NULL;
    bl_text_copy(text, BL_NAME_LENGTH, phase != NULL ? phase->name : "");
    return BL_OK;
}

#define XRF(prefix, element)                                                                       \
    {prefix ".roi", SIM_COUNT_DONE, (element) * 8 + SIM_XRF_ROI, .get = get_xrf},                  \
        {prefix ".icr", SIM_COUNT_DONE, (element) * 8 + SIM_XRF_INPUT, .get = get_xrf},            \
        {prefix ".ocr", SIM_COUNT_DONE, (element) * 8 + SIM_XRF_SEEN, .get = get_xrf},             \
        {prefix ".dead", SIM_COUNT_DONE, (element) * 8 + SIM_XRF_DEAD, .get = get_xrf},            \
    {                                                                                              \
        prefix ".mca", SIM_COUNT_DONE, element, .get_array = get_spectrum                          \
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
    KNOB("sample.thickness", SIM_THICKNESS),
    KNOB("sample.concentration", SIM_CONCENTRATION),
    KNOB("sample.temperature", SIM_TEMPERATURE),
    {"sample.phase", SIM_SAMPLE_CHANGED, 0, .get_text = get_phase},
    KNOB("xrf.roi_low", SIM_ROI_LOW),
    KNOB("xrf.roi_high", SIM_ROI_HIGH),
    KNOB("xrf.dead_time", SIM_DEAD_TIME),
    {"xrf.bin", 0, 0, .get = get_bin},
    XRF("xrf.1", 0),
    XRF("xrf.2", 1),
    XRF("xrf.3", 2),
    XRF("xrf.4", 3),
    XRF("xrf.sum", BL_XRF_ELEMENTS),
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
