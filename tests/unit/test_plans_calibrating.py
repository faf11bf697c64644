"""Calibration on a foil: what is found, how it is applied, and what is refused or told."""

import math

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.sim import SynAxis

from beamline_ophyd.metadata import RunMetadata
from beamline_ophyd.plans import AlignmentError, DeviceError, calibrate_mono

from ..runs import of
from .doubles import Timed, done, returned_by

HC_OVER_2D = 12398.41984 / (2 * 3.135601)
EDGE = 7112.0


def angle(energy_ev):
    return math.degrees(math.asin(HC_OVER_2D / energy_ev))


class Axis(Signal):
    """A signal that is there at once, to the rounding of its arithmetic."""

    def set(self, value, **_):
        self.put(value)
        return done(self)


class Angle(Axis):
    """The Bragg angle as it is read: the true one less what slipped, plus an offset."""

    def __init__(self, *, slip=0.0, **kwargs):
        super().__init__(**kwargs)
        self.user_offset = Signal(name="offset", value=0.0)
        self.dial = angle(7000.0)
        self.slip = slip

    @property
    def true(self):
        return self.dial + self.slip

    def get(self, **_):
        return self.dial + float(self.user_offset.get())

    def put(self, value, **_):
        self.dial = value - float(self.user_offset.get())


class Follows(Axis):
    """The energy that follows from the angle as it is read."""

    @property
    def true(self):
        return HC_OVER_2D / math.sin(math.radians(self.parent.bragg.true))

    def get(self, **_):
        return HC_OVER_2D / math.sin(math.radians(self.parent.bragg.get()))

    def put(self, value, **_):
        self.parent.bragg.put(angle(value))


class Mono(Device):
    bragg = Cpt(Angle, value=0.0)
    energy = Cpt(Follows, value=0.0, kind="hinted")


def Energy(slip):
    mono = Mono("", name="mono")
    mono.bragg.slip = slip
    return mono.energy


def mu_of(energy_ev, width=1.2):
    """An edge whose derivative is highest exactly at E0."""
    return 0.4 + 1.3 * (np.arctan((energy_ev - EDGE) / width) / np.pi + 0.5)


def chambers(energy, mu=mu_of, noise=0.0):
    rng = np.random.default_rng(4)
    counts = {"I0": 0.0, "It": 1.0, "Ir": 2.0}

    def counting(thick):
        return lambda s: 1e6 * s * math.exp(-thick * mu(energy.true)) * (1 + noise * rng.normal())

    return [Timed(name, counting(thick)) for name, thick in counts.items()]


SLIP = angle(EDGE) - angle(EDGE + 3.0)  # at the true edge the energy is read 3 eV too high


@pytest.mark.parametrize("channel", ["sample", "reference"])
def test_it_proposes_and_changes_nothing(engine, channel, gate):
    energy = Energy(SLIP)
    found = returned_by(
        engine, calibrate_mono(chambers(energy), energy, "Fe-K", channel=channel, shutter=gate)
    )
    assert found.shift == pytest.approx(3.0, abs=0.02)
    assert found.angle == pytest.approx(SLIP, rel=0.01)
    assert not found.applied
    assert "3.00 eV too high; scan with e0_shift=3.0" in str(found)
    assert energy.parent.bragg.user_offset.get() == 0.0
    assert energy.get() == pytest.approx(7000.0)
    assert gate.history == ["open", "close"]
    (event,) = of(engine.documents, "event", "result")
    assert event["data"]["e0_shift"] == found.shift
    # The scan is a spectrum like any other, with its contract.
    contract = RunMetadata.from_start(of(engine.documents, "start")[0]).xafs
    assert contract.points_per_sweep == len(of(engine.documents, "event", "primary"))


def test_it_applies_the_correction_to_the_bragg_angle_on_request(engine):
    energy = Energy(SLIP)
    first = returned_by(engine, calibrate_mono(chambers(energy), energy, "Fe-K", apply=True))
    assert first.applied
    assert energy.parent.bragg.user_offset.get() == pytest.approx(SLIP, rel=0.01)
    # What is asked for is what comes, at any energy, and a second calibration finds nothing.
    for asked in (5000.0, EDGE, 12000.0):
        energy.put(asked)
        assert energy.true == pytest.approx(asked, abs=0.1)
    assert abs(returned_by(engine, calibrate_mono(chambers(energy), energy, "Fe-K")).shift) < 0.03


def test_noise_is_in_the_standard_deviation(engine):
    energy = Energy(SLIP)
    found = returned_by(engine, calibrate_mono(chambers(energy, noise=3e-3), energy, "Fe-K"))
    assert 0.005 < found.sigma < 0.3
    assert found.shift == pytest.approx(3.0, abs=4 * found.sigma + 0.02)


class Scale(SynAxis):
    """An energy axis that can be told what it reads."""

    off = 2.0

    @property
    def true(self):
        return self.position - self.off

    def set_current_position(self, position):
        self.off += position - self.position
        self.set(position)


def test_without_a_bragg_axis_the_energy_axis_is_told(engine):
    energy = Scale(name="energy", value=7100.0)
    found = returned_by(engine, calibrate_mono(chambers(energy), energy, "Fe-K", apply=True))
    assert found.shift == pytest.approx(2.0, abs=0.02)
    assert energy.off == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("as_plan", [True, False])
def test_or_what_the_facility_calls_for_it(engine, as_plan):
    energy = Energy(SLIP)
    shift = Signal(name="shift", value=0.0)

    def plan(found):
        yield from bps.abs_set(shift, found.shift, wait=True)

    correct = plan if as_plan else (lambda found: shift.put(found.shift))
    found = returned_by(
        engine, calibrate_mono(chambers(energy), energy, "Fe-K", apply=True, correct=correct)
    )
    assert shift.get() == found.shift
    assert energy.parent.bragg.user_offset.get() == 0.0


@pytest.mark.parametrize(
    ("options", "mu", "words"),
    [
        ({}, lambda e: 1.0, "there is no edge between 707"),
        ({}, lambda e: -mu_of(e), "there is no edge between 707"),
        ({"e0": 7080.0}, mu_of, r"3[0-9.]+ eV from the 7080\.00 eV expected"),
        ({"largest": 1.0}, mu_of, r"edge is read at 7115\.\d+ eV, 3\.\d eV from the 7112\.00 eV"),
    ],
)
def test_an_edge_that_is_not_to_be_believed_changes_nothing(engine, options, mu, words):
    energy = Energy(SLIP)
    with pytest.raises(AlignmentError, match=words):
        engine(calibrate_mono(chambers(energy, mu), energy, "Fe-K", apply=True, **options))
    assert energy.parent.bragg.user_offset.get() == 0.0
    assert energy.get() == pytest.approx(7000.0)


def test_an_offset_that_is_not_taken_is_told(engine):
    energy = Energy(SLIP)

    class Frozen(Signal):
        def set(self, value, **kwargs):
            return done(self)

    energy.parent.bragg.user_offset = Frozen(name="offset", value=0.0)
    with pytest.raises(DeviceError, match=r"offset is 0\.0 after .* was put; does the axis allow"):
        engine(calibrate_mono(chambers(energy), energy, "Fe-K", apply=True))


def test_an_offset_that_the_energy_does_not_follow_is_taken_back(engine):
    energy = Energy(SLIP)
    ignored = energy.parent.bragg.user_offset = Signal(name="offset", value=0.25)
    energy.parent.bragg.get = lambda **_: energy.parent.bragg.dial
    energy.parent.bragg.put = lambda value, **_: setattr(energy.parent.bragg, "dial", value)
    with pytest.raises(AlignmentError, match=r"makes mono_energy read .* the offset is as it was"):
        engine(calibrate_mono(chambers(energy), energy, "Fe-K", apply=True))
    assert ignored.get() == 0.25


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channel": "foil"}, "channel is 'foil'; give 'sample' or 'reference'"),
        ({"e0": -1}, "e0 is -1"),
        ({"largest": 0}, "largest is 0"),
        ({"correct": 5}, "correct is 5; give what can be called"),
        ({"bragg": Timed("it")}, "bragg is it, which cannot be set and read"),
        ({"apply": True}, r"energy has neither user_offset, offset nor set_current_position"),
    ],
)
def test_refusals_come_before_anything_moves(engine, options, words):
    energy = SynAxis(name="energy", value=7000.0)
    energy.true = 7000.0
    with pytest.raises(ValueError, match=words):
        engine(calibrate_mono(chambers(energy), energy, "Fe-K", **options))
    assert not engine.documents
    assert energy.position == 7000.0


def test_the_reference_needs_its_chamber(engine):
    energy = Energy(SLIP)
    with pytest.raises(ValueError, match="no detectors are known as itrans and irefer"):
        engine(calibrate_mono(chambers(energy)[:2], energy, "Fe-K", channel="reference"))
