"""Calibration of the monochromator's energy on the edge of a foil."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import isgenerator
from typing import Any

import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from beamline_ophyd.analysis.xafs import locate_edge
from beamline_ophyd.grid import K_CONSTANT_EV_A2, EnergyGrid, energy_grid
from beamline_ophyd.metadata import CONTRACT_KEY, Roles, XAFSContract

from ._axes import check_unit
from ._checks import called, check_axis, check_detectors, fields, number, positive
from ._concluding import Events, back_on_failure, concluded_run, line_md, tell_result
from ._offsets import Offset
from ._points import PointTaker
from ._profile import SIGNIFICANT, AlignmentError, noise_of
from ._reading import read_number
from ._roles import mode_of, roles_of
from ._shutter import behind

__all__ = ["Calibration", "calibrate_mono"]

BOUNDS = (-40.0, -15.0, 20.0, 50.0)
STEPS = (2.5, 0.5, 2.5)
WELL_KNOWN_EV = 0.5
"""An edge that is not known better than this does not calibrate anything."""


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate_mono` found; nan where nothing was measured.

    Attributes
    ----------
    uid : str
        Of the run; empty where nobody carried out the plan's messages.
    edge : str
        As "Fe-K", or the energy that was given.
    e0_true, e0, sigma : float
        Where the foil's edge is, where the monochromator reads it, and the latter's standard
        deviation, in eV.
    shift : float
        ``e0 - e0_true``: what the monochromator reads above the true energy, as the argument
        `e0_shift` of :func:`~beamline_ophyd.plans.xafs_scan`.
    angle : float
        What has to be added to the Bragg angle, in degrees; nan without its axis.
    applied : bool
        Whether the monochromator has been corrected.
    """

    uid: str
    edge: str
    e0_true: float
    e0: float
    sigma: float
    shift: float
    angle: float
    applied: bool

    def __str__(self) -> str:
        high = "high" if self.shift > 0 else "low"
        next_step = (
            "corrected"
            if self.applied
            else f"scan with e0_shift={self.shift:.3f}, or correct it with apply=True"
        )
        return (
            f"{self.edge}: edge at {self.e0_true:.2f} eV is read as {self.e0:.2f} +- "
            f"{self.sigma:.2g} eV, {abs(self.shift):.2f} eV too {high}; {next_step}"
        )


def calibrate_mono(
    detectors: Sequence[Readable],
    energy: Movable,
    edge: str | float,
    *,
    e0: float | None = None,
    bounds: Sequence[float | str] | None = None,
    steps: Sequence[float | str] | None = None,
    times: Sequence[float | str] | None = None,
    time: float = 0.5,
    channel: str = "sample",
    mode: str | None = None,
    roles: dict[str, str] | None = None,
    e0_shift: float = 0.0,
    largest: float = 20.0,
    apply: bool = False,
    bragg: Movable | None = None,
    correct: Callable | None = None,  # pyright: ignore[reportMissingTypeArgument]
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Scan the edge of a foil, say what the monochromator's energy is off by, and correct it.

    The energy returns to where it was, in its new scale after a correction. When anything fails
    the calibration is as it was.

    Parameters
    ----------
    detectors : sequence of Readable
        As of :func:`~beamline_ophyd.plans.xafs_scan`.
    energy : Movable
        The axis that takes photon energies in eV.
    edge : str or float
        "Fe-K", or the energy of the foil's edge in eV.
    e0 : float, optional
        Where the foil's edge is, in eV, as the maximum of the derivative; by default the
        tabulated energy of the edge.
    bounds, steps, times : sequence of float or str, optional
        The scan, as of :func:`~beamline_ophyd.plans.xafs_scan`; by default 40 eV below to 50 eV
        above in 102 points.
    time : float
        Dwell time in s of the default scan.
    channel : {"sample", "reference"}
        Where the foil is: in the sample's place, or between It and Ir.
    mode, roles
        As of :func:`~beamline_ophyd.plans.xafs_scan`.
    e0_shift : float
        What the monochromator is known to read above the true energy, in eV; the scan is moved
        by it.
    largest : float
        Largest correction to be believed, in eV.
    apply : bool
        Correct the monochromator; else only propose.
    bragg : Movable, optional
        The axis of the Bragg angle in degrees that takes the correction as its offset; by
        default ``bragg`` of the device that `energy` belongs to, and without one the energy axis
        itself. An axis has a ``user_offset`` (ophyd) or an ``offset`` (ophyd-async) that can be
        set, or a method ``set_current_position``.
    correct : callable, optional
        Corrects the monochromator instead: called with the :class:`Calibration`; a plan that it
        returns is carried out.
    settle_time : float
        Seconds to wait at each energy before counting.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    Calibration
        Also in the run, as the one event of the stream "result".

    Raises
    ------
    GridError, ValueError
        Before anything moves, for what cannot be measured or does not fit.
    AlignmentError
        When the edge is not to be seen, not known to 0.5 eV, or off by more than `largest`.
    DeviceError
        When a motion or a count does not end in time, or the axis does not take its offset.

    Examples
    --------
    >>> from beamline_ophyd.plans import calibrate_mono
    >>> RE(calibrate_mono([i0, it, ir], mono.energy, "Fe-K"))  # doctest: +SKIP
    >>> RE(calibrate_mono([i0, it, ir], mono.energy, "Fe-K", apply=True))  # doctest: +SKIP
    """
    check_detectors("calibrate_mono", detectors, "give at least I0 and one other channel")
    check_axis("energy", energy, "give the axis that takes photon energies, such as mono.energy")
    number("e0_shift", e0_shift, "a number of eV")
    positive("largest", largest, "a number of eV")
    used = roles_of(detectors, energy, "dwell_time", roles)
    measured_as = mode_of(mode, used, detectors)
    absorption = _Absorption(used, measured_as, channel)
    if bounds is None:
        bounds, steps = bounds or BOUNDS, steps or STEPS
        times = times or [positive("time", time, "seconds")] * len(STEPS)
    grid = energy_grid(edge, bounds=bounds, steps=steps, times=times)
    e0_true = grid.e0_ev if e0 is None else positive("e0", e0, "a photon energy in eV")
    if bragg is None:
        bragg = getattr(getattr(energy, "parent", None), "bragg", None)
    if bragg is not None:
        check_axis("bragg", bragg, "give the axis of the Bragg angle, such as mono.bragg")
    offset = None
    if apply and correct is None:
        offset = Offset(energy if bragg is None else bragg)
    elif correct is not None and not callable(correct):
        raise ValueError(f"correct is {correct!r}; give what can be called with a Calibration")
    asked = (grid.energy_ev + e0_shift).tolist()
    dwell = dict(zip(asked, grid.dwell_s.tolist(), strict=True))
    points = PointTaker(
        detectors,
        lambda step: dwell[step[energy]],
        settle_time=settle_time,
        fixed_dwell=fixed_dwell,
        also_read=() if bragg is None else (bragg,),
    )
    yield from check_unit("energy", energy, "eV")
    yield from points.learn(energy, asked)
    name = edge if isinstance(edge, str) else f"{edge:g} eV"

    def conclude(events: Events) -> MsgGenerator[Calibration]:
        nothing = Calibration(events.uid, name, e0_true, *[math.nan] * 4, applied=False)
        if not events:
            return nothing
        energies = np.array(events[fields(energy)[0]])
        found, sigma = _find_edge(energies, absorption(events), e0_true + e0_shift, largest)
        angle = math.nan
        if bragg is not None:
            angle = _angle(energies, np.array(events[fields(bragg)[0]]), found, e0_true)
        result = Calibration(
            events.uid, name, e0_true, found, sigma, found - e0_true, angle, applied=apply
        )
        if apply and correct is not None:
            plan = correct(result)
            if isgenerator(plan):
                yield from plan
        elif offset is not None:
            yield from _correct(offset, energy, result)
        told = {"found_e0": (found, "eV"), "found_sigma": (sigma, "eV")}
        told["e0_shift"] = (result.shift, "eV")
        told["bragg_correction"] = (angle, "deg")
        told["applied"] = (float(apply), "")
        yield from tell_result(result, told)
        return result

    start = {
        "plan_name": "calibrate_mono",
        **line_md(detectors, energy, asked),
        "Scan": {"edge_energy": grid.e0_ev},
        "calibrated_on": channel,
        CONTRACT_KEY: _contract(grid, used, measured_as, e0_shift),
    }
    if grid.element is not None:
        start["Element"] = {"symbol": grid.element, "edge": grid.edge}
    scan = concluded_run(
        {**start, **(md or {})},
        [*detectors, energy],
        points,
        lambda: points.line(detectors, energy, asked),
        conclude,
    )
    return (yield from behind(shutter, back_on_failure(scan, [energy], always=True)))


class _Absorption:
    """Mu of the foil, up to a factor, from the readings of the channels around it."""

    def __init__(self, roles: Roles, mode: str, channel: str):
        if channel not in ("sample", "reference"):
            raise ValueError(f"channel is {channel!r}; give 'sample' or 'reference'")
        if channel == "reference" and not (roles.itrans and roles.irefer):
            raise ValueError(
                "channel is 'reference', but no detectors are known as itrans and irefer; add "
                'them, or say which data keys they are: roles={"irefer": "<data key>"}'
            )
        self._is_log = channel == "reference" or mode == "transmission"
        if channel == "reference":
            self._keys = (roles.itrans, roles.irefer)
        else:
            self._keys = (roles.i0, roles.itrans if self._is_log else roles.ifluor)

    def __call__(self, events: Events) -> np.ndarray:
        before, after = (np.array(events[str(key)]) for key in self._keys)
        with np.errstate(divide="ignore", invalid="ignore"):
            mu = np.log(before / after) if self._is_log else after / before
        return np.where(np.isfinite(mu), mu, np.nan)


def _contract(grid: EnergyGrid, roles: Roles, mode: Any, e0_shift: float) -> dict[str, Any]:
    return XAFSContract(
        mode=mode,
        roles=roles,
        e0_ev=grid.e0_ev,
        e0_shift_ev=float(e0_shift),
        k_constant_ev_a2=K_CONSTANT_EV_A2,
        points_per_sweep=len(grid),
        grid=grid.to_dict(),
    ).model_dump(mode="json")


def _find_edge(
    energies: np.ndarray, mu: np.ndarray, near: float, largest: float
) -> tuple[float, float]:
    """Where the edge is read, with its standard deviation, in eV."""
    known = np.isfinite(mu)
    if known.sum() < 10:
        raise AlignmentError(
            f"{known.sum()} of {len(mu)} points have an absorption; is the beam on the detectors?"
        )
    energies, mu = energies[known], mu[known]
    quarter = len(mu) // 4
    step, noise = float(np.median(mu[-quarter:]) - np.median(mu[:quarter])), noise_of(mu)
    if step <= SIGNIFICANT * noise:
        raise AlignmentError(
            f"there is no edge between {energies[0]:.1f} and {energies[-1]:.1f} eV: mu changes by "
            f"{step:.3g}, with noise of {noise:.2g}; is the foil in the beam, and is it this edge?"
        )
    found = locate_edge(energies, mu)
    if abs(found.e0 - near) > largest:
        raise AlignmentError(
            f"the edge is read at {found.e0:.2f} eV, {abs(found.e0 - near):.1f} eV from the "
            f"{near:.2f} eV expected, which is more than the {largest:g} eV to be believed; is it "
            "this foil? Else raise largest"
        )
    if not found.sigma <= WELL_KNOWN_EV:
        raise AlignmentError(
            f"the edge is read at {found.e0:.2f} eV, known to {found.sigma:.2g} eV only; measure "
            "longer"
        )
    return found.e0, found.sigma


def _angle(energies: np.ndarray, angles: np.ndarray, found: float, true: float) -> float:
    """Degrees to be added to the Bragg angle: E sin(theta) is the same, read or true."""
    order = np.argsort(energies)
    # 1/E goes with the sine, so that the interpolation between two points is exact.
    sine = np.interp(found, energies[order], (energies * np.sin(np.radians(angles)))[order]) / found
    if not 0 < sine * found / true < 1:
        raise AlignmentError(
            f"the Bragg angle cannot be read in degrees at {found:.1f} eV; give the axis of the "
            "Bragg angle as bragg"
        )
    return math.degrees(math.asin(sine * found / true) - math.asin(sine))


def _correct(offset: Offset, energy: Movable, result: Calibration) -> MsgGenerator[None]:
    """Give the axis its offset, and see that the energy follows."""
    in_angle = offset.axis is not energy
    before = yield from read_number(energy)
    theta = yield from read_number(offset.axis)
    yield from offset.change(result.angle if in_angle else -result.shift)
    after = yield from read_number(energy)
    if before is None or after is None or theta is None:
        return
    expected = before - result.shift
    if in_angle:
        turned = math.radians(theta + result.angle)
        expected = before * math.sin(math.radians(theta)) / math.sin(turned)
    if abs(after - expected) > 0.1 * abs(result.shift) + 0.02:
        yield from offset.undo()
        raise AlignmentError(
            f"with its new offset {called(offset.axis)} makes {called(energy)} read {after:.3f}, "
            f"not {expected:.3f} eV; the offset is as it was, correct it by hand or by correct="
        )
