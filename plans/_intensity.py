"""Which reading a profile is made of, and what it is divided by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.protocols import Readable

from ._checks import fields
from ._roles import known_roles

__all__ = ["Intensity", "beam_intensity", "sample_intensity"]


@dataclass(frozen=True)
class Intensity:
    """A data key, divided by another one where that is given."""

    signal: str
    monitor: str | None = None

    def __str__(self) -> str:
        return self.signal if self.monitor is None else f"{self.signal}/{self.monitor}"

    def __call__(self, readings: Any) -> np.ndarray:
        """The intensity of readings by data key; nan where the monitor is zero."""
        signal = np.asarray(readings[self.signal], float)
        if self.monitor is None:
            return signal
        monitor = np.asarray(readings[self.monitor], float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(monitor == 0, np.nan, signal / monitor)

    def to_dict(self) -> dict[str, str]:
        """For a start document."""
        return {k: v for k, v in (("signal", self.signal), ("monitor", self.monitor)) if v}


def sample_intensity(
    detectors: Sequence[Readable], signal: str | None, monitor: str | None
) -> Intensity:
    """What was asked for; else what the sample passes on, or emits, of I0; else the first key."""
    keys = _keys(detectors, signal=signal, monitor=monitor)
    roles = known_roles(detectors)
    if signal is not None:
        return Intensity(signal, monitor)
    found = roles.itrans or roles.ifluor or keys[0]
    return Intensity(found, monitor or (roles.i0 if roles.i0 != found else None))


def beam_intensity(
    detectors: Sequence[Readable], signal: str | None, monitor: str | None
) -> Intensity:
    """What was asked for; else I0; else the first key."""
    keys = _keys(detectors, signal=signal, monitor=monitor)
    return Intensity(signal or known_roles(detectors).i0 or keys[0], monitor)


def _keys(detectors: Sequence[Readable], **given: str | None) -> list[str]:
    keys = [key for detector in detectors for key in fields(detector)]
    for name, key in given.items():
        if key is not None and key not in keys:
            raise ValueError(f"{name} is {key!r}; the detectors give {', '.join(keys)}")
    if given.get("signal") is not None and given.get("signal") == given.get("monitor"):
        raise ValueError(f"signal and monitor are both {given['signal']!r}; drop the monitor")
    return keys
