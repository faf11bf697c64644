"""Gains that keep signals in their range."""

import pytest
from ophyd import Signal
from ophyd.sim import SynAxis

from beamline_ophyd.plans import AlignmentError, auto_gain

from ..runs import of
from .doubles import Timed, returned_by

FULL = 5e5


class Amplifier(Signal):
    gains = tuple(float(f"{digit}e{power}") for power in range(3, 12) for digit in (1, 2, 5))


class Chamber(Timed):
    """Counts a current in A times the gain, to the end of the converter's range."""

    saturation_rate = FULL

    def __init__(self, name, amplifier, current, dark=20.0):
        super().__init__(name)
        self.counting = lambda s: s * min(dark + 1e5 * amplifier.get() * current(), FULL)


@pytest.fixture
def energy():
    return SynAxis(name="energy", value=7000.0)


def chains(*currents, gain=1e8):
    names = ("I0", "It", "Ir")[: len(currents)]
    amplifiers = [Amplifier(name=f"{name}_gain", value=gain) for name in names]
    made = zip(names, amplifiers, currents, strict=True)
    return [Chamber(*parts) for parts in made], amplifiers


@pytest.mark.parametrize("start", [1e3, 1e8, 5e11])
@pytest.mark.parametrize("current", [3e-6, 4.1e-8, 1e-10])
def test_the_highest_gain_within_the_range_from_anywhere(engine, start, current, gate):
    detectors, amplifiers = chains(lambda: current, gain=start)
    chosen = returned_by(engine, auto_gain(detectors, amplifiers, settle_time=0, shutter=gate))
    best = max(g for g in Amplifier.gains if 20 + 1e5 * g * current <= 0.8 * FULL)
    assert amplifiers[0].get() == chosen.gains["I0"] == best
    assert 0.3 < chosen.fractions["I0"] <= 0.8
    (event,) = of(engine.documents, "event", "result")
    assert event["data"]["I0_gain"] == best
    assert gate.history == ["open", "close"]
    assert f"I0: gain {best:g}" in str(chosen)


def test_the_highest_signal_of_several_energies_counts(engine, energy):
    edge = lambda: 1e-7 if energy.position < 7112 else 1e-8  # noqa: E731
    detectors, amplifiers = chains(lambda: 3e-8, edge)
    plan = auto_gain(
        detectors, amplifiers, energy=energy, energies=[7090, 7200], settle_time=0, lowest=0.01
    )
    chosen = returned_by(engine, plan)
    assert chosen.gains == {"I0": 1e8, "It": 2e7}
    assert energy.position == 7000.0


@pytest.mark.parametrize(
    ("current", "words"),
    [
        (1.0, r"I0 is at 100 % of its range with the lowest gain of I0_gain, 1000; attenuate"),
        (0.0, r"I0 is at 0\.004 % of its range with the gain 5e\+11 of I0_gain, the highest"),
    ],
)
def test_a_signal_that_no_gain_suits_leaves_the_gains_as_they_were(engine, energy, current, words):
    detectors, amplifiers = chains(lambda: 1e-8, lambda: 1e-8, gain=1e6)
    detectors[0] = Chamber("I0", amplifiers[0], lambda: current)
    plan = auto_gain(detectors, amplifiers, energy=energy, energies=[7100], settle_time=0)
    with pytest.raises(AlignmentError, match=words):
        engine(plan)
    assert [a.get() for a in amplifiers] == [1e6, 1e6]
    assert energy.position == 7000.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, a: (d, a[:0]), "give as many amplifiers as detectors"),
        (lambda d, a: (d, [SynAxis(name="x")]), "amplifier x does not say what gains it takes"),
        (lambda d, a: ([Timed("diode")], a), "diode does not tell the rate at which it saturates"),
        (
            lambda d, a: (d, [Amplifier(name="odd", value=3e8)]),
            "odd is at a gain of 3e\\+08, which",
        ),
    ],
)
def test_refusals_come_before_anything_changes(engine, change, words):
    detectors, amplifiers = change(*chains(lambda: 1e-8))
    with pytest.raises(ValueError, match=words):
        engine(auto_gain(detectors, amplifiers))
    assert not engine.documents


def test_ranges_that_are_none_are_refused(engine):
    detectors, amplifiers = chains(lambda: 1e-8)
    with pytest.raises(ValueError, match=r"lowest is 0\.9 and highest 0\.8"):
        engine(auto_gain(detectors, amplifiers, lowest=0.9))
    with pytest.raises(ValueError, match="give both energy and energies, or neither"):
        engine(auto_gain(detectors, amplifiers, energies=[7000]))
    assert not engine.documents
