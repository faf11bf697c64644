"""Simulated foils against measured ones that nothing was fitted to, both reduced by xraylarch."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from larch import Group
from larch.xafs import autobk, pre_edge, xftf

from .build import through_monochromator
from .measured import read_spectrum

__all__ = ["CHECKS", "Agreement", "check_sample"]

#: Sample and the spectrum that is kept for checking it.
CHECKS = (
    ("fe_foil", "Fe_Foil_rt_2016Foils.xdi"),
    ("cu_foil", "Cu_Foil_rt_2016Foils.xdi"),
    ("ni_foil", "Ni_metal_rt_02.xdi"),
)

#: Required: distance in Angstrom, largest deviation of |chi(R)| over its maximum, sum of squares of
#: k^2 chi, RMS of the normalised near edge.
LIMITS = (0.03, 0.12, 0.10, 0.02)

XANES_EV = (-20.0, 60.0)
K_RANGE = (3.0, 12.0)
R_RANGE = (1.0, 6.0)
FIRST_SHELL = (1.2, 3.0)


@dataclass(frozen=True)
class Agreement:
    """How far a simulated sample is from a measured one; the order is that of `LIMITS`."""

    first_shell_angstrom: float
    chi_r: float
    chi_k: float
    xanes_rms: float
    shift_ev: float

    @property
    def good(self) -> bool:
        """Whether all limits are kept."""
        values = (self.first_shell_angstrom, self.chi_r, self.chi_k, self.xanes_rms)
        return all(value < limit for value, limit in zip(values, LIMITS, strict=True))


def _as_measured(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Library spectrum through the monochromator."""
    energy, mu = np.loadtxt(path, unpack=True)
    return through_monochromator(energy, mu, float(energy[np.argmax(np.gradient(mu, energy))]))


def _reduce(energy_ev: np.ndarray, mu: np.ndarray, e0_ev: float, *, fourier: bool) -> Group:
    group = Group(energy=energy_ev, mu=mu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pre_edge(group, e0=e0_ev)
        if fourier:
            autobk(group, rbkg=1.0, kweight=2)
            xftf(group, kmin=K_RANGE[0], kmax=K_RANGE[1], dk=1, kweight=2, window="hanning")
    return group


def _first_shell(group: Group) -> float:
    inside = (group.r > FIRST_SHELL[0]) & (group.r < FIRST_SHELL[1])
    r, magnitude = group.r[inside], group.chir_mag[inside]
    peak = int(np.argmax(magnitude))
    a, b, _ = np.polyfit(r[peak - 1 : peak + 2], magnitude[peak - 1 : peak + 2], 2)
    return float(-b / (2 * a))


def check_sample(stem: str, measured: str, data: Path, library: Path) -> Agreement:
    """Compare a sample of the library with a measured spectrum.

    Parameters
    ----------
    stem
        Sample.
    measured
        File of the spectrum in `data`.
    data, library
        Folders.
    """
    spectrum = read_spectrum(data / measured)
    fine, simulated = _as_measured(library / f"{stem}.xdi")
    energy, e0 = spectrum.energy_ev, spectrum.e0_ev
    truth = _reduce(energy, spectrum.mu, e0, fourier=True)
    near = np.linspace(e0 + XANES_EV[0], e0 + XANES_EV[1], 400)
    target = np.interp(near, energy, truth.flat)

    def rms(shift_ev: float) -> float:
        group = _reduce(energy, np.interp(energy + shift_ev, fine, simulated), e0, fourier=False)
        return float(np.sqrt(np.mean((np.interp(near, energy, group.flat) - target) ** 2)))

    shifts = np.arange(-4.0, 4.01, 0.05)
    deviations = [rms(float(shift)) for shift in shifts]
    shift = float(shifts[int(np.argmin(deviations))])
    model = _reduce(energy, np.interp(energy + shift, fine, simulated), e0, fourier=True)
    k = np.arange(*K_RANGE, 0.05)
    chi_truth = k**2 * np.interp(k, truth.k, truth.chi)
    chi_model = k**2 * np.interp(k, model.k, model.chi)
    inside = (truth.r > R_RANGE[0]) & (truth.r < R_RANGE[1])
    difference = np.abs(model.chir_mag - truth.chir_mag)[inside].max()
    return Agreement(
        first_shell_angstrom=abs(_first_shell(model) - _first_shell(truth)),
        chi_r=float(difference / truth.chir_mag[inside].max()),
        chi_k=float(np.sum((chi_model - chi_truth) ** 2) / np.sum(chi_truth**2)),
        xanes_rms=min(deviations),
        shift_ev=shift,
    )
