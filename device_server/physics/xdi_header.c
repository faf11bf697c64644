#include "xdi_header.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "status.h"

/* Text values of the header that are kept. */
static char *text_field(struct bl_xdi *xdi, const char *key)
{
    const struct {
        const char *key;
        char *value;
    } fields[] = {
        {"Element.symbol", xdi->element},  {"Element.edge", xdi->edge},
        {"Sample.formula", xdi->formula},  {"Sample.stoichiometry", xdi->formula},
        {"Sample.name", xdi->sample_name},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (bl_text_same(fields[i].key, key))
            return fields[i].value;
    }
    return NULL;
}

/* "energy eV" */
static void name_column(struct bl_xdi_reader *reader, size_t index, char *value)
{
    char *label = bl_text_word(&value);
    char *unit = label ? bl_text_word(&value) : NULL;

    bl_text_copy(reader->column[index].label, BL_XDI_LABEL, label ? label : "");
    bl_text_copy(reader->column[index].unit, BL_XDI_LABEL, unit ? unit : "");
    if (index >= reader->n_columns)
        reader->n_columns = index + 1;
}

static int read_column_field(struct bl_xdi_reader *reader, const char *number, char *value)
{
    double index;

    if (bl_text_number(number, &index) || !(index >= 1 && index <= BL_XDI_COLUMNS) ||
        index != floor(index))
        return BL_XDI_FAIL(reader, "%s line %zu: Column.%.20s is not a column from 1 to %d",
                           reader->xdi->path, reader->text.line, number, BL_XDI_COLUMNS);
    name_column(reader, (size_t)index - 1, value);
    return BL_OK;
}

/* A choice between one word and the default. */
static int read_choice(struct bl_xdi_reader *reader, const char *key, const char *value,
                       const char *special, const char *usual, bool *chosen)
{
    *chosen = bl_text_same(value, special) != 0;
    if (*chosen || bl_text_same(value, usual))
        return BL_OK;
    return BL_XDI_FAIL(reader, "%s line %zu: %s is '%.40s', allowed are '%s' and '%s'",
                       reader->xdi->path, reader->text.line, key, value, special, usual);
}

/* "300 K"; in any other unit or form it is a text to us. */
static void read_temperature(struct bl_xdi *xdi, char *value)
{
    char *number = bl_text_word(&value);
    char *unit = bl_text_word(&value);
    double kelvin;

    if (number && unit && strcmp(unit, "K") == 0 && bl_text_number(number, &kelvin) == BL_OK &&
        kelvin > 0 && isfinite(kelvin))
        xdi->temperature_k = kelvin;
}

/* "236.4 K, 31.77 u" */
static int read_bond(struct bl_xdi_reader *reader, char *value)
{
    struct bl_xdi *xdi = reader->xdi;
    const char *theta = bl_text_word(&value);
    const char *kelvin = theta ? bl_text_word(&value) : NULL;
    const char *mass = kelvin ? bl_text_word(&value) : NULL;
    const char *unit = mass ? bl_text_word(&value) : NULL;

    if (unit && strcmp(kelvin, "K") == 0 && strcmp(unit, "u") == 0 &&
        bl_text_number(theta, &xdi->einstein_k) == BL_OK &&
        bl_text_number(mass, &xdi->bond_mass_u) == BL_OK && xdi->einstein_k > 0 &&
        xdi->bond_mass_u > 0 && isfinite(xdi->einstein_k) && isfinite(xdi->bond_mass_u))
        return BL_OK;
    return BL_XDI_FAIL(reader,
                       "%s line %zu: Simulation.bond must be an Einstein temperature and a reduced "
                       "mass, as '236.4 K, 31.77 u'",
                       xdi->path, reader->text.line);
}

/* "Family.key: value"; lines of another form are comments to us. */
static int read_field(struct bl_xdi_reader *reader, char *line)
{
    struct bl_xdi *xdi = reader->xdi;
    char *colon = strchr(line, ':');
    char *key, *value, *kept;

    if (!colon)
        return BL_OK;
    *colon = '\0';
    key = bl_text_trim(line);
    value = bl_text_trim(colon + 1);
    kept = text_field(xdi, key);
    if (kept) {
        bl_text_copy(kept, BL_XDI_TEXT, value);
        return BL_OK;
    }
    if (strlen(key) > 7 && key[6] == '.') {
        key[6] = '\0';
        if (bl_text_same(key, "Column"))
            return read_column_field(reader, key + 7, value);
        key[6] = '.';
    }
    if (bl_text_same(key, "Simulation.scale"))
        return read_choice(reader, key, value, "absolute", "relative", &xdi->absolute);
    if (bl_text_same(key, "Simulation.resolution"))
        return read_choice(reader, key, value, "none", "contained", &xdi->intrinsic);
    if (bl_text_same(key, "Sample.temperature"))
        read_temperature(xdi, value);
    if (bl_text_same(key, "Simulation.bond"))
        return read_bond(reader, value);
    if (bl_text_same(key, "Simulation.areal_density")) {
        char *word = bl_text_word(&value);

        if (!word || bl_text_number(word, &xdi->areal_density_g_cm2) ||
            !(xdi->areal_density_g_cm2 > 0) || !isfinite(xdi->areal_density_g_cm2))
            return BL_XDI_FAIL(reader,
                               "%s line %zu: Simulation.areal_density must be positive, in g/cm^2",
                               xdi->path, reader->text.line);
    }
    return BL_OK;
}

/* "# XDI/1.0", "#XDI/1.1  GSE/2.0": major version 1, applications after it. */
static int read_version(struct bl_xdi_reader *reader)
{
    char *line = bl_text_line(&reader->text);

    if (line && *line == '#') {
        char *mark = bl_text_trim(line + 1);

        if (toupper((unsigned char)mark[0]) == 'X' && toupper((unsigned char)mark[1]) == 'D' &&
            toupper((unsigned char)mark[2]) == 'I' && mark[3] == '/') {
            if (mark[4] == '1' && !isdigit((unsigned char)mark[5]))
                return BL_OK;
            return BL_XDI_FAIL(reader, "%s: version '%.20s' of XDI is not known, only 1.x is",
                               reader->xdi->path, mark);
        }
    }
    return BL_XDI_FAIL(reader, "%s: is not an XDI file: its first line must be like '# XDI/1.0'",
                       reader->xdi->path);
}

int bl_xdi_read_header(struct bl_xdi_reader *reader, char **row)
{
    char *line, *last = NULL;
    bool fields = true;
    int status = read_version(reader);

    *row = NULL;
    if (status != BL_OK)
        return status;
    while ((line = bl_text_line(&reader->text)) != NULL) {
        char *content;

        if (*line == '\0')
            continue;
        if (*line != '#') {
            *row = line;
            break;
        }
        content = bl_text_trim(line + 1);
        last = content;
        if (strncmp(content, "///", 3) == 0 || strncmp(content, "---", 3) == 0)
            fields = false; /* what follows is the user's comment and the labels */
        if (fields) {
            status = read_field(reader, content);
            if (status != BL_OK)
                return status;
        }
    }
    if (reader->n_columns == 0 && last) {
        char *label;

        while (reader->n_columns < BL_XDI_COLUMNS && (label = bl_text_word(&last)) != NULL)
            name_column(reader, reader->n_columns, label);
    }
    return BL_OK;
}
