"""What a scan is going to do, without doing it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from beamline_ophyd.grid import EnergyGrid
from beamline_ophyd.metadata import CONTRACT_KEY, XAFSContract
from beamline_ophyd.timing import Timing, in_words

from ._checks import called

__all__ = ["Preview", "preview", "preview_grid"]

BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 60


@dataclass(frozen=True)
class Preview:
    """A grid with the time it takes; as text, or as a picture.

    Attributes
    ----------
    grid : EnergyGrid
    repeats, points : int
        Sweeps, and points of all sweeps together.
    seconds : float
        Estimated duration of all points, with settling and motion.
    settle_s : float
    region_s : tuple of float
        Estimated duration of each region in one sweep.
    """

    grid: EnergyGrid
    repeats: int
    points: int
    seconds: float
    settle_s: float
    region_s: tuple[float, ...]

    def __repr__(self) -> str:
        return str(self)  # what a prompt shows of `preview(...)`

    def __str__(self) -> str:
        grid = self.grid
        edge = f"{grid.element} {grid.edge}, " if grid.element else ""
        lines = [f"{edge}E0 {grid.e0_ev:.1f} eV, {len(grid)} points a sweep"]
        lines += ["region   points        energy / eV          dwell / s      time"]
        for number, seconds in enumerate(self.region_s):
            here = grid.region == number
            energy, dwell = grid.energy_ev[here], grid.dwell_s[here]
            lines.append(
                f"{number + 1:6d} {len(energy):8d} {energy[0]:11.2f} - {energy[-1]:9.2f} "
                f"{dwell.min():8.3g} - {dwell.max():<6.3g} {in_words(seconds):>9}"
            )
        lines += [_bars(grid), f"{grid.energy_ev[0]:<{WIDTH - 9}.1f}{grid.energy_ev[-1]:9.1f} eV"]
        times = "" if self.repeats == 1 else f"{self.repeats} sweeps, "
        lines.append(f"{times}{self.points} points, about {in_words(self.seconds)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON."""
        return {
            "grid": self.grid.to_dict(),
            "points_per_region": np.bincount(self.grid.region).tolist(),
            "seconds_per_region": list(self.region_s),
            "repeats": self.repeats,
            "points": self.points,
            "dwell_s": self.grid.total_dwell_s * self.repeats,
            "seconds": self.seconds,
        }

    def save_png(self, path: str | Path) -> None:
        """Draw steps and dwell times over the energy."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        energy = self.grid.energy_ev
        upper.plot(energy[1:], np.diff(energy), ".")
        upper.set(ylabel="step / eV", yscale="log")
        lower.plot(energy, self.grid.dwell_s, ".")
        lower.set(xlabel="energy / eV", ylabel="dwell time / s")
        figure.savefig(path, format="png")


def preview_grid(
    grid: EnergyGrid,
    *,
    repeats: int = 1,
    settle_time: float = 0.0,
    timing: Timing | None = None,
    points: np.ndarray | None = None,
) -> Preview:
    """Preview a scan over a grid.

    Parameters
    ----------
    grid : EnergyGrid
    repeats : int
    settle_time : float
        In s.
    timing : Timing, optional
        What a point takes beside its dwell time.
    points : ndarray of int, optional
        Numbers of the points to measure where it is not all of them.
    """
    if not isinstance(grid, EnergyGrid):
        raise ValueError(f"grid is {grid!r}; give what energy_grid returns")
    numbers = np.arange(len(grid) * repeats) if points is None else points
    index = numbers % len(grid)
    timing = timing or Timing()
    all_s = timing.points_s(grid.energy_ev[index], grid.dwell_s[index], settle_time)
    one_s = timing.points_s(grid.energy_ev, grid.dwell_s, settle_time)
    regions = np.bincount(grid.region, weights=one_s).tolist()
    return Preview(grid, repeats, len(numbers), float(all_s.sum()), settle_time, tuple(regions))


def preview(plan: MsgGenerator[Any], timing: Timing | None = None) -> Preview:
    """Preview a plan that measures a spectrum; nothing moves and nothing is measured.

    The plan is asked for its messages up to its run; devices are only read, as the plan does
    to check its grid. Where no `timing` is given, the pace is that of the energy axis.

    Raises
    ------
    ValueError
        For a plan whose run says nothing of a spectrum; and what the plan itself refuses.

    Examples
    --------
    >>> from beamline_ophyd.plans import preview, xafs_scan
    >>> from ophyd.sim import SynAxis, SynSignal
    >>> i0, it = (SynSignal(func=lambda: 1.0, name=name) for name in ("i0", "it"))
    >>> scan = xafs_scan([i0, it], SynAxis(name="energy"), "Fe-K", bounds=[-10, 10], steps=[1],
    ...                  times=[2], fixed_dwell=True)
    >>> preview(scan).points
    21
    """
    if not hasattr(plan, "send"):
        raise ValueError(
            f"plan is {called(plan)}; give the plan itself, such as preview(xafs_scan(...))"
        )
    answer: Any = None
    pace: float | None = None
    try:
        while True:
            msg = plan.send(answer)
            if msg.command == "open_run":
                start = msg.kwargs
                break
            answer = None
            if msg.command == "read":
                answer = _read(msg.obj)
                pace = _pace(msg.obj, answer) or pace
    except StopIteration:
        start = {}
    finally:
        plan.close()
    if CONTRACT_KEY not in start:
        raise ValueError(
            f"{start.get('plan_name', 'the plan')} measures no spectrum; preview takes xafs_scan"
        )
    contract = XAFSContract.model_validate(start[CONTRACT_KEY])
    settle_s = float(start["plan_args"].get("settle_time", 0.0))
    if timing is None:
        timing = Timing(pace_s_per_ev=pace or 0.0)
    numbers = None
    if contract.points is not None:
        numbers = np.concatenate([np.arange(*part) for part in contract.points])
    return preview_grid(
        EnergyGrid.from_dict(contract.grid),
        repeats=contract.repeats,
        settle_time=settle_s,
        timing=timing,
        points=numbers,
    )


def _read(device: Any) -> Any:
    """Of an ophyd device; those of ophyd-async are not to be had without a RunEngine."""
    inner = getattr(device, "_device", device)
    reading = inner.read()
    if hasattr(reading, "close"):
        reading.close()
        return None
    return reading


def _pace(device: Any, reading: Any) -> float | None:
    """Seconds a unit from the velocity of an axis."""
    if not str(getattr(device, "name", "")).endswith("velocity") or not reading:
        return None
    (item,) = reading.values()
    return 1.0 / abs(item["value"]) if item["value"] else None


def _bars(grid: EnergyGrid) -> str:
    """Dwell time an eV along the energy, on a logarithmic scale."""
    edges = np.linspace(grid.energy_ev[0], grid.energy_ev[-1], WIDTH + 1)
    dwell, _ = np.histogram(grid.energy_ev, edges, weights=grid.dwell_s)
    known = dwell > 0
    low, high = np.log(dwell[known].min()), np.log(dwell[known].max())
    height = np.zeros(WIDTH, dtype=int)
    span = (high - low) or 1.0
    height[known] = 1 + np.round((len(BARS) - 2) * (np.log(dwell[known]) - low) / span)
    return "".join(BARS[h] for h in height)
