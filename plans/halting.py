"""What ``RE.halt()`` leaves undone: it skips the clean-up of every plan."""

import logging
from typing import Any

from bluesky import RunEngine
from bluesky.protocols import Movable

__all__ = ["close_after_halt"]

logger = logging.getLogger("bluesky.beamline_ophyd")


def close_after_halt(engine: RunEngine, shutter: Movable, limit_s: float = 20.0) -> None:
    """Close a shutter whenever a plan has been halted.

    bluesky itself stops what moves, unstages detectors and closes the run, also at a halt; no
    message of a plan is carried out any more. So this follows the RunEngine's state, through
    its ``state_hook``; a hook that is there already is kept.

    Parameters
    ----------
    engine : RunEngine
    shutter : Movable
        Takes "close".
    limit_s : float
        Seconds to wait for it; what goes wrong is logged.
    """
    before = engine.state_hook

    def follow(new: Any, old: Any) -> None:
        if before is not None:
            before(new, old)
        if new == "idle" and old == "halting":
            _close(shutter, limit_s)

    engine.state_hook = follow


def _close(shutter: Any, limit_s: float) -> None:
    try:
        status = shutter.set("close")
        # That of ophyd-async ends on this very thread, so nothing may wait for it here.
        if hasattr(status, "wait"):
            status.wait(limit_s)
    except Exception as error:
        logger.error("after the halt the shutter may be open, see to it: %s", error)
