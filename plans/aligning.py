"""Alignment: a line over a sample, and to its edge or centre."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._checks import called, check_detectors, fields, line
from ._concluding import Events, back_on_failure, concluded_run, known_to, line_md, tell_result
from ._intensity import sample_intensity
from ._points import PointTaker
from ._profile import LEAST_POINTS, find_edge, find_peak, find_sample
from ._reading import read_number
from ._shutter import behind

__all__ = ["Alignment", "align"]

FINDERS = {"centre": find_sample, "edge": find_edge, "peak": find_peak}


@dataclass(frozen=True)
class Alignment:
    """What :func:`align` found.

    Attributes
    ----------
    uid : str
        Of the run; empty where nobody carried out the plan's messages.
    axis, feature : str
        Name of the axis, and what it was aligned to.
    position, sigma : float
        Where that is, in the axis's units, and its standard deviation; nan where nothing was
        measured.
    width : float
        Of a sample between its edges, and of a peak, at half height; of an edge, from 10 to
        90 % of its height, which is what the beam smears it by.
    height : float
        By how much the signal is higher there, negative where it is lower; of a peak, its height
        above zero.
    """

    uid: str
    axis: str
    feature: str
    position: float
    sigma: float
    width: float
    height: float

    def __str__(self) -> str:
        return (
            f"{self.axis}: {self.feature} at {known_to(self.position, self.sigma)}, "
            f"{self.width:.4g} wide, signal {self.height:+.4g}"
        )


def align(
    detectors: Sequence[Readable],
    axis: Movable,
    start: float,
    stop: float,
    num: int = 31,
    *,
    to: str = "centre",
    signal: str | None = None,
    monitor: str | None = None,
    relative: bool = False,
    move: bool = True,
    time: float = 0.2,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Scan an axis over a sample, find its centre or edge, and go there.

    The last motion goes from the begin of the scan to the result, in the direction of the scan,
    so that backlash is the same as at the points. A scan that tells nothing (flat, an edge
    missing, the peak at an end) fails, and the axis is back where it was.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    axis : Movable
        What moves.
    start, stop : float
        First and last position in the axis's units.
    num : int
        Number of points, 7 or more.
    to : {"centre", "edge", "peak"}
        "centre": the middle of a sample with both edges in the range, whether the signal is
        lower or higher there. "edge": half height of the one edge in the range. "peak": the
        highest signal.
    signal, monitor : str, optional
        Data key of the signal, and what it is divided by. By default transmission over I0, or
        fluorescence over I0, by the usual names, and else what the first detector gives.
    relative : bool
        `start` and `stop` count from where the axis is now.
    move : bool
        Go to the result; else back to where the axis was.
    time : float
        Dwell time in s.
    settle_time : float
        Seconds to wait at each position before counting.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    Alignment
        Also in the run, as the one event of the stream "result": ``found_position``,
        ``found_sigma``, ``found_width``, ``found_height``.

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, positions beyond the limits included.
    AlignmentError
        When the scan does not show what is looked for.
    DeviceError
        When a motion or a count does not end within the time its speed asks for.

    Examples
    --------
    >>> from bluesky import RunEngine
    >>> from beamline_ophyd.plans import align
    >>> from ophyd.sim import SynAxis, SynGauss
    >>> x = SynAxis(name="x")
    >>> diode = SynGauss("diode", x, "x", center=1.5, Imax=1000, sigma=1)
    >>> RE = RunEngine({}, call_returns_result=True)
    >>> print(RE(align([diode], x, -5, 5, to="peak", fixed_dwell=True)).plan_result.feature)
    peak
    >>> round(float(x.position), 1)
    1.5
    """
    check_detectors("align", detectors)
    if to not in FINDERS:
        raise ValueError(f"to is {to!r}; give one of {', '.join(map(repr, FINDERS))}")
    intensity = sample_intensity(detectors, signal, monitor)
    positions = line("axis", axis, start, stop, num, lowest=LEAST_POINTS)
    if relative:
        here = yield from read_number(axis)
        positions = [position + (here or 0.0) for position in positions]
    points = PointTaker(detectors, time, settle_time=settle_time, fixed_dwell=fixed_dwell)
    yield from points.learn(axis, positions)

    def conclude(events: Events) -> MsgGenerator[Alignment]:
        nothing = Alignment(events.uid, called(axis), to, *[float("nan")] * 4)
        if not events:
            return nothing
        found = FINDERS[to](events[fields(axis)[0]], intensity(events))
        if move:
            yield from points.go_from(axis, positions[0], found.position)
        result = Alignment(
            events.uid, called(axis), to, found.position, found.sigma, found.width, found.height
        )
        unit = events.unit(fields(axis)[0])
        yield from tell_result(
            result,
            {
                "found_position": (found.position, unit),
                "found_sigma": (found.sigma, unit),
                "found_width": (found.width, unit),
                "found_height": (found.height, ""),
            },
        )
        return result

    start_md = {
        "plan_name": "align",
        **line_md(detectors, axis, positions),
        "dwell_s": time,
        "align_to": to,
        **intensity.to_dict(),
        **(md or {}),
    }
    scan = concluded_run(
        start_md,
        [*detectors, axis],
        points,
        lambda: points.line(detectors, axis, positions),
        conclude,
    )
    return (yield from behind(shutter, back_on_failure(scan, [axis], always=not move)))
