"""What a session wraps around every plan; each is usable by itself on any bluesky plan."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.preprocessors import msg_mutator, plan_mutator
from bluesky.protocols import Readable
from bluesky.utils import Msg, MsgGenerator

__all__ = [
    "abort_reason_wrapper",
    "baseline_wrapper",
    "check_before_run_wrapper",
    "fails",
    "sample_name_wrapper",
]


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
        if msg.command == "close_run" and not fails(msg):

            def last():
                yield from read()
                return (yield msg)

            return last(), None
        return None, None

    return (yield from plan_mutator(plan, around))


def fails(close_run: Msg) -> bool:
    """Whether a message closes a run that did not succeed."""
    return close_run.kwargs.get("exit_status") not in (None, "success")
