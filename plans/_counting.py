"""Counting with any detectors for a dwell time, each count within a limit of its own."""

import logging
from collections.abc import Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.preprocessors import contingency_wrapper
from bluesky.protocols import Preparable, Readable, Triggerable
from bluesky.utils import Msg, MsgGenerator, RunEngineControlException, short_uid
from ophyd import Signal

from . import _steps
from ._reading import read_value
from ._steps import in_words, wait_for

__all__ = ["DwellTime", "count_all", "keep_dwell", "set_dwell", "timers_of"]

logger = logging.getLogger("bluesky.beamline_ophyd")


class DwellTime(Signal):
    """The dwell time that the plan asked for, in s, as a reading of every point."""

    def describe(self) -> dict[str, Any]:
        """Describe the reading, with its unit."""
        description = super().describe()
        description[self.name]["units"] = "s"
        return description


def timers_of(detectors: Sequence[Readable], fixed_dwell: bool) -> list[Any]:
    """What takes the dwell time: each `preset_time` signal once, detectors to `prepare`."""
    timers: dict[int, Any] = {}
    for detector in detectors:
        timer = getattr(detector, "preset_time", None)
        if timer is None and isinstance(detector, Preparable):
            timer = detector
        if timer is not None:
            timers[id(timer)] = timer
        elif not fixed_dwell:
            raise ValueError(
                f"detector {detector.name} has neither `preset_time` nor `prepare`, so it cannot "
                "be told a dwell time; pass fixed_dwell=True to measure with the time it uses"
            )
    return list(timers.values())


def set_dwell(timers: Sequence[Any], dwell: Any, time_s: float) -> MsgGenerator[None]:
    """Tell a dwell time to all that take one, and to the signal that records it."""
    group = short_uid("dwell")
    limit_s = _steps.MARGIN_S
    with in_words([dwell, *timers], f"take a dwell time of {time_s} s", limit_s):
        yield Msg("set", dwell, time_s, group=group)
        for timer in timers:
            if hasattr(timer, "set"):
                yield Msg("set", timer, time_s, group=group)
            else:
                yield from bps.prepare(timer, _trigger_info(time_s), group=group)
        yield wait_for(group, limit_s)


def keep_dwell(timers: Sequence[Any], plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Give what takes a dwell time the one it has now back after a plan, whatever happens."""
    told = [timer for timer in timers if isinstance(timer, Readable) and hasattr(timer, "set")]
    before: list[tuple[Any, Any]] = []
    for timer in told:
        before += [(timer, (yield from read_value(timer)))]

    def restore() -> MsgGenerator[None]:
        for timer, value in before:
            if value is not None:  # somebody carries out the messages
                yield from _steps.move(timer, value, _steps.MARGIN_S)

    def restore_if_possible(_: Exception) -> MsgGenerator[None]:
        try:
            yield from restore()
        except RunEngineControlException:
            raise
        except Exception as error:
            # What made the plan fail is the cause; this is only one more consequence.
            logger.error("a detector may have another dwell time than before: %s", error)

    return (
        yield from contingency_wrapper(plan, except_plan=restore_if_possible, else_plan=restore)
    )


def count_all(detectors: Sequence[Readable], dwell_s: float) -> MsgGenerator[None]:
    """Trigger the detectors together and wait, at most a limit that follows from the dwell."""
    group = short_uid("count")
    triggered = [d for d in detectors if isinstance(d, Triggerable)]
    limit_s = 2 * dwell_s + _steps.MARGIN_S
    if triggered:
        with in_words(triggered, "count", limit_s):
            for detector in triggered:
                yield Msg("trigger", detector, group=group)
            yield wait_for(group, limit_s)


def _trigger_info(time_s: float) -> Any:
    # Only a detector of ophyd-async has `prepare` without `preset_time`, and then it is there.
    from ophyd_async.core import TriggerInfo

    return TriggerInfo(number_of_events=1, livetime=time_s)
