"""Detectors that count together on one scaler record."""

import threading
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt

from ._connect import BeamlineConnectionError, not_connected
from ._status import Action, Pending, fail, fail_after, finish

__all__ = ["CountError", "Scaler", "ScalerDetector"]


class CountError(RuntimeError):
    """A count that did not end; the message names the PV."""


class ScalerDetector(Device):
    """One channel of a :class:`Scaler`; its data key is its name.

    Triggering it counts on the scaler that it shares: detectors triggered together, as
    bluesky does for the detectors of a scan, share one count.

    Parameters
    ----------
    prefix : str
        Of the detector's own PVs, such as ``BL02:DET:I0:``.
    channel : str
        The scaler channel's PV below the parent's prefix, such as ``SCALER.S2``.
    data_key : str, optional
        The name that it and its data keys have, whatever the scaler is called.
    """

    counts = FCpt(EpicsSignalRO, "{self._channel_pv}", kind="hinted")

    def __init__(
        self,
        prefix: str = "",
        *,
        channel: str,
        parent: "Scaler",
        data_key: str = "",
        **kwargs: Any,
    ):
        self._channel_pv = f"{parent.prefix}{channel}"
        self._scaler = parent
        super().__init__(prefix, parent=parent, **kwargs)
        if data_key:
            self.rename(data_key)

    def rename(self, name: str) -> None:
        """Give the detector and its data keys a name of their own."""
        _rename(self, name)
        self.counts.name = name

    @property
    def preset_time(self) -> EpicsSignal:
        """The count time in s, one signal for all detectors of the scaler."""
        return self._scaler.preset_time

    def trigger(self) -> Action:
        """Count for the preset time, together with the other detectors."""
        return self._scaler.join_count(self)

    def read(self) -> Any:
        """Counts of the last count, under the detector's name."""
        self._scaler.end_of_count()
        return super().read()

    def pause(self) -> None:
        """End the count when a RunEngine pauses: it triggers again when it resumes."""
        self._scaler.stop(success=True)

    def resume(self) -> None:
        """Nothing is to be done when a RunEngine resumes."""


def _rename(device: Device, name: str) -> None:
    device.name = name
    for attribute in device.component_names:
        component = getattr(device, attribute)
        if isinstance(component, Device):
            _rename(component, f"{name}_{attribute}")
        elif component is not None:
            component.name = f"{name}_{attribute}"


class Scaler(Device):
    """A scaler record; subclasses have its detectors as components.

    Attributes
    ----------
    preset_time : EpicsSignal
        Count time in s.
    time_margin : float
        Seconds granted to every count beyond twice its preset time.
    """

    count = Cpt(EpicsSignal, "SCALER.CNT", kind="omitted")
    count_mode = Cpt(EpicsSignal, "SCALER.CONT", string=True, kind="omitted")
    preset_time = Cpt(EpicsSignal, "SCALER.TP", kind="omitted", auto_monitor=True)

    time_margin = 5.0

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.stage_sigs = {} if self.count_mode is None else {self.count_mode: "OneShot"}
        self._pending = Pending[Action](self.count)
        self._lock = threading.Lock()
        self._shared: Action | None = None
        self._members: set[str] = set()

    def unstage(self) -> list[Any]:
        """End a count that an aborted plan left behind, and restore the count mode.

        Not when the scaler is away: there is nothing to restore then.
        """
        self.stop()
        if not self.count.connected:
            self._original_vals.clear()
        return super().unstage()

    def trigger(self) -> Action:
        """Count for the preset time."""
        return self.join_count(self)

    def join_count(self, member: Device) -> Action:
        """The count that `member` takes part in: the one others began, or a new one.

        A count, even one that has ended already, can be joined by whoever has no part in
        it yet, until one of its detectors is read.
        """
        with self._lock:
            if self._shared is None or member.name in self._members:
                self._shared = self._start()
                self._members = set()
            self._members.add(member.name)
            return self._shared

    def end_of_count(self) -> None:
        """Let the next trigger begin a new count."""
        with self._lock:
            if self._shared is not None and self._shared.done:
                self._shared = None

    def stop(self, *, success: bool = False) -> None:
        """Stop a count under way; it has failed then, unless `success`."""
        self._end(None if success else CountError(f"{self._who} was stopped"))

    def destroy(self) -> None:
        """Disconnect from the PVs, for good."""
        self._pending.close()
        super().destroy()

    def _start(self) -> Action:
        if not self.count.connected:
            raise BeamlineConnectionError(not_connected(self))
        limit_s = 2 * float(self.preset_time.get()) + self.time_margin
        status = Action(self)
        fail_after(
            status,
            limit_s,
            lambda: CountError(f"{self._who} did not end its count within {limit_s:.1f} s"),
        )
        # While an earlier put waits for its completion, the server takes nothing else from this
        # program, for up to a minute: that count has to end first.
        self._end(CountError(f"{self._who} was started anew before its count ended"))
        self._pending.begin(status, CountError(f"{self._who} was started twice at once"))

        def check() -> Exception | None:
            if self.count.get(use_monitor=False) == 0:
                return None
            return CountError(f"{self._who} is counting still, or again, after its count")

        self.count.put(1, use_complete=True, callback=self._pending.completion(status, check))
        return status

    def _end(self, error: Exception | None) -> None:
        """End a count under way, with what is wrong with that, if anything."""
        status = self._pending.take()
        if status is None:
            return
        status.superseded = True  # stopped here, so that its failure need not stop what follows
        if self.count.connected:
            self.count.put(0)
        if error is None:
            finish(status)
        else:
            fail(status, error)

    @property
    def _who(self) -> str:
        return f"{self.name} ({self.count.pvname})"
