"""Amplifiers' gains, chosen so that signals use the range that they have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky import plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._axes import UNKNOWN_SPEED_LIMIT_S, check_unit
from ._checks import called, check_axis, check_detectors, fields, is_number, number, positive
from ._concluding import Events, back_on_failure, concluded_run, tell_result
from ._detectors import saturation_rates
from ._points import PointTaker
from ._profile import AlignmentError
from ._reading import read_number
from ._shutter import behind
from ._steps import move

__all__ = ["Gains", "auto_gain"]

FASTEST = 100.0
"""No gain is raised by more than this at once: the dark current is part of the signal."""


@dataclass(frozen=True)
class Gains:
    """What :func:`auto_gain` chose, by the detectors' data keys.

    Attributes
    ----------
    uid : str
        Of the run; empty where nobody carried out the plan's messages.
    gains : dict of str to float
        In the amplifiers' units, such as V/A.
    fractions : dict of str to float
        Highest rate measured with them, as part of the saturated one.
    """

    uid: str
    gains: dict[str, float]
    fractions: dict[str, float]

    def __str__(self) -> str:
        return ", ".join(
            f"{key}: gain {gain:g}, {100 * self.fractions[key]:.3g} % of its range"
            for key, gain in self.gains.items()
        )


def auto_gain(
    detectors: Sequence[Readable],
    amplifiers: Sequence[Movable],
    *,
    lowest: float = 0.02,
    highest: float = 0.8,
    energy: Movable | None = None,
    energies: Sequence[float] | None = None,
    saturation: dict[str, float] | None = None,
    time: float = 0.2,
    settle_time: float = 0.2,
    shutter: Movable | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Choose the highest gains with which the signals stay within their range.

    Counts with the present gains, computes better ones, and counts again, until nothing is
    left to be changed. When anything fails the gains are as they were.

    Parameters
    ----------
    detectors : sequence of Readable
        Each knows the counts/s at which it saturates as ``saturation_rate`` (a number or a
        signal), unless `saturation` says it.
    amplifiers : sequence of Movable
        The amplifier of each detector, in the same order. An amplifier has ``gains``, the gains
        that it takes, rising; is set to one of them; and reads as the present one.
    lowest, highest : float
        Range that the signals are to be in, as parts of the saturated rate.
    energy, energies : Movable and sequence of float, optional
        Count at these energies in eV, such as below and above an edge, and take the highest
        signal of each detector; the axis returns to where it was.
    saturation : dict, optional
        Counts/s at which a detector saturates, by data key.
    time : float
        Dwell time in s.
    settle_time : float
        Seconds to wait after gains were changed.
    shutter, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    Gains
        Also in the run, as the one event of the stream "result".

    Raises
    ------
    ValueError
        Before anything is changed, for what does not fit.
    AlignmentError
        When a detector saturates at the lowest gain, or sees hardly anything at the highest.
    DeviceError
        When a motion, a count or a gain does not come in time.

    Examples
    --------
    >>> from beamline_ophyd.plans import auto_gain
    >>> RE(auto_gain([i0, it], [i0_amplifier, it_amplifier],
    ...              energy=mono.energy, energies=[7090, 7200]))  # doctest: +SKIP
    """
    check_detectors("auto_gain", detectors)
    chains = _chains(detectors, amplifiers)
    positive("lowest", lowest, "a part of the saturated rate")
    positive("highest", highest, "a part of the saturated rate")
    if not lowest < highest < 1:
        raise ValueError(
            f"lowest is {lowest:g} and highest {highest:g}; give rising parts of the saturated "
            "rate below 1"
        )
    number("settle_time", settle_time, "seconds", lowest=0)
    if (energy is None) != (not energies):
        raise ValueError("give both energy and energies, or neither")
    points = PointTaker(detectors, time, also_read=list(amplifiers))
    asked = [number("energies", value, "photon energies in eV") for value in energies or ()]
    if energy is not None:
        check_axis("energy", energy, "give the axis that takes photon energies")
        yield from check_unit("energy", energy, "eV")
        yield from points.learn(energy, asked)
    full = yield from saturation_rates(detectors, saturation)
    for chain in chains:
        if chain.key not in full and getattr(chain.detector, "saturation_rate", None) is None:
            raise ValueError(
                f"{chain.key} does not tell the rate at which it saturates; give it as "
                f"saturation={{{chain.key!r}: counts/s}}"
            )
        chain.full = full.get(chain.key, np.inf)
        yield from chain.find_gain()

    def measure() -> MsgGenerator[None]:
        if energy is None:
            yield from points.shot(detectors)
        else:
            yield from points.line(detectors, energy, asked)

    def conclude(events: Events) -> MsgGenerator[Gains]:
        # This ends: a step down lowers the ceiling for good, and below it the steps go up.
        while events:
            rates = {c.key: max(events[c.key][-max(len(asked), 1) :]) / time for c in chains}
            changes = [(c, c.better(rates[c.key], highest)) for c in chains]
            changed = [(c, index) for c, index in changes if index != c.index]
            if not changed:
                break
            for chain, index in changed:
                yield from chain.choose(index)
            yield from bps.sleep(settle_time)
            yield from measure()
        for chain in chains if events else ():
            chain.check(lowest)
        result = Gains(
            events.uid,
            {c.key: c.gain for c in chains},
            {c.key: c.fraction for c in chains},
        )
        if events:
            told = {f"{c.key}_gain": (c.gain, events.unit(c.gain_key)) for c in chains}
            told |= {f"{c.key}_fraction": (c.fraction, "") for c in chains}
            yield from tell_result(result, told)
        return result

    start = {
        "plan_name": "auto_gain",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "amplifiers": [repr(a) for a in amplifiers],
            "lowest": lowest,
            "highest": highest,
            "energies": asked,
        },
        "detectors": [d.name for d in detectors],
        "motors": [called(a) for a in amplifiers],
        "dwell_s": time,
        **(md or {}),
    }
    axes = [] if energy is None else [energy]
    scan = concluded_run(start, [*detectors, *axes], points, measure, conclude)
    scan = back_on_failure(back_on_failure(scan, axes, always=True), list(amplifiers))
    return (yield from behind(shutter, scan))


class _Chain:
    """A detector's channel behind its amplifier."""

    def __init__(self, detector: Readable, amplifier: Any, gains: list[float]):
        self.detector, self.amplifier, self.gains = detector, amplifier, gains
        self.key = fields(detector)[0]
        self.gain_key = fields(amplifier)[0]
        self.index = 0
        self.full = np.inf
        self.fraction = float("nan")
        self._too_high = len(gains)

    @property
    def gain(self) -> float:
        return self.gains[self.index]

    def find_gain(self) -> MsgGenerator[None]:
        """Ask the amplifier what it is set to."""
        found = yield from read_number(self.amplifier)
        if found is None:  # nobody carries out the messages
            return
        self.index = int(np.argmin(np.abs(np.array(self.gains) / found - 1))) if found else 0
        if abs(found / self.gain - 1) > 0.01:
            raise ValueError(
                f"{called(self.amplifier)} is at a gain of {found:g}, which is none of its gains "
                f"{self.gains[0]:g} to {self.gains[-1]:g}; set it to one of them"
            )

    def better(self, rate: float, highest: float) -> int:
        """Number of the gain to be used, from a rate with the present one."""
        self.fraction = rate / self.full
        if self.fraction > highest:
            self._too_high = min(self._too_high, self.index)
        factor = FASTEST if rate <= 0 else min(highest / self.fraction, FASTEST)
        # A signal that is cut off says only that the gain is far too high.
        if self.fraction >= 0.98:
            factor = 0.1
        wanted = self.gain * factor * (1 + 1e-6)
        best = int(np.searchsorted(self.gains, wanted, side="right")) - 1
        best = min(best, self._too_high - 1)
        if best < 0:
            if self.index == 0:
                raise AlignmentError(
                    f"{self.key} is at {100 * self.fraction:.3g} % of its range with the lowest "
                    f"gain of {called(self.amplifier)}, {self.gain:g}; attenuate the beam"
                )
            best = 0
        return best

    def choose(self, index: int) -> MsgGenerator[None]:
        yield from move(self.amplifier, self.gains[index], UNKNOWN_SPEED_LIMIT_S)
        self.index = index

    def check(self, lowest: float) -> None:
        """Refuse a signal that is hardly there."""
        if self.fraction < lowest:
            raise AlignmentError(
                f"{self.key} is at {100 * self.fraction:.3g} % of its range with the gain "
                f"{self.gain:g} of {called(self.amplifier)}, the highest that it may have; is the "
                "shutter open, and the beam on it?"
            )


def _chains(detectors: Sequence[Readable], amplifiers: Any) -> list[_Chain]:
    if not isinstance(amplifiers, Sequence) or len(amplifiers) != len(detectors):
        raise ValueError("give as many amplifiers as detectors, in the same order")
    chains = []
    for at, (detector, amplifier) in enumerate(zip(detectors, amplifiers, strict=True)):
        check_axis("amplifier", amplifier, "give an amplifier, which is set to a gain")
        if any(amplifier is other for other in amplifiers[:at]):
            raise ValueError(f"amplifier {called(amplifier)} is given twice; give it once")
        gains = list(getattr(amplifier, "gains", ()))
        if len(gains) < 2 or not all(map(is_number, gains)) or gains != sorted(set(gains)):
            raise ValueError(
                f"amplifier {called(amplifier)} does not say what gains it takes; it needs an "
                "attribute `gains`, two rising numbers or more"
            )
        chains.append(_Chain(detector, amplifier, gains))
    return chains
