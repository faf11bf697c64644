"""How much of the signal is harmonics: an absorber, with the pitch tuned and detuned."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._axes import UNKNOWN_SPEED_LIMIT_S, check_unit
from ._checks import (
    called,
    check_apart,
    check_axis,
    check_detectors,
    number,
    positive,
    whole_number,
)
from ._concluding import Events, back_on_failure, concluded_run, tell_result
from ._intensity import sample_intensity
from ._points import PointTaker
from ._profile import AlignmentError
from ._reading import read_number
from ._shutter import behind
from ._steps import failures_in_words, move

__all__ = ["Harmonics", "harmonic_check"]

CUBE_LAW = 3.0**-3
"""Absorption at three times the energy, as a part of that at the energy, far from edges."""

THICK_ENOUGH = 0.8
"""An absorber that passes more than this hardly tells the harmonics from the rest."""


@dataclass(frozen=True)
class Harmonics:
    """What :func:`harmonic_check` found; nan where nothing was measured.

    Attributes
    ----------
    uid : str
        Of the run; empty where nobody carried out the plan's messages.
    fraction, sigma : float
        Signal of the third harmonic over that of the fundamental, in the chamber behind the
        absorber and without it, and its standard deviation.
    tuned, detuned : float
        What the absorber passes, with the pitch tuned and detuned.
    kept : float
        Part of the signal without the absorber that the detuned pitch leaves.
    """

    uid: str
    fraction: float
    sigma: float
    tuned: float
    detuned: float
    kept: float

    def __str__(self) -> str:
        return (
            f"harmonics are {100 * self.fraction:.3g} +- {100 * self.sigma:.2g} % of the signal; "
            f"detuned, {100 * self.kept:.3g} % of it are left"
        )


def harmonic_check(
    detectors: Sequence[Readable],
    pitch: Movable,
    detune: float,
    absorber: Movable,
    inside: float | str,
    outside: float | str,
    *,
    material: str | None = None,
    energy: Readable | None = None,
    num: int = 5,
    signal: str | None = None,
    monitor: str | None = None,
    time: float = 1.0,
    settle_time: float = 0.0,
    shutter: Movable | None = None,
    fixed_dwell: bool = False,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Measure how much of the signal is the third harmonic of the energy.

    An absorber passes a harmonic far better than the fundamental. With ``h`` the harmonic's
    part of the signal without it, and ``T``, ``T3`` what it passes of the two, it seems to
    pass ``(T + h T3) / (1 + h)``. The detuned monochromator has no harmonic, whose rocking
    curve is many times narrower, and shows T; T3 follows from the absorber's material. I0 drops
    out: it sees the same with the absorber and without. Pitch and absorber return to where they
    were.

    Parameters
    ----------
    detectors : sequence of Readable
        I0 and the detector behind the absorber.
    pitch : Movable
        The fine angle of the second crystal, tuned to its peak.
    detune : float
        How far to detune it, in its units; a FWHM of the rocking curve leaves little of the
        signal, half of one about half.
    absorber : Movable
        What brings the absorber into the beam: an axis, a filter wheel, a sample stage.
    inside, outside : float or str
        Its positions with the absorber in the beam, and out of it.
    material : str, optional
        Formula of the absorber, such as "Fe", for what it absorbs at both energies; needs
        `energy`. By default an absorption that falls with the cube of the energy, as where
        there is no edge between the two.
    energy : Readable, optional
        The axis that tells the photon energy in eV.
    num : int
        Counts in each of the four cases, from which the uncertainty follows, 3 or more.
    signal, monitor : str, optional
        Data key of the signal behind the absorber, and of I0; by default by their usual names.
    time : float
        Dwell time in s.
    settle_time : float
        Seconds to wait after a motion.
    shutter, fixed_dwell, md
        As in :func:`~beamline_ophyd.plans.count`.

    Returns
    -------
    Harmonics
        Also in the run, as the one event of the stream "result".

    Raises
    ------
    ValueError
        Before anything moves, for what does not fit, positions beyond the limits included.
    AlignmentError
        When the absorber passes nothing, or too much to tell.
    DeviceError
        When a motion or a count does not end in time.

    Examples
    --------
    >>> from beamline_ophyd.plans import harmonic_check
    >>> RE(harmonic_check([i0, it], mono.pitch, 50, stage, "fe_foil", "empty",
    ...                   material="Fe", energy=mono.energy))  # doctest: +SKIP
    """
    check_detectors("harmonic_check", detectors, "give I0 and what is behind the absorber")
    check_axis("pitch", pitch, "give the second crystal's pitch, such as mono.pitch")
    check_axis("absorber", absorber, "give what brings the absorber into the beam")
    check_apart(pitch=pitch, absorber=absorber)
    if number("detune", detune, "a distance in the pitch's units") == 0:
        raise ValueError("detune is 0; give a distance in the pitch's units")
    if inside == outside:
        raise ValueError(f"inside and outside are both {inside!r}; give two positions")
    num = whole_number("num", num, "counts", lowest=3)
    intensity = sample_intensity(detectors, signal, monitor)
    if intensity.monitor is None:
        raise ValueError("no detector is known as I0; give its data key as monitor")
    points = PointTaker(detectors, time, settle_time=settle_time, fixed_dwell=fixed_dwell)
    tuned = (yield from read_number(pitch)) or 0.0
    yield from points.learn(pitch, [tuned, tuned + detune])
    ratio = yield from _ratio(material, energy)

    def measure() -> MsgGenerator[None]:
        for at in (tuned, tuned + detune):
            yield from points.go(pitch, at)
            for place in (outside, inside):
                with failures_in_words():
                    yield from move(absorber, place, UNKNOWN_SPEED_LIMIT_S)
                yield from points.settle()
                for _ in range(num):
                    yield from points.shot(detectors)

    def conclude(events: Events) -> MsgGenerator[Harmonics]:
        if not events:
            return Harmonics(events.uid, *[math.nan] * 5)
        result = _evaluated(events.uid, intensity(events).reshape(4, num), ratio)
        beam = np.array(events[str(intensity.monitor)]).reshape(4, num)
        result = Harmonics(**{**vars(result), "kept": float(beam[2].mean() / beam[0].mean())})
        yield from tell_result(
            result,
            {
                "harmonic_fraction": (result.fraction, ""),
                "harmonic_sigma": (result.sigma, ""),
                "transmission_tuned": (result.tuned, ""),
                "transmission_detuned": (result.detuned, ""),
                "kept": (result.kept, ""),
            },
        )
        return result

    start = {
        "plan_name": "harmonic_check",
        "plan_args": {
            "detectors": [repr(d) for d in detectors],
            "detune": detune,
            "inside": inside,
            "outside": outside,
            "material": material,
        },
        "detectors": [d.name for d in detectors],
        "motors": [called(pitch), called(absorber)],
        "num_points": 4 * num,
        "dwell_s": positive("time", time, "seconds"),
        **intensity.to_dict(),
        **(md or {}),
    }
    scan = concluded_run(start, [*detectors, pitch, absorber], points, measure, conclude)
    return (yield from behind(shutter, back_on_failure(scan, [pitch, absorber], always=True)))


def _ratio(material: str | None, energy: Any) -> MsgGenerator[float]:
    """Absorption of the absorber at three times the energy, over that at the energy."""
    if (material is None) != (energy is None):
        raise ValueError("give both material and energy, or neither for the cube law")
    if material is None:
        return CUBE_LAW
    if not isinstance(energy, Readable):
        raise ValueError(f"energy is {energy!r}, which cannot be read; give mono.energy")
    yield from check_unit("energy", energy, "eV")
    energy_ev = yield from read_number(energy)
    if energy_ev is None:  # nobody carries out the messages
        return CUBE_LAW
    import xraydb  # loads its database: not at import time

    try:
        # The density drops out of the ratio.
        first, third = xraydb.material_mu(material, np.array([1, 3]) * energy_ev, density=1.0)
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"material is {material!r}; give a formula such as 'Fe'") from error
    return float(third / first)


def _evaluated(uid: str, readings: np.ndarray, ratio: float) -> Harmonics:
    """From readings of shape (4, num): out and in, tuned, then detuned."""
    means = readings.mean(axis=1)
    if not (means > 0).all():
        raise AlignmentError(
            f"the signal is {means.min():.3g} of the monitor at its lowest; the absorber passes "
            "nothing, or the dark current is not right: take a thinner absorber"
        )
    relative = readings.std(axis=1, ddof=1) / means / math.sqrt(readings.shape[1])
    passed = np.array([means[1] / means[0], means[3] / means[2]])
    sigmas = passed * np.hypot(relative[[0, 2]], relative[[1, 3]])
    tuned, detuned = passed.tolist()
    if detuned > THICK_ENOUGH:
        raise AlignmentError(
            f"the absorber passes {100 * detuned:.3g} %, too much to tell harmonics from the rest; "
            f"take one that passes less than {100 * THICK_ENOUGH:.0f} %"
        )

    def fraction(tuned: float, detuned: float) -> float:
        return (tuned - detuned) / (detuned**ratio - tuned)

    found = fraction(tuned, detuned)
    slopes = [
        fraction(tuned + sigmas[0], detuned) - found,
        fraction(tuned, detuned + sigmas[1]) - found,
    ]
    return Harmonics(uid, found, float(np.hypot(*slopes)), tuned, detuned, math.nan)
