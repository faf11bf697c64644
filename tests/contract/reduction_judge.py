"""Reduces spectra with larch and rexafs, in the environment that has them.

    python reduction_judge.py SPECTRA.npz RESULTS.npz PATH.dat

SPECTRA holds `energy/NAME`, `mu/NAME`, `e0/NAME` and `kmax/NAME`; RESULTS `PROGRAM/QUANTITY/NAME`.
PATH is a path file of FEFF, fitted to the first shell of every copper foil.
"""

import sys

import numpy as np
import rexafs  # pyright: ignore[reportMissingImports]
from larch import Group  # pyright: ignore[reportMissingImports]
from larch.fitting import param, param_group  # pyright: ignore[reportMissingImports]
from larch.xafs import (  # pyright: ignore[reportMissingImports]
    autobk,
    feffit,
    feffit_dataset,
    feffit_transform,
    feffpath,
    ftwindow,
    path2chi,
    pre_edge,
    xftf,
    xftr,
)

RSTEP = np.pi / (0.05 * 2048)
VARIED = {"amplitude": 0.92, "deltar": 0.0, "sigma2": 0.005, "e0": 0.0}


def first_shell(group, kmax):
    """Values and errors of larch's fit of one path, in the order of VARIED."""
    path = feffpath(sys.argv[3], s02="amplitude", deltar="deltar", sigma2="sigma2", e0="e0")
    varied = param_group(**{name: param(value, vary=True) for name, value in VARIED.items()})
    transform = feffit_transform(
        kmin=3, kmax=kmax, dk=1, window="hanning", kweight=2, rmin=1.6, rmax=2.8, fitspace="r"
    )
    dataset = feffit_dataset(data=group, pathlist=[path], transform=transform)
    found = feffit(varied, dataset).params
    return [(found[name].value, found[name].stderr) for name in VARIED]


spectra = np.load(sys.argv[1])
results = {}
for name in sorted(key.split("/", 1)[1] for key in spectra if key.startswith("mu/")):
    energy, mu = spectra[f"energy/{name}"], spectra[f"mu/{name}"]
    e0, kmax = float(spectra[f"e0/{name}"]), float(spectra[f"kmax/{name}"])
    group = Group(energy=energy, mu=mu)
    pre_edge(group, e0=e0)
    autobk(group, ek0=e0)
    xftf(group, kmin=3, kmax=kmax, dk=1, window="hanning", kweight=2)
    # larch moves a window's sills onto the grid of R: these lie on it.
    xftr(group, rmin=36 * RSTEP, rmax=98 * RSTEP, dr=16 * RSTEP, window="hanning", qmax_out=20)
    for quantity in ("edge_step", "flat", "k", "chi", "r", "chir", "q", "chiq"):
        results[f"larch/{quantity}/{name}"] = getattr(group, quantity)

    if name.lower().startswith("cu_"):
        results[f"larch/shell/{name}"] = first_shell(group, kmax)

    other = rexafs.Spectrum(energy, mu).set_e0(e0)
    other.set_fft(
        rexafs.XrayFFTF(kmin=3.0, kmax=kmax, dk=1.0, kweight=2.0, window="Hanning", grid="Larch")
    )
    other.fft()
    for quantity, get in {
        "flat": other.flat,
        "k": other.k,
        "chi": other.chi,
        "r": other.r,
        "chir_mag": other.chir_mag,
    }.items():
        results[f"rexafs/{quantity}/{name}"] = get()

known = {"degen": 11.0, "s02": 0.9, "deltar": 0.03, "sigma2": 0.008, "e0": 4.0}
path = feffpath(sys.argv[3], **known, third=2e-4, fourth=1e-5)
path2chi(path, kmax=16, kstep=0.05)
results |= {"larch/path/k": path.k, "larch/path/chi": path.chi}

x = np.linspace(0, 16, 321)
for window in ("hanning", "kaiser", "parzen", "welch", "sine", "gaussian"):
    results[f"larch/window/{window}"] = ftwindow(x, xmin=3, xmax=12, dx=2, dx2=1, window=window)
np.savez(sys.argv[2], **results)
