"""Rocking curves: the peak, either side of it, and what a curve that tells nothing says."""

import numpy as np
import pytest
from ophyd.sim import SynAxis

from beamline_ophyd.plans import AlignmentError, rocking_curve, tune_pitch

from ..runs import of
from .doubles import Timed, returned_by

CENTRE, SIGMA = 12.0, 23.4
FWHM = SIGMA * np.sqrt(8 * np.log(2))


class Piezo(SynAxis):
    """A pitch in urad that lags behind its readback by its backlash, by the way it came."""

    limits = (-500.0, 500.0)

    def __init__(self, backlash=0.0):
        super().__init__(name="pitch", value=20.0)
        self.backlash = backlash
        self.true = 20.0

    def set(self, value):
        if value != self.position:
            self.true = value - np.sign(value - self.position) * self.backlash / 2
        return super().set(value)


def chamber(pitch, shape=lambda u: np.exp(-(u**2) / 2), noise=0.0, base=0.0):
    rng = np.random.default_rng(5)

    def counting(dwell_s):
        signal = base + 1e5 * shape((pitch.true - CENTRE) / SIGMA)
        return dwell_s * signal * (1 + noise * rng.normal())

    return [Timed("I0", counting)]


def test_a_rocking_curve_leaves_the_pitch_where_it_was(engine, gate):
    pitch = Piezo()
    curve = returned_by(engine, rocking_curve(chamber(pitch, noise=1e-3), pitch, 240, shutter=gate))
    assert curve.peak == pytest.approx(CENTRE, abs=4 * curve.sigma)
    assert curve.sigma < 0.5
    assert curve.fwhm == pytest.approx(FWHM, rel=0.01)
    assert curve.height == pytest.approx(0.2 * 1e5, rel=0.01)
    assert pitch.position == curve.position == 20.0
    assert gate.history == ["open", "close"]
    (event,) = of(engine.documents, "event", "result")
    assert event["data"]["found_peak"] == curve.peak
    assert of(engine.documents, "start")[0]["signal"] == "I0"


def test_to_the_peak_whatever_the_backlash(engine):
    pitch = Piezo(backlash=8.0)
    tuned = returned_by(engine, tune_pitch(chamber(pitch), pitch, 240))
    assert pitch.true == pytest.approx(CENTRE, abs=0.1)
    assert [tuned.position, pitch.position] == pytest.approx([CENTRE + 4.0] * 2, abs=0.1)
    assert tuned.reached == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize(("side", "sign"), [("above", 1), ("below", -1)])
@pytest.mark.parametrize("fraction", [0.5, 0.8])
def test_to_a_fraction_of_the_peak_on_the_side_asked_for(engine, side, sign, fraction):
    pitch = Piezo(backlash=8.0)
    detectors = chamber(pitch, noise=1e-3)
    tuned = returned_by(engine, tune_pitch(detectors, pitch, 240, fraction=fraction, side=side))
    wanted = CENTRE + sign * SIGMA * np.sqrt(-2 * np.log(fraction))
    assert pitch.true == pytest.approx(wanted, abs=0.2)
    assert tuned.reached == pytest.approx(fraction, abs=0.01)
    assert f"{100 * tuned.reached:.3g} % of it" in str(tuned)


@pytest.mark.parametrize(
    ("options", "shape", "words"),
    [
        ({}, lambda u: 1.0, "the signal is flat between -80 and 120"),
        ({}, lambda u: -1 - u**2, "nowhere above zero"),
        ({"span": 30}, None, r"highest at the end of the range, 1[0-9.]+ of 5 to 35|highest"),
        ({}, lambda u: np.exp(u), "highest at the end of the range, 120 of -80 to 120"),
        ({"fraction": 0.1}, lambda u: 0.5 + np.exp(-(u**2)), r"falls to 33.* % of its peak only"),
    ],
)
def test_a_curve_that_tells_nothing_leaves_the_pitch_where_it_was(engine, options, shape, words):
    pitch = Piezo()
    detectors = chamber(pitch) if shape is None else chamber(pitch, shape)
    if shape is None:
        pitch.set(20.0 + 3 * SIGMA)
    before = pitch.position
    with pytest.raises(AlignmentError, match=words):
        engine(tune_pitch(detectors, pitch, **{"span": 200, **options}))
    assert pitch.position == before
    assert of(engine.documents, "stop")[0]["exit_status"] == "fail"


def test_a_beam_that_goes_away_meanwhile_is_told(engine):
    pitch = Piezo()
    (i0,) = chamber(pitch)
    alive, counting = [41], i0.counting

    def fading(dwell_s):
        alive[0] -= 1
        return counting(dwell_s) * (0.2 if alive[0] < 0 else 1.0)

    i0.counting = fading
    with pytest.raises(AlignmentError, match=r"the signal is 20.* % of the peak, not 100 %"):
        engine(tune_pitch([i0], pitch, 200))
    assert pitch.position == 20.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fraction": 1.2}, "fraction is 1.2; give a part of the peak, at most 1"),
        ({"fraction": 0}, "fraction is 0"),
        ({"side": "left"}, "side is 'left'; give 'above' or 'below'"),
        ({"span": 0}, "span is 0"),
        ({"num": 6}, "num is 6; give a whole number of points, 7 or more"),
        ({"span": 1200}, "pitch cannot go to -580; its limits are -500 to 500"),
        ({"signal": "It"}, "signal is 'It'; the detectors give I0"),
    ],
)
def test_refusals_come_before_anything_moves(engine, options, words):
    pitch = Piezo()
    with pytest.raises(ValueError, match=words):
        engine(tune_pitch(chamber(pitch), pitch, **{"span": 100, **options}))
    assert not engine.documents
    assert pitch.position == 20.0
