"""The harmonics' part of the signal, from an absorber with the pitch tuned and detuned."""

import numpy as np
import pytest
from ophyd import Signal
from ophyd.sim import SynAxis

from beamline_ophyd.plans import AlignmentError, harmonic_check

from ..runs import of
from .doubles import Timed, returned_by

MU, RATIO = 2.1, 1 / 27


class Wheel(Signal):
    """A filter wheel, whose positions are words."""

    @property
    def position(self):
        return self.get()


@pytest.fixture
def pitch():
    return SynAxis(name="pitch", value=12.0)


@pytest.fixture
def wheel():
    return Wheel(name="wheel", value="Al")


def chambers(pitch, wheel, harmonics=0.01, mu=MU, ratio=RATIO, noise=0.0):
    rng = np.random.default_rng(8)

    def light(dwell_s, thick):
        u = pitch.position - 12.0
        first = 1e6 * np.exp(-0.5 * (u / 23) ** 2) * np.exp(-mu * thick)
        third = 1e6 * harmonics * np.exp(-0.5 * (u / 2) ** 2) * np.exp(-mu * ratio * thick)
        return dwell_s * (first + third) * (1 + noise * rng.normal())

    # I0 sees a harmonic of its own, which drops out.
    i0 = Timed("I0", lambda s: light(s, 0.0) * (1 + 3 * harmonics * (pitch.position == 12.0)))
    return [i0, Timed("It", lambda s: light(s, float(wheel.get() == "Fe")))]


@pytest.mark.parametrize("harmonics", [0.0, 0.002, 0.05])
@pytest.mark.parametrize("noise", [0.0, 5e-4])
def test_the_fraction_is_found_within_its_uncertainty(engine, pitch, wheel, harmonics, noise, gate):
    detectors = chambers(pitch, wheel, harmonics, noise=noise)
    plan = harmonic_check(detectors, pitch, 40, wheel, "Fe", "open", num=8, shutter=gate)
    found = returned_by(engine, plan)
    assert found.fraction == pytest.approx(harmonics, abs=4 * found.sigma + 1e-9)
    assert found.sigma < 3 * noise + 1e-9
    assert found.detuned == pytest.approx(np.exp(-MU), rel=1e-2)
    assert (pitch.position, wheel.get()) == (12.0, "Al")
    assert gate.history == ["open", "close"]
    (event,) = of(engine.documents, "event", "result")
    assert event["data"]["harmonic_fraction"] == found.fraction
    assert of(engine.documents, "stop")[0]["num_events"] == {"primary": 32, "result": 1}


def test_the_absorber_may_have_an_edge_between_the_two_energies(engine, pitch, wheel):
    energy = SynAxis(name="energy", value=7000.0)
    # Below its edge iron absorbs 0.4 times as much at three times the energy, not 1/27.
    detectors = chambers(pitch, wheel, ratio=0.4056)
    plan = harmonic_check(
        detectors, pitch, 40, wheel, "Fe", "open", material="Fe", energy=energy, num=3
    )
    assert returned_by(engine, plan).fraction == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize(
    ("mu", "words"),
    [(0.1, r"passes 90\.5 %, too much to tell"), (1e4, r"the signal is 0 of the monitor")],
)
def test_an_absorber_that_tells_nothing_leaves_all_where_it_was(engine, pitch, wheel, mu, words):
    detectors = chambers(pitch, wheel, 0.0, mu)
    with pytest.raises(AlignmentError, match=words):
        engine(harmonic_check(detectors, pitch, 40, wheel, "Fe", "open"))
    assert (pitch.position, wheel.get()) == (12.0, "Al")
    assert of(engine.documents, "stop")[0]["exit_status"] == "fail"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detune": 0}, "detune is 0"),
        ({"inside": "open"}, "inside and outside are both 'open'"),
        ({"num": 2}, "num is 2; give a whole number of counts, 3 or more"),
        ({"material": "Fe"}, "give both material and energy"),
        ({"signal": "I0"}, "no detector is known as I0; give its data key as monitor"),
        ({"material": "Xx", "energy": SynAxis(name="e", value=7e3)}, "material is 'Xx'; give a"),
    ],
)
def test_refusals_come_before_anything_moves(engine, pitch, wheel, options, words):
    arguments = {"detune": 40, "inside": "Fe", "outside": "open", **options}
    detune, inside, outside = (arguments.pop(k) for k in ("detune", "inside", "outside"))
    plan = harmonic_check(
        chambers(pitch, wheel), pitch, detune, wheel, inside, outside, **arguments
    )
    with pytest.raises(ValueError, match=words):
        engine(plan)
    assert not engine.documents
    assert wheel.get() == "Al"
