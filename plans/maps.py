"""Maps of a sample: meshes, at one energy or at several, with bluesky's plans underneath."""

import itertools
from collections.abc import Sequence
from typing import Any

from bluesky import plans as bp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from beamline_ophyd.grid import EnergyGrid, energy_grid

from ._axes import check_unit
from ._checks import check_apart, check_axis, check_detectors, line, number, positive
from ._points import PointTaker
from ._shutter import behind

__all__ = ["fixed_energy_map", "mesh_scan", "xanes_map"]

ENERGY_ADVICE = "give the axis that takes photon energies, such as mono.energy"


def mesh_scan(
    detectors: Sequence[Readable],
    y: Movable,
    y_start: float,
    y_stop: float,
    y_num: int,
    x: Movable,
    x_start: float,
    x_stop: float,
    x_num: int,
    *,
    snake: bool = True,
    time: float = 1.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Map a sample: line after line along x, y slowest.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    y, y_start, y_stop, y_num
        The slow axis, its first and last position, and the number of lines.
    x, x_start, x_stop, x_num
        The fast axis, its first and last position, and the points of a line.
    snake : bool
        Measure every other line backwards, so that x never flies back.
    time, settle_time : float
        Dwell and settling time in s.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    str
        The run's uid. The start document has shape, extents and snake_axes as bluesky's
        ``grid_scan`` writes them, slow axis first.

    Raises
    ------
    ValueError, DeviceError
        As in :func:`~beamline_ophyd.plans.line_scan`.

    Examples
    --------
    >>> from beamline_ophyd.plans import mesh_scan
    >>> from ophyd.sim import det, motor1, motor2
    >>> plan = mesh_scan([det], motor1, 0, 1, 2, motor2, 0, 2, 3, fixed_dwell=True)
    >>> [m.args[0] for m in plan if m.command == "set" and m.obj is motor2]
    [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    plan = _mesh(
        "mesh_scan",
        detectors,
        ("y", y, y_start, y_stop, y_num),
        ("x", x, x_start, x_stop, x_num),
        snake=snake,
        options={"time": time, "settle_time": settle_time, "fixed_dwell": fixed_dwell},
        md=md,
    )
    return (yield from behind(shutter, plan))


def fixed_energy_map(
    detectors: Sequence[Readable],
    energy: Movable,
    energy_ev: float,
    y: Movable,
    y_start: float,
    y_stop: float,
    y_num: int,
    x: Movable,
    x_start: float,
    x_stop: float,
    x_num: int,
    *,
    snake: bool = True,
    time: float = 1.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Map a sample at one photon energy.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    energy : Movable
        The axis that takes photon energies in eV; set once, and read at every point.
    energy_ev : float
        Where to map, in eV.
    y, y_start, y_stop, y_num, x, x_start, x_stop, x_num, snake, time, settle_time
        As in :func:`mesh_scan`.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, DeviceError
        As in :func:`~beamline_ophyd.plans.line_scan`.

    Examples
    --------
    >>> from beamline_ophyd.plans import fixed_energy_map
    >>> from ophyd.sim import SynAxis, det, motor1, motor2
    >>> energy = SynAxis(name="energy")
    >>> plan = fixed_energy_map([det], energy, 7130, motor1, 0, 1, 2, motor2, 0, 2, 3,
    ...                         fixed_dwell=True)
    >>> [m.args[0] for m in plan if m.command == "set" and m.obj is energy]
    [7130.0]
    """
    plan = _mesh(
        "fixed_energy_map",
        detectors,
        ("y", y, y_start, y_stop, y_num),
        ("x", x, x_start, x_stop, x_num),
        snake=snake,
        options={"time": time, "settle_time": settle_time, "fixed_dwell": fixed_dwell},
        at=(energy, energy_ev),
        md=md,
    )
    return (yield from behind(shutter, plan))


def xanes_map(
    detectors: Sequence[Readable],
    energy: Movable,
    edge: str | float,
    y: Movable,
    y_start: float,
    y_stop: float,
    y_num: int,
    x: Movable,
    x_start: float,
    x_stop: float,
    x_num: int,
    *,
    bounds: Sequence[float | str] | None = None,
    steps: Sequence[float | str] | None = None,
    times: Sequence[float | str] | None = None,
    regions: Sequence[dict[str, Any]] | None = None,
    energies: Sequence[float] | None = None,
    time: float = 1.0,
    order: str = "pixel",
    snake: bool = True,
    e0_shift: float = 0.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Map a sample at several energies: a spectrum at every pixel.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    energy : Movable
        The axis that takes photon energies in eV.
    edge : str or float
        "Fe-K", or E0 in eV.
    y, y_start, y_stop, y_num, x, x_start, x_stop, x_num
        As in :func:`mesh_scan`.
    bounds, steps, times, regions
        The energies as a grid, as in :func:`~beamline_ophyd.plans.xafs_scan`.
    energies : sequence of float, optional
        The energies one by one instead, in eV from E0 and rising, each for `time` s.
    time : float
        Dwell time in s of `energies`.
    order : {"pixel", "energy"}
        "pixel" measures all energies of a pixel before the next pixel, which spares the
        stage; "energy" a whole map before the next energy, which spares the monochromator.
    snake : bool
        Turn round at the end of a line (or of a spectrum) instead of flying back.
    e0_shift : float
        What the monochromator reads above the true energy, in eV; added to every energy.
    settle_time : float
        Seconds to wait after a motion.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    str
        The run's uid. Shape and extents in the start document are in the order of the axes,
        slowest first: (y, x, energy) or (energy, y, x).

    Raises
    ------
    GridError, ValueError, DeviceError
        As in :func:`~beamline_ophyd.plans.line_scan`, and for energies that cannot be measured.

    Examples
    --------
    >>> from beamline_ophyd.plans import xanes_map
    >>> from ophyd.sim import SynAxis, det, motor1, motor2
    >>> energy = SynAxis(name="energy")
    >>> plan = xanes_map([det], energy, "Fe-K", motor1, 0, 1, 2, motor2, 0, 2, 3,
    ...                  energies=[-20, 0, 18], fixed_dwell=True)
    >>> sum(m.command == "save" for m in plan)
    18
    """
    check_detectors("xanes_map", detectors)
    check_axis("energy", energy, ENERGY_ADVICE)
    if order not in ("pixel", "energy"):
        raise ValueError(f"order is {order!r}; give 'pixel' or 'energy'")
    number("e0_shift", e0_shift, "a number of eV")
    grid = _map_grid(edge, energies, time, bounds, steps, times, regions)
    asked = (grid.energy_ev + e0_shift).tolist()
    dwell = dict(zip(asked, grid.dwell_s.tolist(), strict=True))
    points = PointTaker(
        detectors,
        lambda step: dwell[step[energy]],
        settle_time=settle_time,
        fixed_dwell=fixed_dwell,
    )
    pixels = [(y, line("y", y, y_start, y_stop, y_num, "lines"))]
    pixels.append((x, line("x", x, x_start, x_stop, x_num)))
    spectrum = [(energy, asked)]
    axes = [*pixels, *spectrum] if order == "pixel" else [*spectrum, *pixels]
    check_apart(energy=energy, x=x, y=y)
    yield from check_unit("energy", energy, "eV")
    for axis, targets in axes:
        yield from points.learn(axis, targets)
    start_md: dict[str, Any] = {
        "plan_name": "xanes_map",
        "Scan": {"edge_energy": grid.e0_ev},
        "e0_shift_ev": float(e0_shift),
        "grid": grid.to_dict(),
    }
    if grid.element is not None:
        start_md["Element"] = {"symbol": grid.element, "edge": grid.edge}
    plan = bp.list_grid_scan(
        detectors,
        *(part for pair in axes for part in pair),
        snake_axes=[axis for axis, _ in axes[1:]] if snake else False,
        per_step=points.step,
        md={**start_md, **(md or {})},
    )
    return (yield from behind(shutter, points.around(plan)))


def _map_grid(
    edge: Any, energies: Any, time: Any, bounds: Any, steps: Any, times: Any, regions: Any
) -> EnergyGrid:
    """The energies of a map; given one by one, each is a region of its own."""
    if energies is None:
        if bounds is None and regions is None:
            raise ValueError("a XANES map got no energies; give energies, bounds or regions")
        return energy_grid(edge, bounds=bounds, steps=steps, times=times, regions=regions)
    if not (bounds is None and steps is None and times is None and regions is None):
        raise ValueError("both energies and bounds or regions are given; drop one of them")
    values = [number("energies", value, "numbers of eV from E0") for value in energies]
    if len(values) < 2 or values != sorted(set(values)):
        raise ValueError(f"energies is {values}; give at least two different ones, rising")
    bounds_ev: list[float | str] = list(values)
    steps_ev = [after - before for before, after in itertools.pairwise(values)]
    return energy_grid(edge, bounds=bounds_ev, steps=steps_ev, times=[time] * len(steps_ev))


def _mesh(
    name: str,
    detectors: Sequence[Readable],
    slow: tuple[str, Any, float, float, int],
    fast: tuple[str, Any, float, float, int],
    *,
    snake: bool,
    options: dict[str, Any],
    at: tuple[Any, float] | None = None,
    md: dict[str, Any] | None,
) -> MsgGenerator[str]:
    """A mesh along two axes, at one energy where `at` says an axis and its target."""
    check_detectors(name, detectors)
    start_md: dict[str, Any] = {"plan_name": name, "dwell_s": options["time"]}
    points = PointTaker(detectors, also_read=[at[0]] if at else (), **options)
    apart = {axis_name: axis for axis_name, axis, *_ in (slow, fast)}
    targets = [line(*slow, "lines"), line(*fast)]
    if at is not None:
        check_axis("energy", at[0], ENERGY_ADVICE)
        start_md["energy_ev"] = positive("energy_ev", at[1], "a photon energy in eV")
        apart["energy"] = at[0]
        yield from check_unit("energy", at[0], "eV")
        yield from points.learn(at[0], [at[1]])
    check_apart(**apart)
    for (_, axis, *_), positions in zip((slow, fast), targets, strict=True):
        yield from points.learn(axis, positions)
    if at is not None:
        yield from points.go(*at)
    plan = bp.grid_scan(
        detectors,
        *slow[1:4],
        len(targets[0]),
        *fast[1:4],
        len(targets[1]),
        snake_axes=snake,
        per_step=points.step,
        md={**start_md, **(md or {})},
    )
    return (yield from points.around(plan))
