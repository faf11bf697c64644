"""The command that measures a sheet of samples."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import INTERRUPTED, Devices, Json, Prefix, app, say, tell_errors_once

__all__ = []


@app.command()
def queue(
    sheet: Annotated[Path, typer.Argument(help="CSV or XLSX file, one measurement a row.")],
    check: Annotated[
        bool, typer.Option("--check", help="Check every row on the beamline; nothing moves.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Tell what became of the rows; needs no beamline.")
    ] = False,
    rows: Annotated[
        str | None, typer.Option(help='Measure these rows only, done or not: "3 5".')
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure also what is done.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on with the next row when one fails.")
    ] = False,
    presets: Annotated[
        Path | None,
        typer.Option(
            help='File of the presets that the column "regions" names.',
            show_default="BEAMLINE_PRESETS, or those of the package",
        ),
    ] = None,
    suspend: Annotated[
        bool, typer.Option(help="Wait while there is no beam, and go on by itself.")
    ] = True,
    pages: Annotated[
        bool, typer.Option(help="Make a page with figures of every run, beside its file.")
    ] = True,
    proposal: Annotated[
        Path | None, typer.Option(help="File of the proposal, for every run's metadata.")
    ] = None,
    prefix: Prefix = "BL02:",
    devices: Devices = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder for journals, files and metadata.",
            show_default="~/.local/share/beamline-ophyd",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the rows of a sheet in order; the same command goes on after an interruption."""
    from beamline_ophyd.queue_log import QueueLog
    from beamline_ophyd.serving import default_folder
    from beamline_ophyd.sheet import read_sheet

    tell_errors_once()
    found = read_sheet(sheet, presets)
    log = QueueLog.beside(sheet)
    options: dict[str, Any] = {"presets": None if presets is None else str(presets)}
    options |= {"rows": _numbers(rows), "again": again, "keep_going": keep_going}
    code = 0
    if check:
        _check(str(sheet), prefix, devices, options)
        say(_estimate(found, folder or default_folder().parent))
    elif report:
        say(str(log.report(found)))
    else:
        try:
            around = {"folder": folder, "suspend": suspend, "proposal": proposal, "report": pages}
            code = _run(str(sheet), prefix, devices, around, options)
        finally:
            say(str(log.report(found)))
    if as_json:
        typer.echo(json.dumps(log.report(found).to_dict()))
    if code:
        raise typer.Exit(code)


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise typer.BadParameter(f'{text!r} has no numbers of rows; write "3 5"') from None


def _plan(sheet: str, beamline: Any, **options: Any) -> Any:
    """The queue with the devices that a beamline's file calls by the session's names."""
    from beamline_ophyd.plans import sample_queue

    chambers, mono = beamline["chambers"], beamline["mono"]
    detectors = [chambers.i0, chambers.it, chambers.ir, *beamline.labelled("fluorescence")]
    return sample_queue(sheet, detectors, mono.energy, stage=beamline.get("stage"), **options)


def _check(sheet: str, prefix: str, devices: Path | None, options: dict[str, Any]) -> None:
    from bluesky import RunEngine

    from beamline_ophyd.devices import SIMULATOR, load_beamline, use_loopback_by_default

    use_loopback_by_default(networks=devices is not None)
    engine = RunEngine({})
    beamline = load_beamline(devices or SIMULATOR, P=prefix)
    try:
        beamline.connect()
        engine(_plan(sheet, beamline, check_only=True, **options))
    finally:
        beamline.disconnect()
        engine.loop.call_soon_threadsafe(engine.loop.stop)


def _run(
    sheet: str,
    prefix: str,
    devices: Path | None,
    around: dict[str, Any],
    options: dict[str, Any],
) -> int:
    from bluesky.utils import RunEngineInterrupted

    from beamline_ophyd.devices import SIMULATOR
    from beamline_ophyd.session import start

    session = start(prefix, devices=devices or SIMULATOR, **around)
    try:
        plan = _plan(sheet, session.beamline, journals=str(session.journal.folder), **options)
        session.RE(plan)
    except RunEngineInterrupted:
        session.abort_paused("interrupted at the keyboard")
        say("interrupted; the same command goes on where it stopped")
        return INTERRUPTED
    finally:
        session.wait()
        session.close()
        session.release()
        for problem in session.problems():
            say(f"problem: {problem}")
    return 1 if session.problems() else 0


def _estimate(sheet: Any, home: Path) -> str:
    """What each row takes, learnt from past runs."""
    from beamline_ophyd.plans import preview_grid
    from beamline_ophyd.timing import Timing, in_words, load_timing

    timing = load_timing(home / "timing.json", "mono_energy", Timing())
    lines, total = [], 0.0
    for row in sheet.rows:
        shown = preview_grid(
            row.grid, repeats=row.repeats, settle_time=row.settle_time, timing=timing
        )
        total += 0.0 if row.skip else shown.seconds
        what = "skipped" if row.skip else f"{shown.points} points, about {in_words(shown.seconds)}"
        lines.append(f"row {row.number}: {row.sample}, {row.edge}, {row.regions}: {what}")
    return "\n".join([*lines, f"every row can be measured, all in about {in_words(total)}"])
