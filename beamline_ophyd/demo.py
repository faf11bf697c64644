"""The whole chain once: server, scan, file, Tiled, and back to a spectrum.

`beamline demo` is this module behind a command line.
"""

import os
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from beamline_ophyd.analysis.xafs import PreEdge, find_e0, pre_edge
from beamline_ophyd.data import ScanData
from beamline_ophyd.grid import absorption_edge
from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.simulator import DeviceServer

__all__ = ["DemoError", "DemoSummary", "run_demo"]

SPEED = 1000.0
SEED = 20260
# Three times what a demo writes: most of it is Tiled's two databases.
ROOM_BYTES = 10_000_000

DARK_MAX_AGE_S = 3600.0


class DemoError(RuntimeError):
    """A demo that cannot be run, or whose data did not come back as they were measured."""


@dataclass(frozen=True)
class DemoSummary:
    """What a demo measured and where it is.

    Attributes
    ----------
    edge : str
        Absorption edge scanned.
    sample : str
        Name of the sample in the beam.
    e0_ev, edge_step : float
        Edge energy found, in eV, and height of the edge in mu.
    points : int
        Points measured.
    duration_s, beamline_s : float
        Time the scan took, and the dwell time that it stands for, in s.
    uid, file, picture, tiled : str
        The run, its NXxas file, the picture, and the address at which Tiled served both.
    again : str
        The command that serves both again.
    problems : list of str
        What is wrong with the data or with keeping them; empty when all is well.
    """

    edge: str
    sample: str
    e0_ev: float
    edge_step: float
    points: int
    duration_s: float
    beamline_s: float
    uid: str
    file: str
    picture: str
    tiled: str
    again: str
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = {
            "edge": f"{self.edge} of {self.sample}",
            "E0 found": f"{self.e0_ev:.2f} eV",
            "edge step": f"{self.edge_step:.3f}",
            "points": f"{self.points}",
            "duration": f"{self.duration_s:.1f} s, for {self.beamline_s:.0f} s of dwell time",
            "run": self.uid,
            "file": self.file,
            "picture": self.picture,
            "Tiled": f"{self.tiled} served run and file until now; again:",
            "": self.again,
        }
        lines = [f"{name:>10}  {value}" for name, value in rows.items()]
        return "\n".join(lines + [f"{'problem':>10}  {problem}" for problem in self.problems])


def run_demo(
    out: str | Path = "demo_output",
    *,
    edge: str = "Fe-K",
    sample: str | Path | None = None,
    seed: int = SEED,
    speed: float = SPEED,
    say: Callable[[str], None] = lambda _: None,
) -> DemoSummary:
    """Scan an edge on the simulated beamline and read the result back from Tiled.

    Parameters
    ----------
    out : path
        Folder for the file, the journal, Tiled's data and the picture.
    edge : str
        Edge to scan, such as "Fe-K".
    sample : path, optional
        An XDI file to put on the sample holder; by default the element's foil.
    seed : int
        Seed of the counting noise.
    speed : float
        How many times faster than a real one the beamline runs.
    say : callable
        Told what is going on, for people.

    Raises
    ------
    DemoError
        When the output folder cannot be used, the holder has no such sample, or what comes
        back from Tiled or the file is not what was measured.
    GridError, DeviceServerError, ServerError
        From the parts.
    """
    element, edge_name, e0_ev = absorption_edge(edge)
    if element is None:
        raise DemoError(f"edge {edge!r} belongs to no element; write it like 'Fe-K'")
    out = _output_folder(Path(out))
    with _Ending() as stack:
        say("starting the device server and Tiled")
        added = () if sample is None else [sample]
        devices = DeviceServer(seed=seed, speed=speed, sample=added)
        serving = TiledServer(out / "tiled", files=out / "files")
        stack.callback(devices.stop)
        stack.callback(serving.stop)
        devices.start()
        tiled_starts = stack.enter_context(ThreadPoolExecutor(1)).submit(serving.start)
        os.environ.update(devices.environment)
        # Now that the environment is set, because EPICS reads it once; and while Tiled starts,
        # because later these would compete with the scan for the interpreter.
        import bluesky_tiled_plugins  # noqa: F401 (loads the client of runs)
        import matplotlib.backends.backend_agg  # noqa: F401 (loads all that a picture needs)
        from bluesky import plan_stubs as bps
        from bluesky.utils import RunEngineInterrupted

        from beamline_ophyd.plans import xafs_scan
        from beamline_ophyd.session import start

        tiled_starts.result()
        session = start(
            devices.prefix,
            folder=out,
            files=out / "files",
            tiled=(serving.uri, serving.keys.writer),
        )
        stack.callback(session.release)
        stack.callback(session.close)
        stack.callback(_end_paused_run, session, say)
        place = Path(sample).stem if sample is not None else f"{element.lower()}_foil"
        if place not in session.stage.places:
            raise DemoError(
                f"the holder has no {place}; it has {', '.join(sorted(session.stage.places))}; "
                "put a spectrum there with --sample FILE.xdi"
            )
        detectors = [session.i0, session.it, session.ir]
        energy: Any = session.mono.energy

        def measure() -> Any:
            yield from bps.mv(session.stage, place)
            yield from bps.checkpoint()  # where Ctrl-C during the move takes effect
            yield from xafs_scan(
                detectors, energy, edge, shutter=session.shutter, dark_max_age=DARK_MAX_AGE_S
            )

        say(f"scanning {edge} of {place}")
        began = time.monotonic()
        try:
            uids: Any = session.RE(measure())
        except RunEngineInterrupted:
            raise KeyboardInterrupt from None
        duration = time.monotonic() - began
        uid = str(uids[0])
        if not session.wait() or uid not in session.files:
            raise DemoError(
                f"run {uid} is not in its file and in Tiled yet: "
                f"{'; '.join(session.problems()) or 'both are slow'}; "
                f"its journal {session.journal.path(uid)} has every document"
            )

        say("reading run and file back from Tiled")
        with connect(serving.uri, serving.keys.reader) as client:
            run = ScanData.from_tiled(client.runs[uid])
            filed = np.asarray(client.files[uid]["entry/data/intensity"].read())
        path = session.files[uid]
        mu, errors = run.mu()
        if not np.array_equal(mu, filed):
            raise DemoError(f"the file {path} and the run {uid} in Tiled differ; see {out}")
        reduced = pre_edge(run.energy, mu, find_e0(run.energy, mu, near=e0_ev))
        picture = out / f"{path.stem}.png"
        _draw(picture, run.energy, mu, errors, reduced, f"{place}, {element} {edge_name} edge")
        return DemoSummary(
            edge=f"{element}-{edge_name}",
            sample=place,
            e0_ev=reduced.e0,
            edge_step=reduced.edge_step,
            points=len(mu),
            duration_s=duration,
            beamline_s=float(np.sum(run.columns["dwell_time"])),
            uid=uid,
            file=str(path),
            picture=str(picture),
            tiled=serving.uri,
            again=shlex.join(
                ["beamline", "tiled", "--folder", str(out / "tiled"), "--files", str(out / "files")]
            ),
            problems=[
                *session.problems(),
                *missing_edge(run.energy, mu, errors, e0_ev, f"{place}: the {edge}"),
            ],
        )


def _output_folder(out: Path) -> Path:
    out = out.expanduser().absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(
            f"the output folder {out} cannot be made: {error.strerror}; choose another with --out"
        ) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise DemoError(f"the output folder {out} is not writable; choose another with --out")
    if (room := shutil.disk_usage(out).free) < ROOM_BYTES:
        raise DemoError(
            f"the output folder {out} has room for {room / 1e6:.1f} MB, the demo needs "
            f"{ROOM_BYTES / 1e6:.0f} MB; make room, or choose another with --out"
        )
    return out


class _Ending(ExitStack[bool | None]):
    """Calls its callbacks undisturbed: an impatient second Ctrl-C must not leave things half."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if threading.current_thread() is not threading.main_thread():
            return super().__exit__(kind, value, traceback)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return super().__exit__(kind, value, traceback)
        finally:
            signal.signal(signal.SIGINT, before)


def _end_paused_run(session: Any, say: Callable[[str], None]) -> None:
    """End a run that Ctrl-C has paused, and say where what it measured is."""
    if not session.abort_paused("interrupted by the user"):
        return
    session.wait()
    for path in session.files.values():
        say(f"what was measured is in {path}")


def missing_edge(
    energy: np.ndarray, mu: np.ndarray, errors: np.ndarray | None, e0_ev: float, what: str
) -> list[str]:
    """Complain where mu does not rise over the edge: away from edges absorption falls."""
    offset = energy - e0_ev
    below, above = (offset > -30) & (offset < -10), (offset > 10) & (offset < 40)
    rise = float(np.mean(mu[above]) - np.mean(mu[below]))
    if rise > (0.0 if errors is None else 10 * float(np.median(errors))):
        return []
    return [f"{what} edge is not there: mu changes by {rise:.1e}; name the edge it has with --edge"]


def _draw(
    path: Path,
    energy: np.ndarray,
    mu: np.ndarray,
    errors: np.ndarray | None,
    reduced: PreEdge,
    title: str,
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    raw, normal = figure.subplots(1, 2)
    raw.plot(energy, mu, color="tab:blue", label=r"$\mu(E)$")
    raw.plot(energy, reduced.pre_edge, "--", color="tab:gray", lw=1, label="pre-edge")
    raw.plot(energy, reduced.post_edge, "--", color="tab:green", lw=1, label="post-edge")
    raw.set(xlabel="energy (eV)", ylabel=r"$\mu(E) = \ln(I_0 / I_t)$", title=title)
    raw.legend(frameon=False)
    if errors is not None:
        raw.text(0.98, 0.5, rf"median $\sigma_\mu$ = {np.median(errors):.1e}",
                 transform=raw.transAxes, ha="right")  # fmt: skip
    normal.plot(energy, reduced.flat, color="tab:red")
    normal.axvline(reduced.e0, color="tab:gray", lw=0.8)
    normal.set(
        xlabel="energy (eV)",
        ylabel="normalised, flattened",
        title=f"E0 = {reduced.e0:.2f} eV, edge step {reduced.edge_step:.3f}",
    )
    inset = normal.inset_axes((0.45, 0.12, 0.5, 0.45))
    near = np.abs(energy - reduced.e0 - 20) < 45
    inset.plot(energy[near], reduced.flat[near], ".-", color="tab:red", ms=3, lw=0.8)
    figure.savefig(path, dpi=120)
