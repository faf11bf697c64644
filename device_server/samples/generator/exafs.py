"""chi(k) of a crystal by FEFF6 and the correlated Debye model, fitted to a measured spectrum.

Needs xraylarch, which brings feff6l.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xraydb
from larch.xafs import feff6l, feffpath
from larch.xafs.sigma2_models import sigma2_debye
from larch.xafs.xafsft import ftwindow
from scipy.optimize import brentq, least_squares

from .structures import Atom, Crystal, cluster

__all__ = ["K_CONSTANT_EV_A2", "Exafs", "ExafsModel", "fit_exafs", "run_feff"]

#: E - E0 in eV over k^2.
K_CONSTANT_EV_A2 = 3.80998211

#: hbar^2 / (2 u k_B) in A^2 K.
EINSTEIN_A2_K = 24.254

HOLES = {"K": 1, "L1": 2, "L2": 3, "L3": 4}
CLUSTER_RADIUS = 8.0


@dataclass(frozen=True)
class ExafsModel:
    """Parameters of chi(k): all paths share them.

    Attributes
    ----------
    s02
        Amplitude reduction.
    e0_shift_ev
        k origin above the spectrum's E0.
    expansion
        Relative change of all distances.
    debye_k
        Debye temperature.
    temperature_k
        Of the sample.
    """

    s02: float
    e0_shift_ev: float
    expansion: float
    debye_k: float
    temperature_k: float

    def changed(self, **changes: float) -> "ExafsModel":
        """Copy with some parameters changed."""
        return ExafsModel(**{**self.__dict__, **changes})


def _feff_input(atoms: Sequence[Atom], edge: str, path_radius: float) -> str:
    absorber = atoms[0].symbol
    scatterers = list(dict.fromkeys(atom.symbol for atom in atoms[1:]))
    lines = [
        f"TITLE {absorber} {edge}",
        f"HOLE {HOLES[edge]} 1.0",
        "CONTROL 1 1 1 1",
        "PRINT 0 0 0 3",
        f"RMAX {path_radius}",
        "NLEG 4",
        "CRITERIA 2.5 1.5",
        "POTENTIALS",
        f" 0 {xraydb.atomic_number(absorber)} {absorber}",
    ]
    for index, symbol in enumerate(scatterers, start=1):
        lines.append(f" {index} {xraydb.atomic_number(symbol)} {symbol}")
    lines.append("ATOMS")
    for index, atom in enumerate(atoms):
        potential = 0 if index == 0 else 1 + scatterers.index(atom.symbol)
        x, y, z = atom.position
        lines.append(f" {x:.6f} {y:.6f} {z:.6f} {potential}")
    return "\n".join([*lines, "END", ""])


def run_feff(crystal: Crystal, edge: str, path_radius: float) -> list:
    """Scattering paths of a crystal as larch's path groups.

    Parameters
    ----------
    crystal
        Its first atom absorbs.
    edge
        "K", "L3" ..
    path_radius
        Longest half path length in Angstrom.
    """
    atoms = cluster(crystal, CLUSTER_RADIUS)
    with tempfile.TemporaryDirectory(prefix="feff-") as folder:
        text = _feff_input(atoms, edge, path_radius)
        (Path(folder) / "feff.inp").write_text(text, encoding="ascii")
        feff6l(folder=folder, feffinp="feff.inp", verbose=False)
        files = sorted(Path(folder).glob("feff[0-9]*.dat"))
        if not files:
            raise RuntimeError(f"FEFF6 made no path for {crystal.source}")
        return [feffpath(str(file)) for file in files]


class Exafs:
    """chi(k) of a set of paths."""

    def __init__(self, paths: list) -> None:
        self._paths = paths

    @property
    def first_distance(self) -> float:
        """Half length of the shortest path, in Angstrom."""
        return min(path.reff for path in self._paths)

    def first_bond(self, model: ExafsModel) -> tuple[float, float]:
        """Einstein temperature in K and reduced mass in u of the bond to the first neighbour.

        The temperature gives the mean square displacement that the Debye model gives the path at
        the model's temperature: hbar^2/(2 m k_B theta) coth(theta/2T).
        """
        path = min(self._paths, key=lambda path: path.reff)
        masses = [atom[3] for atom in path._feffdat.geom]
        mass_u = masses[0] * masses[1] / (masses[0] + masses[1])
        sigma2 = sigma2_debye(model.temperature_k, model.debye_k, path)

        def excess(theta_k: float) -> float:
            found = EINSTEIN_A2_K / (mass_u * theta_k)
            return found / np.tanh(theta_k / (2 * model.temperature_k)) - sigma2

        return float(brentq(excess, 20.0, 3000.0)), mass_u

    def chi(self, model: ExafsModel, k: np.ndarray) -> np.ndarray:
        """Fine structure at the wave numbers k (1/Angstrom, against the spectrum's own E0)."""
        total = np.zeros_like(k)
        for path in self._paths:
            sigma2 = sigma2_debye(model.temperature_k, model.debye_k, path)
            path._calc_chi(
                k=k,
                s02=model.s02,
                e0=model.e0_shift_ev,
                ei=0.0,
                deltar=model.expansion * path.reff,
                sigma2=sigma2,
                third=0.0,
                fourth=0.0,
            )
            total += path.chi
        return total


def fit_exafs(
    exafs: Exafs,
    start: ExafsModel,
    k: np.ndarray,
    chi: np.ndarray,
    *,
    k_range: tuple[float, float] = (3.0, 13.0),
    r_range: tuple[float, float] = (1.2, 6.0),
) -> tuple[ExafsModel, float]:
    """Fit the parameters of the model to a measured chi(k), in R space.

    Parameters
    ----------
    exafs
        Paths.
    start
        Where the fit starts; its temperature stays.
    k, chi
        Measured fine structure on a uniform grid, of unit mean step (see `near_edge`).
    k_range, r_range
        In 1/Angstrom and Angstrom.

    Returns
    -------
    model, misfit
        Misfit is the sum of squared residuals over that of the data, in R space.
    """
    window = ftwindow(k, xmin=k_range[0], xmax=k_range[1], dx=1.0, window="hanning")
    r = np.arange(*r_range, 0.05)
    kernel = np.exp(2j * np.outer(r, k)) * (k**2 * window)
    measured = kernel @ chi
    names = ("s02", "e0_shift_ev", "expansion", "debye_k")
    x0 = np.array([getattr(start, name) for name in names])

    def residual(x: np.ndarray) -> np.ndarray:
        model = start.changed(**dict(zip(names, (float(v) for v in x), strict=True)))
        difference = kernel @ exafs.chi(model, k) - measured
        return np.concatenate([difference.real, difference.imag])

    low = [0.5, -15.0, -0.03, 50.0]
    high = [1.3, 20.0, 0.03, 1500.0]
    scale = [0.1, 1.0, 0.003, 20.0]
    fit = least_squares(residual, x0, bounds=(low, high), x_scale=scale, diff_step=1e-3)
    model = start.changed(**dict(zip(names, (float(v) for v in fit.x), strict=True)))
    return model, float(np.sum(fit.fun**2) / np.sum(np.abs(measured) ** 2))
