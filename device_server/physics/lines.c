#include "lines.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"

#define SHELLS 400
#define PATH_LENGTH 256

struct bl_lines {
    size_t n;
    struct bl_shell shell[SHELLS];
    size_t first[BL_MAX_Z + 2]; /* of each element, and the end of the last */
};

static int read_shell(struct bl_shell *shell, const struct bl_elements *elements, char *line)
{
    const char *word = bl_text_word(&line);
    const char *symbol = bl_text_word(&line);
    const char *edge = symbol ? bl_text_word(&line) : NULL;
    const char *yield = edge ? bl_text_word(&line) : NULL;
    struct bl_edge found;
    double above;
    int status;

    *shell = (struct bl_shell){0};
    if (!yield || strcmp(word, "shell") != 0 || bl_text_number(yield, &shell->yield) ||
        !(shell->yield > 0 && shell->yield <= 1))
        return BL_EFORMAT;
    status = bl_elements_find(elements, symbol, &shell->z);
    if (status == BL_OK)
        status = bl_elements_edge(elements, shell->z, edge, &found);
    if (status == BL_OK)
        status =
            bl_elements_attenuation(elements, shell->z, BL_PHOTOELECTRIC, found.energy_ev, &above);
    if (status != BL_OK)
        return status;
    bl_text_copy(shell->edge, sizeof shell->edge, found.name);
    shell->edge_ev = found.energy_ev;
    shell->jump = found.jump_cm2_g / above;
    while ((word = bl_text_word(&line)) != NULL) {
        const char *part = bl_text_word(&line);

        if (shell->n == BL_SHELL_LINES || !part ||
            bl_text_number(word, &shell->line[shell->n].energy_ev) ||
            bl_text_number(part, &shell->line[shell->n].part) ||
            !(shell->line[shell->n].energy_ev > 0 &&
              shell->line[shell->n].energy_ev < found.energy_ev && shell->line[shell->n].part > 0 &&
              shell->line[shell->n].part <= 1))
            return BL_EFORMAT;
        shell->n++;
    }
    return shell->n > 0 ? BL_OK : BL_EFORMAT;
}

static int order(const void *a, const void *b)
{
    const struct bl_shell *first = a, *second = b;

    if (first->z != second->z)
        return first->z - second->z;
    return (first->edge_ev < second->edge_ev) - (first->edge_ev > second->edge_ev);
}

int bl_lines_load(const char *path, const struct bl_elements *elements, struct bl_lines **lines,
                  char *err, size_t errlen)
{
    char shown[PATH_LENGTH];
    struct bl_lines *loaded;
    struct bl_text text;
    char *line;
    int status = bl_text_read(path, &text, err, errlen);

    *lines = NULL;
    if (status != BL_OK)
        return status;
    bl_text_path(shown, sizeof shown, path);
    loaded = calloc(1, sizeof *loaded);
    if (!loaded)
        status = bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    while (status == BL_OK && (line = bl_text_line(&text)) != NULL) {
        if (!*line || *line == '#')
            continue;
        status =
            loaded->n < SHELLS ? read_shell(&loaded->shell[loaded->n], elements, line) : BL_EFULL;
        loaded->n++;
        if (status != BL_OK)
            bl_fail(
                err, errlen, status,
                "%s line %zu: expected 'shell SYMBOL EDGE YIELD ENERGY_EV PART ..' of an edge of "
                "the tables: %s",
                shown, text.line, bl_status_text(status));
    }
    bl_text_free(&text);
    if (status != BL_OK) {
        bl_lines_free(loaded);
        return status;
    }
    qsort(loaded->shell, loaded->n, sizeof *loaded->shell, order);
    for (int z = 0, i = 0; z < BL_MAX_Z + 2; z++) {
        while ((size_t)i < loaded->n && loaded->shell[i].z < z)
            i++;
        loaded->first[z] = (size_t)i;
    }
    *lines = loaded;
    return BL_OK;
}

void bl_lines_free(struct bl_lines *lines)
{
    free(lines);
}

const struct bl_shell *bl_lines_shells(const struct bl_lines *lines, int z, size_t *n)
{
    *n = 0;
    if (z < 1 || z > BL_MAX_Z)
        return NULL;
    *n = lines->first[z + 1] - lines->first[z];
    return &lines->shell[lines->first[z]];
}
