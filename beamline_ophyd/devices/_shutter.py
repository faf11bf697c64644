"""The photon shutter."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from ._connect import BeamlineConnectionError, not_connected
from ._status import Action, Pending, fail_after

__all__ = ["Shutter", "ShutterError"]

_COMMANDS = {"open": "Open", "close": "Close"}


class ShutterError(RuntimeError):
    """A shutter that did not travel; the message names the PV."""


class Shutter(Device):
    """A photon shutter: ``set("open")``, ``set("close")``.

    The command completes when the shutter has travelled.

    Attributes
    ----------
    travel_limit : float
        Seconds after which a shutter that has not arrived has failed.
    """

    command = Cpt(EpicsSignal, "SHUTTER:CMD", string=True, kind="omitted")
    status = Cpt(EpicsSignalRO, "SHUTTER:STATUS", string=True, kind="hinted")

    travel_limit = 10.0

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._pending = Pending[Action](self.command)

    def destroy(self) -> None:
        """Disconnect from the PVs, for good."""
        self._pending.close()
        super().destroy()

    @property
    def position(self) -> str:
        """Where it is: "open" or "close"."""
        return "open" if self.status.get() == "Open" else "close"

    def set(self, value: str) -> Action:
        """Open or close.

        Parameters
        ----------
        value : {"open", "close"}

        Raises
        ------
        ValueError
            For any other word.
        BeamlineConnectionError
            When the shutter's PVs are not connected.
        """
        if str(value).lower() not in _COMMANDS:
            raise ValueError(f"{self.name} got {value!r}; it takes 'open' or 'close'")
        if not self.connected:
            raise BeamlineConnectionError(not_connected(self))
        wanted = _COMMANDS[str(value).lower()]
        who = f"{self.name} ({self.command.pvname})"
        status = Action(self)
        fail_after(
            status,
            self.travel_limit,
            lambda: ShutterError(
                f"{who} did not {value} within {self.travel_limit:.0f} s; "
                f"see {self.status.pvname} and whether its server still answers"
            ),
        )
        self._pending.begin(status, ShutterError(f"{who} got another command before it arrived"))

        def check() -> Exception | None:
            found = self.status.get(use_monitor=False)
            if found == wanted:
                return None
            return ShutterError(f"{who} was told to {value} and is at {found}; is it interlocked?")

        self.command.put(
            wanted, use_complete=True, callback=self._pending.completion(status, check)
        )
        return status
