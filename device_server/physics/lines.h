/* Fluorescence lines: shells of the elements, their yields and what they emit, read from
   samples/fluorescence.dat. Immutable after load; any thread may read. */
#ifndef BL_LINES_H
#define BL_LINES_H

#include "elements.h"

#define BL_SHELL_LINES 8

struct bl_shell {
    int z;
    char edge[4];
    double edge_ev;
    double jump;  /* part of the photoelectric absorption right above the edge */
    double yield; /* photons for each hole */
    size_t n;
    struct {
        double energy_ev;
        double part; /* of the shell's photons */
    } line[BL_SHELL_LINES];
};

struct bl_lines;

int bl_lines_load(const char *path, const struct bl_elements *elements, struct bl_lines **lines,
                  char *err, size_t errlen);
void bl_lines_free(struct bl_lines *lines);

/* Shells of an element, highest edge first; *n is 0 where the tables have none. */
const struct bl_shell *bl_lines_shells(const struct bl_lines *lines, int z, size_t *n);

#endif
