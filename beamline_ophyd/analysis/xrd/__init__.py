"""Powder patterns: from counts over two-theta to lattice parameters and crystallite sizes.

    from beamline_ophyd.analysis import xrd

    pattern = xrd.pattern(ScanData.from_file("si.nxs"))
    peaks = xrd.fit_peaks(pattern.two_theta, pattern.counts)
    centres, errors = [p.centre for p in peaks], [p.centre_error for p in peaks]
    cell = xrd.index_cubic(centres, pattern.wavelength, errors=errors)
    cell.lattice, cell.a, cell.refined.a_error

Angles are in degrees and lengths in Angstrom; two-theta is the angle of the detector.
"""

from ._bragg import d_spacing, two_theta
from ._indexing import CubicCell, index_cubic
from ._lattice import Lattice, refine_lattice
from ._pattern import Pattern, pattern
from ._peaks import SHAPES, FoundPeak, PeakFit, find_peaks, fit_peak, fit_peaks
from ._size import CrystalliteSize, scherrer_size, split_width

__all__ = [
    "SHAPES",
    "CrystalliteSize",
    "CubicCell",
    "FoundPeak",
    "Lattice",
    "Pattern",
    "PeakFit",
    "d_spacing",
    "find_peaks",
    "fit_peak",
    "fit_peaks",
    "index_cubic",
    "pattern",
    "refine_lattice",
    "scherrer_size",
    "split_width",
    "two_theta",
]
