/* Chemical formulas: composition by mass and the attenuation that follows from it. */
#ifndef BL_FORMULA_H
#define BL_FORMULA_H

#include "elements.h"

#define BL_FORMULA_ELEMENTS 24

struct bl_formula {
    size_t n;
    int z[BL_FORMULA_ELEMENTS];
    double mass_fraction[BL_FORMULA_ELEMENTS];
    double molar_mass_g; /* of one formula unit */
};

/* Parses "Fe2O3", "Cu(OH)2", "Ni0.97Zn0.03O"; brackets may be nested, blanks are ignored. */
int bl_formula_parse(const char *text, const struct bl_elements *elements,
                     struct bl_formula *formula, char *err, size_t errlen);

/* Mass fraction of an element, 0 where the formula lacks it. */
double bl_formula_fraction(const struct bl_formula *formula, int z);

/* Mass attenuation coefficient of the compound in cm^2/g. */
int bl_formula_attenuation(const struct bl_formula *formula, const struct bl_elements *elements,
                           enum bl_attenuation kind, double energy_ev, double *cm2_g);

#endif
