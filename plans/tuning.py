"""The monochromator's second crystal: its rocking curve, and tuning to its peak or beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._checks import called, check_axis, check_detectors, fields, number, positive, whole_number
from ._concluding import Events, back_on_failure, concluded_run, known_to, line_md, tell_result
from ._intensity import beam_intensity
from ._points import PointTaker
from ._profile import LEAST_POINTS, AlignmentError, find_peak, position_at_fraction
from ._reading import read_number
from ._shutter import behind

__all__ = ["RockingCurve", "rocking_curve", "tune_pitch"]

SIDES = {"above": 1, "below": -1}


@dataclass(frozen=True)
class RockingCurve:
    """What :func:`rocking_curve` and :func:`tune_pitch` found; nan where nothing was measured.

    Attributes
    ----------
    uid : str
        Of the run; empty where nobody carried out the plan's messages.
    axis : str
        Name of the axis.
    peak, sigma, fwhm : float
        Where the signal is highest, its standard deviation, and the full width at half of the
        height above the lowest point (nan where the curve does not reach it on both sides), in
        the axis's units.
    height : float
        Signal at the peak, in counts a point or as the monitor makes it.
    position : float
        Where the axis was left.
    reached : float
        Signal counted there as a part of the height; nan after a mere rocking curve.
    """

    uid: str
    axis: str
    peak: float
    sigma: float
    fwhm: float
    height: float
    position: float
    reached: float

    def __str__(self) -> str:
        found = (
            f"{self.axis}: peak at {known_to(self.peak, self.sigma)}, FWHM {self.fwhm:.4g}, "
            f"{self.height:.4g} high; at {self.position:.6g} now"
        )
        return found if math.isnan(self.reached) else f"{found}, {100 * self.reached:.3g} % of it"


def rocking_curve(
    detectors: Sequence[Readable],
    pitch: Movable,
    span: float,
    num: int = 41,
    *,
    signal: str | None = None,
    monitor: str | None = None,
    time: float = 0.2,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Measure the rocking curve about where the pitch is now, and leave the pitch there.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    pitch : Movable
        The fine angle of the second crystal.
    span : float
        Whole range of the scan, centred at the present position, in the axis's units.
    num : int
        Number of points, 7 or more.
    signal, monitor : str, optional
        Data key of the signal, and what it is divided by. By default I0, by its usual name, or
        what the first detector gives, undivided.
    time : float
        Dwell time in s.
    settle_time : float
        Seconds to wait at each position before counting.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    RockingCurve
        Also in the run, as the one event of the stream "result".

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, positions beyond the limits included.
    AlignmentError
        When there is no peak, or it is at the end of the range; the pitch is where it was.
    DeviceError
        When a motion or a count does not end within the time its speed asks for.

    Examples
    --------
    >>> from bluesky import RunEngine
    >>> from beamline_ophyd.plans import rocking_curve
    >>> from ophyd.sim import SynAxis, SynGauss
    >>> pitch = SynAxis(name="pitch")
    >>> i0 = SynGauss("i0", pitch, "pitch", center=12, Imax=1e5, sigma=23)
    >>> RE = RunEngine({}, call_returns_result=True)
    >>> curve = RE(rocking_curve([i0], pitch, 200, fixed_dwell=True)).plan_result
    >>> round(curve.peak), round(curve.fwhm), pitch.position
    (12, 54, 0.0)
    """
    curve = _Curve("rocking_curve", detectors, pitch, signal, monitor)
    plan = curve.scan(span, num, None, md, time, settle_time, fixed_dwell)
    return (yield from behind(shutter, back_on_failure(plan, [pitch], always=True)))


def tune_pitch(
    detectors: Sequence[Readable],
    pitch: Movable,
    span: float,
    num: int = 41,
    *,
    fraction: float = 1.0,
    side: str = "above",
    tolerance: float = 0.1,
    signal: str | None = None,
    monitor: str | None = None,
    time: float = 0.2,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Measure the rocking curve, and go to its peak, or beside it against harmonics.

    The last motion goes from the begin of the scan to the result, in the direction of the scan,
    so that backlash is the same as at the points; the signal is counted there once more. When
    anything fails the pitch is back where it was.

    Parameters
    ----------
    detectors, pitch, span, num
        As in :func:`rocking_curve`.
    fraction : float
        Of the signal at the peak, to which to detune: 0.6 leaves 60 %. By default the peak.
    side : {"above", "below"}
        On which side of the peak's position to detune.
    tolerance : float
        By how much the signal counted at the end may differ from that, as part of the peak.
    signal, monitor, time, settle_time, shutter, fixed_dwell, md
        As in :func:`rocking_curve`.

    Returns
    -------
    RockingCurve
        Also in the run, as the one event of the stream "result".

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, positions beyond the limits included.
    AlignmentError
        When there is no peak, it is at the end of the range, the curve does not fall to the
        fraction, or the signal at the end is not what was asked for.
    DeviceError
        When a motion or a count does not end within the time its speed asks for.

    Examples
    --------
    >>> from bluesky import RunEngine
    >>> from beamline_ophyd.plans import tune_pitch
    >>> from ophyd.sim import SynAxis, SynGauss
    >>> pitch = SynAxis(name="pitch")
    >>> i0 = SynGauss("i0", pitch, "pitch", center=12, Imax=1e5, sigma=23)
    >>> RE = RunEngine({}, call_returns_result=True)
    >>> tuned = RE(tune_pitch([i0], pitch, 200, fraction=0.5, fixed_dwell=True)).plan_result
    >>> round(tuned.reached, 1), round(tuned.position) == round(12 + 23 * 1.177)
    (0.5, True)
    """
    if side not in SIDES:
        raise ValueError(f"side is {side!r}; give 'above' or 'below'")
    fraction = positive("fraction", fraction, "a part of the peak")
    if fraction > 1:
        raise ValueError(f"fraction is {fraction:g}; give a part of the peak, at most 1")
    tolerance = positive("tolerance", tolerance, "a part of the peak")
    curve = _Curve("tune_pitch", detectors, pitch, signal, monitor)
    target = _Target(fraction, SIDES[side], tolerance)
    plan = curve.scan(span, num, target, md, time, settle_time, fixed_dwell)
    return (yield from behind(shutter, back_on_failure(plan, [pitch])))


@dataclass(frozen=True)
class _Target:
    fraction: float
    side: int
    tolerance: float

    def of(self, x: Sequence[float], y: np.ndarray, peak: Any) -> float:
        if self.fraction == 1:
            return peak.position
        return position_at_fraction(x, y, peak, self.fraction, self.side)

    def check(self, reached: float, at: float) -> None:
        if not abs(reached - self.fraction) <= self.tolerance:
            raise AlignmentError(
                f"at {at:g} the signal is {100 * reached:.3g} % of the peak, not "
                f"{100 * self.fraction:.3g} %, as the scan said; is the beam steady, and does the "
                "axis settle within settle_time?"
            )


class _Curve:
    """A rocking curve, and what is done with it."""

    def __init__(
        self,
        plan_name: str,
        detectors: Sequence[Readable],
        pitch: Movable,
        signal: str | None,
        monitor: str | None,
    ):
        check_detectors(plan_name, detectors)
        check_axis("pitch", pitch, "give the second crystal's pitch, such as mono.pitch")
        self.plan_name, self.detectors, self.pitch = plan_name, detectors, pitch
        self.intensity = beam_intensity(detectors, signal, monitor)

    def scan(
        self,
        span: float,
        num: int,
        target: _Target | None,
        md: dict[str, Any] | None,
        time: float,
        settle_time: float,
        fixed_dwell: bool,
    ) -> MsgGenerator[RockingCurve]:
        half = positive("span", span, "the range of the scan") / 2
        num = whole_number("num", num, "points", lowest=LEAST_POINTS)
        points = PointTaker(self.detectors, time, settle_time=settle_time, fixed_dwell=fixed_dwell)
        here = (yield from read_number(self.pitch)) or 0.0
        positions = np.linspace(here - half, here + half, num).tolist()
        yield from points.learn(self.pitch, positions)
        start = {
            "plan_name": self.plan_name,
            **line_md(self.detectors, self.pitch, positions),
            "dwell_s": number("time", time, "seconds"),
            **self.intensity.to_dict(),
            **({} if target is None else {"fraction": target.fraction, "side": target.side}),
            **(md or {}),
        }

        def conclude(events: Events) -> MsgGenerator[RockingCurve]:
            return self._conclude(events, points, positions[0], here, target)

        return (
            yield from concluded_run(
                start,
                [*self.detectors, self.pitch],
                points,
                lambda: points.line(self.detectors, self.pitch, positions),
                conclude,
            )
        )

    def _conclude(
        self, events: Events, points: PointTaker, begin: float, here: float, target: _Target | None
    ) -> MsgGenerator[RockingCurve]:
        name = called(self.pitch)
        if not events:
            return RockingCurve(events.uid, name, *[math.nan] * 6)
        x, y = events[fields(self.pitch)[0]], self.intensity(events)
        peak = find_peak(x, y)
        position, reached = here, math.nan
        if target is not None:
            position = target.of(x, y, peak)
            yield from points.go_from(self.pitch, begin, position)
            reached = float(self.intensity((yield from points.count(self.detectors))))
            reached /= peak.height
            target.check(reached, position)
        curve = RockingCurve(
            events.uid, name, peak.position, peak.sigma, peak.width, peak.height, position, reached
        )
        unit = events.unit(fields(self.pitch)[0])
        yield from tell_result(
            curve,
            {
                "found_peak": (curve.peak, unit),
                "found_sigma": (curve.sigma, unit),
                "found_fwhm": (curve.fwhm, unit),
                "found_height": (curve.height, events.unit(self.intensity.signal)),
                "tuned_to": (curve.position, unit),
                "reached": (curve.reached, ""),
            },
        )
        return curve
