"""Dark current: what detectors say without beam, measured when it is not known well enough."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from bluesky import preprocessors as bpp
from bluesky.preprocessors import plan_mutator
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from beamline_ophyd.metadata import COUNT_UNITS, DARK_STREAM, dark_error_key, dark_key

from ._checks import check_detectors, fields, number, whole_number
from ._counting import DwellTime, count_all, keep_dwell, set_dwell, timers_of
from ._reading import Reader, describe, read_config
from ._shutter import SHUTTER_LIMIT_S
from ._steps import move

__all__ = ["dark_current_wrapper", "record_dark_current", "without_beam"]

PULSE_ERROR = 6**-0.5
"""Standard deviation of a count of whole pulses, of which those at both ends are cut."""


@dataclass(frozen=True)
class _Dark:
    """What one detector says without beam.

    `values` has, for each of its data keys, counts/s or the value itself, and `errors` the
    standard deviation of that; `settings` is the part of the detector's configuration that
    the dark current depends on.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]
    units: Mapping[str, str]
    measured: float
    settings: Mapping[str, Any]


# Remembered as long as the device itself, so that one scan's dark current serves the next.
_known: WeakKeyDictionary[Any, _Dark] = WeakKeyDictionary()


def record_dark_current(
    detectors: Sequence[Readable],
    shutter: Movable | None = None,
    *,
    dwell_time: float = 1.0,
    samples: int = 3,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure what the detectors say without beam, in a run of its own.

    Scans that ask for a dark current of at most some age use it.

    Parameters
    ----------
    detectors : sequence of Readable
        Detectors that can be told a dwell time.
    shutter : Movable, optional
        Closed before; without one the beam has to be off already.
    dwell_time : float
        Seconds a sample.
    samples : int
        Readings that are averaged.
    md : dict, optional
        Metadata.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        Before anything moves, for arguments that do not fit.
    DeviceError
        When the shutter or a detector does not do in time what it is asked.

    Examples
    --------
    >>> from beamline_ophyd.plans import record_dark_current
    >>> RE(record_dark_current([i0, it, ir], shutter, dwell_time=2.0))  # doctest: +SKIP
    """
    check_detectors("record_dark_current", detectors)
    number("dwell_time", dwell_time, "seconds", lowest=1e-6)
    samples = whole_number("samples", samples, "readings")
    timers_of(detectors, fixed_dwell=False)
    start = {
        "plan_name": "record_dark_current",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "dwell_time": dwell_time,
            "samples": samples,
        },
        "detectors": [d.name for d in detectors],
        "num_points": 1,
        **(md or {}),
    }

    @bpp.stage_decorator(list(detectors))
    @bpp.run_decorator(md=start)
    def run() -> MsgGenerator[Any]:
        yield from _measure(detectors, shutter, dwell_time, samples)
        yield from _tell(detectors)

    return (yield from run())


def dark_current_wrapper(
    plan: MsgGenerator[Any],
    detectors: Sequence[Readable],
    shutter: Movable | None = None,
    *,
    max_age: float = 3600.0,
    dwell_time: float = 1.0,
    samples: int = 3,
) -> MsgGenerator[Any]:
    """Give every run the dark current of its detectors, measured anew when it has to be.

    It has to be when it was never measured, is older than `max_age`, or when a gain or a
    sensitivity in a detector's configuration has another value now. It is measured before
    the run opens, so inside of :func:`shutter_wrapper`, and told in the run's stream "dark".

    Parameters
    ----------
    plan : iterable of Msg
    detectors : sequence of Readable
        Detectors that can be told a dwell time; they get back the one they had.
    shutter : Movable, optional
        Closed before a measurement; without one the beam has to be off already.
    max_age : float
        Seconds after which a dark current is measured again.
    dwell_time : float
        Seconds a sample.
    samples : int
        Readings that are averaged.

    Raises
    ------
    ValueError
        For detectors or numbers that do not fit, before the plan begins.
    DeviceError
        When the shutter or a detector does not do in time what it is asked.
    """
    check_detectors("dark_current_wrapper", detectors)
    number("max_age", max_age, "seconds", lowest=0)
    number("dwell_time", dwell_time, "seconds", lowest=1e-6)
    samples = whole_number("samples", samples, "readings")
    timers_of(detectors, fixed_dwell=False)

    def around(msg: Msg):
        if msg.command != "open_run":
            return None, None

        def measured_first():
            if (yield from _is_due(detectors, max_age)):
                yield from _measure(detectors, shutter, dwell_time, samples)
            return (yield msg)

        return measured_first(), _tell(detectors)

    return (yield from plan_mutator(plan, around))


def without_beam(detectors: Sequence[Readable], key: str, dwell_s: float) -> float:
    """What a reading of a data key would be without beam, as last measured; 0 if it was not."""
    for known in (_known[detector] for detector in detectors if detector in _known):
        if key in known.values:
            return known.values[key] * (dwell_s if known.units[key] == "counts/s" else 1.0)
    return 0.0


def _is_due(detectors: Sequence[Readable], max_age_s: float) -> MsgGenerator[bool]:
    for detector in detectors:
        known = _known.get(detector)
        if known is None or time.time() - known.measured > max_age_s:
            return True
        if known.settings != (yield from _settings(detector)):
            return True
    return False


def _settings(detector: Readable) -> MsgGenerator[dict[str, Any]]:
    configuration = yield from read_config(detector)
    return {
        key: value
        for key, value in configuration.items()
        if any(word in key.lower() for word in ("gain", "sens"))
    }


def _measure(
    detectors: Sequence[Readable], shutter: Movable | None, dwell_s: float, samples: int
) -> MsgGenerator[None]:
    if shutter is not None:
        yield from move(shutter, "close", SHUTTER_LIMIT_S)
    timers = timers_of(detectors, fixed_dwell=False)
    read: dict[str, list[float]] = {}
    yield from keep_dwell(timers, _sample(detectors, timers, dwell_s, samples, read))
    if not read:  # messages that nobody carries out measure nothing
        return
    for detector in detectors:
        about = yield from describe(detector)
        units = {key: (about.get(key) or {}).get("units") or "" for key in fields(detector)}
        counts = {key for key, unit in units.items() if unit.lower() in COUNT_UNITS}
        per = {key: dwell_s if key in counts else 1.0 for key in units}
        found = {key: np.array(read.get(key, [0.0])) / per[key] for key in units}
        whole = {key: PULSE_ERROR / per[key] if key in counts else 0.0 for key in units}
        _known[detector] = _Dark(
            values={key: float(values.mean()) for key, values in found.items()},
            errors={key: _error_of_mean(values, whole[key]) for key, values in found.items()},
            units={key: "counts/s" if key in counts else unit for key, unit in units.items()},
            measured=time.time(),
            settings=(yield from _settings(detector)),
        )


def _error_of_mean(values: np.ndarray, least: float) -> float:
    """Standard deviation of the mean of readings, of which none is better known than `least`."""
    scatter = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return max(scatter, least) / len(values) ** 0.5


def _sample(
    detectors: Sequence[Readable],
    timers: Sequence[Any],
    dwell_s: float,
    samples: int,
    read: dict[str, list[float]],
) -> MsgGenerator[None]:
    """Append readings to those in `read`, by data key."""
    yield from set_dwell(timers, DwellTime(name="dwell_time", value=0.0), dwell_s)
    reader = Reader()
    try:
        for _ in range(samples):
            yield from count_all(detectors, dwell_s)
            for detector in detectors:
                reading = yield Msg("read", reader(detector))
                for key in fields(detector) if reading else ():
                    read.setdefault(key, []).append(float(reading[key]["value"]))
    finally:
        reader.close()


def _tell(detectors: Sequence[Readable]) -> MsgGenerator[None]:
    """One event with the dark currents that are known, in a stream of its own."""
    device = _DarkCurrents([_known[d] for d in detectors if d in _known])
    yield Msg("create", None, name=DARK_STREAM)
    yield Msg("read", device)
    yield Msg("save")


class _DarkCurrents:
    """Dark currents as one reading, with the time stamps of their measurement."""

    name = "dark"
    parent = None
    hints: Mapping[str, Any] = {"fields": []}

    def __init__(self, known: Sequence[_Dark]):
        self._known = known

    def read(self) -> dict[str, Any]:
        return {
            name: {"value": value, "timestamp": dark.measured}
            for dark in self._known
            for key in dark.values
            for name, value in (
                (dark_key(key), dark.values[key]),
                (dark_error_key(key), dark.errors[key]),
            )
        }

    def describe(self) -> dict[str, Any]:
        return {
            name: {"source": "dark", "dtype": "number", "shape": [], "units": unit}
            for dark in self._known
            for key, unit in dark.units.items()
            for name in (dark_key(key), dark_error_key(key))
        }

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}
