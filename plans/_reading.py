"""Reading devices so that a reading ends in time, or fails with the device's name.

bluesky calls ``read()`` of an ophyd device on the RunEngine's own event loop: while a device
that has died blocks in it, no limit of time, no pause and no Ctrl-C gets through. Here a
thread does the reading, and the loop waits for it no longer than a limit.
"""

import asyncio
import inspect
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache, partial
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.utils import Msg, MsgGenerator

from . import _steps
from ._steps import DeviceError, is_nameless, pv_of

__all__ = ["Reader", "describe", "read_config", "read_number", "read_place", "read_value", "tell"]


# What bluesky's protocols of something read ask for, beside read().
_ASKED = (
    "name",
    "parent",
    "hints",
    "describe",
    "read_configuration",
    "describe_configuration",
    "trigger",
    "collect_asset_docs",
)


class Reader:
    """Makes devices readable within a limit; one thread reads for all of them.

    The thread is a daemon and is left to itself when a reading hangs: neither the next
    reading nor the end of the program waits for it.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Any] | None = None

    def __call__(self, device: Any) -> Any:
        """The device as bluesky is to read it."""
        return _timely(frozenset(name for name in _ASKED if hasattr(device, name)))(device, self)

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Do something on the thread that reads."""
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), daemon=True).start()
        future: Future[Any] = Future()
        self._jobs.put((future, work))
        return future

    def close(self) -> None:
        """End the thread, or leave it behind where it hangs."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


def _work(jobs: "queue.SimpleQueue[Any]") -> None:
    while (job := jobs.get()) is not None:
        future, work = job
        # Running from here on, it can no more be cancelled: a pause or a limit may try to.
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


class _Timely:
    """A device in all but the time that a reading may take."""

    def __init__(self, device: Any, reader: Reader):
        self._device = device
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def __repr__(self) -> str:
        return repr(self._device)

    async def read(self) -> Any:
        return await _within_limit(self._reader, self._device, self._device.read)


def _of_device(name: str) -> Any:
    return property(lambda self: getattr(self._device, name))


@cache
def _timely(names: frozenset[str]) -> type[_Timely]:
    """Since Python 3.12 isinstance() of a protocol looks at the class, past ``__getattr__``."""
    return type("_Timely", (_Timely,), {name: _of_device(name) for name in names})


async def _within_limit(reader: Reader, device: Any, read: Callable[[], Any]) -> Any:
    limit_s = _steps.MARGIN_S
    if inspect.iscoroutinefunction(read):
        reading = read()
    else:
        reading = asyncio.wrap_future(reader.submit(read))
    try:
        return await asyncio.wait_for(reading, limit_s)
    except TimeoutError as error:  # ophyd has a limit of its own, and raises the same for it
        reader.close()
        raise DeviceError(
            f"{_who(device)} could not be read within {limit_s:.1f} s"
            f"{f' ({error})' if str(error) else ''}; see whether its server still runs"
        ) from error
    except Exception as error:
        if not is_nameless(error):
            raise
        raise DeviceError(f"{_who(device)} could not be read: {error}") from error


def _who(device: Any) -> str:
    return f"{device.name} ({pv})" if (pv := pv_of(device)) else device.name


def read_value(device: Any) -> MsgGenerator[Any]:
    """Read the one value of a device, within a limit; None where nobody carries out messages."""
    reader = Reader()
    try:
        return (yield from bps.rd(reader(device), default_value=None))
    finally:
        reader.close()


def read_number(device: Any) -> MsgGenerator[float | None]:
    """Read a device as one number; None where it does not say one."""
    try:
        return float((yield from read_value(device)))
    except (TypeError, ValueError):
        return None


def read_place(device: Any) -> MsgGenerator[Any]:
    """Where a device is, as it can be set to it again: a number, or its ``position``."""
    place = yield from read_number(device)
    if place is None and hasattr(type(device), "position"):
        place = yield from _call(device, lambda: {"position": device.position})
        place = place.get("position")
    return place


def read_config(device: Any) -> MsgGenerator[dict[str, Any]]:
    """Values of a device's configuration; empty where it has none."""
    found = yield from _ask(device, "read_configuration")
    return {key: item["value"] for key, item in found.items()}


def describe(device: Any) -> MsgGenerator[dict[str, Any]]:
    """What a device says of its data keys; empty in a simulation without a RunEngine."""
    return (yield from _ask(device, "describe"))


def tell(device: Any, method: str, *arguments: Any) -> MsgGenerator[None]:
    """Call a device's method that returns when it is done, within the limit of a reading."""
    yield from _call(device, partial(getattr(device, method), *arguments))


def _ask(device: Any, method: str) -> MsgGenerator[Any]:
    question = getattr(device, method, None)
    if question is None:
        return {}
    return (yield from _call(device, question))


def _call(device: Any, method: Callable[[], Any]) -> MsgGenerator[Any]:
    reader = Reader()

    def calling() -> Any:
        return _within_limit(reader, device, method)

    try:
        done = yield Msg("wait_for", device, [calling])
    finally:
        reader.close()
    return done[0].result() if done else {}
