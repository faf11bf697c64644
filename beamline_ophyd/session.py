"""The session a user gets: RunEngine, devices, callbacks and plans, wired together.

    from beamline_ophyd.session import start
    session = start()
    session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K"))

The same in IPython, Jupyter and scripts. Nothing connects before :func:`start`.
"""

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bluesky import RunEngine

from beamline_ophyd import plans
from beamline_ophyd.callbacks import (
    Journal,
    Keeper,
    LiveView,
    ScanProgress,
    ScanSummary,
    TimingMemory,
)
from beamline_ophyd.callbacks.retention import JournalPruning, whole_elsewhere
from beamline_ophyd.console import tell_errors_briefly
from beamline_ophyd.devices import (
    SIMULATOR,
    Beamline,
    BeamlineConnectionError,
    BeamlineFileError,
    load_beamline,
    searched_places,
    use_loopback_by_default,
)
from beamline_ophyd.formats.journal import unfinished_run
from beamline_ophyd.formats.problems import make_writable
from beamline_ophyd.occupancy import BeamlineBusyError, Occupancy
from beamline_ophyd.serving import DataFolder
from beamline_ophyd.serving.client import URI_VARIABLE
from beamline_ophyd.serving.folder import FILES_VARIABLE
from beamline_ophyd.settings import Settings, read_settings
from beamline_ophyd.wiring import (
    check_names,
    chosen_wrappers,
    live_views,
    named_server,
    persistent_metadata,
    plan_wrappers,
    prompt_names,
    running_server,
)

__all__ = ["Session", "start"]

logger = logging.getLogger("bluesky.beamline_ophyd")

SIMULATED_MD = {
    "is_experimental": False,
    "Facility": {"name": "beamline-ophyd simulator", "xray_source": "simulated undulator"},
}

SIMULATION = "simulation"  # the device whose presence says that data are simulated

CLOSE_TIMEOUT_S = 20.0


def _part(name: str, what: str) -> Any:
    return property(lambda self: self.beamline.get(name), doc=f"{what}; None where there is none.")


@dataclass(frozen=True)
class Session:
    """A RunEngine with the beamline's devices and the callbacks that keep its data.

    Attributes
    ----------
    RE : bluesky.RunEngine
        With persistent metadata, so that scan_id goes on counting.
    beamline : Beamline
        All devices, by name and by label: ``session.beamline["mono"]``.
    journal : Journal
        Has every document of every run.
    keeper : Keeper
        Writes files and pages, publishes to Tiled and reduces the scan that goes on, in a process
        of its own: ``session.keeper.published``, ``session.keeper.state``.
    pruning : JournalPruning
        Removes old journals, where the settings say when: ``session.pruning.removed``.
    """

    RE: RunEngine
    beamline: Beamline
    journal: Journal
    keeper: Keeper
    held: Sequence[Occupancy] = ()
    pruning: JournalPruning | None = None

    mono = _part("mono", "The monochromator")
    chambers = _part("chambers", "The ion chambers on their scaler")
    shutter = _part("shutter", "The photon shutter, opened for every run")
    stage = _part("stage", "The sample stage")
    ring = _part("ring", "The storage ring")
    simulation = _part("simulation", "Control of the simulation")

    @property
    def devices(self) -> list[Any]:
        """All devices of the session."""
        return self.beamline.devices

    @property
    def i0(self) -> Any:
        """The incident-beam chamber."""
        return self.chambers.i0

    @property
    def it(self) -> Any:
        """The chamber behind the sample."""
        return self.chambers.it

    @property
    def ir(self) -> Any:
        """The chamber behind the reference foil."""
        return self.chambers.ir

    @property
    def files(self) -> dict[str, Path]:
        """The finished file of each run, by its uid."""
        return self.keeper.files

    def namespace(self) -> dict[str, Any]:
        """Names for an interactive session: RE, the devices, the plans."""
        names = {"session": self, "RE": self.RE} | prompt_names(self.beamline)
        return names | {name: self.beamline[name] for name in self.beamline}

    def recorded(self, uid: str) -> str:
        """Path of a run's journal, by its uid or the beginning of it, for ``resume=``.

        Raises
        ------
        ValueError
            When no run, or more than one, is kept under it.
        """
        kept = sorted(self.journal.folder.glob("*.jsonl"))
        found = [path for path in kept if uid and uid in path.stem]
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} runs in {self.journal.folder} are called {uid!r}; give the uid that "
                "RE returned, or more of it"
            )
        return str(found[0])

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.release()

    def wait(self, timeout: float = CLOSE_TIMEOUT_S) -> bool:
        """Wait until files and Tiled have everything measured so far."""
        return self.keeper.wait(timeout)

    def problems(self) -> list[str]:
        """What went wrong with keeping the data, in words; empty when all is well."""
        return [str(problem) for problem in (*self.journal.problems, *self.keeper.problems)]

    def release(self) -> None:
        """Leave all PVs; for the end of a program, before the server's or its own.

        Channel Access warns when a server goes that is still in use, and may crash when a
        program ends that still is a client.
        """
        self.beamline.disconnect()

    def abort_paused(self, reason: str) -> bool:
        """Abort a run that is paused, with its clean-up; whether there was one."""
        if self.RE.state != "paused":
            return False
        self.RE.abort(reason)
        return True

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Abort a paused run, and finish writing and publishing, within `timeout` s each."""
        try:
            self.abort_paused("the session ended")
        except Exception:
            logger.exception("a paused run did not end well; see whether the shutter is shut")
        self.keeper.close(timeout)
        if self.pruning is not None:
            self.pruning.close(timeout)
        self.journal.close()
        for occupancy in self.held:
            occupancy.release()
        # bluesky's dictionary writes itself once more when it is collected, which may be after
        # a later session over the same folder has written newer values: so now, and never again.
        finalizer = getattr(self.RE.md, "_finalizer", None)
        if finalizer is not None:
            finalizer()


def start(
    prefix: str = "BL02:",
    *,
    devices: str | Path = SIMULATOR,
    folder: str | Path | None = None,
    files: str | Path | None = None,
    tiled: str | tuple[str, str] | None = None,
    template: str | None = None,
    settings: str | Path | Settings | None = None,
    progress: bool = True,
    live: bool | Literal["text"] = True,
    report: bool = True,
    table: bool | None = None,
    plots: bool | None = None,
    shared: bool = False,
    suspend: bool | Mapping[str, Any] = False,
    proposal: str | Path | None = None,
    md: Mapping[str, Any] | None = None,
    timeout: float = 5.0,
) -> Session:
    """Connect to the beamline and set up a RunEngine that keeps what it measures.

    Parameters
    ----------
    prefix : str
        Prefix of the beamline's PVs: what ``$(P)`` in its file stands for.
    devices : path
        The beamline's YAML file, see :func:`beamline_ophyd.devices.load_beamline`. A session
        uses the devices that it calls mono, chambers, shutter and stage, and reads what is
        labelled "baseline" before and after every run.
    folder : path, optional
        Where journals, files and the RunEngine's metadata go; by default the user's data
        folder, see :func:`beamline_ophyd.serving.default_folder`.
    files : path, optional
        Folder of the NXxas files; by default the one that the Tiled server of `folder`
        serves, or BEAMLINE_FILES_FOLDER when BEAMLINE_TILED_URI names a server.
    tiled : str or (str, str), optional
        Address of a Tiled server, or address and writer's key: else the key is in the address
        (``?api_key=``), in TILED_API_KEY, or in the server's folder that BEAMLINE_TILED_FOLDER
        names. By default the one that BEAMLINE_TILED_URI names, else the one that runs over
        `folder`; without one, runs go to journal and file only.
    template : str, optional
        Template of file names, see :class:`~beamline_ophyd.callbacks.NXxasWriter`.
    settings : path or Settings, optional
        Where journals are, how long they stay and what they leave out, and how files are
        written; see :mod:`beamline_ophyd.settings`. By default ``settings.yml`` in `folder`,
        where there is one.
    progress : bool
        Show a progress bar on a terminal.
    live : bool or "text"
        Reduce absorption scans while they are measured, for the page ``watch/`` beside Tiled
        and for a figure where there is a display; with "text" also in the terminal, in the place
        of table and progress bar.
    report : bool
        Make a page with figures and findings of every run, beside its file.
    table, plots : bool, optional
        Show bluesky's LiveTable and LivePlot; by default the table in a terminal or a notebook,
        plots where there is a display.
    shared : bool
        Go on though another session is on the beamline or in `folder`, which is an error else.
        The metadata of this session, scan_id among them, are then a copy that is not kept.
    suspend : bool or mapping
        Let every run wait while there is no beam, and go on by itself: with True while the
        current of the device ring is below 10 mA; or what
        :func:`beamline_ophyd.plans.beam_suspenders` takes, with signals by name:
        ``{"current": "ring.current", "minimum_current": 50}``.
    proposal : path, optional
        File of a proposal, for every run's metadata, see
        :func:`beamline_ophyd.plans.proposal_wrapper`.
    md : mapping, optional
        Metadata for every run, such as ``{"Facility": {...}, "Beamline": {...}}``.
    timeout : float
        Seconds to wait for the PVs.

    Raises
    ------
    BeamlineConnectionError
        When the beamline does not answer.
    BeamlineFileError
        For a file that cannot be used, or a device with a name that the session gives to
        something else, such as a plan.
    BeamlineBusyError
        When another session is on the beamline, or in `folder`; says whose.
    SettingsError
        For settings that cannot be used.
    OutputError
        When `folder` cannot be written.
    """
    if tiled is None and (tiled := os.environ.get(URI_VARIABLE) or None):
        files = files or os.environ.get(FILES_VARIABLE)
    served = DataFolder.at(None if folder is None else Path(folder) / "tiled", files)
    home = served.root.parent
    make_writable(home)
    kept = settings if isinstance(settings, Settings) else read_settings(home, settings)
    journal = Journal(
        kept.journal.place(home),
        group_readable=kept.journal.group_readable,
        leave_out=kept.journal.leave_out,
    )
    left = unfinished_run(journal.folder)
    simulator = Path(devices) == SIMULATOR
    name = prefix.rstrip(":") if simulator else Path(devices).stem
    use_loopback_by_default(networks=not simulator)
    # Before the first PV, which a program had better leave in peace when it ends.
    held, alone = _occupy(name, [prefix, str(Path(devices).resolve())], home, shared=shared)
    # Its event loop connects devices of ophyd-async.
    engine = RunEngine({}, during_task=plans.InterruptibleTask())
    try:
        beamline = load_beamline(devices, P=prefix)
        try:
            check_names(beamline, devices)
        except BeamlineFileError:
            # PVs that are left while they come may crash Channel Access.
            with contextlib.suppress(BeamlineConnectionError):
                beamline.connect(timeout)
            beamline.disconnect()
            raise
        missing = set(beamline.connect(timeout)) - {SIMULATION}
        chosen = chosen_wrappers(beamline, suspend, proposal)
    except BaseException:
        engine.loop.call_soon_threadsafe(engine.loop.stop)
        for occupancy in held:
            occupancy.release()
        raise
    if left is not None and alone:
        words = "the last run has no end; go on with resume=%r, or see `beamline repair`"
        logger.warning(words, str(left))
    if missing:
        logger.warning("not connected, and so not in this session: %s", ", ".join(sorted(missing)))

    if files is None and (state := served.running()) is not None:
        served = DataFolder.at(served.root, state.get("files"))
    # Left alone where it cannot be made: the writer's check says so before a run opens.
    with contextlib.suppress(OSError):
        served.files.mkdir(parents=True, exist_ok=True)
    named = named_server(tiled) if isinstance(tiled, str) else tiled
    # By its folder, in which it is found again when it is started anew at another address.
    server = (*named, None) if named else running_server(served)
    view = LiveView(table=False if live == "text" else table, plots=plots)
    views = live_views(live, figure=view.plots)
    options = kept.files.model_dump(exclude_none=True)
    options |= {} if template is None else {"template": template}
    keeper = Keeper(
        served.files,
        journal=journal,
        tiled=server,
        reports=report,
        live=bool(views or (live and server)),
        views=views,
        **options,
    )

    metadata = persistent_metadata(home, kept=alone)
    metadata["versions"] = engine.md["versions"]
    engine.md = metadata
    engine.md["Beamline"] = {"name": name}
    # Set anew at each start, so that a real beamline never inherits a simulation's words.
    for key in SIMULATED_MD:
        engine.md.pop(key, None)
    engine.md.update(SIMULATED_MD if SIMULATION in beamline else {})
    engine.md.update(md or {})
    engine.subscribe(journal)
    if view.table or view.plots:
        engine.subscribe(view)
    if progress:
        if live != "text":  # which has the terminal for itself
            engine.subscribe(ScanProgress(memory=home / "timing.json"))
        engine.subscribe(ScanSummary())
    engine.subscribe(TimingMemory(home / "timing.json"))

    def check(run_md: Mapping[str, Any]) -> None:
        expected = {"scan_id": int(engine.md.get("scan_id", 0)) + 1}
        points = run_md.get("num_points") or 1
        journal.preflight(num_points=points)
        keeper.preflight({**engine.md, **expected, **run_md}, num_points=points)

    tell_errors_briefly()
    if (gate := beamline.get("shutter")) is not None:
        plans.close_after_halt(engine, gate)
    engine.preprocessors += plan_wrappers(beamline, engine, check)
    engine.preprocessors += chosen
    return Session(
        RE=engine,
        beamline=beamline,
        journal=journal,
        keeper=keeper,
        held=held,
        pruning=JournalPruning(journal, whole_elsewhere(served, named), **kept.journal.limits),
    )


def _occupy(
    name: str, asked: Sequence[str], home: Path, *, shared: bool
) -> tuple[list[Occupancy], bool]:
    """Take the beamline and the folder, or go beside another session; whether alone in both."""
    held: list[Occupancy] = []
    try:
        held.append(Occupancy(f"beamline {name}", [*asked, *searched_places()]))
        held.append(
            Occupancy(
                f"folder {home}",
                ["folder", str(home.resolve())],
                remedy="give this one another with folder= (`--folder`)",
            )
        )
    except BeamlineBusyError as error:
        if not shared:
            for occupancy in held:
                occupancy.release()
            raise
        logger.warning(
            "another session is on this beamline or its folder: %s; this one's scan_id is not kept",
            error.holder or error,
        )
        return held, False
    return held, True
