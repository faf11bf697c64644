"""Powder diffraction: a detector over two-theta."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from bluesky import plans as bp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from beamline_ophyd.edges import HC_EV_ANGSTROM
from beamline_ophyd.metadata import POWDER_KEY, PowderContract, PowderRoles

from ._axes import check_keys, check_unit
from ._checks import called, check_apart, check_axis, check_detectors, fields, number, positive
from ._points import PointTaker
from ._reading import read_number
from ._shutter import behind

__all__ = ["powder_scan"]

MAX_POINTS = 1_000_000


def powder_scan(
    detectors: Sequence[Readable],
    two_theta: Movable,
    start: float,
    stop: float,
    step: float,
    *,
    time: float = 1.0,
    theta: Movable | None = None,
    energy: Readable | None = None,
    wavelength: float | None = None,
    counts: str | None = None,
    monitor: str | None = None,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure a powder pattern, two-theta step by step.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point; the first one counts what is diffracted, unless
        `counts` says otherwise.
    two_theta : Movable
        The detector's arm, in degrees.
    start, stop, step : float
        First and last angle and the step, in degrees; the last step is as short as it has to
        be to end at `stop`.
    time : float
        Dwell time in s.
    theta : Movable, optional
        The sample's angle, kept at half of two-theta.
    energy : Readable, optional
        The axis that tells the photon energy in eV, from which the wavelength follows.
    wavelength : float, optional
        The wavelength in Angstrom, where no axis tells the energy.
    counts, monitor : str, optional
        Data keys of the diffracted and of the incident beam.
    settle_time : float
        Seconds to wait at each angle before counting.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    str
        The run's uid. The start document has a
        :class:`~beamline_ophyd.metadata.PowderContract` under ``powder``.

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, angles beyond the limits included.
    DeviceError
        When a motion or a count does not end within the time its speed asks for.

    Examples
    --------
    >>> from beamline_ophyd.plans import powder_scan
    >>> from ophyd.sim import SynAxis, det
    >>> arm = SynAxis(name="tth")
    >>> plan = powder_scan([det], arm, 28, 29, 0.4, wavelength=1.5406, fixed_dwell=True)
    >>> [round(m.args[0], 3) for m in plan if m.command == "set" and m.obj is arm]
    [28.0, 28.4, 28.8, 29.0]
    """
    check_detectors("powder_scan", detectors)
    check_axis("two_theta", two_theta, "give the axis of the detector's arm")
    if theta is not None:
        check_axis("theta", theta, "give the axis that turns the sample")
        check_apart(two_theta=two_theta, theta=theta)
    angles = _angles(start, stop, step)
    for name, axis in (("two_theta", two_theta), ("theta", theta)):
        if axis is not None:
            yield from check_unit(name, axis, "degrees")
    yield from check_keys({"counts": counts, "monitor": monitor}, detectors)
    points = PointTaker(detectors, time, settle_time=settle_time, fixed_dwell=fixed_dwell)
    yield from points.learn(two_theta, angles)
    if theta is not None:
        yield from points.learn(theta, [angle / 2 for angle in angles])
    contract = PowderContract(
        roles=PowderRoles(
            two_theta=fields(two_theta)[0],
            counts=counts or fields(detectors[0])[0],
            theta=None if theta is None else fields(theta)[0],
            monitor=monitor,
            dwell=points.dwell.name,
        ),
        wavelength_angstrom=(yield from _wavelength(energy, wavelength)),
    )
    start_md = {
        "plan_name": "powder_scan",
        "dwell_s": time,
        POWDER_KEY: contract.model_dump(mode="json"),
        "hints": {"dimensions": [([contract.roles.two_theta], "primary")]},
        **(md or {}),
    }
    axes: list[Any] = [two_theta, angles]
    if theta is not None:
        axes += [theta, [angle / 2 for angle in angles]]
    plan = bp.list_scan(detectors, *axes, per_step=points.step, md=start_md)
    return (yield from behind(shutter, points.around(plan)))


def _angles(start: Any, stop: Any, step: Any) -> list[float]:
    start, stop = (number(n, v, "degrees") for n, v in (("start", start), ("stop", stop)))
    step = positive("step", step, "degrees")
    if not start < stop:
        raise ValueError(f"two-theta goes from {start:g} to {stop:g}; give a stop above the start")
    if (stop - start) / step > MAX_POINTS:
        raise ValueError(f"a step of {step:g} degrees makes more than {MAX_POINTS} points")
    angles = start + step * np.arange(int(np.ceil((stop - start) / step)))
    # A last point closer to the end than a thousandth of a step would be there twice.
    angles = angles[angles < stop - 1e-3 * step]
    return [*angles.tolist(), stop]


def _wavelength(energy: Any, wavelength: Any) -> MsgGenerator[float]:
    if (energy is None) == (wavelength is None):
        raise ValueError(
            "powder_scan takes either energy, the axis that tells the photon energy, or "
            "wavelength in Angstrom; give one of them"
        )
    if energy is None:
        return positive("wavelength", wavelength, "Angstrom")
    if not isinstance(energy, Readable):
        raise ValueError(f"energy is {energy!r}, which cannot be read; give mono.energy")
    yield from check_unit("energy", energy, "eV")
    energy_ev = yield from read_number(energy)
    if energy_ev is None:
        # Nothing answers where the plan is only listed; and then nothing is measured either.
        return 1.0
    return HC_EV_ANGSTROM / positive(f"the energy that {called(energy)} tells", energy_ev, "eV")
