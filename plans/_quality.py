"""Whether a point that was just measured can be believed."""

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from beamline_ophyd.metadata import Roles

from ._roles import signal_role

__all__ = ["Judge"]

I0_FALLS_TO = 0.2
"""I0 below this part of the points before is a beam dip; glitches of a crystal are not as deep."""

BEAM_FALLS_TO = 0.5
"""Without a lowest current given, below this part of the first reading is a beam dip."""

REMEMBERED = 5


class Judge:
    """Says of the readings of one point what is wrong with them.

    Parameters
    ----------
    roles : Roles
    mode : str
    beam : str, optional
        Data key of the ring current.
    lowest_beam : float, optional
        Ring current, in its own units, below which a point is bad.
    saturation : mapping
        Data key to the counts/s from which on a channel is saturated.
    """

    def __init__(
        self,
        roles: Roles,
        mode: str,
        beam: str | None = None,
        lowest_beam: float | None = None,
        saturation: Mapping[str, float] | None = None,
    ):
        self._channels = roles.channels
        self._i0 = self._channels["i0"]
        # A fluorescence detector may well count nothing below the edge, and a thick
        # reference foil lets nothing through.
        self._never_dark = {self._i0}
        if signal_role(mode) == "itrans":
            self._never_dark.add(self._channels["itrans"])
        self._beam = beam
        self._lowest_beam = lowest_beam
        self._saturation = dict(saturation or {})
        self._rates: deque[float] = deque(maxlen=REMEMBERED)

    def __call__(self, readings: Mapping[str, Any], dwell_s: float) -> str:
        """What is wrong with a point, in words; empty when it is good."""
        if not readings:  # messages that nobody carries out
            return ""
        values = {key: _number(readings, key) for key in self._channels.values()}
        i0, rate = values[self._i0], values[self._i0] / dwell_s
        # Without beam the other channels are dark too, and not to blame.
        wrong = (
            self._beam_dip(readings)
            or self._detector({self._i0: i0}, dwell_s)
            or self._fall(rate)
            or self._detector(values, dwell_s)
        )
        if not wrong:
            self._rates.append(rate)
        return wrong

    def _fall(self, rate: float) -> str:
        if len(self._rates) < 2 or rate >= I0_FALLS_TO * median(self._rates):
            return ""
        percent = 100 * rate / median(self._rates)
        return f"beam dip: {self._i0} fell to {percent:.2g} % of the points before"

    def _beam_dip(self, readings: Mapping[str, Any]) -> str:
        if self._beam is None:
            return ""
        current = _number(readings, self._beam)
        if self._lowest_beam is None:
            self._lowest_beam = BEAM_FALLS_TO * current
        if current >= self._lowest_beam:
            return ""
        return f"beam dip: {self._beam} is {current:.4g}, below {self._lowest_beam:.4g}"

    def _detector(self, values: Mapping[str, float], dwell_s: float) -> str:
        for key, value in values.items():
            if not math.isfinite(value):
                return f"dead detector: {key} is {value}"
            if key in self._never_dark and value <= 0:
                return f"dead detector: {key} is {value:g}"
            limit = self._saturation.get(key)
            if limit is not None and value >= limit * dwell_s:
                return f"saturated: {key} has {value / dwell_s:.4g} counts/s, {limit:.4g} or more"
        return ""


def _number(readings: Mapping[str, Any], key: str) -> float:
    try:
        return float(readings[key]["value"])
    except (KeyError, TypeError, ValueError):
        return math.nan
