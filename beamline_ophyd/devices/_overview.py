"""A beamline at a glance: what is connected, and what everything reads."""

import inspect
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ophyd import EpicsMotor
from ophyd.utils.epics_pvs import AlarmSeverity

from ._beamline import OPTIONAL, Beamline
from ._connect import connect_async, is_async, signals_of

__all__ = ["Connection", "Reading", "connections", "readings"]

POLL_S = 0.02


@dataclass(frozen=True)
class Connection:
    """Whether a device is connected.

    Attributes
    ----------
    device, kind : str
        Its name and its class.
    signals : int
        How many signals it has.
    missing : tuple of str
        The PVs that do not answer.
    optional : bool
        Whether a session goes on without it.
    """

    device: str
    kind: str
    signals: int
    missing: tuple[str, ...]
    optional: bool

    @property
    def connected(self) -> bool:
        """Whether every PV answers."""
        return not self.missing


@dataclass(frozen=True)
class Reading:
    """What one signal of a device reads.

    Attributes
    ----------
    device, key : str
        Name of the device, and data key of the signal.
    value : object
        As read: number, text or array.
    units : str
        From the IOC; empty where there are none.
    text : str
        The value for people, with the IOC's precision.
    alarm : str
        "MINOR", "MAJOR" or "INVALID"; empty where there is no alarm.
    note : str
        "moving", "at its high limit" and the like.
    """

    device: str
    key: str
    value: Any
    units: str
    text: str
    alarm: str
    note: str


def connections(beamline: Beamline, timeout: float = 5.0) -> list[Connection]:
    """Try to connect to everything, and say what answers; nothing is raised for what does not.

    Parameters
    ----------
    beamline : Beamline
        From :func:`~beamline_ophyd.devices.load_beamline`. With devices of ophyd-async in it a
        RunEngine has to be there.
    timeout : float
        Seconds for all devices together.
    """
    optional = {device.name for device in beamline.labelled(OPTIONAL)}
    deadline = time.monotonic() + timeout
    threaded = [device for device in beamline.devices if not is_async(device)]
    while not all(d.connected for d in threaded) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    others = [device for device in beamline.devices if is_async(device)]
    failed = connect_async(others, max(deadline - time.monotonic(), 1.0)) if others else {}
    found = []
    for device in beamline.devices:
        if is_async(device):
            missing = tuple(_leaves(failed[device.name])) if device.name in failed else ()
            count = _count_async(device)
        else:
            signals = list(signals_of(device))
            missing = tuple(getattr(s, "pvname", n) for n, s in signals if not s.connected)
            count = len(signals)
        kind = type(device).__name__
        found.append(Connection(device.name, kind, count, missing, device.name in optional))
    return found


def readings(beamline: Beamline, names: list[str] | None = None) -> list[Reading]:
    """Read devices: what a run would record of them, with units, precision and alarms.

    Parameters
    ----------
    beamline : Beamline
        Whose devices are connected.
    names : list of str, optional
        Only these devices.
    """
    found: list[Reading] = []
    for name in beamline if names is None else names:
        found.extend(_readings(name, beamline[name]))
    return found


def _readings(name: str, device: Any) -> Iterator[Reading]:
    signals = {} if is_async(device) else {s.name: s for _, s in signals_of(device)}
    motors = {motor.name: motor for motor in _motors(device)}
    described = _wait(device.describe())
    for key, entry in _wait(device.read()).items():
        about = described[key]
        signal = signals.get(key)
        severity = entry.get("alarm_severity", getattr(signal, "alarm_severity", None))
        yield Reading(
            device=name,
            key=key,
            value=entry["value"],
            units=about.get("units") or "",
            text=_text(entry["value"], about.get("precision")),
            alarm=_alarm(severity),
            note=_note(motors[key]) if key in motors else "",
        )


def _motors(device: Any) -> Iterator[EpicsMotor]:
    if isinstance(device, EpicsMotor):
        yield device
    for name in getattr(device, "component_names", ()):
        if (component := getattr(device, name)) is not None:
            yield from _motors(component)


def _note(motor: EpicsMotor) -> str:
    if motor.moving:
        return f"moving to {_text(motor.user_setpoint.get(), motor.precision)}"
    if motor.high_limit_switch.get():
        return "at its high limit"
    return "at its low limit" if motor.low_limit_switch.get() else ""


def _alarm(severity: Any) -> str:
    if not severity or severity < 0:
        return ""
    return AlarmSeverity(severity).name


def _text(value: Any, precision: float | None) -> str:
    if isinstance(value, float) and precision is not None and precision >= 0:
        return f"{value:.{int(precision)}f}"
    if isinstance(value, np.ndarray | list | tuple):
        return f"{len(value)} values"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wait(result: Any) -> Any:
    if not inspect.isawaitable(result):
        return result
    from bluesky.run_engine import call_in_bluesky_event_loop

    return call_in_bluesky_event_loop(result, 10.0)


def _count_async(device: Any) -> int:
    from ophyd_async.core import walk_signal_sources

    return len(walk_signal_sources(device))


def _leaves(error: Exception) -> Iterator[str]:
    inner = getattr(error, "sub_errors", {})
    if not inner:
        yield str(error).strip()
    for sub in inner.values():
        yield from _leaves(sub)
