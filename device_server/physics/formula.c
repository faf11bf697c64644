#include "formula.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

#define MAX_DEPTH 8

struct parser {
    const char *text;
    const char *next;
    const struct bl_elements *elements;
    double count[BL_MAX_Z + 1];
    int depth;
    char *err;
    size_t errlen;
};

static int fail(const struct parser *parser, const char *what)
{
    return bl_fail(parser->err, parser->errlen, BL_EFORMAT,
                   "formula '%.60s': %s at character %zu; write it like Fe2O3 or Cu(OH)2",
                   parser->text, what, (size_t)(parser->next - parser->text) + 1);
}

static void skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->next))
        parser->next++;
}

/* Digits with at most one point; 1 where there are none. */
static int read_number(struct parser *parser, double *number)
{
    size_t length = strspn(parser->next, "0123456789.");
    char digits[24];
    char *end;

    *number = 1.0;
    if (length == 0)
        return BL_OK;
    if (length >= sizeof digits)
        return fail(parser, "number with too many digits");
    memcpy(digits, parser->next, length);
    digits[length] = '\0';
    *number = strtod(digits, &end);
    if (*end != '\0' || !(*number > 0))
        return fail(parser, "amount that is not a positive number");
    parser->next += length;
    return BL_OK;
}

static int read_element(struct parser *parser, int *z)
{
    char symbol[3] = {parser->next[0], '\0', '\0'};

    if (islower((unsigned char)parser->next[1])) {
        symbol[1] = parser->next[1];
        if (bl_elements_find(parser->elements, symbol, z) != BL_OK)
            return fail(parser, "unknown element");
        parser->next += 2;
        return BL_OK;
    }
    if (bl_elements_find(parser->elements, symbol, z) != BL_OK)
        return fail(parser, "unknown element");
    parser->next++;
    return BL_OK;
}

static int read_group(struct parser *parser, double count[BL_MAX_Z + 1]);

static int read_bracket(struct parser *parser, double count[BL_MAX_Z + 1])
{
    double inner[BL_MAX_Z + 1] = {0};
    double amount;
    int status;

    if (parser->depth == MAX_DEPTH)
        return fail(parser, "brackets nested too deep");
    parser->depth++;
    parser->next++;
    status = read_group(parser, inner);
    if (status != BL_OK)
        return status;
    if (*parser->next != ')')
        return fail(parser, "missing ')'");
    parser->next++;
    parser->depth--;
    status = read_number(parser, &amount);
    for (size_t z = 1; z <= BL_MAX_Z; z++)
        count[z] += amount * inner[z];
    return status;
}

static int read_group(struct parser *parser, double count[BL_MAX_Z + 1])
{
    size_t parts = 0;
    double amount;
    int status, z;

    for (;; parts++) {
        skip_blanks(parser);
        if (*parser->next == '(') {
            status = read_bracket(parser, count);
            if (status != BL_OK)
                return status;
        } else if (isupper((unsigned char)*parser->next)) {
            status = read_element(parser, &z);
            if (status == BL_OK)
                status = read_number(parser, &amount);
            if (status != BL_OK)
                return status;
            count[z] += amount;
        } else {
            break;
        }
    }
    return parts > 0 ? BL_OK : fail(parser, "expected an element");
}

int bl_formula_parse(const char *text, const struct bl_elements *elements,
                     struct bl_formula *formula, char *err, size_t errlen)
{
    struct parser parser = {
        .text = text, .next = text, .elements = elements, .err = err, .errlen = errlen};
    int status = read_group(&parser, parser.count);

    *formula = (struct bl_formula){0};
    if (status != BL_OK)
        return status;
    if (*parser.next != '\0')
        return fail(&parser, "unexpected character");
    for (int z = 1; z <= BL_MAX_Z; z++) {
        double mass;

        if (!(parser.count[z] > 0))
            continue;
        if (formula->n == BL_FORMULA_ELEMENTS)
            return fail(&parser, "too many elements");
        status = bl_elements_mass(elements, z, &mass);
        if (status != BL_OK)
            return status;
        formula->z[formula->n] = z;
        formula->mass_fraction[formula->n] = parser.count[z] * mass;
        formula->molar_mass_g += parser.count[z] * mass;
        formula->n++;
    }
    for (size_t i = 0; i < formula->n; i++)
        formula->mass_fraction[i] /= formula->molar_mass_g;
    return BL_OK;
}

double bl_formula_fraction(const struct bl_formula *formula, int z)
{
    for (size_t i = 0; i < formula->n; i++) {
        if (formula->z[i] == z)
            return formula->mass_fraction[i];
    }
    return 0.0;
}

int bl_formula_attenuation(const struct bl_formula *formula, const struct bl_elements *elements,
                           enum bl_attenuation kind, double energy_ev, double *cm2_g)
{
    double sum = 0.0;

    for (size_t i = 0; i < formula->n; i++) {
        double element;
        int status = bl_elements_attenuation(elements, formula->z[i], kind, energy_ev, &element);

        if (status != BL_OK)
            return status;
        sum += formula->mass_fraction[i] * element;
    }
    *cm2_g = sum;
    return BL_OK;
}
