"""Devices that were away a moment ago, waited for before a run needs them."""

import logging
import time
from collections.abc import Callable
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.utils import Msg, MsgGenerator, ensure_generator

from ._checks import called
from ._preprocessors import fails
from ._steps import DeviceError

__all__ = ["connected_wrapper"]

logger = logging.getLogger("bluesky.beamline_ophyd")

LOOK_S = 0.1

_USES = frozenset(
    ["stage", "set", "trigger", "read", "locate", "configure", "prepare", "kickoff", "monitor"]
) | {"wait_for"}
"""With wait_for, whose object is a device where a plan of this package asks it something."""


def connected_wrapper(
    plan: MsgGenerator[Any],
    timeout: float = 15.0,
    error: Callable[[Any], Exception] | None = None,
) -> MsgGenerator[Any]:
    """Wait for each device that is not connected, before a run uses it for the first time.

    Channel Access takes 6 to 12 s to find all PVs of a server again that was restarted. What
    is connected is not waited for, and what goes away later in a run fails at once.

    Parameters
    ----------
    plan : iterable of Msg
    timeout : float
        Seconds to wait for a device, at most.
    error : callable, optional
        Makes of a device that is still away what the plan fails with.

    Raises
    ------
    DeviceError
        For a device that is still away, or what `error` makes.
    """
    seen: dict[int, Any] = {}  # with the devices, which keeps their ids their own

    def until_there(msg: Msg) -> MsgGenerator[None]:
        deadline = time.monotonic() + timeout
        logger.warning("%s is not connected; waiting %g s for it", called(msg.obj), timeout)
        while not msg.obj.connected:
            if time.monotonic() > deadline:
                raise (error or _away)(msg.obj)
            yield from bps.sleep(LOOK_S)

    # plan_mutator does the same, and takes longer for each message than all that is done here.
    inner = ensure_generator(plan)
    response: Any = None
    failure: Exception | None = None
    while True:
        try:
            msg = inner.send(response) if failure is None else inner.throw(failure)
        except StopIteration as end:
            return end.value
        response = failure = None
        if msg.command == "close_run" and not fails(msg):
            seen.clear()
        try:
            if msg.command in _USES and msg.obj is not None and id(msg.obj) not in seen:
                seen[id(msg.obj)] = msg.obj
                if not getattr(msg.obj, "connected", True):
                    yield from until_there(msg)
            response = yield msg
        except GeneratorExit:  # a halt too
            inner.close()
            raise
        except Exception as thrown:
            failure = thrown


def _away(device: Any) -> Exception:
    return DeviceError(f"{called(device)} is not connected; see whether its server runs")
