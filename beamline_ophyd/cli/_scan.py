"""The command that measures one spectrum and ends: for scripts, queues and containers."""

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import (
    Bounds,
    Devices,
    Edge,
    Json,
    Prefix,
    Repeats,
    Steps,
    Times,
    app,
    number_or_word,
    numbers_or_words,
    say,
    tell_errors_once,
)

__all__ = []


@app.command()
def scan(
    edge: Edge,
    sample: Annotated[
        str | None, typer.Option(help="Place of the stage to move to before.")
    ] = None,
    bounds: Bounds = None,
    steps: Steps = None,
    times: Times = None,
    repeats: Repeats = 1,
    resume: Annotated[
        str | None,
        typer.Option(help="Measure what this run lacks: its uid or a part of it, or its file."),
    ] = None,
    detectors: Annotated[
        str, typer.Option(help="Names of what is counted and read at every point.")
    ] = "i0 it ir",
    prefix: Prefix = "BL02:",
    devices: Devices = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder for journals and metadata.",
            envvar="BEAMLINE_FOLDER",
            show_default="~/.local/share/beamline-ophyd",
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            help="Folder of NXxas files.",
            envvar="BEAMLINE_FILES_FOLDER",
            show_default="the one that the Tiled server of FOLDER serves",
        ),
    ] = None,
    tiled: Annotated[
        str | None,
        typer.Option(
            help="Address of a Tiled server; its key is in TILED_API_KEY, in a URI with "
            "?api_key=, or in the server's folder that BEAMLINE_TILED_FOLDER names.",
            envvar="BEAMLINE_TILED_URI",
            show_default="the one that runs over FOLDER",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure one absorption spectrum, without questions, and exit 0 only if all of it is kept.

    The same session as `beamline shell`. Where the EPICS environment does not say where PVs are,
    DEVICE_HOST and DEVICE_PORT do. Ctrl-C ends the scan after its point; --resume goes on with it.
    """
    from bluesky import plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted

    from beamline_ophyd.devices import SIMULATOR
    from beamline_ophyd.plans import xafs_scan
    from beamline_ophyd.session import start

    tell_errors_once()
    session = start(
        prefix,
        devices=devices or SIMULATOR,
        folder=folder,
        files=files,
        tiled=tiled,
    )
    uids: list[str] = []
    session.RE.subscribe(lambda _, document: uids.append(document["uid"]), "start")
    measured = kept = False
    began = time.monotonic()
    try:
        counted = _known(_readables(session), detectors.split(), "--detectors")
        if sample is not None:
            _known(session.stage.places, [sample], "--sample")
        earlier = None
        if resume is not None:
            earlier = resume if Path(resume).is_file() else session.recorded(resume)

        def measure() -> Any:
            if sample is not None:
                yield from bps.mv(session.stage, sample)
                yield from bps.checkpoint()  # where Ctrl-C during the move takes effect
            yield from xafs_scan(
                counted,
                session.mono.energy,
                number_or_word(edge),
                bounds=numbers_or_words(bounds),
                steps=numbers_or_words(steps),
                times=numbers_or_words(times),
                repeats=repeats,
                resume=earlier,
            )

        try:
            session.RE(measure())
        except RunEngineInterrupted:
            raise KeyboardInterrupt from None
        measured = True
        kept = session.wait()
    finally:
        session.close()
        session.release()
        if uids and not measured:
            again = shlex.join(["beamline", "scan", edge, "--resume", uids[0]])
            say(f"the run {uids[0]} is not complete; `{again}` measures what it lacks")
        problems = session.problems()
        for problem in problems:
            say(f"problem: {problem}")
    uid = uids[0]
    file = session.files.get(uid)
    say(f"run {uid} in {file}, {time.monotonic() - began:.1f} s")
    if as_json:
        typer.echo(json.dumps({"uid": uid, "file": str(file), "problems": problems}))
    if not kept or problems or file is None:
        raise typer.Exit(1)


def _known(known: Mapping[str, Any], wanted: list[str], option: str) -> list[Any]:
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(
            f"{option}: the beamline has no {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    return [known[name] for name in wanted]


def _readables(session: Any) -> dict[str, Any]:
    chambers = (
        {} if session.chambers is None else {n: getattr(session, n) for n in ("i0", "it", "ir")}
    )
    return {name: session.beamline[name] for name in session.beamline} | chambers
