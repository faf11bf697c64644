"""What a session wraps around every plan; each is usable by itself on any bluesky plan."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.preprocessors import finalize_wrapper, msg_mutator, plan_mutator
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator, RunEngineControlException

from ._steps import move

__all__ = [
    "abort_reason_wrapper",
    "baseline_wrapper",
    "behind",
    "check_before_run_wrapper",
    "sample_name_wrapper",
    "shutter_wrapper",
]

SHUTTER_LIMIT_S = 20.0

logger = logging.getLogger("bluesky.beamline_ophyd")


def check_before_run_wrapper(
    plan: MsgGenerator[Any], *checks: Callable[[Mapping[str, Any]], None]
) -> MsgGenerator[Any]:
    """Ask each check before a run opens.

    Parameters
    ----------
    plan : iterable of Msg
    *checks : callable
        Called with the metadata of the run that is about to open. What one raises fails
        the plan before there is a run.
    """

    def before(msg: Msg):
        if msg.command != "open_run":
            return None, None

        def checked():
            for check in checks:
                check(msg.kwargs)
            return (yield msg)

        return checked(), None

    return (yield from plan_mutator(plan, before))


def sample_name_wrapper(plan: MsgGenerator[Any], name: Readable) -> MsgGenerator[Any]:
    """Say in every run's metadata what is in the beam, unless the plan says it.

    Parameters
    ----------
    plan : iterable of Msg
    name : Readable
        A signal whose value is the name of the sample in the beam.
    """

    def named(msg: Msg):
        if msg.command != "open_run" or {"Sample", "sample", "sample_name"} & set(msg.kwargs):
            return None, None

        def with_name():
            sample = yield from bps.rd(name)
            return (yield msg._replace(kwargs={**msg.kwargs, "Sample": {"name": str(sample)}}))

        return with_name(), None

    return (yield from plan_mutator(plan, named))


def abort_reason_wrapper(plan: MsgGenerator[Any], reason: Callable[[], str]) -> MsgGenerator[Any]:
    """Put the reason of an abort into the stop document, where bluesky leaves it out.

    Parameters
    ----------
    plan : iterable of Msg
    reason : callable
        Returns what the user said to ``RE.abort(reason)``, or the empty string.
    """

    def with_reason(msg: Msg) -> Msg:
        if msg.command != "close_run" or msg.kwargs.get("exit_status") != "abort":
            return msg
        said = msg.kwargs.get("reason") or reason()
        return msg._replace(kwargs={**msg.kwargs, "reason": said})

    return (yield from msg_mutator(plan, with_reason))


def shutter_wrapper(
    plan: MsgGenerator[Any], shutter: Movable, limit_s: float = SHUTTER_LIMIT_S
) -> MsgGenerator[Any]:
    """Open the shutter for every run and close it after, whatever happens.

    It stays open while any of several nested runs goes on. ``RE.halt()`` skips every
    clean-up, this one too.

    Parameters
    ----------
    plan : iterable of Msg
    shutter : Movable
        Takes "open" and "close".
    limit_s : float
        Seconds within which it must have travelled.
    """
    touched = False
    runs = 0

    def close(*, failing: bool):
        nonlocal touched
        touched = False
        try:
            yield from move(shutter, "close", limit_s)
        except RunEngineControlException:
            raise
        except Exception as error:
            # What made the scan fail is the cause; this is only one more consequence.
            if not failing:
                raise
            logger.error("the shutter may be open, see to it: %s", error)
            # plan_mutator throws again what a plan handled as its last act.
            yield Msg("null")

    def close_after_last(*, failing: bool):
        nonlocal runs
        runs -= 1
        if touched and not runs:
            yield from close(failing=failing)

    def around(msg: Msg):
        nonlocal touched, runs
        if msg.command == "open_run":
            runs += 1
        if msg.command == "open_run" and not touched:
            touched = True

            def opened():
                yield from move(shutter, "open", limit_s)
                return (yield msg)

            return opened(), None
        if msg.command == "close_run":
            return None, close_after_last(failing=_failing(msg))
        return None, None

    def close_if_open():
        # Still open here: no run was closed, or its closing was not reached.
        if touched:
            yield from close(failing=True)

    return (yield from finalize_wrapper(plan_mutator(plan, around), close_if_open))


def behind(shutter: Movable | None, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Put a shutter around a plan, where there is one."""
    if shutter is not None:
        plan = shutter_wrapper(plan, shutter)
    return (yield from plan)


def baseline_wrapper(plan: MsgGenerator[Any], devices: Sequence[Readable]) -> MsgGenerator[Any]:
    """Read devices at the begin and at the end of every run, into the stream "baseline".

    As bluesky's own, but a run that fails is closed without its last readings: a device that
    made it fail would fail these too, and its reason would be lost.

    Parameters
    ----------
    plan : iterable of Msg
    devices : sequence of Readable
        What is worth knowing about the whole run.
    """

    def read():
        yield from bps.trigger_and_read(devices, name="baseline")

    def around(msg: Msg):
        if msg.command == "open_run":
            return None, read()
        if msg.command == "close_run" and not _failing(msg):

            def last():
                yield from read()
                return (yield msg)

            return last(), None
        return None, None

    return (yield from plan_mutator(plan, around))


def _failing(close_run: Msg) -> bool:
    return close_run.kwargs.get("exit_status") not in (None, "success")
