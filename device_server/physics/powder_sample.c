/* Samples that are there for their powder lines: a formula and an amount. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "text.h"

/* The value of a line "key: value", NULL for another key. */
static char *value_of(char *line, const char *key)
{
    const size_t length = strlen(key);

    return strncmp(line, key, length) == 0 && line[length] == ':' ? bl_text_trim(line + length + 1)
                                                                  : NULL;
}

static int read_line(struct bl_sample *sample, const struct bl_elements *elements, char *line,
                     char *err, size_t errlen)
{
    char *value;

    if ((value = value_of(line, "name")) != NULL) {
        bl_text_copy(sample->title, sizeof sample->title, value);
        return BL_OK;
    }
    if ((value = value_of(line, "formula")) != NULL) {
        bl_text_copy(sample->formula_text, sizeof sample->formula_text, value);
        return bl_formula_parse(value, elements, &sample->formula, err, errlen);
    }
    if ((value = value_of(line, "areal_density")) != NULL) {
        char *number = bl_text_word(&value);

        if (number && bl_text_number(number, &sample->areal_density_g_cm2) == BL_OK &&
            sample->areal_density_g_cm2 > 0 && sample->areal_density_g_cm2 < 100)
            return BL_OK;
        return bl_fail(err, errlen, BL_EFORMAT,
                       "areal_density must be a number of g/cm^2, above 0");
    }
    return bl_fail(err, errlen, BL_EFORMAT,
                   "'%.40s' is not 'key: value' with the keys name, formula, areal_density", line);
}

int bl_sample_load_powder(const char *path, const struct bl_elements *elements,
                          struct bl_sample **sample, char *err, size_t errlen)
{
    struct bl_sample *loaded = calloc(1, sizeof *loaded);
    char reason[BL_ERROR_LENGTH] = "", shown[BL_NAME_LENGTH * 4];
    struct bl_text text = {0};
    char *line;
    int status;

    *sample = NULL;
    if (!loaded)
        return bl_fail(err, errlen, BL_ENOMEM, "out of memory");
    bl_text_path(shown, sizeof shown, path);
    status = bl_sample_name(path, loaded->name, err, errlen);
    if (status == BL_OK)
        status = bl_text_read(path, &text, err, errlen);
    while (status == BL_OK && (line = bl_text_line(&text)) != NULL) {
        if (!*line || *line == '#')
            continue;
        status = read_line(loaded, elements, line, reason, sizeof reason);
        if (status != BL_OK)
            bl_fail(err, errlen, status, "%s line %zu: %.600s", shown, text.line, reason);
    }
    bl_text_free(&text);
    if (status == BL_OK && (loaded->formula.n == 0 || !(loaded->areal_density_g_cm2 > 0)))
        status = bl_fail(err, errlen, BL_EFORMAT, "%s: lacks formula or areal_density", shown);
    if (status == BL_OK && !*loaded->title)
        bl_text_copy(loaded->title, sizeof loaded->title, loaded->name);
    loaded->absolute = true;
    if (status == BL_OK)
        *sample = loaded;
    else
        bl_sample_free(loaded);
    return status;
}
