"""Commands on what is going to be measured."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ._app import (
    Bounds,
    Edge,
    Json,
    Repeats,
    Steps,
    Times,
    app,
    number_or_word,
    numbers_or_words,
    say,
)

__all__ = []


@app.command()
def preview(
    edge: Edge,
    bounds: Bounds = None,
    steps: Steps = None,
    times: Times = None,
    repeats: Repeats = 1,
    settle_time: Annotated[float, typer.Option(help="Seconds before each count.", min=0)] = 0.0,
    axis: Annotated[
        str, typer.Option(help="Name of the energy axis whose past runs are looked up.")
    ] = "mono_energy",
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the session, for what past runs took.",
            show_default="~/.local/share/beamline-ophyd",
        ),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the grid into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show a scan's regions, points and dwell times, and about how long it takes."""
    from beamline_ophyd.grid import energy_grid
    from beamline_ophyd.plans import preview_grid
    from beamline_ophyd.serving import default_folder
    from beamline_ophyd.timing import Timing, load_timing

    grid = energy_grid(
        number_or_word(edge),
        bounds=numbers_or_words(bounds),
        steps=numbers_or_words(steps),
        times=numbers_or_words(times),
    )
    home = folder or default_folder().parent
    timing = load_timing(home / "timing.json", axis, Timing())
    shown = preview_grid(grid, repeats=repeats, settle_time=settle_time, timing=timing)
    say(str(shown))
    if png is not None:
        shown.save_png(png)
        say(f"drawn into {png}")
    if as_json:
        typer.echo(json.dumps(shown.to_dict()))
