"""Commands on what is measured: journals and files."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ._app import Json, app, say

__all__ = []


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
