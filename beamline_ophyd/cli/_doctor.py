"""The command that says what is wrong with an installation, and what to do."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._app import Devices, Json, Prefix, app, say
from ._devices import connected_beamline, remedy

if TYPE_CHECKING:
    from beamline_ophyd.doctor import Finding

__all__ = []

_SHOWN = 3

_MARKS = {"ok": "  ok     ", "warning": "  WARNING", "problem": "  PROBLEM"}


@app.command()
def doctor(
    prefix: Prefix = "BL02:",
    file: Devices = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the session: journals, files, metadata and Tiled.",
            show_default="~/.local/share/beamline-ophyd",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for PVs.", min=0.1)] = 3.0,
    as_json: Json = False,
) -> None:
    """Look at what is installed, reachable and writable, with a remedy for what is not.

    The exit code is 0 when nothing is in the way of a scan.
    """
    from beamline_ophyd.doctor import examine

    findings = []
    for finding in (*examine(folder), _devices(prefix, file, timeout)):
        findings.append(finding)
        say(f"{_MARKS[finding.state]}  {finding.what}: {finding.found}")
        if finding.remedy:
            say(f"             -> {finding.remedy}")
    problems = sum(finding.state == "problem" for finding in findings)
    say(f"{problems} problems in {len(findings)} findings")
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings]))
    if problems:
        raise typer.Exit(1)


def _devices(prefix: str, file: Path | None, timeout: float) -> "Finding":
    from beamline_ophyd.devices import connections
    from beamline_ophyd.doctor import Finding

    with connected_beamline(prefix, file) as beamline:
        found = connections(beamline, timeout)
    away = [c for c in found if not c.connected and not c.optional]
    whose = file or prefix
    if not away:
        return Finding("devices", "ok", f"{len(found)} answer for {whose}")
    names = ", ".join(c.device for c in away[:_SHOWN])
    more = f" and {len(away) - _SHOWN} more" if len(away) > _SHOWN else ""
    return Finding(
        "devices",
        "problem",
        f"{len(away)} of {len(found)} do not answer for {whose}: {names}{more}",
        f"{remedy(file)}; `beamline devices` names every PV",
    )
