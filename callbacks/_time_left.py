"""How long the rest of a run takes: by what each point asks for, and by the pace so far."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from beamline_ophyd.grid import EnergyGrid
from beamline_ophyd.metadata import RunMetadata, XAFSContract
from beamline_ophyd.timing import Timing, learn, load_timing

__all__ = ["TimeLeft"]

PAUSE = 5.0
"""An interval of more than so many times what its point should take holds a pause."""

PAUSE_S = 5.0
"""No interval below this is taken for a pause."""

LEARN_EVERY = 20
"""Points after which the scan's own times are looked at again."""


class TimeLeft:
    """The points of one run that are still to come, and the time they take.

    An absorption scan says in its contract what it measures: each point has its dwell time and
    its way, and takes what past scans took for them. Once the dwell times so far differ enough
    to tell dwell from overhead, the scan's own times count instead; before that the mean of what
    the points took above the expectation is added. Points of any other plan count the same.

    Parameters
    ----------
    start : mapping
        The run's start document.
    memory : path, optional
        File of what past scans took, see :func:`beamline_ophyd.timing.save_timing`.
    """

    def __init__(self, start: Mapping[str, Any], memory: str | Path | None = None):
        self._contract = RunMetadata.from_start(start).xafs
        self._timing, self._known = Timing(0.0), False
        self._settle_s = 0.0
        if self._contract is not None and self._contract.grid:
            self._numbers, self._energy, self._dwell = _points(self._contract)
            self._settle_s = float((start.get("plan_args") or {}).get("settle_time", 0.0))
            if memory is not None:
                unknown = self._timing
                self._timing = load_timing(memory, self._contract.roles.energy, unknown)
                self._known = self._timing is not unknown
        else:
            self._contract = None
            self._numbers = np.arange(_whole(start.get("num_points")) or 0)
            self._energy, self._dwell = np.zeros(len(self._numbers)), np.ones(len(self._numbers))
        self._left = np.ones(len(self._numbers), dtype=bool)
        self.total = len(self._numbers) or _whole(start.get("num_points"))
        self._times: list[float] = []
        self._rows: list[int] = []
        self._took: list[float] = []
        self._should: list[float] = []

    def event(self, seq_num: int, data: Mapping[str, Any], when: float) -> bool:
        """Follow an event; whether it is the first good one of its point."""
        row, good = self._row(seq_num, data)
        if row is None:
            return good and self.total is None
        if self._times:
            self._interval(when - self._times[-1], self._rows[-1], row)
        self._times.append(when)
        self._rows.append(row)
        if len(self._times) % LEARN_EVERY == 0:
            self._learn()
        first = good and bool(self._left[row])
        if good:
            self._left[row] = False
        return first

    @property
    def seconds(self) -> float | None:
        """Seconds that the rest takes; None while nothing is known of it."""
        if not len(self._numbers) or not (self._known or self._should):
            return None
        rest = self._rest()
        took, should = sum(self._took), sum(self._should)
        if not should:
            return rest
        if took < should and not self._known:  # a simulation that is faster than its clock
            return rest * took / should
        return max(rest + (took - should) / len(self._took) * int(self._left.sum()), 0.0)

    def _rest(self) -> float:
        """What the points to come are expected to take, from where the scan is."""
        rows = np.flatnonzero(self._left)
        if not self._rows:
            return self._expected(rows)
        here = self._rows[-1:]
        return self._expected([*here, *rows]) - self._expected(here)

    def _row(self, seq_num: int, data: Mapping[str, Any]) -> tuple[int | None, bool]:
        """The row of an event's point, and whether it is good."""
        row, good = seq_num - 1, True
        if self._contract is not None:
            key = self._contract.point_key
            if key is not None and key in data:
                row = int(np.searchsorted(self._numbers, int(data[key])))
            good = not data.get(self._contract.quality_key or "")
        return (row if 0 <= row < len(self._numbers) else None), good

    def _expected(self, rows: Any) -> float:
        energy, dwell = self._energy[rows], self._dwell[rows]
        return float(self._timing.points_s(energy, dwell, self._settle_s).sum())

    def _interval(self, interval: float, before: int, row: int) -> None:
        should = self._expected([before, row]) - self._expected([before])
        usual = sum(self._took) / sum(self._should) if self._should else 1.0
        if (self._known or self._should) and interval > max(PAUSE * usual * should, PAUSE_S):
            return
        self._took.append(interval)
        self._should.append(should)

    def _learn(self) -> None:
        dwell = self._dwell[self._rows]
        if dwell.max() < 2 * dwell.min():
            return
        found = learn(self._times, self._energy[self._rows], dwell, self._settle_s)
        if found is not None:
            self._timing, self._known = found, True
            self._took, self._should = [], []


def _points(contract: XAFSContract) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the points that a run is to measure, with energies in eV and dwell times in s."""
    grid = EnergyGrid.from_dict(contract.grid)
    total = contract.points_per_sweep * contract.repeats
    ranges = contract.points or ((contract.first_point, total),)
    numbers = np.concatenate([np.arange(*part) for part in ranges])
    index = numbers % contract.points_per_sweep
    return numbers, grid.energy_ev[index], grid.dwell_s[index]


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
