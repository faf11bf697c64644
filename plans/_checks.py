"""What every plan asks of its arguments before its first message."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeGuard

import numpy as np
from bluesky.protocols import Movable, Readable

__all__ = [
    "called",
    "check_apart",
    "check_axis",
    "check_detectors",
    "fields",
    "is_number",
    "line",
    "number",
    "positive",
    "whole_number",
]


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return (
        isinstance(value, int | float | np.number)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def number(name: str, value: Any, unit: str, *, lowest: float | None = None) -> float:
    """Return a finite number, at least `lowest`, or refuse it by the argument's name."""
    if not is_number(value) or (lowest is not None and value < lowest):
        least = "" if lowest is None else f", {lowest:g} or more"
        raise ValueError(f"{name} is {value!r}; give {unit}{least}")
    return float(value)


def positive(name: str, value: Any, unit: str) -> float:
    """Return a finite number above 0, or refuse it by the argument's name."""
    if not is_number(value) or value <= 0:
        raise ValueError(f"{name} is {value!r}; give {unit}, more than 0")
    return float(value)


def whole_number(name: str, value: Any, of: str, *, lowest: int = 1) -> int:
    """Return a whole number of at least `lowest`, or refuse it by the argument's name."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise ValueError(f"{name} is {value!r}; give a whole number of {of}, {lowest} or more")
    return int(value)  # bluesky and pydantic take none of numpy's


def check_detectors(plan: str, detectors: Any, advice: str = "give at least one") -> None:
    """Refuse what is no list of different readable devices."""
    if not isinstance(detectors, Sequence):
        raise ValueError(f"detectors is {called(detectors)}; give a list of detectors")
    if not detectors:
        raise ValueError(f"{plan} got no detectors; {advice}")
    for at, detector in enumerate(detectors):
        if not isinstance(detector, Readable):
            raise ValueError(f"detector {called(detector)} cannot be read; give its device")
        if any(detector is other for other in detectors[:at]):
            raise ValueError(f"detector {called(detector)} is given twice; give it once")
        hinted = getattr(detector, "hints", {}).get("fields", [])
        for other in detectors[:at]:
            if both := set(hinted) & set(fields(other)):
                raise ValueError(
                    f"detectors {called(other)} and {called(detector)} both give "
                    f"{', '.join(sorted(both))}; give each device a name of its own"
                )
        for key in fields(detector):
            # What event-model allows; bluesky says so at the first point, with the shutter open.
            if not key or set("./") & set(key):
                raise ValueError(
                    f"detector {called(detector)} has a channel called {key!r}; give each a name, "
                    "without dots and slashes, or leave it out (of a scaler of ophyd: "
                    f"{called(detector)}.select_channels(['I0', 'It']))"
                )


def check_axis(name: str, axis: Any, advice: str) -> None:
    """Refuse what cannot be both set and read."""
    if not (isinstance(axis, Movable) and isinstance(axis, Readable)):
        raise ValueError(f"{name} is {called(axis)}, which cannot be set and read; {advice}")


def line(
    name: str,
    axis: Any,
    start: Any,
    stop: Any,
    num: Any,
    of: str = "points",
    *,
    lowest: int = 1,
) -> list[float]:
    """Return equally spaced positions along an axis, after a check of all that says them."""
    check_axis(name, axis, "give an axis, such as stage.x")
    number(f"start of {name}", start, "a position")
    number(f"stop of {name}", stop, "a position")
    num = whole_number(f"num of {name}", num, of, lowest=lowest)
    if num > 1 and start == stop:
        raise ValueError(
            f"{name} starts and stops at {start!r}, with {num} {of}; give two positions, or one of "
            f"the {of}"
        )
    return np.linspace(start, stop, num).tolist()


def check_apart(**axes: Any) -> None:
    """Refuse one axis in two parts."""
    names = list(axes)
    for at, name in enumerate(names):
        for other in names[:at]:
            if axes[name] is axes[other]:
                raise ValueError(
                    f"{other} and {name} are both {called(axes[name])}; give different axes"
                )


def called(thing: Any) -> str:
    """The name of a device, or what else was given instead of one."""
    return getattr(thing, "name", None) or repr(thing)


def fields(device: Any) -> list[str]:
    """The data keys that a device hints at; its name where it hints at none."""
    hinted = getattr(device, "hints", {}).get("fields", [])
    return list(hinted) or [device.name]
