"""The command that opens a session at the keyboard."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import Devices, Prefix, app, say

__all__ = []


@app.command()
def shell(
    prefix: Prefix = "BL02:",
    devices: Devices = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder for journals, files and metadata; its Tiled server is the one of "
            "`beamline tiled --folder FOLDER/tiled`.",
            show_default="~/.local/share/beamline-ophyd",
        ),
    ] = None,
    command: Annotated[
        str | None, typer.Option("-c", help="Run this code and leave, as `python -c` does.")
    ] = None,
) -> None:
    """Open IPython with RE, devices and plans ready."""
    from beamline_ophyd.devices import SIMULATOR, use_loopback_by_default
    from beamline_ophyd.session import start

    logging.getLogger("bluesky").addFilter(_tell_briefly)
    use_loopback_by_default()
    session = start(prefix, folder=folder, devices=devices or SIMULATOR)
    try:
        _interactive(session, command)
    finally:
        paused = session.RE.state == "paused"
        session.close()
        if paused:
            say("the scan that was paused has been aborted, its file and its journal are closed")
        session.release()
        for problem in session.problems():
            say(f"problem: {problem}")


def _tell_briefly(record: logging.LogRecord) -> bool:
    """Drop the traceback of a run that ended early: IPython shows it, an abort has none to show."""
    from bluesky.utils import RequestAbort, RequestStop

    if record.msg == "Run aborted" and record.exc_info:
        asked = isinstance(record.exc_info[1], RequestAbort | RequestStop)
        record.exc_info = None
        return not asked
    return True


def _interactive(session: Any, command: str | None) -> None:
    import IPython
    from traitlets.config import Config

    config = Config()
    names = [*session.beamline, *(["i0", "it", "ir"] if session.chambers is not None else [])]
    config.TerminalInteractiveShell.banner2 = (
        f"Beamline {session.RE.md['Beamline']['name']}: "
        f"RE, {', '.join(names)} and the plans are ready.\n"
        'Try   RE(xafs_scan([i0, it, ir], mono.energy, "Fe-K"))\n'
    )
    arguments = [] if command is None else ["-c", command]
    IPython.start_ipython(argv=arguments, user_ns=session.namespace(), config=config)
