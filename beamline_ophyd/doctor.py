"""What is installed, reachable and writable, and what to do where something is not."""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from beamline_ophyd.callbacks.live_view import has_display
from beamline_ophyd.serving import Connection, DataFolder, ServerError, connect
from beamline_ophyd.serving.client import KEY_VARIABLE, URI_VARIABLE
from beamline_ophyd.serving.folder import FILES_VARIABLE
from beamline_ophyd.settings import FILE_NAME, SettingsError, read_settings
from beamline_ophyd.simulator import DeviceServerError, executable

__all__ = ["Finding", "examine"]

DISTRIBUTION = "beamline-ophyd"

# A day of scans with a detector of moderate size; and what the writers refuse to begin a run with.
ROOM_WARNING_BYTES = 10_000_000_000
ROOM_PROBLEM_BYTES = 1_000_000_000

_OPTIONAL = {
    "bluesky-queueserver": "for plans from a queue: pip install bluesky-queueserver",
    "ophyd-async": "for devices of ophyd-async: pip install 'ophyd-async[ca]'",
    "p4p": "for PVAccess: pip install p4p",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        The thing, such as "room for data".
    state : {"ok", "warning", "problem"}
        A warning leaves the beamline usable.
    found : str
        How it is.
    remedy : str
        What to do; empty when all is well.
    """

    what: str
    state: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""


def examine(folder: str | Path | None = None) -> Iterator[Finding]:
    """Look at everything but the devices, one finding at a time.

    Parameters
    ----------
    folder : path, optional
        Folder of the session, as for :func:`beamline_ophyd.session.start`.
    """
    elsewhere = os.environ.get(URI_VARIABLE)
    files = os.environ.get(FILES_VARIABLE) if elsewhere else None
    served = DataFolder.at(None if folder is None else Path(folder) / "tiled", files)
    yield Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _packages()
    yield from _optional_packages()
    yield _device_server()
    for what, place in {
        "folder for data": served.root.parent,
        "folder for files": served.files,
    }.items():
        yield _writable(what, place)
    yield _room(served.root.parent)
    yield _settings(served.root.parent)
    yield from _keys(served)
    yield _tiled_elsewhere(elsewhere) if elsewhere else _tiled(served)
    yield _display()


def _packages() -> Finding:
    """Every package that this one requires, in a version that it allows."""
    versions, wrong = [], []
    for text in importlib.metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        versions.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, required is {requirement.specifier}")
    own = f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}"
    if wrong:
        remedy = f"pip install --upgrade {DISTRIBUTION}"
        return Finding("packages", "problem", f"{own}: {'; '.join(wrong)}", remedy)
    return Finding("packages", "ok", ", ".join([own, *versions]))


def _optional_packages() -> Iterator[Finding]:
    for name, remedy in _OPTIONAL.items():
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "ok", "not installed", f"only where it is wanted, {remedy}")


def _device_server() -> Finding:
    try:
        return Finding("device server", "ok", str(executable()))
    except DeviceServerError as error:
        return Finding(
            "device server",
            "warning",
            str(error),
            f"only for the simulated beamline: pip install --force-reinstall {DISTRIBUTION}",
        )


def _writable(what: str, place: Path) -> Finding:
    """Try it, since permissions alone do not tell of a disk that is mounted read-only."""
    there = _nearest(place)
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-"):
            pass
    except OSError as error:
        return Finding(
            what,
            "problem",
            f"{place} cannot be written: {error.strerror} ({there})",
            f"make {there} writable for {_user()}, or name another with --folder",
        )
    return Finding(what, "ok", str(place) if there == place else f"{place}, to be made")


def _room(place: Path) -> Finding:
    room = shutil.disk_usage(_nearest(place))
    found = f"{room.free / 1e9:.1f} GB of {room.total / 1e9:.1f} GB are free at {place}"
    remedy = "make room, or name a folder on another disk with --folder"
    if room.free < ROOM_PROBLEM_BYTES:
        return Finding("room for data", "problem", found, remedy)
    if room.free < ROOM_WARNING_BYTES:
        return Finding("room for data", "warning", found, remedy)
    return Finding("room for data", "ok", found)


def _settings(home: Path) -> Finding:
    """Whether a session would take its settings."""
    file = home / FILE_NAME
    try:
        read_settings(home)
    except SettingsError as error:
        return Finding("settings", "problem", str(error), f"mend {file}, or move it away")
    return Finding("settings", "ok", str(file) if file.exists() else f"all defaults, no {file}")


def _keys(served: DataFolder) -> Iterator[Finding]:
    """Whether others can read what opens the server for writing."""
    for path in (served.root / "writer.key", served.config / "20-authentication.yml"):
        if path.exists() and (mode := path.stat().st_mode & 0o777) & 0o077:
            yield Finding(
                "Tiled's keys",
                "problem",
                f"{path} has mode {mode:04o}, so that others can read it",
                f"chmod 600 {path}",
            )


def _tiled(served: DataFolder) -> Finding:
    if served.running() is None:
        return Finding(
            "Tiled",
            "warning",
            f"no server runs over {served.root}: runs go to journals and files only",
            f"beamline tiled --folder {served.root}",
        )
    try:
        with connect(folder=served.root) as client:
            return _well(client)
    except (ServerError, KeyError) as error:
        return Finding(
            "Tiled", "problem", str(error), f"stop it and start it again; see {served.log}"
        )


def _tiled_elsewhere(uri: str) -> Finding:
    """The server that the environment names."""
    try:
        with connect(uri, write=True) as client:
            return _well(client)
    except (ServerError, KeyError) as error:
        remedy = f"see whether it runs, or correct {URI_VARIABLE} and {KEY_VARIABLE}"
        return Finding("Tiled", "problem", str(error), remedy)


def _well(client: Connection) -> Finding:
    version = client.root.context.server_info.library_version
    runs = len(client.runs)
    return Finding("Tiled", "ok", f"version {version} at {client.uri}, with {runs} runs")


def _display() -> Finding:
    if has_display():
        return Finding("display", "ok", "plots are shown while a scan runs")
    return Finding(
        "display",
        "ok",
        "none: a scan shows a table and no plots",
        "for plots, set DISPLAY (ssh -X) or work in Jupyter",
    )


def _nearest(place: Path) -> Path:
    """The folder itself, or the one in which it would be made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _user() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"
