"""Counts and lines: bluesky's own plans, with dwell times, limits and a shutter."""

from collections.abc import Sequence
from typing import Any

from bluesky import plans as bp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._checks import check_detectors, line, number, whole_number
from ._points import PointTaker
from ._shutter import behind

__all__ = ["count", "line_scan"]


def count(
    detectors: Sequence[Readable],
    num: int = 1,
    *,
    time: float = 1.0,
    delay: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Count where everything is.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read together.
    num : int
        Number of counts.
    time : float
        Dwell time of each, in s.
    delay : float
        Seconds from one count's begin to the next one's, where that is longer.
    shutter : Movable, optional
        Opened before the run and closed after it, whatever happens.
    fixed_dwell : bool
        Count with detectors that cannot be told a dwell time, with whatever they use.
    md : dict, optional
        Metadata.

    Returns
    -------
    str
        The run's uid.

    Examples
    --------
    >>> from beamline_ophyd.plans import count
    >>> from ophyd.sim import det
    >>> sum(m.command == "save" for m in count([det], 3, time=0.1, fixed_dwell=True))
    3
    """
    check_detectors("count", detectors)
    num = whole_number("num", num, "counts")
    number("delay", delay, "seconds", lowest=0)
    points = PointTaker(detectors, time, fixed_dwell=fixed_dwell)
    plan = bp.count(detectors, num, delay, per_shot=points.shot, md={"dwell_s": time, **(md or {})})
    return (yield from behind(shutter, points.around(plan)))


def line_scan(
    detectors: Sequence[Readable],
    axis: Movable,
    start: float,
    stop: float,
    num: int,
    *,
    time: float = 1.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure along a line, at equally spaced positions.

    Parameters
    ----------
    detectors : sequence of Readable
        Counted and read at every point.
    axis : Movable
        What moves.
    start, stop : float
        First and last position in the axis's units; both are measured.
    num : int
        Number of points.
    time : float
        Dwell time in s.
    settle_time : float
        Seconds to wait at each position before counting.
    shutter, fixed_dwell, md
        As in :func:`count`.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, positions beyond the limits included.
    DeviceError
        When a motion or a count does not end within the time its speed asks for.

    Examples
    --------
    >>> from beamline_ophyd.plans import line_scan
    >>> from ophyd.sim import det, motor
    >>> plan = line_scan([det], motor, -1, 1, 5, time=0.1, fixed_dwell=True)
    >>> [m.args[0] for m in plan if m.command == "set" and m.obj is motor]
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    check_detectors("line_scan", detectors)
    targets = line("axis", axis, start, stop, num)
    points = PointTaker(detectors, time, settle_time=settle_time, fixed_dwell=fixed_dwell)
    yield from points.learn(axis, targets)
    start_md = {"plan_name": "line_scan", "dwell_s": time, **(md or {})}
    plan = bp.scan(detectors, axis, start, stop, len(targets), per_step=points.step, md=start_md)
    return (yield from behind(shutter, points.around(plan)))
