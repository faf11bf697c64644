"""Waiting for PVs, saying what to do when they do not come, and leaving them."""

import asyncio
import inspect
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = [
    "BeamlineConnectionError",
    "connect",
    "connect_async",
    "disconnect",
    "is_async",
    "not_connected",
    "searched_places",
    "signals_of",
    "use_loopback_by_default",
]


class BeamlineConnectionError(ConnectionError):
    """PVs that nobody serves at the addresses searched."""


def connect(*devices: Any, timeout: float = 5.0) -> None:
    """Wait until all signals of all devices are connected.

    Parameters
    ----------
    *devices : device
        Any devices of ophyd and of ophyd-async; the latter connect in the event loop of a
        RunEngine, which has to be there.
    timeout : float
        Seconds for all of them together.

    Raises
    ------
    BeamlineConnectionError
        Names the PVs that are missing, the addresses searched and how to start the server.
    """
    deadline = time.monotonic() + timeout
    threaded = [device for device in devices if not is_async(device)]
    for device in threaded:
        try:
            device.wait_for_connection(timeout=max(deadline - time.monotonic(), 0.1))
        except TimeoutError:
            if not device.connected:  # ophyd does not look again after its last pause
                raise BeamlineConnectionError(not_connected(*threaded)) from None
    if others := [device for device in devices if is_async(device)]:
        for name, error in connect_async(others, max(deadline - time.monotonic(), 1.0)).items():
            raise BeamlineConnectionError(f"{name} is not connected: {error}") from error


def disconnect(*devices: Any) -> None:
    """Leave all PVs of devices; none of the devices can be used afterwards.

    Safer than ``destroy()`` alone, which for a device whose server has gone clears the channel
    of a PV but not its subscription. pyepics clears that too, when it collects the PV: a second
    time, and libca crashes the program.

    Parameters
    ----------
    *devices : device
        Any devices, connected or not; those of ophyd-async need no leaving.
    """
    for device in devices:
        if is_async(device):
            continue
        pvs = list(_pvs(device))
        device.destroy()
        for pv in pvs:
            if pv.chid is None:  # cleared, and its subscriptions with it; other signals may go on
                pv._monref = pv._monref_mask = None


def is_async(device: Any) -> bool:
    """Whether a device is one of ophyd-async."""
    return inspect.iscoroutinefunction(getattr(device, "connect", None))


def connect_async(devices: Sequence[Any], timeout: float) -> dict[str, Exception]:
    """Connect devices of ophyd-async together; what failed, by the device's name."""
    # Only whoever has such a device loads what it needs.
    from bluesky.run_engine import call_in_bluesky_event_loop

    async def together() -> list[Any]:
        connecting = (device.connect(timeout=timeout) for device in devices)
        return await asyncio.gather(*connecting, return_exceptions=True)

    ends = call_in_bluesky_event_loop(together(), timeout + 5.0)
    return {
        device.name: end
        for device, end in zip(devices, ends, strict=True)
        if isinstance(end, Exception)
    }


def signals_of(device: Any) -> Iterator[tuple[str, Any]]:
    """All signals of an ophyd device, which may be one itself, by their dotted names."""
    if not hasattr(device, "walk_signals"):
        yield device.name, device
        return
    for walk in device.walk_signals():
        yield walk.dotted_name, walk.item


def _pvs(device: Any) -> Iterator[Any]:
    for _, signal in signals_of(device):
        yield from _pvs_of(signal)


def _pvs_of(signal: Any) -> Iterator[Any]:
    """The PV or PVs of a signal, each once."""
    pvs = (getattr(signal, attribute, None) for attribute in ("_read_pv", "_write_pv"))
    yield from {id(pv): pv for pv in pvs if pv is not None}.values()


def not_connected(*devices: Any) -> str:
    """The message for devices that are not connected: which PVs do not answer, or what else lacks.

    A device is connected when its PVs answer, ophyd has asked each for its units and limits, and
    the device itself has got the first values that it wants: ophyd's motor, where it is.
    """
    away = [words for device in devices for words in _away(device)]
    late = [words for device in devices for words in _late(device)]
    if late and not away:
        return (
            f"all PVs answer; still to come: {_few(late)}. ophyd's threads, which ask for that, "
            "are busy; try again, or give connecting a longer timeout"
        )
    shown = _few(away) or ", ".join(device.name for device in devices) or "the device"
    return (
        f"no answer for {shown}; searched {_searched()}. "
        "See whether its IOC runs (the simulator's is `beamline ioc`), or correct the prefix, the "
        "PV or EPICS_CA_ADDR_LIST"
    )


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return ", ".join(words[:3]) + more


def _searched() -> str:
    return " and ".join(searched_places()) or "nowhere"


def searched_places() -> list[str]:
    """Return where Channel Access looks, by its environment: each place with its own port."""
    port = os.environ.get("EPICS_CA_SERVER_PORT") or "5064"
    addresses = [
        address
        for name in ("EPICS_CA_ADDR_LIST", "EPICS_CA_NAME_SERVERS")
        for address in os.environ.get(name, "").replace("localhost", "127.0.0.1").split()
    ]
    places = [address if ":" in address else f"{address}:{port}" for address in addresses]
    if os.environ.get("EPICS_CA_AUTO_ADDR_LIST", "YES").upper() != "NO":
        places.append(f"port {port} of all local networks")
    return places


def _away(device: Any) -> Iterator[str]:
    """PVs that do not answer, and signals of other kinds that are not connected."""
    for name, signal in signals_of(device):
        if signal.connected:
            continue
        pvs = list(_pvs_of(signal))
        yield from (f"{pv.pvname} ({signal.name})" for pv in pvs if not pv.connected)
        if not pvs:
            yield name


def _late(device: Any) -> Iterator[str]:
    """What is still to come though the PVs answer."""
    for _, signal in signals_of(device):
        pvs = list(_pvs_of(signal))
        if pvs and not signal.connected and all(pv.connected for pv in pvs):
            yield f"units and limits of {signal.pvname} ({signal.name})"
    parts = [device, *(part for _, part in getattr(device, "walk_subdevices", tuple)())]
    for part in parts:
        for wanted, description in getattr(part, "_required_for_connection", {}).items():
            components = [component for component, _ in getattr(wanted, "_subscriptions", ())]
            signals = (getattr(part, component.attr) for component in components)
            yield from (f"first value of {each.pvname} ({each.name})" for each in signals)
            if not components:
                yield description.format(device=part)


def use_loopback_by_default(*, networks: bool = False) -> None:
    """Look for PVs on this machine, unless the environment says where else.

    EPICS's own variables go before DEVICE_HOST and DEVICE_PORT, which name one server.
    Has to come before the first PV: EPICS reads its environment once.

    Parameters
    ----------
    networks : bool
        Look on the local networks too, as EPICS does by itself: for a beamline that is there. A
        simulated one could meet a real one of its name, and is looked for on this machine alone.
    """
    if "EPICS_CA_ADDR_LIST" not in os.environ:
        host, port = os.environ.get("DEVICE_HOST"), os.environ.get("DEVICE_PORT")
        address = host or "127.0.0.1"
        os.environ["EPICS_CA_ADDR_LIST"] = f"{address}:{port}" if port else address
        if host or port or not networks:
            os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
