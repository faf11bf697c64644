#include "variables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static int get_ring(struct sim *sim, int arg, double *value)
{
    (void)arg;
    return sim_ring_current(sim, value);
}

static int get_crystal(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_crystal(sim);
    return BL_OK;
}

static int set_crystal(struct sim *sim, int arg, double value)
{
    (void)arg;
    return sim_set_crystal(sim, (int)value);
}

static int get_d(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = bl_mono_crystal(sim_crystal(sim))->d_angstrom;
    return BL_OK;
}

static int get_shutter(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_shutter_is_open(sim);
    return BL_OK;
}

/* What a chamber is made of; `arg` is its index. */
static int get_length(struct sim *sim, int arg, double *value)
{
    *value = bl_beamline_chamber(sim_beamline(sim), arg)->length_cm;
    return BL_OK;
}

static int get_gain(struct sim *sim, int arg, double *value)
{
    *value = sim_preamp_gain(sim, arg);
    return BL_OK;
}

static int get_dark(struct sim *sim, int arg, double *value)
{
    *value = sim_dark_rate(sim, arg);
    return BL_OK;
}

static int get_vf(struct sim *sim, int arg, double *value)
{
    *value = bl_beamline_chamber(sim_beamline(sim), arg)->vf_hz_per_v;
    return BL_OK;
}

static int get_w(struct sim *sim, int arg, double *value)
{
    *value = bl_beamline_chamber(sim_beamline(sim), arg)->w_ev;
    return BL_OK;
}

static int get_ev_per_count(struct sim *sim, int arg, double *value)
{
    struct bl_chamber chamber = *bl_beamline_chamber(sim_beamline(sim), arg);
    chamber.gain_v_per_a = sim_preamp_gain(sim, arg);
    *value = bl_chamber_ev_per_count(&chamber);
    return BL_OK;
}

static int get_gas(struct sim *sim, int arg, char text[BL_NAME_LENGTH])
{
    snprintf(text, BL_NAME_LENGTH, "%s", bl_beamline_chamber(sim_beamline(sim), arg)->gas);
    return BL_OK;
}

/* The sample in the beam. */
static const struct bl_sample *sample(struct sim *sim)
{
    const struct bl_place *place = sim_sample(sim);
    return place != NULL ? place->sample : NULL;
}

static int get_sample_name(struct sim *sim, int arg, char text[BL_NAME_LENGTH])
{
    (void)arg;
    const struct bl_place *place = sim_sample(sim);
    snprintf(text, BL_NAME_LENGTH, "%s", place != NULL ? place->name : "");
    return BL_OK;
}

enum sample_text { SAMPLE_TITLE, SAMPLE_FORMULA, SAMPLE_EDGE };

static int get_sample_text(struct sim *sim, int arg, char text[BL_NAME_LENGTH])
{
    const struct bl_sample *s = sample(sim);
    text[0] = '\0';
    if (s == NULL)
        return BL_OK;
    if (arg == SAMPLE_TITLE)
        bl_text_copy(text, BL_NAME_LENGTH, s->title);
    else if (arg == SAMPLE_FORMULA)
        bl_text_copy(text, BL_NAME_LENGTH, s->formula_text);
    else if (s->z > 0)
        snprintf(text, BL_NAME_LENGTH, "%s-%s", s->element, s->edge);
    return BL_OK;
}

enum sample_number { SAMPLE_OFFSET, SAMPLE_EDGE_STEP, SAMPLE_EDGE_EV };

static int get_sample_number(struct sim *sim, int arg, double *value)
{
    const struct bl_sample *s = sample(sim);
    const double numbers[] = {
        [SAMPLE_OFFSET] = s != NULL ? s->offset : 0,
        [SAMPLE_EDGE_STEP] = s != NULL ? s->edge_step * sim_knob(sim, SIM_THICKNESS) *
                                             sim_knob(sim, SIM_CONCENTRATION)
                                       : 0,
        [SAMPLE_EDGE_EV] = s != NULL ? s->edge_ev : 0,
    };
    *value = numbers[arg];
    return BL_OK;
}

static int get_places(struct sim *sim, int arg, size_t room, char (*texts)[BL_NAME_LENGTH],
                      size_t *n)
{
    (void)arg;
    const struct bl_holder *holder = bl_beamline_holder(sim_beamline(sim));
    for (*n = 0; *n < holder->n && *n < room; (*n)++)
        memcpy(texts[*n], holder->place[*n].name, BL_NAME_LENGTH);
    return BL_OK;
}

enum coordinate { X, Y };

static int get_coordinates(struct sim *sim, int arg, size_t room, double *values, size_t *n)
{
    const struct bl_holder *holder = bl_beamline_holder(sim_beamline(sim));
    for (*n = 0; *n < holder->n && *n < room; (*n)++)
        values[*n] = arg == X ? holder->place[*n].x_um : holder->place[*n].y_um;
    return BL_OK;
}

static int get_reference(struct sim *sim, int arg, char text[BL_NAME_LENGTH])
{
    (void)arg;
    const struct bl_place *place = bl_beamline_reference(sim_beamline(sim));
    snprintf(text, BL_NAME_LENGTH, "%s", place != NULL ? place->name : BL_EMPTY_NAME);
    return BL_OK;
}

static int set_reference(struct sim *sim, int arg, const char *text)
{
    (void)arg;
    return sim_set_reference(sim, text);
}

static int get_speed(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_speed(sim);
    return BL_OK;
}

static int set_speed(struct sim *sim, int arg, double value)
{
    (void)arg;
    return sim_set_speed(sim, value);
}

static int get_seed(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = (double)sim_seed(sim);
    return BL_OK;
}

static int set_seed(struct sim *sim, int arg, double value)
{
    (void)arg;
    if (!(value >= 0))
        return BL_ERANGE;
    sim_set_seed(sim, (uint64_t)value);
    return BL_OK;
}

static int get_noise(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_noise(sim);
    return BL_OK;
}

static int set_noise(struct sim *sim, int arg, double value)
{
    (void)arg;
    sim_set_noise(sim, value != 0);
    return BL_OK;
}

static int get_steady(struct sim *sim, int arg, double *value)
{
    (void)arg;
    *value = sim_steady_ring(sim);
    return BL_OK;
}

static int set_steady(struct sim *sim, int arg, double value)
{
    (void)arg;
    sim_set_steady_ring(sim, value != 0);
    return BL_OK;
}

#define CHAMBER(prefix, index)                                                                     \
    {prefix ".rate", SIM_COUNT_DONE, index, .get = sim_count_rate},                                \
        {prefix ".dark", SIM_GAIN_CHANGED, index, .get = get_dark},                                \
        {prefix ".gas", 0, index, .get_text = get_gas},                                            \
        {prefix ".length", 0, index, .get = get_length},                                           \
        {prefix ".gain", 0, index, .get = get_gain}, {prefix ".vf", 0, index, .get = get_vf},      \
        {prefix ".w", 0, index, .get = get_w},                                                     \
    {                                                                                              \
        prefix ".ev_per_count", 0, index, .get = get_ev_per_count                                  \
    }

static const struct variable variables[] = {
    {"ring.current", SIM_CLOCK | SIM_COUNT_DONE, 0, .get = get_ring},
    {"mono.crystal", SIM_MONO_CHANGED, 0, .get = get_crystal, .set = set_crystal},
    {"mono.d", SIM_MONO_CHANGED, 0, .get = get_d},
    {"shutter.open", SIM_SHUTTER_DONE, 0, .get = get_shutter},
    CHAMBER("i0", BL_I0),
    CHAMBER("it", BL_IT),
    CHAMBER("ir", BL_IR),
    {"if.rate", SIM_COUNT_DONE, SIM_IF, .get = sim_count_rate},
    {"diff.rate", SIM_COUNT_DONE, SIM_DIFFRACTED, .get = sim_count_rate},
    {"sample.name", SIM_SAMPLE_CHANGED, 0, .get_text = get_sample_name},
    {"sample.title", SIM_SAMPLE_CHANGED, SAMPLE_TITLE, .get_text = get_sample_text},
    {"sample.formula", SIM_SAMPLE_CHANGED, SAMPLE_FORMULA, .get_text = get_sample_text},
    {"sample.edge", SIM_SAMPLE_CHANGED, SAMPLE_EDGE, .get_text = get_sample_text},
    {"sample.edge_ev", SIM_SAMPLE_CHANGED, SAMPLE_EDGE_EV, .get = get_sample_number},
    {"sample.edge_step", SIM_SAMPLE_CHANGED, SAMPLE_EDGE_STEP, .get = get_sample_number},
    {"sample.offset", SIM_SAMPLE_CHANGED, SAMPLE_OFFSET, .get = get_sample_number},
    {"places.names", 0, 0, .get_texts = get_places},
    {"places.x", 0, X, .get_array = get_coordinates},
    {"places.y", 0, Y, .get_array = get_coordinates},
    {"reference.name", SIM_REFERENCE_CHANGED, 0, .get_text = get_reference,
     .set_text = set_reference},
    {"sim.speed", 0, 0, .get = get_speed, .set = set_speed},
    {"sim.seed", 0, 0, .get = get_seed, .set = set_seed},
    {"sim.noise", 0, 0, .get = get_noise, .set = set_noise},
    {"sim.steady_ring", 0, 0, .get = get_steady, .set = set_steady},
};

const struct variable *variable_find(const char *name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcmp(variables[i].name, name) == 0)
            return &variables[i];
    }
    const struct variable *hardware = variable_of_hardware(name);
    return hardware != NULL ? hardware : variable_of_kohzu(name);
}
