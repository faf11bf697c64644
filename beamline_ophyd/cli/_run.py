"""Commands that run the parts: demo, device server, Tiled."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ._app import Json, app, say, tell_errors_once

__all__ = []


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

    tell_errors_once()
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


Folder = Annotated[
    Path | None,
    typer.Option(
        help="Data folder of the server.", show_default="~/.local/share/beamline-ophyd/tiled"
    ),
]
FilesFolder = Annotated[
    Path | None, typer.Option(help="Folder of NXxas files to serve.", show_default="FOLDER/files")
]

tiled_app = typer.Typer(invoke_without_command=True)
app.add_typer(tiled_app, name="tiled")


@tiled_app.callback()
def tiled(
    context: typer.Context,
    folder: Folder = None,
    files: FilesFolder = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file, such as docs/examples/facility/tiled.yml.",
            show_default="FOLDER/config/10-server.yml",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of this server among several that share FOLDER and --config."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    public: Annotated[
        bool, typer.Option("--public", help="Allow an address that others can reach.")
    ] = False,
) -> None:
    """Serve runs and files with Tiled until Ctrl-C; or copy all that a server holds."""
    if context.invoked_subcommand is not None:
        return
    from beamline_ophyd.serving import TiledServer, serve_forever

    def ready(server: TiledServer) -> None:
        say(f"Tiled serves {server.folder.root} at {server.uri}")
        say(f"keys: {server.folder.root}/reader.key and writer.key; Ctrl-C ends it")

    serve_forever(
        folder,
        files=files,
        config=config,
        name=name,
        host=host,
        port=port,
        public=public,
        on_ready=ready,
    )


@tiled_app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="New file to write; it will hold the keys.")],
    folder: Folder = None,
    files: FilesFolder = None,
) -> None:
    """Copy catalogue, files and keys of a server that is stopped into one private file."""
    from beamline_ophyd.serving import DataFolder
    from beamline_ophyd.serving.backup import backup as write

    written = write(DataFolder.at(folder, files), file)
    say(f"{written}, {written.stat().st_size / 1e6:.1f} MB; keep it private: the keys are in it")


@tiled_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `beamline tiled backup` wrote.")],
    folder: Folder = None,
    files: FilesFolder = None,
) -> None:
    """Unpack a backup into folders that are not there yet, here or on another machine."""
    from beamline_ophyd.serving import DataFolder
    from beamline_ophyd.serving.backup import restore as unpack

    place = DataFolder.at(folder, files)
    unpack(file, place)
    say(f"{place.root} is as it was; `beamline tiled --folder {place.root}` serves it")
