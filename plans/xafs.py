"""Absorption spectra: the energy scan."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import FailedStatus, Msg, MsgGenerator

from beamline_ophyd.grid import K_CONSTANT_EV_A2, EnergyGrid, energy_grid
from beamline_ophyd.metadata import (
    CONTRACT_KEY,
    MERGE_STREAM,
    XAFSContract,
)
from beamline_ophyd.presets import preset

from ._axes import axis_limits, check_unit
from ._checks import check_axis, check_detectors, fields, number, whole_number
from ._counting import timers_of
from ._detectors import ev_per_count, saturation_rates
from ._energy import EnergyAxes, Follower, followers_of
from ._merging import NOISE_FROM_K, RunningMerge
from ._quality import Judge
from ._reading import read_value
from ._resuming import continued, earlier_run
from ._roles import mode_of, roles_of, signal_role
from ._shutter import shutter_wrapper
from ._spectrum_points import POINT_KEY, QUALITY_KEY, SpectrumPoints
from ._steps import DeviceError
from .dark import dark_current_wrapper, without_beam

__all__ = ["xafs_scan"]


def xafs_scan(
    detectors: Sequence[Readable],
    energy: Movable,
    edge: str | float,
    *,
    bounds: Sequence[float | str] | None = None,
    steps: Sequence[float | str] | None = None,
    times: Sequence[float | str] | None = None,
    regions: str | Sequence[dict[str, Any]] | None = None,
    repeats: int = 1,
    e0_shift: float = 0.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    mode: str | None = None,
    roles: dict[str, str] | None = None,
    along: Sequence[Movable] | None = None,
    along_at: dict[str, dict[str, Any]] | None = None,
    dark_max_age: float | None = None,
    beam: Readable | None = None,
    min_beam: float | None = None,
    saturation: dict[str, float] | None = None,
    retakes: int = 3,
    target_noise: float | None = None,
    k_weight: int = 2,
    resume: str | dict[str, Any] | None = None,
    fixed_dwell: bool = False,
    cross_edges: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure an absorption spectrum point by point over an edge.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point. Which one is I0, transmission, fluorescence or
        reference is known by the usual names of data keys or detectors, or said by `roles`.
    energy : Movable
        The axis that takes photon energies in eV.
    edge : str or float
        "Fe-K", "Pb-L3", or E0 in eV.
    bounds, steps, times : sequence of float or str, optional
        n + 1 bounds with n steps and n dwell times: eV relative to E0 and s, or with the
        suffix "k"; see :func:`beamline_ophyd.grid.energy_grid`.
    regions : str or sequence of dict, optional
        Regions instead of bounds, steps and times, or the name of a
        :func:`~beamline_ophyd.presets.preset`, such as "exafs".
    repeats : int
        Sweeps over the grid, all in one run. From two on, the stream "merge" has the merge
        of the sweeps so far after each of them.
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
    along : sequence of Movable, optional
        Moved along with the energy, such as an undulator's.
    along_at : dict, optional
        Where each of them belongs, by its name: ``{"gap": {"scale": 0.001, "offset": 0.02}}``
        stands for position = scale * E + offset with E in eV (by default E itself), and
        ``{"gap": {"energies": [...], "positions": [...]}}`` for a table.
    dark_max_age : float, optional
        Measure the dark current before the scan when it is older than this, in s, or when a
        gain has changed since; needs a shutter, or a beam that is off at that time. It is in
        the stream "dark". By default it is not looked at.
    beam : Readable, optional
        The ring current, read at every point.
    min_beam : float, optional
        A point taken below this ring current is bad; by default half of the first reading.
    saturation : dict, optional
        Counts/s from which on a channel is saturated, by data key. A detector that knows it
        has it as ``saturation_rate``.
    retakes : int
        How often a bad point (beam dip, saturated or dead detector, failed reading) is taken
        again at once; what is bad still is taken again at the end of the sweep. Bad events
        stay, with the reason as their "quality". With 0 they are only marked.
    target_noise : float, optional
        End the repeats as soon as the noise of k^w chi, from counting statistics and from
        the scatter of the sweeps, is not above this.
    k_weight : int
        The w of that noise.
    resume : str or dict, optional
        Continue an earlier run: its journal, its file, or what :func:`run_summary` says of
        it. Its grid, shift and repeats are used, and only what it lacks is measured.
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
        When a motion, a count or a reading does not end in time, or when too many points in
        a row are bad.

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
    repeats = whole_number("repeats", repeats, "sweeps")
    retakes = whole_number("retakes", retakes, "further attempts", lowest=0)
    k_weight = whole_number("k_weight", k_weight, "powers of k", lowest=0)
    number("e0_shift", e0_shift, "a number of eV")
    number("settle_time", settle_time, "seconds", lowest=0)
    if target_noise is not None:
        number("target_noise", target_noise, "the noise of k^w chi", lowest=0)
    if min_beam is not None:
        number("min_beam", min_beam, "a ring current", lowest=0)
        if beam is None:
            raise ValueError("min_beam is given without beam; give the device of the ring current")
    check_detectors("xafs_scan", detectors, "give at least I0 and one other channel")
    check_axis("energy", energy, "give the axis that takes photon energies, such as mono.energy")
    followers = followers_of(along, along_at)
    timers = timers_of(detectors, fixed_dwell)
    used = roles_of(detectors, energy, "dwell_time", roles)
    measured_as = mode_of(mode, used, detectors)
    limits_of_rate = yield from saturation_rates(detectors, saturation)
    earlier = None if resume is None else earlier_run(resume)
    yield from check_unit("energy", energy, "eV")
    limits = yield from axis_limits(energy)
    if earlier is not None:
        e0_shift = e0_shift or earlier.contract.e0_shift_ev
    if limits is not None:
        limits = (limits[0] - e0_shift, limits[1] - e0_shift)
    given: dict[str, Any] = {"bounds": bounds, "steps": steps, "times": times, "regions": regions}
    if isinstance(regions, str):
        if not all(value is None for value in (bounds, steps, times)):
            raise ValueError(
                f"regions names the preset {regions!r}, and bounds, steps or times are given too; "
                "drop one of them"
            )
        given = preset(regions)
    if earlier is not None and all(value is None for value in given.values()):
        given["regions"] = earlier.contract.grid.get("regions")
    grid = energy_grid(edge, **given, limits=limits, cross_edges=cross_edges)
    contract = XAFSContract(
        mode=measured_as,
        roles=used,
        e0_ev=grid.e0_ev,
        e0_shift_ev=float(e0_shift),
        k_constant_ev_a2=K_CONSTANT_EV_A2,
        points_per_sweep=len(grid),
        repeats=repeats,
        point_key=POINT_KEY,
        quality_key=QUALITY_KEY,
        grid=grid.to_dict(),
    )
    wanted = tuple(range(len(grid) * repeats))
    if earlier is not None:
        contract, wanted = continued(contract, earlier)
    if target_noise is not None and not (grid.k_inv_angstrom >= NOISE_FROM_K).any():
        raise ValueError(
            f"target_noise is given, but no point has k of {NOISE_FROM_K:g} or more, where the "
            "noise is measured; extend the grid or leave it out"
        )
    yield from _check_followers(followers, grid)
    start = {
        "plan_name": "xafs_scan",
        "plan_type": "generator",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "energy": repr(energy),
            "edge": edge,
            "repeats": contract.repeats,
            "e0_shift": e0_shift,
            "settle_time": settle_time,
            "along": [repr(f.device) for f in followers],
            "retakes": retakes,
            "target_noise": target_noise,
            "k_weight": k_weight,
        },
        "detectors": [d.name for d in detectors],
        "motors": [str(getattr(energy, "name", energy)), *(f.device.name for f in followers)],
        "num_points": len(wanted),
        "num_intervals": len(wanted) - 1,
        "hints": {"dimensions": [([used.energy], "primary")]},
        "Scan": {"edge_energy": grid.e0_ev},
        CONTRACT_KEY: contract.model_dump(mode="json"),
    }
    if grid.element is not None:
        start["Element"] = {"symbol": grid.element, "edge": grid.edge}
    if crystal := (yield from _monochromator(energy)):
        start["Mono"] = crystal
    axes = EnergyAxes(energy, e0_shift, followers)
    yield from axes.find_speeds()
    merge = RunningMerge(
        grid,
        contract.repeats,
        signal=getattr(used, signal_role(measured_as)),
        i0=str(used.i0),
        is_log=measured_as == "transmission",
        ev_per_count=(yield from ev_per_count(detectors)),
        k_weight=k_weight,
        dark=partial(without_beam, [] if dark_max_age is None else detectors),
    )
    points = SpectrumPoints(
        axes,
        detectors,
        [] if beam is None else [beam],
        timers,
        settle_s=settle_time,
        judge=Judge(
            used,
            measured_as,
            beam=None if beam is None else fields(beam)[0],
            lowest_beam=min_beam,
            saturation=limits_of_rate,
        ),
        retakes=retakes,
    )

    @bpp.stage_decorator([*detectors, energy, *(f.device for f in followers)])
    @bpp.run_decorator(md={**start, **(md or {})})
    def run() -> MsgGenerator[None]:
        yield from axes.find_positions()
        try:
            yield from _sweeps(points, merge, grid, wanted, contract.repeats, retakes, target_noise)
        except FailedStatus as failure:
            # Failed while nobody waited for it, so that no step has put it into words.
            raise DeviceError(str(failure.__cause__ or failure)) from failure
        finally:
            points.close()

    scan: Any = run()
    if dark_max_age is not None:
        scan = dark_current_wrapper(scan, detectors, shutter, max_age=dark_max_age)
    if shutter is not None:
        scan = shutter_wrapper(scan, shutter)
    return (yield from scan)


def _sweeps(
    points: SpectrumPoints,
    merge: RunningMerge,
    grid: EnergyGrid,
    wanted: Sequence[int],
    repeats: int,
    retakes: int,
    target_noise: float | None,
) -> MsgGenerator[None]:
    """All sweeps; each ends with the points that stayed bad, and with the merge so far."""
    n = len(grid)
    energies, dwells = grid.energy_ev.tolist(), grid.dwell_s.tolist()
    for sweep in range(repeats):
        todo = [number for number in wanted if number // n == sweep]
        if not todo:
            continue
        for _ in range(2 if retakes else 1):
            bad = []
            for number_ in todo:
                index = number_ % n
                readings = yield from points.take(number_, energies[index], dwells[index])
                if readings is None:
                    bad.append(number_)
                else:
                    merge.add(number_, readings)
            todo = bad
        if repeats > 1 or target_noise is not None:
            yield Msg("create", None, name=MERGE_STREAM)
            yield Msg("read", merge)
            yield Msg("save")
        if target_noise is not None and merge.noise() <= target_noise:
            return


def _check_followers(followers: Sequence[Follower], grid: EnergyGrid) -> MsgGenerator[None]:
    for follower in followers:
        yield from follower.check(float(grid.energy_ev[0]), float(grid.energy_ev[-1]))


def _monochromator(energy: Movable) -> MsgGenerator[dict[str, Any]]:
    """XDI's Mono family, from the device that the energy axis belongs to."""
    parent = getattr(energy, "parent", None)
    mono: dict[str, Any] = {}
    for item, attribute in (("name", "crystal"), ("d_spacing", "d_spacing")):
        signal = getattr(parent, attribute, None)
        if isinstance(signal, Readable):
            mono[item] = yield from read_value(signal)
    return mono
