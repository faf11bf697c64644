#include "source.h"

#include <math.h>

#include "status.h"

const struct bl_source bl_source_default = {
    .critical_ev = 9000.0, .reference_ev = 7112.0, .reference_ma = 300.0, .reference_flux = 1e10};

/* Series of V. O. Kostroun, Nucl. Instrum. Methods 172 (1980) 371, for the integral of K5/3. */
double bl_source_g1(double y)
{
    const double h = 0.5;
    double sum;

    if (!(y > 0) || !isfinite(y))
        return 0.0;
    sum = 0.5 * exp(-y);
    for (int r = 1; r < 200; r++) {
        double term = exp(-y * cosh(r * h)) * cosh(5.0 / 3.0 * r * h) / cosh(r * h);

        sum += term;
        if (term < 1e-16 * sum)
            break;
    }
    return y * h * sum;
}

int bl_source_flux(const struct bl_source *source, double energy_ev, double ring_ma,
                   double *photons_per_s)
{
    if (!(energy_ev > 0 && ring_ma >= 0) || !isfinite(energy_ev) || !isfinite(ring_ma))
        return BL_EINVAL;
    *photons_per_s = source->reference_flux * (ring_ma / source->reference_ma) *
                     bl_source_g1(energy_ev / source->critical_ev) /
                     bl_source_g1(source->reference_ev / source->critical_ev);
    return BL_OK;
}
