"""Times larch and rexafs for reduction.py, in the environment that has them.

python reduction_reference.py SPECTRA.npz
"""

import json
import sys
import time

import numpy as np
import rexafs  # pyright: ignore[reportMissingImports]
from larch import Group  # pyright: ignore[reportMissingImports]
from larch.xafs import autobk, pre_edge, xftf  # pyright: ignore[reportMissingImports]

given = np.load(sys.argv[1])
energy, spectra = given["energy"], given["mu"]
e0, kmax, repeats = float(given["e0"]), float(given["kmax"]), int(given["repeats"])


def larch(mu):
    group = Group(energy=energy, mu=mu)
    pre_edge(group, e0=e0)
    autobk(group, ek0=e0)
    xftf(group, kmin=3, kmax=kmax, dk=1, window="hanning", kweight=2)
    return group.r, group.chir_mag


window = rexafs.XrayFFTF(kmin=3.0, kmax=kmax, dk=1.0, kweight=2.0, window="Hanning", grid="Larch")


def rust(mu):
    spectrum = rexafs.Spectrum(energy, mu).set_e0(e0)
    spectrum.set_fft(window)
    spectrum.fft()
    return spectrum.r(), spectrum.chir_mag()


for name, reduce in {"larch": larch, "rexafs": rust}.items():
    r, magnitude = reduce(spectra[0])
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        reduce(spectra[0])
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    for mu in spectra:
        reduce(mu)
    row = {
        "program": name,
        "one_ms": 1e3 * float(np.median(took)),
        "stack_s": time.perf_counter() - began,
        "shell": float(np.asarray(r)[np.argmax(magnitude)]),
    }
    sys.stdout.write(json.dumps(row) + "\n")
