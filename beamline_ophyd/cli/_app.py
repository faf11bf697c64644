"""What all commands share: the program, and words for people."""

from typing import Annotated

import typer

__all__ = ["Json", "Prefix", "app", "say"]

app = typer.Typer(
    help="An X-ray absorption beamline: device server, scans, NXxas files, Tiled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Prefix = Annotated[str, typer.Option(help="Prefix of the beamline's PVs.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def say(text: str) -> None:
    """Tell a person."""
    typer.echo(text, err=True)
