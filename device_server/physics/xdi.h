/* Reader of transmission spectra in the XAS Data Interchange format (XDI 1.x). */
#ifndef BL_XDI_H
#define BL_XDI_H

#include <stdbool.h>
#include <stddef.h>

#define BL_XDI_TEXT 256
#define BL_XDI_MIN_POINTS 10

struct bl_xdi {
    char path[BL_XDI_TEXT]; /* shortened at the front when longer; for messages */
    char element[BL_XDI_TEXT];
    char edge[BL_XDI_TEXT];
    char formula[BL_XDI_TEXT];     /* Sample.formula or Sample.stoichiometry; may be empty */
    char sample_name[BL_XDI_TEXT]; /* Sample.name; may be empty */
    double areal_density_g_cm2;    /* Simulation.areal_density; 0 where not given */
    double temperature_k;          /* Sample.temperature in K; 0 where not given so .. */
    double einstein_k;             /* .. and Simulation.bond: Einstein temperature .. */
    double bond_mass_u;            /* .. and reduced mass; 0 where not given */
    bool absolute;                 /* Simulation.scale: absolute (mu*t is free of gains) */
    bool intrinsic;                /* Simulation.resolution: none (nothing of a monochromator) */
    size_t n;
    double *energy_ev; /* strictly increasing */
    double *mu;        /* mu*t = mutrans, mu or ln(i0/itrans), in that order of preference */
};

/* Reads a file whole. Errors name the file and, where there is one, the line. */
int bl_xdi_read(const char *path, struct bl_xdi **xdi, char *err, size_t errlen);
void bl_xdi_free(struct bl_xdi *xdi);

#endif
