"""Which events count: points numbered, marked and joined over runs by the contract.

See :class:`beamline_ophyd.metadata.XAFSContract` for the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from beamline_ophyd.metadata import XAFSContract

from .columns import TEXT
from .measurement import read_metadata
from .run import Run, Stream

__all__ = ["Points", "missing_points", "only_sweep", "points_of", "why_not_joined"]

NO_POINT = -1

_NO_CONTRACT = (
    "it has no contract under 'xafs' in its start document; see "
    "beamline_ophyd.metadata.XAFSContract"
)


@dataclass(frozen=True)
class Points:
    """The events that count, of one run or of several that are one measurement.

    Attributes
    ----------
    run : ndarray of int
        Index of the event's run among those given.
    row : ndarray of int
        Row of the event in that run's primary stream.
    number : ndarray of int
        Number of the point through all sweeps, ascending, each once.
    index : ndarray of int
        Place of the point in its sweep.
    """

    run: np.ndarray
    row: np.ndarray
    number: np.ndarray
    index: np.ndarray

    def where(self, wanted: np.ndarray) -> "Points":
        """The points for which a mask is true."""
        parts = (self.run, self.row, self.number, self.index)
        return Points(*(part[wanted] for part in parts))


def points_of(runs: Sequence[Run], contract: XAFSContract | None) -> Points:
    """The last good event of each point.

    Parameters
    ----------
    runs : sequence of Run
        From the earliest to the latest: good events of a later one count before.
    contract : XAFSContract or None
        Of the last run. Without one every sequence number is a point of its own.
    """
    part, row, number = [], [], []
    for count, run in enumerate(runs):
        stream = run.streams.get("primary")
        if stream is None:
            continue
        own = contract if run is runs[-1] else _contract(run)
        numbers = _numbers(stream, own)
        rows = np.flatnonzero(_is_good(stream, own) & (numbers != NO_POINT))
        part.append(np.full(len(rows), count))
        row.append(rows)
        number.append(numbers[rows])
    if not part:
        nothing = np.empty(0, dtype=np.int64)
        return Points(nothing, nothing, nothing, nothing)
    runs_of, rows, numbers = (np.concatenate(x)[::-1] for x in (part, row, number))
    numbers, last = np.unique(numbers, return_index=True)
    index = numbers if contract is None else numbers % contract.points_per_sweep
    return Points(runs_of[last], rows[last], numbers, index)


def only_sweep(run: Run, number: int) -> Run:
    """The run with the events of one sweep, good and bad, in its primary stream.

    Parameters
    ----------
    number : int
        Number of the sweep, from 1.

    Raises
    ------
    ValueError
        When the run has no contract, which alone tells sweeps apart.
    """
    contract, stream = _contract(run), run.streams.get("primary")
    if contract is None:
        raise ValueError(f"run {run.uid} has no sweeps: {_NO_CONTRACT}")
    if stream is None:
        return run
    rows = _numbers(stream, contract) // contract.points_per_sweep == number - 1
    part = replace(
        stream,
        columns={key: values[rows] for key, values in stream.columns.items()},
        timestamps={key: values[rows] for key, values in stream.timestamps.items()},
        seq_num=stream.seq_num[rows],
        time=stream.time[rows],
        uids=stream.uids[rows],
        descriptor=stream.descriptor[rows],
    )
    return replace(run, streams={**run.streams, "primary": part})


def missing_points(runs: Sequence[Run], sweep: int | None = None) -> np.ndarray:
    """Numbers of the planned points of a measurement that have no good event.

    Parameters
    ----------
    runs : sequence of Run
        The runs of one measurement, from the earliest to the latest.
    sweep : int, optional
        Number of a sweep, from 1: of its points only.

    Raises
    ------
    ValueError
        When the last run has no contract, so that nothing tells what was planned.
    """
    contract = _contract(runs[-1])
    if contract is None:
        raise ValueError(f"run {runs[-1].uid} does not say what points it plans: {_NO_CONTRACT}")
    length = contract.points_per_sweep
    planned = np.arange(length * contract.repeats)
    if sweep is not None:
        planned = planned[(sweep - 1) * length : sweep * length]
    return np.setdiff1d(planned, points_of(runs, contract).number)


def why_not_joined(earlier: Run, later: Run) -> str | None:
    """What keeps two runs from being one measurement; None if nothing does."""
    first, second = _contract(earlier), _contract(later)
    if first is None or second is None:
        return "it has no contract under 'xafs' in its start document"
    if first.points_per_sweep != second.points_per_sweep:
        return (
            f"it has {first.points_per_sweep} points a sweep, the later run "
            f"{second.points_per_sweep}; a run that continues another measures the same grid"
        )
    if first.grid and second.grid and first.grid != second.grid:
        return "its grid is another one; a run that continues another measures the same grid"
    if first.e0_shift_ev != second.e0_shift_ev:
        return f"its e0_shift is {first.e0_shift_ev} eV, not {second.e0_shift_ev} eV"
    if (first.roles, first.mode) != (second.roles, second.mode):
        return f"its roles are {first.roles} ({first.mode}), not {second.roles} ({second.mode})"
    return None


def _contract(run: Run) -> XAFSContract | None:
    return read_metadata(run.start)[0].xafs


def _numbers(stream: Stream, contract: XAFSContract | None) -> np.ndarray:
    """Number of each event's point; NO_POINT where it has none."""
    if contract is None:
        return stream.seq_num - 1
    key = contract.point_key
    if key is None or key not in stream.columns:
        numbers = contract.first_point + stream.seq_num - 1
    else:
        given = stream.columns[key]
        if given.ndim != 1 or given.dtype.kind not in "iuf":
            return np.full(len(stream), NO_POINT)
        numbers = np.where(np.isfinite(given), given, NO_POINT).astype(np.int64)
    planned = contract.points_per_sweep * contract.repeats
    return np.where((numbers >= 0) & (numbers < planned), numbers, NO_POINT)


def _is_good(stream: Stream, contract: XAFSContract | None) -> np.ndarray:
    key = None if contract is None else contract.quality_key
    if key is None or key not in stream.columns:
        return np.ones(len(stream), dtype=bool)
    given = stream.columns[key]
    if given.ndim == 1 and key not in stream.json_columns:
        return given == ("" if given.dtype == TEXT else 0)
    return np.array([not stream.value(key, row) for row in range(len(stream))], dtype=bool)
