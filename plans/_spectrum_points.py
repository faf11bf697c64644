"""The points of a spectrum: each measured, judged, and measured again when it is bad."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.utils import FailedStatus, Msg, MsgGenerator, RunEngineControlException
from ophyd import Signal

from beamline_ophyd.metadata import FAILED_STREAM

from ._counting import DwellTime, count_all, set_dwell
from ._energy import EnergyAxes
from ._reading import Reader
from ._steps import DeviceError

__all__ = ["POINT_KEY", "QUALITY_KEY", "SpectrumPoints"]

POINT_KEY = "point"
QUALITY_KEY = "quality"

GIVE_UP_AFTER = 10
"""So many bad points in a row are no accident, and the scan ends."""

INTERRUPTED = "interrupted while it was read"

Readings = Mapping[str, Any]


class _Note(Signal):
    """A reading of the plan's own; without configuration, for which ophyd would read it too."""

    def read_configuration(self) -> Any:
        return {}

    def describe_configuration(self) -> Any:
        return {}


class _PointNumber(_Note):
    """The number of a point; counts its readings, of which a pause makes more than one."""

    readings = 0

    def read(self) -> Any:
        self.readings += 1
        return super().read()


class _Again(Exception):  # noqa: N818  no error, a turn of the loop
    """A point has to be measured once more; says why."""


class SpectrumPoints:
    """Takes a scan's points.

    Parameters
    ----------
    axes : EnergyAxes
    detectors : sequence of Readable
        Triggered and read at every point.
    also : sequence of Readable
        Only read.
    timers : sequence
        What takes the dwell time.
    settle_s : float
        Seconds between the motion and the count.
    judge : callable
        Of readings and dwell time in s: what is wrong with a point.
    retakes : int
        How often a bad point is taken again before the scan goes on.
    """

    def __init__(
        self,
        axes: EnergyAxes,
        detectors: Sequence[Any],
        also: Sequence[Any],
        timers: Sequence[Any],
        *,
        settle_s: float,
        judge: Callable[[Readings, float], str],
        retakes: int,
    ):
        self._axes, self._detectors, self._timers = axes, detectors, timers
        self._settle_s, self._judge, self._retakes = settle_s, judge, retakes
        self._reader = Reader()
        self.dwell = DwellTime(name="dwell_time", value=0.0, kind="normal")
        self._point = _PointNumber(name=POINT_KEY, value=0, kind="normal")
        # No hints, or a BestEffortCallback would plot them, and warn of the text.
        self._quality = _Note(name=QUALITY_KEY, value="", kind="normal")
        slow = [self._reader(d) for d in (*axes.devices, *detectors, *also)]
        self._readables = [*slow, self.dwell]
        self._preset: float | None = None
        self._bad_in_a_row = 0

    def close(self) -> None:
        """Let go of the thread that reads."""
        self._reader.close()

    def take(self, number: int, energy_ev: float, dwell_s: float) -> MsgGenerator[Readings | None]:
        """Measure one point until it is good, at most as often as allowed.

        Returns
        -------
        readings or None
            None for a point that stayed bad.

        Raises
        ------
        DeviceError
            When a detector fails each time, or too many points in a row are bad.
        """
        self._point.put(number)
        attempts = self._retakes + 1
        while attempts:
            attempts -= 1
            yield Msg("checkpoint")
            if dwell_s != self._preset:
                yield from set_dwell(self._timers, self.dwell, dwell_s)
                self._preset = dwell_s
            yield from self._axes.go(energy_ev)
            if self._settle_s:
                yield from bps.sleep(self._settle_s)
            try:
                # The last attempt's failure is the scan's.
                yield from self._count(dwell_s, failing=not attempts)
                wrong, readings = yield from self._read(dwell_s, failing=not attempts)
            except _Again as why:
                yield from self._tell_failed(str(why))
                continue
            if not wrong:
                self._bad_in_a_row = 0
                return readings
            attempts += wrong == INTERRUPTED
        self._bad_in_a_row += 1
        if self._retakes and self._bad_in_a_row >= GIVE_UP_AFTER:
            raise DeviceError(
                f"{self._bad_in_a_row} points in a row are bad, the last one at {energy_ev:.1f} eV "
                f"({self._quality.get()}); see to it, then continue with resume="
            )
        return None

    def _count(self, dwell_s: float, failing: bool) -> MsgGenerator[None]:
        try:
            yield from count_all(self._detectors, dwell_s)
        except RunEngineControlException:
            raise
        except Exception as error:
            yield from self._late_failures()
            # What does not end in time will not do so at the next attempt.
            if failing or isinstance(error.__cause__, TimeoutError):
                raise
            raise _Again(f"not counted: {error}") from error

    def _late_failures(self) -> MsgGenerator[None]:
        """Take in what bluesky throws once more for each detector that shared a failed count."""
        for _ in self._detectors:
            try:
                yield Msg("sleep", None, 0.01)
            except FailedStatus:
                continue

    def _read(self, dwell_s: float, failing: bool) -> MsgGenerator[tuple[str, Readings]]:
        readings: dict[str, Any] = {}
        self._point.readings = 0
        yield Msg("create", None, name="primary")
        try:
            yield Msg("read", self._point)
            for readable in self._readables:
                readings.update((yield Msg("read", readable)) or {})
        except (RunEngineControlException, FailedStatus):
            raise
        except Exception as error:
            if failing:
                raise
            yield Msg("drop")
            raise _Again(f"not read: {error}") from error
        # After a pause bluesky repeats the messages since the checkpoint by itself: what is
        # saved then was measured anew, and what was returned here is not that.
        stale = self._point.readings > 1
        wrong = INTERRUPTED if stale else self._judge(readings, dwell_s)
        self._quality.put(wrong)
        yield Msg("read", self._quality)
        yield Msg("save")
        return wrong, readings

    def _tell_failed(self, wrong: str) -> MsgGenerator[None]:
        """Keep word of a point without readings."""
        self._quality.put(wrong)
        yield Msg("create", None, name=FAILED_STREAM)
        yield Msg("read", self._point)
        yield Msg("read", self._quality)
        yield Msg("save")
