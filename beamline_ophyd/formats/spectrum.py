"""One absorption spectrum: its channels and mu(E) with errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .measurement import MAPPING_EXAMPLE

__all__ = ["CHANNEL_ROLES", "Spectrum"]

CHANNEL_ROLES = {
    "transmission": ("i0", "itrans"),
    "fluorescence": ("ifluor", "i0"),
    "electron yield": ("ifluor", "i0"),
    "reference": ("itrans", "irefer"),
}
"""Numerator and denominator of each absorption channel: ln(a/b), or a/b for yields."""


@dataclass(frozen=True)
class Spectrum:
    """One absorption spectrum, merged from all sweeps of a run, or of runs that are one.

    Attributes
    ----------
    energy_ev : ndarray
        Mean of the readings at each point.
    channels : mapping
        Role to merged reading: sums where all channels are counts, else means of all.
    dark, dark_errors : mapping
        Role to the part of the merged reading that is dark current, and its standard
        deviation; only of channels whose dark current is known.
    photons : mapping
        Role to the number of photons behind the merged reading; only of channels whose
        deposited energy per count is known.
    dwell_s : ndarray or None
        Total dwell time at each point.
    merged : ndarray of int
        Number of readings that each point merges.
    index : ndarray of int
        Place of each point in a sweep of the grid: a number that is absent is a point
        without a good event.
    whole : frozenset of str
        Roles of the channels that count whole pulses.
    averaged : bool
        Whether the merged readings are means, not sums.
    arrays : mapping
        Data key to the merged arrays of a detector that gives one a point; first index the
        point.
    """

    energy_ev: np.ndarray
    channels: Mapping[str, np.ndarray]
    photons: Mapping[str, np.ndarray]
    dwell_s: np.ndarray | None
    merged: np.ndarray
    index: np.ndarray
    whole: frozenset[str] = frozenset()
    averaged: bool = False
    dark: Mapping[str, np.ndarray] = field(default_factory=dict)
    dark_errors: Mapping[str, np.ndarray] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def net(self, role: str) -> np.ndarray:
        """Merged reading of a channel without its dark current, as far as that is known."""
        readings = self.channels[role]
        return readings - self.dark[role] if role in self.dark else readings

    def mu(self, channel: str = "transmission") -> tuple[np.ndarray, np.ndarray | None]:
        """Absorption of one channel, and its standard deviation from counting statistics.

        ``ln(I0/It)`` in transmission, ``ln(It/Ir)`` of the reference, ``If/I0`` of a
        yield, each channel without its dark current. With N photons in a channel the
        variance of its logarithm is 1/N. Where whole pulses are counted, c of them beyond
        the dark ones, the one begun before the gate opened and the one unfinished when it
        closed add 1/12 each to the variance of c: 1 / (6 c^2). A dark current whose standard
        deviation is s in the units of c adds s^2 / c^2. The sum over both channels is
        sigma^2(mu) of a logarithm, and times mu^2 that of a ratio.

        Returns
        -------
        mu, sigma : ndarray, ndarray or None
            nan where a reading is missing, a logarithm has no value, or what is divided by
            is not positive; sigma is None where the photon numbers are not known.
        """
        a, b = self._pair(channel)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Two dark readings below 0 would have a ratio like any other.
            ratio = np.where(self.net(b) > 0, self.net(a) / self.net(b), np.nan)
            is_log = channel in ("transmission", "reference")
            mu = np.log(ratio) if is_log else ratio
            mu = np.where(np.isfinite(mu), mu, np.nan)
            if a not in self.photons or b not in self.photons:
                return mu, None
            sigma = np.sqrt(self._relative_variance(a) + self._relative_variance(b))
        return mu, np.where(np.isnan(mu), np.nan, sigma if is_log else np.abs(mu) * sigma)

    def _relative_variance(self, role: str) -> np.ndarray:
        """Variance of the logarithm of a reading; nan where nothing was counted."""
        variance = 1.0 / np.where(self.photons[role] > 0, self.photons[role], np.nan)
        if role in self.whole:
            counts = self.net(role) * (self.merged if self.averaged else 1)
            variance = variance + self.merged / (6.0 * counts**2)
        if role in self.dark_errors:
            variance = variance + (self.dark_errors[role] / self.net(role)) ** 2
        return variance

    def _pair(self, channel: str) -> tuple[str, str]:
        if channel not in CHANNEL_ROLES:
            raise ValueError(f"channel is {channel!r}; give one of {', '.join(CHANNEL_ROLES)}")
        missing = [role for role in CHANNEL_ROLES[channel] if role not in self.channels]
        if missing:
            have = ", ".join(self.channels) or "none"
            raise ValueError(
                f"{channel} needs {' and '.join(missing)}, which this run does not have (it has "
                f"{have}); choose another channel or say which data key it is with a mapping "
                f"such as {MAPPING_EXAMPLE}"
            )
        return CHANNEL_ROLES[channel]

    @property
    def available(self) -> tuple[str, ...]:
        """Absorption channels that the run measured."""
        return tuple(
            channel
            for channel, roles in CHANNEL_ROLES.items()
            if channel != "electron yield" and all(role in self.channels for role in roles)
        )
