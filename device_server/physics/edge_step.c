#include "edge_step.h"

#include <math.h>

#include "status.h"

#define PRE_EDGE_EV 30.0 /* the pre-edge ends this far below the edge */
#define PRE_EDGE_POINTS 3
#define POST_EDGE_EV 100.0 /* the post-edge starts this far above it, .. */
#define POST_EDGE_PART 0.4 /* .. or at this part of what there is */
#define POST_EDGE_SHORTEST_EV 40.0
#define POST_EDGE_POINTS 5
#define TERMS 3

/* Normal equations of the fit, right-hand side in the last column. */
static void add_point(double a[TERMS][TERMS + 1], double table, double x, double mu)
{
    const double term[TERMS] = {table, 1.0, x};

    for (size_t r = 0; r < TERMS; r++) {
        for (size_t c = 0; c < TERMS; c++)
            a[r][c] += term[r] * term[c];
        a[r][TERMS] += term[r] * mu;
    }
}

/* Gauss-Jordan elimination with pivoting; the solution is left in the last column. */
static int solve(double a[TERMS][TERMS + 1])
{
    for (size_t k = 0; k < TERMS; k++) {
        size_t pivot = k;

        for (size_t r = k + 1; r < TERMS; r++) {
            if (fabs(a[r][k]) > fabs(a[pivot][k]))
                pivot = r;
        }
        if (!(fabs(a[pivot][k]) > 0))
            return BL_EFORMAT;
        for (size_t c = 0; c <= TERMS; c++) {
            double held = a[k][c];

            a[k][c] = a[pivot][c];
            a[pivot][c] = held;
        }
        for (size_t c = TERMS + 1; c-- > k;)
            a[k][c] /= a[k][k];
        for (size_t r = 0; r < TERMS; r++) {
            double factor = a[r][k];

            for (size_t c = k; r != k && c <= TERMS; c++)
                a[r][c] -= factor * a[k][c];
        }
    }
    return BL_OK;
}

int bl_edge_step_find(const struct bl_xdi *xdi, const double *table, double edge_ev,
                      struct bl_edge_step *step, char *err, size_t errlen)
{
    double last = xdi->energy_ev[xdi->n - 1];
    double a[TERMS][TERMS + 1] = {{0}};
    double start;
    size_t n_post = 0;

    step->n_pre = 0;
    while (step->n_pre < xdi->n && xdi->energy_ev[step->n_pre] <= edge_ev - PRE_EDGE_EV)
        step->n_pre++;
    if (step->n_pre < PRE_EDGE_POINTS || last < edge_ev + POST_EDGE_SHORTEST_EV)
        return bl_fail(err, errlen, BL_EFORMAT,
                       "%s: runs from %.1f to %.1f eV; the %s %s edge at %.1f eV needs %d points "
                       "below %.1f eV and an end above %.1f eV",
                       xdi->path, xdi->energy_ev[0], last, xdi->element, xdi->edge, edge_ev,
                       PRE_EDGE_POINTS, edge_ev - PRE_EDGE_EV, edge_ev + POST_EDGE_SHORTEST_EV);
    start = edge_ev + fmin(POST_EDGE_EV, POST_EDGE_PART * (last - edge_ev));
    for (size_t i = 0; i < xdi->n; i++) {
        bool post = xdi->energy_ev[i] >= start;

        n_post += post;
        if (post || i < step->n_pre)
            add_point(a, table[i] / table[0], (xdi->energy_ev[i] - edge_ev) / 100.0, xdi->mu[i]);
    }
    if (n_post < POST_EDGE_POINTS)
        return bl_fail(err, errlen, BL_EFORMAT,
                       "%s: %zu points above %.1f eV are too few for the edge step, at least %d "
                       "are needed",
                       xdi->path, n_post, start, POST_EDGE_POINTS);
    if (solve(a) != BL_OK)
        return bl_fail(err, errlen, BL_EFORMAT, "%s: the tables fit neither side of the edge",
                       xdi->path);
    step->areal_density_g_cm2 = a[0][TERMS] / table[0];
    if (!(step->areal_density_g_cm2 > 0) || !isfinite(step->areal_density_g_cm2))
        return bl_fail(err, errlen, BL_EFORMAT,
                       "%s: mu does not rise at the %s %s edge; are i0 and itrans exchanged?",
                       xdi->path, xdi->element, xdi->edge);
    return BL_OK;
}
