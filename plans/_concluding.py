"""Runs that say at their end what they found: in the stream "result", and to their caller."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator, RunEngineControlException

from beamline_ophyd.metadata import RESULT_STREAM, WORDS_KEY

from ._axes import axis_speed
from ._checks import called, fields
from ._points import PointTaker
from ._reading import read_number, read_place
from ._steps import failures_in_words, move

__all__ = ["Events", "back_on_failure", "concluded_run", "known_to", "line_md", "tell_result"]

logger = logging.getLogger("bluesky.beamline_ophyd")


class Events:
    """The events of a run's stream "primary", as they are recorded.

    A point that a pause makes bluesky take again has two events; the later one counts.
    """

    def __init__(self) -> None:
        self.uid = ""
        self._descriptor: str | None = None
        self._units: dict[str, str] = {}
        self._data: dict[int, Mapping[str, Any]] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document."""
        if name == "start":
            self.uid = doc["uid"]
        if name == "descriptor" and doc["name"] == "primary":
            self._descriptor = doc["uid"]
            self._units = {k: about.get("units") or "" for k, about in doc["data_keys"].items()}
        if name == "event" and doc["descriptor"] == self._descriptor:
            self._data[doc["seq_num"]] = doc["data"]

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, key: str) -> list[float]:
        """All readings of a data key, in the order of the points."""
        return [float(self._data[number][key]) for number in sorted(self._data)]

    def unit(self, key: str) -> str:
        """Unit of a data key, empty where it has none."""
        return self._units.get(key, "")


def concluded_run(
    start: Mapping[str, Any],
    staged: Iterable[Any],
    points: PointTaker,
    measure: Callable[[], MsgGenerator[None]],
    conclude: Callable[[Events], MsgGenerator[Any]],
) -> MsgGenerator[Any]:
    """A run that measures, and then draws its conclusion while it is still open.

    Parameters
    ----------
    start : mapping
        Metadata.
    staged : iterable of device
    points : PointTaker
    measure : callable
        The plan of all points.
    conclude : callable
        Gets the run's events; what its plan returns is returned. It is also called when
        nobody carries out the messages, and has no events then.
    """
    events = Events()
    results: list[Any] = []

    @bpp.subs_decorator(events)
    @bpp.stage_decorator(list(staged))
    @bpp.run_decorator(md=dict(start))
    def run() -> MsgGenerator[None]:
        with failures_in_words():
            yield from measure()
            # A pause from here on does not take the last point again.
            yield Msg("checkpoint")
            results.append((yield from conclude(events)))

    yield from points.around(run())
    return results[0]


def back_on_failure(
    plan: MsgGenerator[Any], axes: Sequence[Movable], always: bool = False
) -> MsgGenerator[Any]:
    """Bring axes back to where they are now when the plan fails or is aborted.

    Parameters
    ----------
    plan : iterable of Msg
    axes : sequence of Movable
    always : bool
        Also after a plan that went well.
    """
    places = []
    for axis in axes:
        speed = yield from axis_speed(axis)
        places.append((axis, (yield from read_place(axis)), speed))

    def back(_: Any = None) -> MsgGenerator[None]:
        for axis, place, speed in places:
            if place is None:  # nobody carries out the messages
                continue
            try:
                here = yield from read_number(axis)
                distance = None if here is None else here - place
                yield from move(axis, place, speed.limit_s(distance))
            except RunEngineControlException:
                raise
            except Exception as error:
                # What made the plan fail is the cause; this is only one more consequence.
                logger.error("%s is not back at %s, see to it: %s", called(axis), place, error)

    return (
        yield from bpp.contingency_wrapper(
            plan, except_plan=back, else_plan=back if always else None
        )
    )


def line_md(
    detectors: Sequence[Readable], axis: Movable, positions: Sequence[float]
) -> dict[str, Any]:
    """What a start document says of a line of points, as bluesky's own plans say it."""
    return {
        "detectors": [d.name for d in detectors],
        "motors": [called(axis)],
        "num_points": len(positions),
        "num_intervals": len(positions) - 1,
        "plan_type": "generator",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "axis": repr(axis),
            "start": positions[0],
            "stop": positions[-1],
            "num": len(positions),
        },
        "hints": {"dimensions": [(fields(axis), "primary")]},
    }


def known_to(value: float, sigma: float) -> str:
    """A value with its standard deviation, and no more decimals than that makes sense of.

    >>> known_to(0.158584, 34.66), known_to(12.3456, 0.012)
    ('0 +- 35', '12.346 +- 0.012')
    """
    if not (math.isfinite(sigma) and sigma > 0):
        return f"{value:.6g} +- {sigma:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(sigma)))
    return f"{value:.{decimals}f} +- {sigma:.2g}"


def tell_result(found: Any, values: Mapping[str, tuple[float, str]]) -> MsgGenerator[None]:
    """One event in the stream "result": what was found in words, and as values with their units.

    RE() returns uids only, so that whoever called it has the words from the run's documents.
    """
    yield Msg("create", None, name=RESULT_STREAM)
    yield Msg("read", _Result(str(found), values))
    yield Msg("save")


class _Result:
    """Found numbers as bluesky reads a device."""

    name = "result"
    parent = None
    hints: Mapping[str, Any] = {"fields": []}

    def __init__(self, words: str, values: Mapping[str, tuple[float, str]]):
        self._words = words
        self._values = values
        self._found = time.time()

    def read(self) -> dict[str, Any]:
        values: dict[str, Any] = {key: value for key, (value, _) in self._values.items()}
        values[WORDS_KEY] = self._words
        return {key: {"value": value, "timestamp": self._found} for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        about: dict[str, Any] = {
            key: {"source": "result", "dtype": "number", "shape": [], "units": unit}
            for key, (_, unit) in self._values.items()
        }
        return about | {WORDS_KEY: {"source": "result", "dtype": "string", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}
