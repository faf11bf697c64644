"""What all commands share: the program, and words for people."""

import logging
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "INTERRUPTED",
    "Bounds",
    "Devices",
    "Edge",
    "Json",
    "Prefix",
    "Repeats",
    "Steps",
    "Times",
    "app",
    "number_or_word",
    "numbers_or_words",
    "say",
    "tell_errors_once",
]

app = typer.Typer(
    help="An X-ray absorption beamline: device server, scans, NXxas files, Tiled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130  # what typer makes of Ctrl-C

Prefix = Annotated[str, typer.Option(help="Prefix of the beamline's PVs.")]
Devices = Annotated[
    Path | None,
    typer.Option(
        "--devices", help="YAML file of the beamline's devices.", show_default="the simulator's"
    ),
]
Edge = Annotated[str, typer.Argument(help='"Fe-K", "Pb-L3", or E0 in eV.')]
Bounds = Annotated[str | None, typer.Option(help='Such as "-200 -30 15 14k"; with --steps.')]
Steps = Annotated[str | None, typer.Option(help='Such as "10 0.5 0.05k".')]
Times = Annotated[str | None, typer.Option(help='Dwell times, such as "0.5 0.5 0.25k".')]
Repeats = Annotated[int, typer.Option(help="Sweeps.", min=1)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def say(text: str) -> None:
    """Tell a person."""
    typer.echo(text, err=True)


def tell_errors_once() -> None:
    """Keep bluesky from logging what ends a run: it is the program's last line."""
    logging.getLogger("bluesky").addFilter(_is_no_end_of_a_run)


def _is_no_end_of_a_run(record: logging.LogRecord) -> bool:
    # bluesky closes the trace of a run once more when the run is aborted.
    return record.msg not in ("Run aborted", "No open traces left to close!")


def number_or_word(text: str) -> float | str:
    """Read an energy or a bound: a number, or a word such as "Fe-K" or "12k"."""
    try:
        return float(text)
    except ValueError:
        return text


def numbers_or_words(text: str | None) -> list[float | str] | None:
    """Read a list of them, between blanks or commas; None for None."""
    if text is None:
        return None
    return [number_or_word(word) for word in text.replace(",", " ").split()]
