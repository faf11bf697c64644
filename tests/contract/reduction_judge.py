"""Reduces spectra with larch and rexafs, in the environment that has them.

    python reduction_judge.py SPECTRA.npz RESULTS.npz

SPECTRA holds `energy/NAME`, `mu/NAME`, `e0/NAME` and `kmax/NAME`; RESULTS `PROGRAM/QUANTITY/NAME`.
"""

import sys

import numpy as np
import rexafs  # pyright: ignore[reportMissingImports]
from larch import Group  # pyright: ignore[reportMissingImports]
from larch.xafs import (  # pyright: ignore[reportMissingImports]
    autobk,
    ftwindow,
    pre_edge,
    xftf,
    xftr,
)

RSTEP = np.pi / (0.05 * 2048)

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

x = np.linspace(0, 16, 321)
for window in ("hanning", "kaiser", "parzen", "welch", "sine", "gaussian"):
    results[f"larch/window/{window}"] = ftwindow(x, xmin=3, xmax=12, dx=2, dx2=1, window=window)
np.savez(sys.argv[2], **results)
