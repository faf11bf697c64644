"""Waiting while there is no beam, and going on by itself when it is back."""

from collections.abc import Callable, Sequence
from typing import Any

from bluesky.preprocessors import finalize_wrapper, plan_mutator
from bluesky.protocols import Readable
from bluesky.suspenders import SuspenderBase
from bluesky.utils import Msg, MsgGenerator

from ._checks import number

__all__ = ["beam_suspenders", "suspend_wrapper"]


def beam_suspenders(
    *,
    current: Readable | None = None,
    minimum_current: float = 10.0,
    shutter: Readable | None = None,
    shutter_open: Sequence[Any] = ("Open", "open", 1),
    pressure: Readable | None = None,
    maximum_pressure: float = 1e-5,
    resume_after: float = 0.0,
) -> list[SuspenderBase]:
    """Return what suspends a plan while the beam is away, and resumes it.

    Parameters
    ----------
    current : Readable, optional
        Signal of the ring current.
    minimum_current : float
        Below it the plan waits, in the signal's units.
    shutter : Readable, optional
        Signal of a shutter that others close, a front end's or an interlock's; not of the one
        that the plan itself opens, which stays closed until the plan goes on.
    shutter_open : sequence
        The values with which it is open.
    pressure : Readable, optional
        Signal of the vacuum.
    maximum_pressure : float
        Above it the plan waits, in the signal's units.
    resume_after : float
        Seconds for which all must be well before the plan goes on.

    Raises
    ------
    ValueError
        Where no signal is given, or a limit is no number.

    Examples
    --------
    >>> from beamline_ophyd.plans import beam_suspenders
    >>> from ophyd import Signal
    >>> [s.tripped for s in beam_suspenders(current=Signal(name="current", value=200.0))]
    [False]
    """
    number("minimum_current", minimum_current, "a current")
    number("maximum_pressure", maximum_pressure, "a pressure")
    sleep = number("resume_after", resume_after, "seconds", lowest=0)
    low = f"below {minimum_current:g}: waiting for beam"
    high = f"above {maximum_pressure:g}: waiting for the vacuum"
    opened = tuple(shutter_open)
    conditions = (
        (current, lambda value: value >= minimum_current, low),
        (shutter, lambda value: value in opened, "not open: waiting for it"),
        (pressure, lambda value: value <= maximum_pressure, high),
    )
    suspenders: list[SuspenderBase] = [
        _SuspendUnless(signal, well, words, sleep)
        for signal, well, words in conditions
        if signal is not None
    ]
    if not suspenders:
        raise ValueError("beam_suspenders got no signal; give current, shutter or pressure")
    return suspenders


def suspend_wrapper(
    plan: MsgGenerator[Any], suspenders: Sequence[SuspenderBase]
) -> MsgGenerator[Any]:
    """Let suspenders watch over every run of a plan, from its begin to its end.

    Outside of runs the plan needs no beam, and a shutter that it opens itself is not open
    yet. What was measured since the last checkpoint is measured again, which with the plans
    of this package is the point under way. A shutter of :func:`shutter_wrapper` is closed
    meanwhile.

    Parameters
    ----------
    plan : iterable of Msg
    suspenders : sequence of SuspenderBase
        From :func:`beam_suspenders`, or any of bluesky's.
    """
    runs = 0
    installed = False

    def install():
        nonlocal installed
        installed = True
        # Without a checkpoint before it, a suspension ends the plan.
        yield Msg("checkpoint")
        for suspender in suspenders:
            yield Msg("install_suspender", None, suspender)

    def remove():
        nonlocal installed
        if installed:
            installed = False
            for suspender in suspenders:
                yield Msg("remove_suspender", None, suspender)

    def around(msg: Msg):
        nonlocal runs
        if msg.command == "open_run":
            runs += 1
            return None, install() if runs == 1 else None
        if msg.command == "close_run":
            runs -= 1
            if runs == 0:

                def last():
                    yield from remove()
                    return (yield msg)

                return last(), None
        return None, None

    return (yield from finalize_wrapper(plan_mutator(plan, around), remove))


class _SuspendUnless(SuspenderBase):
    """Suspends while a signal's value is not well."""

    def __init__(self, signal: Any, well: Callable[[Any], bool], words: str, sleep: float):
        super().__init__(_Watched(signal), sleep=sleep, tripped_message=words)
        self._well = well

    def _should_suspend(self, value: Any) -> bool:
        return not self._well(value)

    def _should_resume(self, value: Any) -> bool:
        return self._well(value)

    def _get_justification(self) -> str:
        return f"{self._sig.name} is {self._tripped_message}" if self.tripped else ""


class _Watched:
    """A signal of ophyd or of ophyd-async, as bluesky's suspenders subscribe to one."""

    def __init__(self, signal: Any):
        self._signal = signal
        self._callbacks: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return str(self._signal.name)

    def subscribe(self, suspender: Any, event_type: Any = None, run: bool = True) -> None:
        if not hasattr(self._signal, "subscribe_reading"):
            self._signal.subscribe(suspender, event_type=event_type, run=run)
            return

        def told(reading: dict[str, Any]) -> None:
            for item in reading.values():
                suspender(item["value"])

        self._callbacks[suspender] = told
        self._signal.subscribe_reading(told)

    def clear_sub(self, suspender: Any) -> None:
        self._signal.clear_sub(self._callbacks.pop(suspender, suspender))
