"""Measured spectra to fit the library to, normalised by xraylarch."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xraydb
from larch import Group
from larch.xafs import autobk, pre_edge

__all__ = ["Spectrum", "fine_structure", "read_spectrum"]


@dataclass(frozen=True)
class Spectrum:
    """A normalised spectrum.

    Attributes
    ----------
    energy_ev, mu
        As measured, the energies shifted by `shift_ev`.
    normalised
        Flattened: 0 below and around 1 above the edge.
    e0_ev
        Energy of the steepest rise, on the shifted scale.
    edge_step
        Of mu.
    pre_edge_ev
        Ends of the pre-edge line's range, from E0.
    """

    energy_ev: np.ndarray
    mu: np.ndarray
    normalised: np.ndarray
    e0_ev: float
    edge_step: float
    pre_edge_ev: tuple[float, float]
    shift_ev: float


def _columns(path: Path) -> dict[str, int]:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^#\s*Column\.(\d+):\s*(\S+)", text, re.MULTILINE)
    return {label.lower(): int(number) - 1 for number, label in found}


def read_spectrum(path: Path, shift_ev: float = 0.0) -> Spectrum:
    """Read and normalise a transmission spectrum.

    Parameters
    ----------
    path
        XDI file with i0 and itrans.
    shift_ev
        Added to its energies.
    """
    table = np.loadtxt(path)
    columns = _columns(path)
    energy = table[:, columns["energy"]] + shift_ev
    mu = np.log(table[:, columns["i0"]] / table[:, columns["itrans"]])
    group = Group(energy=energy, mu=mu)
    pre_edge(group)
    e0_ev = steepest_rise(energy, np.asarray(group.flat), float(group.e0))
    details = group.pre_edge_details
    from_e0 = float(group.e0) - e0_ev
    return Spectrum(
        energy_ev=energy,
        mu=mu,
        normalised=np.asarray(group.flat),
        e0_ev=e0_ev,
        edge_step=float(group.edge_step),
        pre_edge_ev=(float(details.pre1) + from_e0, float(details.pre2) + from_e0),
        shift_ev=shift_ev,
    )


def steepest_rise(energy_ev: np.ndarray, normalised: np.ndarray, near_ev: float) -> float:
    """Energy of the largest derivative next to a first guess, by a parabola through it."""
    slope = np.gradient(normalised, energy_ev)
    inside = np.abs(energy_ev - near_ev) < 1.6
    a, b, _ = np.polyfit(energy_ev[inside] - near_ev, slope[inside], 2)
    return near_ev - b / (2 * a) if a < 0 else near_ev


def fine_structure(
    spectrum: Spectrum, symbol: str, edge: str, k: np.ndarray, k_constant_ev_a2: float
) -> np.ndarray:
    """chi(k) of unit mean step: the background removed by autobk, the edge's decay divided out.

    autobk divides by the edge step at E0; the bare absorption of the edge falls with energy, so
    that chi comes out too small at high k by the same factor (McMaster correction).
    """
    group = Group(energy=spectrum.energy_ev, mu=spectrum.mu)
    pre_edge(group, e0=spectrum.e0_ev)
    autobk(group, rbkg=1.0, kweight=2)
    energy = spectrum.e0_ev + k_constant_ev_a2 * k**2
    decay = edge_absorption(symbol, edge, energy) / edge_absorption(
        symbol, edge, np.array([spectrum.e0_ev])
    )
    return np.interp(k, group.k, group.chi, right=0.0) / decay


def edge_absorption(symbol: str, edge: str, energy_ev: np.ndarray) -> np.ndarray:
    """Mass attenuation in cm^2/g that an edge adds, continued smoothly below it."""
    edge_ev = float(xraydb.xray_edge(symbol, edge).energy)
    above = np.maximum(energy_ev, edge_ev + 5.0)
    added = xraydb.mu_elam(symbol, above) - below_edge(symbol, edge, above)
    slope = _log_slope(
        lambda e: xraydb.mu_elam(symbol, e) - below_edge(symbol, edge, e), edge_ev + 5.0
    )
    return added * (energy_ev / above) ** slope


def below_edge(symbol: str, edge: str, energy_ev: np.ndarray) -> np.ndarray:
    """Mass attenuation in cm^2/g without an edge: its pre-edge continued by a power law."""
    edge_ev = float(xraydb.xray_edge(symbol, edge).energy)
    below = np.minimum(energy_ev, edge_ev - 5.0)
    slope = _log_slope(lambda e: xraydb.mu_elam(symbol, e), edge_ev - 105.0)
    return np.asarray(xraydb.mu_elam(symbol, below)) * (energy_ev / below) ** slope


def _log_slope(curve, energy_ev: float) -> float:
    ends = np.array([energy_ev, energy_ev + 100.0])
    values = np.log(curve(ends))
    return float((values[1] - values[0]) / np.log(ends[1] / ends[0]))
