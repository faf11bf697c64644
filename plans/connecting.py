"""Devices that were away a moment ago, waited for before a run needs them."""

import time
from collections.abc import Callable
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.preprocessors import plan_mutator
from bluesky.utils import Msg, MsgGenerator

from ._checks import called
from ._preprocessors import fails
from ._steps import DeviceError

__all__ = ["connected_wrapper"]

LOOK_S = 0.1

_USES = frozenset(
    ["stage", "set", "trigger", "read", "locate", "configure", "prepare", "kickoff", "monitor"]
) | {"wait_for"}
"""With wait_for, whose object is a device where a plan of this package asks it something."""


def _away(device: Any) -> Exception:
    return DeviceError(f"{called(device)} is not connected; see whether its server runs")


def connected_wrapper(
    plan: MsgGenerator[Any],
    timeout: float = 15.0,
    error: Callable[[Any], Exception] = _away,
) -> MsgGenerator[Any]:
    """Wait for each device that is not connected, before a run uses it for the first time.

    Channel Access takes 6 to 12 s to find all PVs of a server again that was restarted. What
    is connected is not waited for, and what goes away later in a run fails at once.

    Parameters
    ----------
    plan : iterable of Msg
    timeout : float
        Seconds to wait for a device, at most.
    error : callable
        Makes of a device that is still away what the plan fails with.

    Raises
    ------
    DeviceError
        For a device that is still away, or what `error` makes.
    """
    seen: dict[int, Any] = {}  # with the devices, which keeps their ids their own

    def before(msg: Msg):
        if msg.command == "close_run" and not fails(msg):
            seen.clear()
        if msg.command not in _USES or msg.obj is None or id(msg.obj) in seen:
            return None, None
        seen[id(msg.obj)] = msg.obj
        if getattr(msg.obj, "connected", True):
            return None, None

        def waited():
            deadline = time.monotonic() + timeout
            while not msg.obj.connected:
                if time.monotonic() > deadline:
                    raise error(msg.obj)
                yield from bps.sleep(LOOK_S)
            return (yield msg)

        return waited(), None

    return (yield from plan_mutator(plan, before))
