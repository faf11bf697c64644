/* Named variables of the beamline, for records that show or set one value. */
#ifndef VARIABLES_H
#define VARIABLES_H

#include "simulation.h"

struct variable {
    const char *name;
    unsigned events; /* after which it may have changed */
    int arg;
    /* A number, a text or an array; each returns a status. Absent: not of that kind, or fixed. */
    int (*get)(struct sim *sim, int arg, double *value);
    int (*set)(struct sim *sim, int arg, double value);
    int (*get_text)(struct sim *sim, int arg, char text[BL_NAME_LENGTH]);
    int (*set_text)(struct sim *sim, int arg, const char *text);
    int (*get_array)(struct sim *sim, int arg, size_t room, double *values, size_t *n);
    int (*get_texts)(struct sim *sim, int arg, size_t room, char (*texts)[BL_NAME_LENGTH],
                     size_t *n);
};

/* NULL: none of that name. */
const struct variable *variable_find(const char *name);

/* Of those that stand for faults, environment and amplifiers. */
const struct variable *variable_of_hardware(const char *name);

/* Of those that the Kohzu set of names shows. */
const struct variable *variable_of_kohzu(const char *name);

#endif
