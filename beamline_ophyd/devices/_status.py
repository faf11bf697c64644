"""What every action of these devices shares: it ends in time, or says what did not."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ophyd.signal import EpicsSignalBase
from ophyd.status import DeviceStatus, StatusBase
from ophyd.utils.errors import DisconnectedError, InvalidState

__all__ = ["Action", "Pending", "fail", "fail_after", "finish"]

S = TypeVar("S", bound="Action")


class Action(DeviceStatus):
    """The status of an action that the device's next one may supersede.

    A status of ophyd's stops its device when it fails. One that fails because the device has
    been told something else must not: it would stop that.
    """

    superseded = False

    def _handle_failure(self) -> None:
        if not self.superseded:
            super()._handle_failure()


def fail(status: StatusBase, error: Exception) -> None:
    """Fail a status, unless it has ended already."""
    try:
        status.set_exception(error)
    except Exception:
        # Lost a race: ophyd refuses a second ending with one of several exception types.
        if not status.done:
            raise


def finish(status: StatusBase) -> None:
    """End a status well, unless it has ended already."""
    try:
        status.set_finished()
    except InvalidState:
        if not status.done:
            raise


def fail_after(status: StatusBase, limit_s: float, error: Callable[[], Exception]) -> None:
    """Fail a status with `error()` when it has not ended after `limit_s` seconds.

    ophyd's own timeout knows the status only; this one says which PV was waited for.
    """

    def late() -> None:
        try:
            why = error()
        except Exception as trouble:  # the device does not even answer what the words ask for
            why = TimeoutError(f"{status} did not end within {limit_s:.1f} s: {trouble}")
        fail(status, why)

    timer = threading.Timer(limit_s, late)
    timer.daemon = True
    timer.start()
    status.add_callback(lambda _: timer.cancel())


class Pending(Generic[S]):
    """The one action that a device has under way, failed as soon as its PV disconnects.

    ophyd leaves a status waiting when the connection drops. Taking the status out and
    ending it is one step here: an action started meanwhile is never ended by mistake.

    Parameters
    ----------
    signal : EpicsSignalBase
        The signal whose connection the action needs.
    """

    def __init__(self, signal: EpicsSignalBase):
        self._signal = signal
        self._status: S | None = None
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._closed = False
        signal.subscribe(self._connection_changed, event_type=signal.SUB_META, run=False)

    def begin(self, status: S, replaced: Exception) -> None:
        """Put a new action in place; the one that it replaces fails with `replaced`."""
        with self._lock:
            before, self._status = self._status, status
        if before is not None:
            before.superseded = True
            fail(before, replaced)

    @property
    def current(self) -> S | None:
        """The action under way."""
        return self._status

    def take(self) -> S | None:
        """The action under way, which the caller now ends."""
        with self._lock:
            status, self._status = self._status, None
        return status

    def completion(self, status: S, check: Callable[[], Exception | None]) -> Callable[..., None]:
        """Return the callback for a put that ends `status` when it completes.

        pyepics calls it also when the connection drops, and does not tell which it was, so
        the server is asked: `check` reads what should now be true and returns what is wrong.
        """

        def ask() -> Exception | None:
            with self._asking:
                if self._closed:
                    raise DisconnectedError("the device was destroyed")
                return check() if self._status is status else None

        def completed(**_: Any) -> None:
            try:
                error = ask()
            except Exception as silence:  # ophyd's, pyepics's or libca's
                error = DisconnectedError(
                    f"{self._signal.pvname} does not answer any more ({silence}); see whether "
                    "its server still runs"
                )
            with self._lock:
                if self._status is not status:
                    return
                self._status = None
            if error is None:
                status.set_finished()
            else:
                fail(status, error)

        return completed

    def close(self) -> None:
        """Ask no more; to be called before the PVs are destroyed.

        Returns when no check is under way: libca does not survive the use of a channel that
        another thread destroys.
        """
        with self._asking:
            self._closed = True

    def _connection_changed(self, *, connected: bool = True, **_) -> None:
        if not connected and (status := self.take()) is not None:
            fail(
                status,
                DisconnectedError(
                    f"{self._signal.pvname} disconnected while {self._signal.root.name} was "
                    "busy; see whether its server still runs"
                ),
            )
