"""Waiting for PVs, saying what to do when they do not come, and leaving them."""

import os
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["BeamlineConnectionError", "connect", "disconnect", "not_connected"]


class BeamlineConnectionError(ConnectionError):
    """PVs that nobody serves at the addresses searched."""


def connect(*devices: Any, timeout: float = 5.0) -> None:
    """Wait until all signals of all devices are connected.

    Parameters
    ----------
    *devices : ophyd.Device
        Any ophyd devices.
    timeout : float
        Seconds for all of them together.

    Raises
    ------
    BeamlineConnectionError
        Names the PVs that are missing, the addresses searched and how to start the server.
    """
    deadline = time.monotonic() + timeout
    for device in devices:
        try:
            device.wait_for_connection(timeout=max(deadline - time.monotonic(), 0.1))
        except TimeoutError:
            raise BeamlineConnectionError(not_connected(*devices)) from None


def disconnect(*devices: Any) -> None:
    """Leave all PVs of devices; none of the devices can be used afterwards.

    Safer than ``destroy()`` alone, which for a device whose server has gone clears the channel
    of a PV but not its subscription. pyepics clears that too, when it collects the PV: a second
    time, and libca crashes the program.

    Parameters
    ----------
    *devices : ophyd.Device
        Any ophyd devices, connected or not.
    """
    for device in devices:
        pvs = list(_pvs(device))
        device.destroy()
        for pv in pvs:
            if pv.chid is None:  # cleared, and its subscriptions with it; other signals may go on
                pv._monref = pv._monref_mask = None


def _signals(device: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(device, "walk_signals"):
        yield device.name, device
        return
    for walk in device.walk_signals():
        yield walk.dotted_name, walk.item


def _pvs(device: Any) -> Iterator[Any]:
    for _, signal in _signals(device):
        for attribute in ("_read_pv", "_write_pv"):
            if (pv := getattr(signal, attribute, None)) is not None:
                yield pv


def not_connected(*devices: Any) -> str:
    """The message for devices that are not connected."""
    missing = [pv for device in devices for pv in _missing(device)]
    shown = ", ".join(missing[:3])
    if len(missing) > 3:
        shown += f" and {len(missing) - 3} more"
    port = os.environ.get("EPICS_CA_SERVER_PORT", "5064")
    addresses = os.environ.get("EPICS_CA_ADDR_LIST", "")
    if os.environ.get("EPICS_CA_AUTO_ADDR_LIST", "YES").upper() != "NO":
        addresses = f"{addresses} and all local networks".strip()
    return (
        f"no answer for {shown or 'the device'}; searched {addresses or 'nowhere'}, port {port}. "
        "Start the device server with `beamline ioc`, or correct the prefix or EPICS_CA_ADDR_LIST"
    )


def _missing(device: Any) -> Iterator[str]:
    for name, signal in _signals(device):
        if not signal.connected:
            yield getattr(signal, "pvname", name)
