"""A spectrum reduced while it is measured, away from the scan's thread."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.analysis.xafs import SoFar, reduce_so_far
from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.documents import RunIndex
from beamline_ophyd.formats.problems import Problem
from beamline_ophyd.formats.run import RunBuilder
from beamline_ophyd.metadata import MERGE_STREAM

from ._prediction import predicted_edge_step
from ._worker import DocumentWorker

__all__ = ["LiveReduction", "LiveState", "show"]

SHARE_OF_A_CORE = 0.02
"""What the reduction may take from the scan's interpreter: a long run is reduced less often."""


@dataclass(frozen=True)
class LiveState:
    """An absorption scan as far as it has come.

    Attributes
    ----------
    uid, title : str
        Of the run; the title is sample and edge, else the plan's name.
    mode : str
    points, planned : int, int or None
        Events so far, and to come in all.
    spectrum : SoFar or None
        What the points give; None before the first.
    predicted_step : float or None
        Edge step by the tables, where the run says what the sample is made of.
    noise, target_noise : float, float or None
        Of k^w chi in 1/Angstrom^w: now (nan while unknown), and where the scan ends.
    beam_s : float
        Dwell time so far, in s.
    whole_sweep : bool
        Whether each place of the grid has a good point.
    exit_status : str or None
        None while the scan goes on.
    """

    uid: str
    title: str
    mode: str
    points: int
    planned: int | None
    spectrum: SoFar | None
    predicted_step: float | None
    noise: float
    target_noise: float | None
    beam_s: float
    whole_sweep: bool
    exit_status: str | None = None

    @property
    def seconds_to_target(self) -> float | None:
        """Dwell time still needed to reach the target: the noise falls with its square root.

        None without a target, or before one sweep is whole and shows the noise at its end.
        """
        if not (self.target_noise and self.whole_sweep and math.isfinite(self.noise)):
            return None
        return max(0.0, self.beam_s * ((self.noise / self.target_noise) ** 2 - 1))


class LiveReduction:
    """Reduces each absorption scan as it goes on, off the RunEngine's thread.

    Points that come faster than somebody sees them are reduced together. What is no
    absorption scan is passed over, and nothing is raised into the RunEngine.

    Parameters
    ----------
    *views : callable
        ``view(state)`` with a :class:`LiveState`, on the thread of the reduction: such as
        :class:`~beamline_ophyd.callbacks.TextView`, or a function of yours. One that fails is
        told of once, and asked again at the next point.
    interval : float
        Time, in s, by which the state is behind the scan at most; longer where a reduction would
        take more than 2 % of a core.

    Attributes
    ----------
    state : LiveState or None
        The newest.

    Examples
    --------
    >>> live = LiveReduction(lambda state: print(state.title, state.points))
    >>> live("start", {"uid": "a", "time": 0.0})    # no absorption scan
    >>> live.close(timeout=5.0)
    True
    >>> live.state is None
    True
    """

    def __init__(self, *views: Callable[[LiveState], None], interval: float = 0.5) -> None:
        self.state: LiveState | None = None
        self._views: Sequence[Callable[[LiveState], None]] = views
        self._index = RunIndex()
        self._run: str | None = None
        self._builder = RunBuilder()
        self._interval = interval
        self._worker = DocumentWorker(
            self._handle,
            name="live reduction",
            tick=self._reduce,
            tick_interval=interval,
            gather=0.9 * interval,
        )

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; returns at once and never raises."""
        self._worker.put(name, doc)

    @property
    def problems(self) -> list[Problem]:
        """What went wrong, with the run's uid."""
        return list(self._worker.problems)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all points so far are reduced and shown; False when time was too short."""
        return self._worker.wait(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Finish, and take nothing more; False when `timeout` seconds were not enough."""
        return self._worker.close(timeout)

    def _handle(self, name: str, doc: Mapping[str, Any]) -> None:
        run = self._index.run_of(name, doc)
        if name == "start":
            self._run, self._builder = run, RunBuilder()
        if run != self._run:
            return  # of a run inside another, or one that began before this callback
        self._builder.add(name, doc)
        if name == "stop" and run is not None:
            self._index.forget(run)
            self._reduce()
            self._run = None

    def _reduce(self) -> None:
        if self._run is None:
            return
        began = time.thread_time()
        if (state := _state(ScanData(self._builder.snapshot()))) is not None:
            self.state = state
            show(state, self._views, self._worker.report)
        spent = time.thread_time() - began
        self._worker.tick_interval = max(self._interval, spent / SHARE_OF_A_CORE)


def show(
    state: LiveState,
    views: Iterable[Callable[[LiveState], None]],
    report: Callable[[str, str, BaseException], None],
) -> None:
    """Give a state to all views; ``report(uid, message, error)`` hears of those that fail."""
    for view in views:
        try:
            view(state)
        except Exception as error:  # a view's trouble is none of the others'
            report(state.uid, f"{view!r}: {type(error).__name__}: {error}", error)


def _state(scan: ScanData) -> LiveState | None:
    if scan.roles is None or not scan.columns:
        return None
    start, about, spectrum = scan.run.start, scan.about, reduce_so_far(scan)
    edge = "-".join(word for word in (about.element, about.edge) if word)
    title = " ".join(word for word in (about.sample_name, edge) if word)
    dwell = scan.columns.get(scan.roles.dwell or "")
    planned, target = start.get("num_points"), _target(start)
    noise = _merged_noise(scan)
    if noise is None:
        noise = math.nan if spectrum is None else spectrum.noise
    return LiveState(
        uid=scan.uid,
        title=title or str(start.get("plan_name", "")),
        mode=str(scan.mode),
        points=len(scan.run.streams["primary"]),
        planned=planned if isinstance(planned, int) else None,
        spectrum=spectrum,
        predicted_step=predicted_edge_step(about, str(scan.mode)),
        noise=noise,
        target_noise=target,
        whole_sweep=about.xafs is None
        or (spectrum is not None and len(spectrum.energy) == about.xafs.points_per_sweep),
        beam_s=math.nan if dwell is None else float(np.nansum(dwell)),
        exit_status=None if scan.run.stop is None else str(scan.run.stop.get("exit_status")),
    )


def _target(start: Mapping[str, Any]) -> float | None:
    arguments = start.get("plan_args")
    target = arguments.get("target_noise") if isinstance(arguments, Mapping) else None
    return float(target) if isinstance(target, int | float) else None


def _merged_noise(scan: ScanData) -> float | None:
    """The plan's own figure, from the scatter of its sweeps too, where it has one."""
    merge = scan.run.streams.get(MERGE_STREAM)
    noise = None if merge is None else merge.columns.get("merged_noise")
    return float(noise[-1]) if noise is not None and len(noise) else None
