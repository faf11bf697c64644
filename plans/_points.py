"""One point of any of bluesky's scans: move, settle, count and read, each within a limit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator, short_uid

from ._axes import Speed, axis_limits, axis_speed
from ._checks import called, number, positive
from ._counting import DwellTime, count_all, set_dwell, timers_of
from ._reading import Reader, read_number
from ._steps import (
    failures_in_words,
    in_words,
    wait_for,
)

__all__ = ["PointTaker"]


class PointTaker:
    """What a plan does at every point, as the ``per_step`` or ``per_shot`` of bluesky's plans.

    Made before anything moves, so that what does not fit is refused then.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    time : float or callable
        Dwell time in s, or a function of the point (axis to target) that tells it.
    settle_time : float
        Seconds to wait after a motion.
    fixed_dwell : bool
        Allow detectors that cannot be told a dwell time.
    also_read : sequence of Readable
        Read at every point, and neither moved nor counted.
    """

    def __init__(
        self,
        detectors: Sequence[Readable],
        time: float | Callable[[Mapping[Any, float]], float],
        *,
        settle_time: float = 0.0,
        fixed_dwell: bool = False,
        also_read: Sequence[Readable] = (),
    ):
        self._time = time if callable(time) else positive("time", time, "seconds")
        self._settle_s = number("settle_time", settle_time, "seconds", lowest=0)
        self._timers = timers_of(detectors, fixed_dwell)
        self._also_read = tuple(also_read)
        self._speeds: dict[Any, Speed] = {}
        self._preset: float | None = None
        self._reader = Reader()
        self._timely: dict[int, Any] = {}
        self.dwell: Any = DwellTime(name="dwell_time", value=0.0, kind="normal")

    def learn(self, axis: Movable, targets: Sequence[float]) -> MsgGenerator[None]:
        """Read an axis's speed and limits; refuse targets that it cannot reach."""
        limits = yield from axis_limits(axis)
        for target in (min(targets), max(targets)):
            if limits is not None and not limits[0] <= target <= limits[1]:
                raise ValueError(
                    f"{called(axis)} cannot go to {target:g}; its limits are {limits[0]:g} to "
                    f"{limits[1]:g}"
                )
        self._speeds[axis] = yield from axis_speed(axis)

    def around(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """Give the plan whose points are taken here an end to its readings."""
        try:
            return (yield from plan)
        finally:
            self._reader.close()

    def step(
        self, detectors: Sequence[Any], step: Mapping[Any, float], pos_cache: dict[Any, Any]
    ) -> MsgGenerator[None]:
        """Go to a point and take it; for the ``per_step`` of bluesky's plans."""
        yield Msg("checkpoint")
        with failures_in_words():
            if (yield from self._go(step, pos_cache)):
                yield from self.settle()
            time_s = self._time(step) if callable(self._time) else self._time
            yield from self._take([*step, *detectors], detectors, time_s)

    def shot(self, detectors: Sequence[Any]) -> MsgGenerator[None]:
        """Take a point where everything is; for the ``per_shot`` of bluesky's count."""
        yield Msg("checkpoint")
        with failures_in_words():
            time_s = self._time({}) if callable(self._time) else self._time
            yield from self._take(detectors, detectors, time_s)

    def go(self, axis: Movable, target: float) -> MsgGenerator[None]:
        """Go somewhere without taking a point."""
        with failures_in_words():
            yield from self._go({axis: target}, {})

    def settle(self) -> MsgGenerator[None]:
        """Wait for the settling time, where there is one."""
        if self._settle_s:
            yield from bps.sleep(self._settle_s)

    def go_from(self, axis: Movable, begin: float, target: float) -> MsgGenerator[None]:
        """Go somewhere by way of `begin`, so that it is reached as from there: backlash."""
        yield from self.go(axis, begin)
        yield from self.go(axis, target)

    def line(
        self, detectors: Sequence[Any], axis: Movable, targets: Sequence[float]
    ) -> MsgGenerator[None]:
        """Take a point at each position of an axis."""
        cache: dict[Any, Any] = {}
        for target in targets:
            yield from self.step(detectors, {axis: target}, cache)

    def count(self, detectors: Sequence[Any]) -> MsgGenerator[dict[str, Any]]:
        """Readings of one count where everything is, which make no event; {} in a simulation."""
        with failures_in_words():
            time_s = self._time({}) if callable(self._time) else self._time
            yield from self._counted(detectors, time_s)
            readings: dict[str, Any] = {}
            for detector in detectors:
                readings.update((yield Msg("read", self._within_limit(detector))) or {})
        return {key: reading["value"] for key, reading in readings.items()}

    def _within_limit(self, readable: Any) -> Any:
        # One and the same object at every point: bluesky describes what it has not met.
        return self._timely.setdefault(id(readable), self._reader(readable))

    def _go(self, step: Mapping[Any, float], pos_cache: dict[Any, Any]) -> MsgGenerator[list[Any]]:
        """Move the axes that are elsewhere, together; returns them."""
        moved = [axis for axis, target in step.items() if pos_cache.get(axis) != target]
        if not moved:
            return moved
        limit_s = 0.0
        for axis in moved:
            before = pos_cache.get(axis)
            if before is None:
                before = yield from read_number(axis)
            distance = None if before is None else step[axis] - before
            limit_s = max(limit_s, self._speeds.get(axis, Speed()).limit_s(distance))
        group = short_uid("move")
        with in_words(moved, f"go to {', '.join(f'{step[a]:g}' for a in moved)}", limit_s):
            for axis in moved:
                # Known again only when it has arrived: a motion that is interrupted is repeated.
                pos_cache.pop(axis, None)
                yield Msg("set", axis, float(step[axis]), group=group)
            yield wait_for(group, limit_s)
        pos_cache.update({axis: step[axis] for axis in moved})
        return moved

    def _take(
        self, readables: Sequence[Any], detectors: Sequence[Any], time_s: float
    ) -> MsgGenerator[None]:
        yield from self._counted(detectors, time_s)
        yield Msg("create", None, name="primary")
        for readable in (*readables, *self._also_read, self.dwell):
            yield Msg("read", self._within_limit(readable))
        yield Msg("save")

    def _counted(self, detectors: Sequence[Any], time_s: float) -> MsgGenerator[None]:
        """Count for a dwell time, ready to be read."""
        if time_s != self._preset:
            yield from set_dwell(self._timers, self.dwell, time_s)
            self._preset = time_s
        yield from count_all(detectors, time_s)
