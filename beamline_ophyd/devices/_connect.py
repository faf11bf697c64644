"""Waiting for PVs, and saying what to do when they do not come."""

import os
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["BeamlineConnectionError", "connect", "not_connected"]


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
    if not hasattr(device, "walk_signals"):
        if not device.connected:
            yield getattr(device, "pvname", device.name)
        return
    for walk in device.walk_signals():
        if not walk.item.connected:
            yield getattr(walk.item, "pvname", walk.dotted_name)
