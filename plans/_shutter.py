"""The shutter around a plan: open for its runs, and closed while the plan is paused."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from bluesky.preprocessors import finalize_wrapper, msg_mutator, plan_mutator
from bluesky.protocols import Movable, Status
from bluesky.utils import (
    FailedStatus,
    Msg,
    MsgGenerator,
    RunEngineControlException,
    single_gen,
)

from ._steps import in_words, move

__all__ = ["SHUTTER_LIMIT_S", "behind", "shutter_wrapper"]

SHUTTER_LIMIT_S = 20.0

logger = logging.getLogger("bluesky.beamline_ophyd")


def shutter_wrapper(
    plan: MsgGenerator[Any], shutter: Movable, limit_s: float = SHUTTER_LIMIT_S
) -> MsgGenerator[Any]:
    """Open the shutter for every run and close it after, whatever happens.

    It stays open while any of several nested runs goes on. While the plan is paused or
    suspended it is closed, and it is open again before the plan goes on; so too where the
    plan opened it by itself. Should it not open, ``RE.resume()`` raises and the plan stays
    paused. ``RE.halt()`` skips every clean-up, this one too.

    Parameters
    ----------
    plan : iterable of Msg
    shutter : Movable
        Takes "open" and "close".
    limit_s : float
        Seconds within which it must have travelled.
    """
    gate = _PausedShutter(shutter, limit_s)
    touched = False
    runs = 0

    def through_gate(msg: Msg) -> Msg:
        # That of another wrapper inside of this one is left out, so that one alone acts.
        target = msg.obj.shutter if isinstance(msg.obj, _PausedShutter) else msg.obj
        return msg._replace(obj=gate) if msg.command == "set" and target is shutter else msg

    def command(word: str) -> MsgGenerator[None]:
        return msg_mutator(move(shutter, word, limit_s), through_gate)

    def close(*, failing: bool):
        nonlocal touched
        touched = False
        try:
            yield from command("close")
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
                yield from command("open")
                return (yield msg)

            return opened(), None
        if msg.command == "close_run":
            failing = msg.kwargs.get("exit_status") not in (None, "success")
            return None, close_after_last(failing=failing)
        if msg.command == "set" and msg.obj is not gate and (put := through_gate(msg)) is not msg:
            return single_gen(put), None
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


class _PausedShutter:
    """A shutter as messages of a plan move it, which follows the pauses of the RunEngine.

    The RunEngine calls ``pause`` and ``resume`` of whatever it has seen in a message, the
    latter before it repeats what came after the last checkpoint: bluesky's protocol
    ``Pausable``. It calls all methods on its event loop.
    """

    parent = None

    def __init__(self, shutter: Movable, limit_s: float):
        self.shutter: Any = shutter
        self._limit_s = limit_s
        self._wanted = ""
        self._travel: Status | None = None
        self._pause_travel: Status | None = None
        self._closing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return repr(self.shutter)

    @property
    def name(self) -> str:
        return self.shutter.name

    def set(self, word: Any) -> Status:
        """Tell the shutter what a plan tells it."""
        self._wanted = str(word).lower()
        closes = self._pause_travel
        # Told again while it travels, it would call off the first command, and say so.
        again = self._wanted == "close" and closes is not None and not closes.done
        self._travel = closes if again else self.shutter.set(word)
        return self._travel

    def stop(self, *, success: bool = False) -> Any:
        """Stop what a facility's shutter can stop."""
        return self.shutter.stop(success=success) if hasattr(self.shutter, "stop") else None

    def pause(self) -> None:
        """Begin to close it; a second pause while one waited here would undo a suspension."""
        if self._wanted == "open":
            self._closing = asyncio.ensure_future(self._close())

    async def resume(self) -> None:
        """Open it, and wait until it is open."""
        if self._closing is not None:
            await asyncio.shield(self._closing)
        if self._wanted == "open":
            with in_words([self.shutter], "go to open", self._limit_s):
                self._travel = self.shutter.set("open")
                await _end(self._travel, self._limit_s)
            logger.info("%s is open again, and the plan goes on", self.shutter.name)

    async def _close(self) -> None:
        try:
            if self._travel is not None:
                # One that still opens is let open: a command called off fails the plan.
                with suppress(FailedStatus, TimeoutError):
                    await _end(self._travel, self._limit_s)
            if self._wanted == "open":
                with in_words([self.shutter], "go to close", self._limit_s):
                    self._travel = self._pause_travel = self.shutter.set("close")
                    await _end(self._travel, self._limit_s)
                logger.info("%s is closed while the plan waits", self.shutter.name)
        except Exception as error:
            logger.error("the plan waits, and the shutter may be open, see to it: %s", error)


async def _end(travel: Status, limit_s: float) -> None:
    """Wait on the event loop for a status, which may end on any thread."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    travel.add_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    await asyncio.wait_for(ended.wait(), limit_s)
    if not travel.success:
        raise FailedStatus(travel) from travel.exception(0)
