"""Absorption spectra from mu(E) to chi(R).

    from beamline_ophyd.analysis import xafs

    edge = xafs.pre_edge(energy, mu)
    background = xafs.autobk(energy, mu, normalised=edge)
    transform = xafs.xftf(background.k, background.chi, kmin=3, kmax=12, window="hanning")

A run takes one call: ``xafs.reduce(ScanData.from_file("fe_foil.nxs"))``.

Names of functions and arguments are larch's where the meaning is the same. All else
takes and returns plain arrays, one spectrum of shape (n,) or a stack of shape (..., n) with energy
or k along the last axis. Numpy and scipy only; written from the papers and the definitions.
"""

from ._background import Background, autobk
from ._calibration import Alignment, align, calibrated
from ._corrections import SelfAbsorption, dead_time, self_absorption
from ._edge import EdgeEnergy, find_e0, locate_edge
from ._feff import FeffPath
from ._fourier import BackTransform, FourierTransform, xftf, xftr
from ._glitches import find_glitches, masked
from ._merging import Merged, merge_spectra
from ._noise import NoiseCheck, check_noise, counting_noise, high_r_noise, point_noise
from ._normalise import PreEdge, pre_edge
from ._reduction import Reduction, reduce, reduce_arrays
from ._shell import ShellFit, fit_shell
from ._so_far import SoFar, chi_noise, reduce_so_far
from ._tabulated import tabulated_edge_step
from ._windows import WINDOWS, ftwindow

__all__ = [
    "WINDOWS",
    "Alignment",
    "BackTransform",
    "Background",
    "EdgeEnergy",
    "FeffPath",
    "FourierTransform",
    "Merged",
    "NoiseCheck",
    "PreEdge",
    "Reduction",
    "SelfAbsorption",
    "ShellFit",
    "SoFar",
    "align",
    "autobk",
    "calibrated",
    "check_noise",
    "chi_noise",
    "counting_noise",
    "dead_time",
    "find_e0",
    "find_glitches",
    "fit_shell",
    "ftwindow",
    "high_r_noise",
    "locate_edge",
    "masked",
    "merge_spectra",
    "point_noise",
    "pre_edge",
    "reduce",
    "reduce_arrays",
    "reduce_so_far",
    "self_absorption",
    "tabulated_edge_step",
    "xftf",
    "xftr",
]
