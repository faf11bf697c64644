/* A sample: absorption mu*t(E) from an XDI file, continued by the tables outside its range.

   A measured ln(i0/itrans) holds the response of the chambers that it was measured with, and the
   unknown ratio of two gains. Neither comes in twice: the response of this beamline's chambers is
   taken out of it, as its resolution is not applied again, and one constant, `offset`, puts its
   pre-edge onto the tables. So what the chambers count, ln(I0/It), is the file's, interpolated
   linearly between its points, plus `offset`. */
#ifndef BL_SAMPLE_H
#define BL_SAMPLE_H

#include "chamber.h"
#include "lines.h"

#define BL_NAME_LENGTH 40 /* what a DBF_STRING holds, with its end */

struct bl_sample {
    char name[BL_NAME_LENGTH]; /* stem of the file's name */
    char title[256];           /* Sample.name, else the name */
    char formula_text[256];
    char element[4];
    char edge[4];
    int z;                      /* of the element; 0: a powder without a spectrum */
    double edge_ev;             /* tabulated energy of the edge */
    double edge_step;           /* of mu*t */
    double areal_density_g_cm2; /* of the formula */
    double offset;              /* of ln(I0/It) as counted from the file's; 0 for an absolute one */
    double temperature_k;       /* that the spectrum is of; 0: unknown, or it cannot change */
    double einstein_k;          /* Einstein temperature of the bond to the first neighbour .. */
    double bond_mass_u;         /* .. and its reduced mass */
    bool absolute;
    bool contains_resolution; /* true for a measured file: no second broadening */
    struct bl_formula formula;
    size_t n;
    double *energy_ev;
    double *mu;         /* on the tables, without the chambers' response */
    double excess_low;  /* mu*t of the file less that of the tables, at the first point .. */
    double excess_high; /* .. and at the last one */
};

/* `chambers`: those whose response a measured file is taken to contain; NULL for ideal ones. */
int bl_sample_load(const char *path, const struct bl_elements *elements,
                   const struct bl_chamber_pair *chambers, struct bl_sample **sample, char *err,
                   size_t errlen);
void bl_sample_free(struct bl_sample *sample);

/* A powder without a spectrum, from a file of lines "key: value" with the keys name, formula and
   areal_density (in g/cm^2): its absorption is that of the tables. */
int bl_sample_load_powder(const char *path, const struct bl_elements *elements,
                          struct bl_sample **sample, char *err, size_t errlen);

/* How much of a sample there is and how warm it is. */
struct bl_condition {
    double thickness;     /* times that of the file */
    double concentration; /* of the element, times that of the file */
    double temperature_k; /* 0: that of the file */
};

extern const struct bl_condition bl_condition_default;

/* mu*t at an energy along the normal; BL_ERANGE outside the tables. NULL stands for no sample: 0.
   The temperature damps the fine structure by exp(-2 k^2 dsigma^2), as far as the file tells what
   that needs; it is the one of the first shell for all. */
int bl_sample_mu(const struct bl_sample *sample, const struct bl_condition *condition,
                 const struct bl_elements *elements, double energy_ev, double *mu);

/* mu*t of the tables for the file's amount. */
int bl_sample_of_tables(const struct bl_sample *sample, const struct bl_elements *elements,
                        double energy_ev, double *mu);

/* Mean square displacement of the bond to the first neighbour in an Einstein solid, in A^2. */
double bl_sample_sigma2(const struct bl_sample *sample, double temperature_k);

/* The part of mu*t that ionises a shell. `part` is that of the element's photoelectric absorption,
   `mu` the sample's: what it has beyond the tables belongs to the shell of its edge. */
int bl_sample_shell(const struct bl_sample *sample, const struct bl_condition *condition,
                    const struct bl_elements *elements, const struct bl_shell *shell, double part,
                    double energy_ev, double mu, double *absorbed);

/* The part of mu*t that is scattering. */
int bl_sample_scattering(const struct bl_sample *sample, const struct bl_condition *condition,
                         const struct bl_elements *elements, double energy_ev, double *scattered);

/* The name of a place for a file: its stem. */
int bl_sample_name(const char *path, char name[BL_NAME_LENGTH], char *err, size_t errlen);

#endif
