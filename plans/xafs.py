"""Absorption spectra: the energy scan."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import FailedStatus, Msg, MsgGenerator

from beamline_ophyd.grid import K_CONSTANT_EV_A2, EnergyGrid, energy_grid
from beamline_ophyd.metadata import CONTRACT_KEY, Roles, XAFSContract, infer_roles

from ._checks import check_axis, check_detectors, fields, number, whole_number
from ._counting import DwellTime, count_all, set_dwell, timers_of
from ._preprocessors import shutter_wrapper
from ._steps import DeviceError, Speed, axis_limits, axis_speed, move

__all__ = ["xafs_scan"]


def xafs_scan(
    detectors: Sequence[Readable],
    energy: Movable,
    edge: str | float,
    *,
    bounds: Sequence[float | str] | None = None,
    steps: Sequence[float | str] | None = None,
    times: Sequence[float | str] | None = None,
    regions: Sequence[dict[str, Any]] | None = None,
    repeats: int = 1,
    e0_shift: float = 0.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    mode: str | None = None,
    roles: dict[str, str] | None = None,
    fixed_dwell: bool = False,
    cross_edges: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure an absorption spectrum point by point over an edge.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point. Which one is I0, transmission, fluorescence or
        reference is known by their usual names, or said by `roles`.
    energy : Movable
        The axis that takes photon energies in eV.
    edge : str or float
        "Fe-K", "Pb-L3", or E0 in eV.
    bounds, steps, times : sequence of float or str, optional
        n + 1 bounds with n steps and n dwell times: eV relative to E0 and s, or with the
        suffix "k"; see :func:`beamline_ophyd.grid.energy_grid`.
    regions : sequence of dict, optional
        Regions instead of bounds, steps and times.
    repeats : int
        Sweeps over the grid, all in one run.
    e0_shift : float
        What the monochromator reads above the true energy, in eV: every energy is asked
        for with this added. Recorded apart from E0.
    settle_time : float
        Seconds to wait at each energy before counting.
    shutter : Movable, optional
        Opened before the run and closed after it, whatever happens.
    mode : {"transmission", "fluorescence", "electron yield"}, optional
        By default what the detectors can do, transmission first.
    roles : dict, optional
        Data key of each channel where the names do not tell:
        ``{"i0": "monitor", "itrans": "diode"}``.
    fixed_dwell : bool
        Measure with detectors that cannot be told a dwell time, with whatever they use.
    cross_edges : bool
        Allow the grid to run over another edge of the element.
    md : dict, optional
        Metadata; XDI families such as ``Sample`` or ``Mono`` as dictionaries.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    GridError
        Before anything moves, for a grid that cannot be measured.
    ValueError
        Before anything moves, for detectors or options that do not fit.
    DeviceError
        When a motion or a count does not end in time.

    Examples
    --------
    >>> from beamline_ophyd.plans import xafs_scan
    >>> from ophyd.sim import SynAxis, SynSignal
    >>> energy = SynAxis(name="energy")
    >>> i0, it = (SynSignal(func=lambda: 1.0, name=name) for name in ("i0", "it"))
    >>> plan = xafs_scan([i0, it], energy, "Fe-K", bounds=[-10, 10], steps=[1], times=[1],
    ...                  fixed_dwell=True)
    >>> messages = list(plan)
    >>> sum(message.command == "save" for message in messages)
    21
    """
    whole_number("repeats", repeats, "sweeps")
    number("e0_shift", e0_shift, "a number of eV")
    number("settle_time", settle_time, "seconds", lowest=0)
    check_detectors("xafs_scan", detectors, "give at least I0 and one other channel")
    check_axis("energy", energy, "give the axis that takes photon energies, such as mono.energy")
    timers = timers_of(detectors, fixed_dwell)
    dwell = DwellTime(name="dwell_time", value=0.0)
    used = _roles(detectors, energy, dwell.name, roles)
    mode = _mode(mode, used)
    limits = yield from axis_limits(energy)
    if limits is not None:
        limits = (limits[0] - e0_shift, limits[1] - e0_shift)
    grid = energy_grid(
        edge,
        bounds=bounds,
        steps=steps,
        times=times,
        regions=regions,
        limits=limits,
        cross_edges=cross_edges,
    )
    contract = XAFSContract(
        mode=mode,
        roles=used,
        e0_ev=grid.e0_ev,
        e0_shift_ev=float(e0_shift),
        k_constant_ev_a2=K_CONSTANT_EV_A2,
        points_per_sweep=len(grid),
        repeats=repeats,
        grid=grid.to_dict(),
    )
    start = {
        "plan_name": "xafs_scan",
        "plan_type": "generator",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "energy": repr(energy),
            "edge": edge,
            "repeats": repeats,
            "e0_shift": e0_shift,
        },
        "detectors": [d.name for d in detectors],
        "motors": [str(getattr(energy, "name", energy))],
        "num_points": len(grid) * repeats,
        "num_intervals": len(grid) * repeats - 1,
        "hints": {"dimensions": [([used.energy], "primary")]},
        "Scan": {"edge_energy": grid.e0_ev},
        CONTRACT_KEY: contract.model_dump(mode="json"),
    }
    if grid.element is not None:
        start["Element"] = {"symbol": grid.element, "edge": grid.edge}
    if crystal := (yield from _monochromator(energy)):
        start["Mono"] = crystal
    speed = yield from axis_speed(energy)

    @bpp.stage_decorator([*detectors, energy])
    @bpp.run_decorator(md={**start, **(md or {})})
    def run() -> MsgGenerator[None]:
        position = yield from _position(energy)
        try:
            for _ in range(repeats):
                position = yield from _sweep(
                    detectors, timers, energy, dwell, grid, e0_shift, settle_time, speed, position
                )
        except FailedStatus as failure:
            # Failed while nobody waited for it, so that no step has put it into words.
            raise DeviceError(str(failure.__cause__ or failure)) from failure

    scan: Any = run()
    if shutter is not None:
        scan = shutter_wrapper(scan, shutter)
    return (yield from scan)


def _sweep(
    detectors: Sequence[Readable],
    timers: Sequence[Any],
    energy: Movable,
    dwell: Any,
    grid: EnergyGrid,
    e0_shift: float,
    settle_time: float,
    speed: Speed,
    position: float | None,
) -> MsgGenerator[float | None]:
    """One pass over the grid; returns the energy at which it ends."""
    readables: list[Any] = [energy, *detectors, dwell]
    preset = 0.0
    targets = (grid.energy_ev + e0_shift).tolist()
    for target, time_s in zip(targets, grid.dwell_s.tolist(), strict=True):
        yield Msg("checkpoint")
        if time_s != preset:
            preset = time_s
            yield from set_dwell(timers, dwell, preset)
        distance = None if position is None else target - position
        yield from move(energy, target, speed.limit_s(distance))
        position = target
        if settle_time:
            yield from bps.sleep(settle_time)
        yield from count_all(detectors, preset)
        yield Msg("create", None, name="primary")
        for readable in readables:
            yield Msg("read", readable)
        yield Msg("save")
    return position


def _roles(
    detectors: Sequence[Readable],
    energy: Movable,
    dwell: str,
    given: Mapping[str, str] | None,
) -> Roles:
    keys = [key for detector in detectors for key in fields(detector)]
    inferred = infer_roles(keys, energy=fields(energy)[0], dwell=dwell)
    if unknown := set(given or {}) - set(Roles.model_fields):
        raise ValueError(
            f"roles has {', '.join(sorted(unknown))}; it takes {', '.join(Roles.model_fields)}"
        )
    used = inferred.model_copy(update=dict(given or {}))
    if given:
        _check_keys(used, [*detectors, energy], dwell)
    return used


def _check_keys(roles: Roles, devices: Sequence[Any], dwell: str) -> None:
    """Refuse data keys that no event will have: the measurement would be without its spectrum."""
    named = {"energy": roles.energy, **roles.channels}
    for key in named.values():
        twice = [role for role, value in named.items() if value == key]
        if len(twice) > 1:
            raise ValueError(f"roles has {key!r} as {' and as '.join(twice)}; give each its own")
    keys = {dwell}
    for device in devices:
        description = device.describe()
        if inspect.iscoroutine(description):  # of ophyd-async: not to be had without waiting
            description.close()
            return
        keys |= set(description)
    for role, key in named.items():
        if key not in keys:
            raise ValueError(
                f"roles has {key!r} as {role}; the devices give {', '.join(sorted(keys))}"
            )


def _mode(mode: str | None, roles: Roles) -> Any:
    if mode is None:
        mode = "transmission" if roles.itrans or not roles.ifluor else "fluorescence"
    signals = {"transmission": "itrans", "fluorescence": "ifluor", "electron yield": "ifluor"}
    if mode not in signals:
        raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, signals))}")
    missing = [role for role in ("i0", signals[mode]) if getattr(roles, role) is None]
    if missing:
        example = ", ".join(f'"{role}": "<data key>"' for role in missing)
        raise ValueError(
            f"no detector is known as {' or '.join(missing)}, which {mode} needs; add it, or say "
            f"which data key it is: roles={{{example}}}"
        )
    return mode


def _position(axis: Any) -> MsgGenerator[float | None]:
    """Where the axis is, or None where it does not say it as one number."""
    try:
        return float((yield from bps.rd(axis)))
    except (TypeError, ValueError):
        return None


def _monochromator(energy: Movable) -> MsgGenerator[dict[str, Any]]:
    """XDI's Mono family, from the device that the energy axis belongs to."""
    parent = getattr(energy, "parent", None)
    mono: dict[str, Any] = {}
    for item, attribute in (("name", "crystal"), ("d_spacing", "d_spacing")):
        signal = getattr(parent, attribute, None)
        if isinstance(signal, Readable):
            mono[item] = yield from bps.rd(signal)
    return mono
