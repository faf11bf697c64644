"""The merge of the sweeps measured so far, and its noise."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from beamline_ophyd.analysis.xafs import pre_edge
from beamline_ophyd.grid import EnergyGrid

__all__ = ["NOISE_FROM_K", "RunningMerge"]

NOISE_FROM_K = 3.0
"""The noise is that of the points from this wave number on, in 1/Angstrom."""


class RunningMerge:
    """Sums of the good points of all sweeps; reads as one device of a stream of its own.

    Parameters
    ----------
    grid : EnergyGrid
    repeats : int
    signal, i0 : str
        Data keys.
    is_log : bool
        Whether mu is ln(I0/signal), else it is signal/I0.
    ev_per_count : mapping
        Data key to the deposited energy, in eV, that one of its counts stands for.
    k_weight : int
        The w of the noise of k^w chi.
    dark : callable, optional
        ``dark(key, dwell_s)``: what a reading would be without beam, to be taken off.
    """

    name = "merged"
    parent = None
    hints: Mapping[str, Any] = {"fields": []}

    def __init__(
        self,
        grid: EnergyGrid,
        repeats: int,
        signal: str,
        i0: str,
        *,
        is_log: bool,
        ev_per_count: Mapping[str, float],
        k_weight: int = 2,
        dark: Callable[[str, float], float] = lambda key, dwell_s: 0.0,
    ):
        self.grid = grid
        self._dark = dark
        self._keys = (i0, signal)
        self._is_log = is_log
        self._ev_per_count = [ev_per_count.get(key) for key in self._keys]
        self._counts = np.full((2, repeats, len(grid)), np.nan)
        self.k_weight = k_weight

    def add(self, number: int, readings: Mapping[str, Any]) -> None:
        """Take a good point; one taken again replaces the earlier one."""
        if readings:
            sweep, index = divmod(number, len(self.grid))
            dwell_s = float(self.grid.dwell_s[index])
            self._counts[:, sweep, index] = [
                float(readings[key]["value"]) - self._dark(key, dwell_s) for key in self._keys
            ]

    @property
    def sweeps(self) -> np.ndarray:
        """Number of readings that each point merges; shape (n,)."""
        return np.sum(np.isfinite(self._counts[0]), axis=0)

    def mu(self) -> np.ndarray:
        """Mu of the summed readings, nan where there is none; shape (n,)."""
        return self._mu(np.where(self.sweeps > 0, np.nansum(self._counts, axis=1), np.nan))

    def errors(self) -> np.ndarray:
        """Standard deviation of mu: the larger of counting statistics and of the scatter."""
        counting, scatter = self._counting(), self._scatter()
        return np.sqrt(np.fmax(counting, scatter))

    def noise(self) -> float:
        """Noise of k^w chi(k): root mean square over the points with k of 3 or more.

        The standard deviation of mu over the edge step, times k^w; once from the photons
        counted and once from the scatter of the sweeps, and the larger of both. nan while
        neither is known, or without an edge step.
        """
        k = self.grid.k_inv_angstrom
        far = k >= NOISE_FROM_K
        step = self._edge_step()
        found = []
        for variance in (self._counting(), self._scatter()):
            known = far & np.isfinite(variance)
            if known.any():
                weighted = k[known] ** (2 * self.k_weight) * variance[known]
                found.append(math.sqrt(float(np.mean(weighted))))
        return max(found) / step if found and step > 0 else math.nan

    def _mu(self, counts: np.ndarray) -> np.ndarray:
        i0, signal = counts
        with np.errstate(divide="ignore", invalid="ignore"):
            mu = np.log(i0 / signal) if self._is_log else signal / i0
        return np.where(np.isfinite(mu), mu, np.nan)

    def _counting(self) -> np.ndarray:
        """Variance of mu from the photons behind the summed readings."""
        first, second = self._ev_per_count
        if first is None or second is None:
            return np.full(len(self.grid), np.nan)
        total = np.nansum(self._counts, axis=1)
        photons = total * np.array([[first], [second]]) / self.grid.energy_ev
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.sum(np.where(photons > 0, 1 / photons, np.nan), axis=0)
        return relative if self._is_log else relative * self.mu() ** 2

    def _scatter(self) -> np.ndarray:
        """Variance of the mean of mu from what the sweeps differ by.

        A shift or a slope between sweeps is drift, which the background takes out, no noise.
        """
        mu = self._mu(self._counts)
        whole = np.isfinite(mu).sum(axis=1) > 2
        mu = mu[whole]
        if len(mu) < 2:
            return np.full(len(self.grid), np.nan)
        n = np.isfinite(mu).sum(axis=0)
        several = n > 1
        mean = np.full(len(n), np.nan)
        mean[several] = np.nansum(mu[:, several], axis=0) / n[several]
        residue = mu - mean
        for row in residue:
            known = np.isfinite(row)
            x = self.grid.energy_ev[known] - self.grid.e0_ev
            row[known] -= np.polyval(np.polyfit(x, row[known], 1), x) if known.sum() > 2 else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(several, np.nansum(residue**2, axis=0) / (n - 1) / n, np.nan)

    def _edge_step(self) -> float:
        mu, energy, e0 = self.mu(), self.grid.energy_ev, self.grid.e0_ev
        known = np.isfinite(mu)
        try:
            return pre_edge(energy[known], mu[known], e0).edge_step
        except (ValueError, IndexError):  # a short scan has no range for the lines
            below, above = known & (energy < e0), known & (energy > e0)
            if not (below.any() and above.any()):
                return math.nan
            return float(np.mean(mu[above]) - np.mean(mu[below]))

    def read(self) -> dict[str, Any]:
        """The merge so far, as bluesky reads a device."""
        now = time.time()
        values = {
            "merged_energy": self.grid.energy_ev,
            "merged_mu": self.mu(),
            "merged_mu_errors": self.errors(),
            "merged_sweeps": self.sweeps,
            "merged_noise": self.noise(),
        }
        return {key: {"value": value, "timestamp": now} for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        """Data keys of the merge."""
        shape = [len(self.grid)]
        units = {"merged_energy": "eV", "merged_noise": f"1/Angstrom^{self.k_weight}"}
        arrays = ("merged_energy", "merged_mu", "merged_mu_errors", "merged_sweeps")
        keys = {k: {"source": "merge", "dtype": "array", "shape": shape} for k in arrays}
        keys["merged_sweeps"]["dtype_numpy"] = "<i8"
        keys["merged_noise"] = {"source": "merge", "dtype": "number", "shape": []}
        return {k: {**about, "units": units.get(k, "")} for k, about in keys.items()}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing is configured here."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing is configured here."""
        return {}
