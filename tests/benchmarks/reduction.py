"""Time from mu(E) to chi(R), of one spectrum and of a stack, beside larch and rexafs in one run.

    python -m tests.benchmarks.reduction REFERENCE_PYTHON [SPECTRA]

REFERENCE_PYTHON has larch and rexafs (`make reference`); they run in a process of their own, as
the same steps with the same settings: pre-edge with E0 given, AUTOBK, Fourier transform of k^2 chi
with a Hanning window. All have the same spectra, each with its own noise and height. Rows of JSON;
fails when the first shell of a program is not where the others have it.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from beamline_ophyd.analysis import xafs

E0, POINTS, KMAX = 7112.0, 500, 12.0
REPEATS = 200
DISTANCE = 2.2


def spectra(count):
    """Energies, and `count` spectra of one shell, of different height and noise."""
    below, edge = np.linspace(-200, -25, 60), np.arange(-24.5, 20, 0.4)
    k = np.linspace(np.sqrt(20 / 3.80998211), 15.5, POINTS - len(below) - len(edge))
    offset = np.concatenate([below, edge, 3.80998211 * k**2])
    wave = np.sqrt(np.maximum(offset, 0) / 3.80998211)
    chi = 0.4 * np.sin(2 * DISTANCE * wave) * np.exp(-0.01 * wave**2) * (1 - np.exp(-(wave**2)))
    mu = 0.4 - 2e-4 * offset + 1.4 * (0.5 + np.arctan(offset * 1.6) / np.pi) * (1 + chi)
    rng = np.random.default_rng(1)
    noise = 3e-4 * rng.standard_normal((count, POINTS))
    return E0 + offset, rng.uniform(0.5, 2, (count, 1)) * mu + noise


def reduce(energy, mu):
    """What each program does; ours takes one spectrum or a stack."""
    normalised = xafs.pre_edge(energy, mu, E0)
    background = xafs.autobk(energy, mu, normalised=normalised)
    return xafs.xftf(background.k, background.chi, kmin=3, kmax=KMAX, window="hanning")


def timed(function, repeats):
    """Seconds of each call, after one that does not count."""
    function()
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        took.append(time.perf_counter() - began)
    return took


def ours(energy, mu):
    """Our row."""
    one = np.median(timed(lambda: reduce(energy, mu[0]), REPEATS))
    began = time.perf_counter()
    found = reduce(energy, mu)
    stack = time.perf_counter() - began
    shell = found.r[np.argmax(found.chir_mag[0])]
    return {"program": "beamline_ophyd", "one_ms": 1e3 * one, "stack_s": stack, "shell": shell}


def main():
    """Measure all three, tell the ratios."""
    python = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    energy, mu = spectra(count)
    rows = [ours(energy, mu)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spectra.npz"
        np.savez(file, energy=energy, mu=mu, e0=E0, kmax=KMAX, repeats=REPEATS)
        script = Path(__file__).with_name("reduction_reference.py")
        done = subprocess.run([python, script, file], check=True, stdout=subprocess.PIPE, text=True)
    rows += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for row in rows:
        row["one_ratio"] = row["one_ms"] / rows[0]["one_ms"]
        row["stack_ratio"] = row["stack_s"] / rows[0]["stack_s"]
        shown = {key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}
        sys.stdout.write(json.dumps(shown | {"points": POINTS, "spectra": count}) + "\n")
    shells = [row["shell"] for row in rows]
    if max(shells) - min(shells) > 0.04:
        sys.exit(f"the programs do not do the same: first shells at {shells} Angstrom")


if __name__ == "__main__":
    main()
