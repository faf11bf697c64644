"""Dark current: what the channels of a run read without beam."""

from dataclasses import dataclass

import numpy as np

from beamline_ophyd.metadata import COUNT_UNITS, DARK_STREAM, dark_error_key, dark_key

from .run import Run
from .units import in_one_unit, in_units

__all__ = ["Dark", "dark_of"]

RATES = frozenset({"counts/s", "cps", "1/s", "hz"})
"""Units, in lower case, of the dark current of a channel that counts."""


@dataclass(frozen=True)
class Dark:
    """Dark current of one channel, as its run tells it.

    Attributes
    ----------
    value, error : float
        Value and standard deviation, 0 where that is not told.
    units : str
        Counts/s of a channel in counts, else the channel's own unit.
    is_rate : bool
        Whether it is to be multiplied by the dwell time.
    measured : float
        When, in s since 1970; nan if that is not told.
    """

    value: float
    error: float
    units: str
    is_rate: bool
    measured: float

    def readings(self, dwell_s: np.ndarray) -> np.ndarray:
        """What it adds to readings of some dwell times."""
        return self.value * dwell_s if self.is_rate else np.full(len(dwell_s), self.value)

    def errors(self, dwell_s: np.ndarray) -> np.ndarray:
        """Standard deviation of :meth:`readings`; one and the same error at all of them."""
        return self.error * dwell_s if self.is_rate else np.full(len(dwell_s), self.error)


def dark_of(run: Run, key: str) -> Dark | None:
    """Dark current of a channel by the stream that holds it; the last one where there are more.

    Parameters
    ----------
    key : str
        The channel's data key.

    Returns
    -------
    Dark or None
        In the channel's unit. None where the run tells none, or tells it in a unit that cannot
        be converted to that.
    """
    stream, primary = run.streams.get(DARK_STREAM), run.streams.get("primary")
    name = dark_key(key)
    if stream is None or primary is None or not len(stream) or name not in stream.columns:
        return None
    row = len(stream) - 1
    value = stream.value(name, row)
    error = stream.value(dark_error_key(key), row) if dark_error_key(key) in stream.columns else 0
    units = stream.units(name) or ""
    own = in_one_unit(run).streams["primary"].units(key) or ""
    counts = own.lower() in COUNT_UNITS
    if not _is_number(value) or (counts and units.lower() not in RATES):
        return None
    scale = 1.0 if counts or units.lower() == own.lower() else in_units(1.0, units, own)
    if scale is None:
        return None
    return Dark(
        value=float(value) * scale,
        error=float(error) * scale if _is_number(error) else 0.0,
        units=units if counts else own,
        is_rate=counts,
        measured=float(stream.timestamps[name][row]),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))
