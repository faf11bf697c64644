"""How long a scan takes: from the devices' speeds, and from what past runs took."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares, nnls

__all__ = ["Timing", "in_words", "learn", "load_timing", "save_timing"]

KEPT_RUNS = 20
USUAL_SCATTER = 0.02
"""Share of an interval that says nothing of a point that was held up."""


@dataclass(frozen=True)
class Timing:
    """What one point takes: ``dwell_scale * dwell + settling + overhead + distance * pace``.

    Attributes
    ----------
    overhead_s : float
        Seconds a point beside counting, settling and the distance of the motion.
    pace_s_per_ev : float
        Seconds an eV of motion.
    dwell_scale : float
        Seconds of clock time a second of dwell time; 1 but for a simulation that runs faster.
    """

    overhead_s: float = 0.1
    pace_s_per_ev: float = 0.0
    dwell_scale: float = 1.0

    def points_s(
        self, energy_ev: ArrayLike, dwell_s: ArrayLike, settle_s: float = 0.0
    ) -> np.ndarray:
        """Seconds that each point takes, in the order measured; shape (n,).

        The way to the first point is not known, and counts as none.
        """
        energy = np.asarray(energy_ev, dtype=float)
        distance = np.abs(np.diff(energy, prepend=energy[:1]))
        return (
            self.dwell_scale * np.asarray(dwell_s, dtype=float)
            + settle_s
            + self.overhead_s
            + self.pace_s_per_ev * distance
        )


def learn(
    times: ArrayLike,
    energy_ev: ArrayLike,
    dwell_s: ArrayLike,
    settle_s: float = 0.0,
) -> Timing | None:
    """Timing of a run, by a non-negative robust fit over the intervals between its events.

    Intervals of more than five times what is usual for their dwell time, such as a pause, are
    left out; points that were held up for less count by their size and not by its square.

    Parameters
    ----------
    times, energy_ev, dwell_s : sequence, length n
        Time of each event in s, and the energy and dwell time of its point.
    settle_s : float
        Settling time in s.

    Returns
    -------
    Timing or None
        None where there are fewer than five points to learn from.
    """
    ends = np.asarray(times, dtype=float)
    if len(ends) < 5:
        return None
    interval = np.diff(ends)
    distance = np.abs(np.diff(np.asarray(energy_ev, dtype=float)))
    dwell = np.asarray(dwell_s, dtype=float)[1:]
    usual = interval <= 5 * np.median(interval / dwell) * dwell
    terms = np.column_stack([np.ones_like(dwell), distance, dwell])[usual]
    taken = interval[usual] - settle_s
    start, _ = nnls(terms, np.maximum(taken, 0.0))
    fit = least_squares(
        lambda timing: terms @ timing - taken,
        start,
        bounds=(0.0, np.inf),
        loss="soft_l1",
        f_scale=max(USUAL_SCATTER * float(np.median(taken)), 1e-6),
    )
    overhead, pace, scale = (float(value) for value in fit.x)
    return Timing(overhead, pace, scale)


def load_timing(path: str | Path, axis: str, default: Timing) -> Timing:
    """The median of what past runs with an energy axis took; `default` where there is none."""
    try:
        runs = [Timing(**run) for run in json.loads(Path(path).read_text()).get(axis, [])]
    except (OSError, ValueError, TypeError, AttributeError):
        return default
    if not runs:
        return default
    names = ("overhead_s", "pace_s_per_ev", "dwell_scale")
    return Timing(*(float(np.median([getattr(run, name) for run in runs])) for name in names))


def save_timing(path: str | Path, axis: str, timing: Timing) -> None:
    """Add what a run took to a file that keeps the last runs of each energy axis."""
    path = Path(path)
    known: dict[str, list[Any]] = {}
    try:
        found = json.loads(path.read_text())
        known = dict(found) if isinstance(found, Mapping) else {}
    except (OSError, ValueError):
        pass
    known[axis] = [*known.get(axis, []), asdict(timing)][-KEPT_RUNS:]
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(known))
    scratch.replace(path)


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(3725), in_words(75.2), in_words(3.21)
    ('1 h 02 min', '1 min 15 s', '3.2 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
