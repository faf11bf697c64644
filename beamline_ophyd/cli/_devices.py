"""Commands that look at the beamline: what is connected, and what it does."""

import dataclasses
import json
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._app import INTERRUPTED, Devices, Json, Prefix, app, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beamline_ophyd.devices import Beamline, Connection, Reading

__all__ = ["connected_beamline", "remedy"]

Timeout = Annotated[float, typer.Option(help="Seconds to wait for the PVs.", min=0.0)]

SHOWN = 3  # missing PVs in the words for people
REMEDY = "start the device server with `beamline ioc`, or correct --prefix or EPICS_CA_ADDR_LIST"
REMEDY_IN_FILE = "see whether their IOCs run, or correct the PVs in {} or EPICS_CA_ADDR_LIST"
CLEAR = "\x1b[H\x1b[2J"


@app.command()
def devices(
    prefix: Prefix = "BL02:",
    file: Devices = None,
    timeout: Timeout = 5.0,
    as_json: Json = False,
) -> None:
    """List the beamline's devices: which are connected, and which PVs are missing.

    The exit code is 0 when all that are not optional are connected.
    """
    from beamline_ophyd.devices import connections

    with connected_beamline(prefix, file) as beamline:
        found = connections(beamline, timeout)
    width = max((len(c.device) for c in found), default=0)
    for connection in found:
        say(f"{connection.device:<{width}}  {connection.kind:<20}  {_state(connection)}")
    missing = [c for c in found if not c.connected and not c.optional]
    say(f"{sum(c.connected for c in found)} of {len(found)} devices are connected")
    if missing:
        say(remedy(file))
    if as_json:
        rows = [dataclasses.asdict(c) | {"connected": c.connected} for c in found]
        typer.echo(json.dumps(rows))
    if missing:
        raise typer.Exit(1)


@app.command()
def status(
    prefix: Prefix = "BL02:",
    file: Devices = None,
    timeout: Timeout = 5.0,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05)] = 1.0,
    as_json: Json = False,
) -> None:
    """Show what the beamline reads: positions, counts, shutter, alarms.

    The exit code is 0 when all devices that are not optional are connected.
    """
    from beamline_ophyd.devices import connections

    with connected_beamline(prefix, file) as beamline, _interrupted() as interrupted:
        found = connections(beamline, timeout)
        while True:
            away = [c.device for c in found if not c.connected]
            if not watch or not any(c.connected for c in found):
                break
            _show(beamline, away, as_json=as_json, clear=True)
            if interrupted.wait(every):
                raise typer.Exit(INTERRUPTED)
            found = connections(beamline, 0.0)
        _show(beamline, away, as_json=as_json, clear=False)
    if any(not c.connected and not c.optional for c in found):
        say(remedy(file))
        raise typer.Exit(1)


def remedy(file: Path | None) -> str:
    """What to do about devices that do not answer."""
    return REMEDY if file is None else REMEDY_IN_FILE.format(file)


@contextmanager
def _interrupted() -> "Iterator[threading.Event]":
    """Set at Ctrl-C; a second one interrupts at once.

    The exception that Ctrl-C raises may hit a callback of Channel Access, where it is lost.
    """
    interrupted = threading.Event()

    def note(number: int, frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def connected_beamline(prefix: str, file: Path | None) -> "Iterator[Beamline]":
    from bluesky import RunEngine

    from beamline_ophyd.devices import SIMULATOR, load_beamline, use_loopback_by_default

    use_loopback_by_default(networks=file is not None)
    beamline = load_beamline(file or SIMULATOR, P=prefix)
    engine = RunEngine({}, context_managers=[])  # its event loop serves devices of ophyd-async
    try:
        yield beamline
    finally:
        beamline.disconnect()
        engine.loop.call_soon_threadsafe(engine.loop.stop)


def _state(connection: "Connection") -> str:
    if connection.connected:
        return f"connected, {connection.signals} PVs"
    shown = ", ".join(connection.missing[:SHOWN])
    if (more := len(connection.missing) - SHOWN) > 0:
        shown += f" and {more} more"
    optional = ", and is optional" if connection.optional else ""
    return f"NOT CONNECTED{optional}: no answer for {shown}"


def _show(beamline: "Beamline", away: list[str], *, as_json: bool, clear: bool) -> None:
    from beamline_ophyd.devices import readings

    found = readings(beamline, [name for name in beamline if name not in away])
    if as_json:
        rows = [dataclasses.asdict(r) for r in found]
        typer.echo(json.dumps({"not_connected": away, "readings": rows}, default=_plain))
        return
    wide = max(map(len, beamline), default=0)
    lines = [*_lines(found, wide), *(f"{name:<{wide}} NOT CONNECTED" for name in away)]
    head = time.strftime("%Y-%m-%d %H:%M:%S")
    start = CLEAR if clear and sys.stderr.isatty() else ""
    say(start + "\n".join([head, *lines]))


def _lines(found: "list[Reading]", widest_name: int) -> "Iterator[str]":
    wide = max((len(r.key) for r in found), default=0)
    device = ""
    for reading in found:
        first = reading.device if reading.device != device else ""
        device = reading.device
        end = "  ".join(word for word in (reading.note, reading.alarm) if word)
        names = f"{first:<{widest_name}} {reading.key:<{wide}}"
        row = f"{names} {reading.text:>14} {reading.units:<9} {end}"
        yield row.rstrip()


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else str(value)  # pyright: ignore
