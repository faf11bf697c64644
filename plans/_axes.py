"""What an axis says of itself before it moves: how fast it is, and how far it may go."""

from collections.abc import Iterable
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from . import _steps
from ._checks import called, fields
from ._reading import describe, read_number

__all__ = [
    "UNKNOWN_SPEED_LIMIT_S",
    "Speed",
    "axis_limits",
    "axis_speed",
    "check_keys",
    "check_unit",
]

UNKNOWN_SPEED_LIMIT_S = 60.0

SPELLINGS = {
    "eV": {"ev", "electronvolt", "electronvolts"},
    "degrees": {"deg", "degs", "degree", "degrees", "\N{DEGREE SIGN}"},
}


def check_unit(name: str, axis: Any, unit: str) -> MsgGenerator[None]:
    """Refuse an axis that says another unit than the one its positions are given in.

    Its numbers would be taken for photon energies or angles all the same, and a stage sent there.
    An axis that says no unit is believed.
    """
    about = yield from describe(axis)
    told = str((about.get(fields(axis)[0]) or {}).get("units") or "").strip()
    if told and told.lower() not in SPELLINGS[unit]:
        raise ValueError(
            f"{name} is {called(axis)}, which is in {told}; give an axis in {unit}, or correct "
            "the unit that it says (a motor record's EGU)"
        )


def check_keys(keys: dict[str, str | None], devices: Iterable[Any]) -> MsgGenerator[None]:
    """Refuse a data key, given by the name of its argument, that no device reads."""
    known: set[str] = set()
    for device in devices:
        known |= set((yield from describe(device)))
    for name, key in keys.items():
        if known and key is not None and key not in known:
            raise ValueError(f"{name} is {key!r}; the devices give {', '.join(sorted(known))}")


class Speed:
    """How long an axis may take, from its velocity and acceleration time.

    Parameters
    ----------
    velocity : float or None
        Units a second; None where the axis does not tell.
    acceleration_s : float
        Time to reach that velocity, in s.
    """

    def __init__(self, velocity: float | None = None, acceleration_s: float = 0.0):
        self.velocity = velocity
        self.acceleration_s = acceleration_s

    def limit_s(self, distance: float | None) -> float:
        """Seconds within which a motion over `distance` must have ended."""
        if not self.velocity or distance is None:
            return UNKNOWN_SPEED_LIMIT_S
        travel = abs(distance) / abs(self.velocity)
        return 2 * (travel + 2 * self.acceleration_s) + _steps.MARGIN_S


def axis_speed(axis: Movable) -> MsgGenerator[Speed]:
    """Read an axis's speed, where it has the signals that say so (ophyd or ophyd-async)."""
    velocity = getattr(axis, "velocity", None)
    acceleration = getattr(axis, "acceleration", None) or getattr(axis, "acceleration_time", None)
    if not isinstance(velocity, Readable):
        return Speed()
    acceleration_s = None
    if isinstance(acceleration, Readable):
        acceleration_s = yield from read_number(acceleration)
    return Speed((yield from read_number(velocity)), acceleration_s or 0.0)


def axis_limits(axis: Movable) -> MsgGenerator[tuple[float, float] | None]:
    """Soft limits of an axis in its units, or None where it has none."""
    limits = getattr(axis, "limits", None)
    lowest = getattr(axis, "low_limit_travel", None)
    highest = getattr(axis, "high_limit_travel", None)
    if limits is None and isinstance(lowest, Readable) and isinstance(highest, Readable):
        limits = ((yield from read_number(lowest)), (yield from read_number(highest)))
    if limits is None or None in limits or not limits[0] < limits[1]:
        return None
    return float(limits[0]), float(limits[1])
