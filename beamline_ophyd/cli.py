"""The command line: ``beamline COMMAND``.

Words for people go to stderr, output for programs (``--json``) to stdout; the exit code is
0 only for success.
"""

import json
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app", "main"]

app = typer.Typer(
    help="An X-ray absorption beamline: device server, scans, NXxas files, Tiled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130  # what typer makes of Ctrl-C

Prefix = Annotated[str, typer.Option(help="Prefix of the beamline's PVs.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def say(text: str) -> None:
    """Tell a person."""
    typer.echo(text, err=True)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(version("beamline-ophyd"))
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Take the options of no command."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "demo_output"
    ),
    edge: Annotated[
        str, typer.Option(help="Absorption edge to scan, such as Cu-K or Pb-L3.")
    ] = "Fe-K",
    sample: Annotated[
        Path | None,
        typer.Option(
            help="XDI file to put on the sample holder.", show_default="the foil of the element"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the counting noise.", show_default="20260")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Times faster than a real beamline.", show_default="1000")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the whole chain once: simulated beamline, XAFS scan, NXxas file, Tiled, picture."""
    from beamline_ophyd.demo import run_demo

    # An interrupted or failed scan is told in one line at the end, not in bluesky's traceback.
    logging.getLogger("bluesky").setLevel(logging.CRITICAL)
    options = {k: v for k, v in {"seed": seed, "speed": speed}.items() if v is not None}
    summary = run_demo(out, edge=edge, sample=sample, say=say, **options)
    say(str(summary))
    if as_json:
        typer.echo(json.dumps(summary.to_dict()))
    if summary.problems:
        raise typer.Exit(1)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def ioc(context: typer.Context) -> None:
    """Run the device server until Ctrl-C; `beamline ioc --help` shows its options."""
    from beamline_ophyd.simulator import executable

    program = str(executable())
    os.execv(program, [program, *context.args])


@app.command()
def tiled(
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of the server.", show_default="~/.local/share/beamline-ophyd/tiled"
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(help="Folder of NXxas files to serve.", show_default="FOLDER/files"),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    public: Annotated[
        bool, typer.Option("--public", help="Allow an address that others can reach.")
    ] = False,
) -> None:
    """Serve runs and files with Tiled until Ctrl-C."""
    from beamline_ophyd.serving import TiledServer, serve_forever

    def ready(server: TiledServer) -> None:
        say(f"Tiled serves {server.folder.root} at {server.uri}")
        say(f"keys: {server.folder.root}/reader.key and writer.key; Ctrl-C ends it")

    serve_forever(folder, files=files, host=host, port=port, public=public, on_ready=ready)


@app.command()
def shell(
    prefix: Prefix = "BL02:",
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
    from beamline_ophyd.session import start, use_loopback_by_default

    logging.getLogger("bluesky").addFilter(_tell_briefly)
    use_loopback_by_default()
    session = start(prefix, folder=folder)
    try:
        _interactive(session, prefix, command)
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


def _interactive(session: Any, prefix: str, command: str | None) -> None:
    import IPython
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.banner2 = (
        f"Beamline {prefix.rstrip(':')}: "
        "RE, mono, i0, it, ir, shutter, stage, ring and the plans are ready.\n"
        'Try   RE(xafs_scan([i0, it, ir], mono.energy, "Fe-K"))\n'
    )
    arguments = [] if command is None else ["-c", command]
    IPython.start_ipython(argv=arguments, user_ns=session.namespace(), config=config)


@app.command()
def replay(
    journal: Annotated[Path, typer.Argument(help="Journal of one or more runs.")],
    folder: Annotated[
        Path | None, typer.Option(help="Data folder of the Tiled server on this machine.")
    ] = None,
    uri: Annotated[str | None, typer.Option(help="Address of another Tiled server.")] = None,
) -> None:
    """Put a journal's runs into Tiled; what Tiled holds complete already is left alone."""
    from beamline_ophyd.serving import connect
    from beamline_ophyd.serving.runs import replay as put

    with connect(uri, folder=folder, write=True) as client:
        for uid in put(journal, client):
            say(f"{uid} is in Tiled at {client.uri}")


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="NXxas file to check.", exists=True, dir_okay=False)],
    as_json: Json = False,
) -> None:
    """Check a NeXus file: definition, lengths, units, times, links, default plot."""
    from beamline_ophyd.formats.validate import validate_file

    problems = [str(problem) for problem in validate_file(file)]
    for problem in problems:
        say(problem)
    say(f"{file}: not valid, problems: {len(problems)}" if problems else f"{file}: valid")
    if as_json:
        typer.echo(json.dumps({"file": str(file), "problems": problems}))
    if problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an expected error is one line, not a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("interrupted")
        raise
    except Exception as error:
        if os.environ.get("BEAMLINE_TRACEBACK"):
            raise
        say(f"{type(error).__name__}: {error}")
        sys.exit(1)
