"""Commands on what is measured: journals and files."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ._app import Json, app, say

__all__ = []


class Repeats(StrEnum):
    """What becomes of the sweeps of a spectrum."""

    merged = "merged"
    entries = "entries"
    files = "files"


class Form(StrEnum):
    """What a run can be exported as."""

    nxxas = "nxxas"
    xdi = "xdi"
    csv = "csv"
    parquet = "parquet"


Folder = Annotated[
    Path | None,
    typer.Option(
        help="Data folder of the Tiled server on this machine.",
        show_default="~/.local/share/beamline-ophyd/tiled",
    ),
]
Uri = Annotated[str | None, typer.Option(help="Address of another Tiled server.")]
Journals = Annotated[
    Path | None,
    typer.Option(
        help="Folder of journals.",
        show_default="FOLDER/../journal, and that of the folder that the file lies in",
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="Which data key plays a part, such as energy=mono_energy or i0=I0, and mode=...; "
        "for runs that do not say it.",
    ),
]


Definition = Annotated[
    str,
    typer.Option(help="For NXxas: application definition, such as NXxas_trans or NXxas_tfy."),
]
Sweeps = Annotated[
    Repeats,
    typer.Option(
        help="For NXxas: the sweeps of a spectrum only merged, or each an entry of the file too, "
        "or a file of its own."
    ),
]


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="NeXus file, XDI file, journal, or uid of a run.")],
    to: Annotated[Form, typer.Option(help="Form of the new file.")],
    out: Annotated[
        Path, typer.Option(help="File to write, or folder for one of the usual name.")
    ] = Path(),
    merged: Annotated[
        bool,
        typer.Option(
            "--merged", help="For tables: the spectrum of all sweeps with mu, not every event."
        ),
    ] = False,
    entry: Annotated[
        str | None, typer.Option(help="Entry to take, of a NeXus file with several.")
    ] = None,
    sweep: Annotated[
        int | None, typer.Option(help="Only this sweep of a spectrum, from 1.", min=1)
    ] = None,
    definition: Definition = "NXxas",
    repeats: Sweeps = Repeats.merged,
    role: Roles = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="For XDI: what the run does not say, such as Mono.d_spacing=3.1356.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    folder: Folder = None,
    journals: Journals = None,
    uri: Uri = None,
    as_json: Json = False,
) -> None:
    """Write a run, from a file, its journal or Tiled, as a file of another form."""
    from beamline_ophyd.callbacks._naming import FileNames
    from beamline_ophyd.formats.entries import sweep_path
    from beamline_ophyd.serving.lookup import find_run

    data = find_run(
        run,
        folder=folder,
        journals=journals,
        uri=uri,
        mapping=pairs(role, "--role"),
        entry=entry,
    )
    if sweep is not None:
        data = data.only_sweep(sweep)
    suffix = {"nxxas": ".nxs"}.get(to.value, f".{to.value}")
    path = out
    if out.is_dir():
        path = out / FileNames(suffix=suffix).path(data.run.start)
        path = path if data.sweep is None else sweep_path(path, data.sweep)
    mode = "w" if force else "w-"
    if to is Form.nxxas:
        path = data.to_nexus(path, mode=mode, definition=definition, repeats=repeats.value)
    elif to is Form.xdi:
        path = data.to_xdi(path, mode=mode, metadata=families(metadata))
    elif to is Form.csv:
        path = data.to_csv(path, mode=mode, merged=merged)
    else:
        path = data.to_parquet(path, mode=mode, merged=merged)
    say(f"run {data.uid} is in {path}")
    if as_json:
        typer.echo(json.dumps({"uid": data.uid, "file": str(path)}))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="NeXus file, XDI file, journal, or uid of a run.")],
    out: Annotated[
        Path | None, typer.Option(help="The page to write.", show_default="NAME.html")
    ] = None,
    role: Roles = None,
    folder: Folder = None,
    journals: Journals = None,
    uri: Uri = None,
    as_json: Json = False,
) -> None:
    """Make a page of a run: figures, numbers, metadata, and what to look at twice."""
    from beamline_ophyd.report import findings, write_report
    from beamline_ophyd.serving.lookup import find_run

    data = find_run(run, folder=folder, journals=journals, uri=uri, mapping=pairs(role, "--role"))
    found = findings(data)
    place = out or (Path(run) if Path(run).is_file() else Path(data.uid)).with_suffix(".html")
    write_report(data, place)
    for finding in found:
        say(finding.text)
    say(f"the page of run {data.uid} is {place}")
    if as_json:
        words = {"uid": data.uid, "page": str(place), "findings": [f.text for f in found]}
        typer.echo(json.dumps(words))


def pairs(given: list[str] | None, option: str) -> dict[str, str] | None:
    """Options of the form KEY=VALUE; None where there are none."""
    if not given:
        return None
    found: dict[str, str] = {}
    for item in given:
        key, _, value = item.partition("=")
        if not key or not value:
            raise typer.BadParameter(f"{item!r} is no KEY=VALUE", param_hint=option)
        found[key] = value
    return found


def families(given: list[str] | None) -> dict[str, dict[str, str]]:
    """Options of the form FAMILY.KEY=VALUE as families of XDI."""
    found: dict[str, dict[str, str]] = {}
    for key, value in (pairs(given, "--set") or {}).items():
        family, dot, tag = key.partition(".")
        if not dot:
            raise typer.BadParameter(f"{key!r} is no FAMILY.KEY", param_hint="--set")
        found.setdefault(family, {})[tag] = value
    return found


@app.command()
def replay(
    journal: Annotated[Path, typer.Argument(help="Journal of one or more runs.")],
    folder: Folder = None,
    uri: Uri = None,
    files: Annotated[
        Path | None,
        typer.Option(help="Write the run's NXxas file into this folder, and leave Tiled alone."),
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(help="For files: application definition.", show_default="as settings say"),
    ] = None,
    repeats: Annotated[
        Repeats | None,
        typer.Option(
            help="For files: what becomes of the sweeps of a spectrum.",
            show_default="as settings say",
        ),
    ] = None,
) -> None:
    """Put a journal's runs into Tiled, or a file; what Tiled holds complete is left alone."""
    if files is not None:
        from beamline_ophyd.callbacks.nxxas import rebuild
        from beamline_ophyd.serving import DataFolder
        from beamline_ophyd.settings import read_settings

        kept = read_settings(DataFolder.at(folder).root.parent).files
        options = kept.model_dump(exclude_none=True, exclude={"flush_interval", "mode"})
        options |= {} if definition is None else {"definition": definition}
        options |= {} if repeats is None else {"repeats": repeats.value}
        path = rebuild(journal, files, **options)
        say(f"{path} is written")
        return
    from beamline_ophyd.serving import connect
    from beamline_ophyd.serving.runs import replay as put

    with connect(uri, folder=folder, write=True) as client:
        for uid in put(journal, client):
            say(f"{uid} is in Tiled at {client.uri}")


@app.command()
def prune(
    keep_days: Annotated[
        float | None,
        typer.Option(help="Days for which journals stay.", show_default="as settings say", min=0),
    ] = None,
    keep_gb: Annotated[
        float | None,
        typer.Option(help="GB that all may take.", show_default="as settings say", min=0),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go.")] = False,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file.", show_default="settings.yml beside FOLDER"),
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Remove old journals whose run is whole in its file, and in Tiled where there is one."""
    from beamline_ophyd.callbacks import Journal
    from beamline_ophyd.callbacks.retention import spent_journals, whole_elsewhere
    from beamline_ophyd.serving import DataFolder
    from beamline_ophyd.settings import read_settings

    served = DataFolder.at(folder)
    if (state := served.running()) is not None:
        served = DataFolder.at(served.root, state.get("files"))
    home = served.root.parent
    kept = read_settings(home, settings).journal
    given = {"keep_days": keep_days, "keep_gb": keep_gb}
    limits = kept.model_copy(update={k: v for k, v in given.items() if v is not None}).limits
    if all(limit is None for limit in limits.values()):
        raise typer.BadParameter("no limit is set; give --keep-days or --keep-gb")
    place, complete = kept.place(home), whole_elsewhere(served)
    if dry_run:
        found = list(spent_journals(place.glob("*.jsonl"), complete, **limits))
    else:
        found = Journal(place).prune(complete, **limits)
    for path in found:
        say(f"{path} {'would be' if dry_run else 'is'} removed")
    say(f"{place}: {len(found)} journals {'would go' if dry_run else 'went'}")
    if as_json:
        typer.echo(json.dumps({"folder": str(place), "removed": [str(path) for path in found]}))


@app.command()
def repair(
    file: Annotated[
        Path, typer.Argument(help="NeXus file, also a .part.", exists=True, dir_okay=False)
    ],
    journals: Annotated[
        list[Path] | None,
        typer.Option(
            help="Journal of the run, or folder of journals.", show_default="FOLDER/../journal"
        ),
    ] = None,
    role: Roles = None,
    folder: Folder = None,
    uri: Uri = None,
    as_json: Json = False,
) -> None:
    """Make a damaged or unfinished file whole from its journal, or save what it still holds.

    A whole file in the folder of a Tiled server that runs is made readable there, if it is not.
    Where the file says no more how it was written, settings.yml beside FOLDER does, or --role.
    """
    from beamline_ophyd.formats.validate import validate_file
    from beamline_ophyd.repair import repair_file
    from beamline_ophyd.serving import DataFolder, ServerError
    from beamline_ophyd.serving.errors import RegistrationError
    from beamline_ophyd.settings import read_settings

    # A file in a data folder's `files` has its journals there, whichever folder is the default.
    around = [folder] if folder is not None else [None, file.absolute().parent.parent]
    homes = [DataFolder.at(place).root.parent for place in around]
    settings = [read_settings(home) for home in homes]
    written = [kept.files for kept in reversed(settings)]
    done = repair_file(
        file,
        journals or [kept.journal.place(home) for home, kept in zip(homes, settings, strict=True)],
        mapping=pairs(role, "--role") or next(filter(None, (w.mapping for w in written)), None),
        definition=next(filter(None, (w.definition for w in written)), "NXxas"),
    )
    if done.kept is None:
        say(f"{file}: {'whole' if done.sweeps else 'nothing to repair'}, {done.points} points")
    else:
        named = " and ".join(map(str, done.sources))
        source = f"the journal {named}" if named else "what the file still held"
        say(f"{done.path}: {done.points} points, from {source}; before: {done.kept}")
    for path in done.sweeps:
        say(f"{path}: made again")
    for path in done.lost:
        say(f"lost: {path}")
    problems = [str(problem) for problem in validate_file(done.path)]
    registered: list[str] = []
    if not problems:
        try:
            registered = _register(done.path, around, uri)
        except (ServerError, RegistrationError) as error:
            problems = [str(error)]
    for key in registered:
        say(f"{key}: was not readable in Tiled, and is now")
    for problem in problems:
        say(f"problem: {problem}")
    if as_json:
        said = {"file": str(done.path), "points": done.points, "lost": list(done.lost)}
        said |= {"sweeps": [str(path) for path in done.sweeps], "registered": registered}
        said |= {"journal": str(done.source or ""), "problems": problems}
        typer.echo(json.dumps(said))
    if problems:
        raise typer.Exit(1)


def _register(path: Path, around: Sequence[Path | None], uri: str | None) -> list[str]:
    """Register a file with the Tiled server that is named, or whose folder of files it is in."""
    from beamline_ophyd.serving import DataFolder, connect

    folder = None
    for served in map(DataFolder.at, around if uri is None else ()):
        state = served.running()
        if state and path.resolve().is_relative_to(state.get("files") or served.files):
            folder = served.root
    if uri is None and folder is None:
        return []
    from beamline_ophyd.serving.registering import register_missing

    with connect(uri, folder=folder, write=True) as client:
        return register_missing(client.root, path)


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="NeXus files to check.", exists=True, dir_okay=False)
    ],
    as_json: Json = False,
) -> None:
    """Check NeXus files: definition, lengths, units, times, links, default plot.

    With --json, a line for each file. The exit code is 0 when all are valid.
    """
    from beamline_ophyd.formats.apart import validate_files

    valid = True
    for file, found in zip(files, validate_files(files), strict=True):
        problems = [str(problem) for problem in found]
        valid = valid and not problems
        for problem in problems:
            say(problem)
        say(f"{file}: not valid, problems: {len(problems)}" if problems else f"{file}: valid")
        if as_json:
            typer.echo(json.dumps({"file": str(file), "problems": problems}))
    if not valid:
        raise typer.Exit(1)
