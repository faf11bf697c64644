"""Commands that open a session at the keyboard."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import Devices, Prefix, app, say

__all__ = []


Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder for journals, files and metadata; its Tiled server is the one of "
        "`beamline tiled --folder FOLDER/tiled`.",
        show_default="~/.local/share/beamline-ophyd",
    ),
]
Command = Annotated[
    str | None, typer.Option("-c", help="Run this code and leave, as `python -c` does.")
]
Shared = Annotated[
    bool, typer.Option("--shared", help="Go on though another session is on the beamline.")
]


SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="YAML file: where journals go and how long they stay, how files are written.",
        show_default="settings.yml in FOLDER, where there is one",
    ),
]
Text = Annotated[
    bool, typer.Option("--text", help="Draw spectra in the terminal while they are measured.")
]


@app.command()
def shell(
    prefix: Prefix = "BL02:",
    devices: Devices = None,
    folder: Folder = None,
    shared: Shared = False,
    settings: SettingsFile = None,
    text: Text = False,
    command: Command = None,
) -> None:
    """Open IPython with RE, devices and plans ready."""
    options = {"shared": shared, "settings": settings, "live": "text" if text else True}
    _open(prefix, devices, folder, command, **options)


@app.command()
def up(
    prefix: Prefix = "BL02:",
    devices: Devices = None,
    folder: Folder = None,
    port: Annotated[
        int, typer.Option(help="Port of Tiled; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    speed: Annotated[
        float, typer.Option(help="Times faster than a real beamline.", min=0.001)
    ] = 1.0,
    shared: Shared = False,
    settings: SettingsFile = None,
    text: Text = False,
    command: Command = None,
) -> None:
    """Start device server, Tiled and a session together, and end with it what was started.

    With --devices, for a real beamline, there is no device server to start; a Tiled server that
    runs over FOLDER already, or that BEAMLINE_TILED_URI names, is used, and stays.
    """
    from beamline_ophyd.serving import DataFolder, TiledServer
    from beamline_ophyd.serving.client import URI_VARIABLE, split_key
    from beamline_ophyd.simulator import DEFAULT_PORT, DeviceServer

    with ExitStack() as started:
        if devices is None:
            server = started.enter_context(
                DeviceServer(prefix=prefix, speed=speed, usual_ports=True)
            )
            # Before ophyd is loaded, with which EPICS reads its environment.
            os.environ.update(server.environment)
            where = "" if server.ca_port == DEFAULT_PORT else f"DEVICE_PORT={server.ca_port} "
            say(
                f"the device server serves {prefix}*; in another terminal: "
                f"{where}beamline status --watch"
            )
        place = DataFolder.at(None if folder is None else folder / "tiled")
        if elsewhere := os.environ.get(URI_VARIABLE):
            say(f"Tiled is the one at {split_key(elsewhere)[0]}, as {URI_VARIABLE} says")
        elif (running := place.running()) is None:
            tiled = started.enter_context(TiledServer(place.root, port=port))
            say(f"Tiled serves {place.root} at {tiled.uri}; keys: reader.key and writer.key there")
        else:
            say(f"Tiled serves {place.root} at {running['uri']} already, and stays")
        options = {"shared": shared, "settings": settings, "live": "text" if text else True}
        _open(prefix, devices, folder, command, **options)


def _open(
    prefix: str, devices: Path | None, folder: Path | None, command: str | None, **options: Any
) -> None:
    from beamline_ophyd.devices import SIMULATOR
    from beamline_ophyd.session import CLOSE_TIMEOUT_S, start

    session = start(prefix, folder=folder, devices=devices or SIMULATOR, **options)
    try:
        _interactive(session, command)
    finally:
        paused = session.RE.state == "paused"
        if session.keeper.away:
            say(f"Tiled is away; it has {CLOSE_TIMEOUT_S:.0f} s to come back for what it lacks")
        session.close()
        if paused:
            say("the scan that was paused has been aborted, its file and its journal are closed")
        session.release()
        for problem in session.problems():
            say(f"problem: {problem}")


def _interactive(session: Any, command: str | None) -> None:
    import IPython
    from traitlets.config import Config

    config = Config()
    names = [*session.beamline, *(["i0", "it", "ir"] if session.chambers is not None else [])]
    whole = {"i0", "it", "ir", "mono"} <= set(names)
    example = '[i0, it, ir], mono.energy, "Fe-K"' if whole else '[DETECTORS], ENERGY, "Fe-K"'
    config.TerminalInteractiveShell.banner2 = (
        f"Beamline {session.RE.md['Beamline']['name']}: "
        f"RE, {', '.join(names)} and the plans are ready.\n"
        f"Try   RE(xafs_scan({example}))\n"
    )
    config.InteractiveShellApp.extensions = ["beamline_ophyd.console"]
    arguments = [] if command is None else ["-c", command]
    IPython.start_ipython(argv=arguments, user_ns=session.namespace(), config=config)
