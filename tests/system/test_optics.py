"""The monochromator's second crystal, its calibration, and the mirror behind it."""

import math

import numpy as np
import pytest

from beamline_ophyd.devices import HarmonicMirror, Monochromator, connect, disconnect

from ..pvs import count

HALF_WIDTH_URAD = 27.5  # of the pair's rocking curve, Si(111) at 7112 eV


@pytest.fixture
def steady(bl):
    bl.put("SIM:NOISE", 0)
    bl.put("SIM:RING", 1)
    bl.put("SCALER.TP", 1.0)
    return bl


def absorption(bl):
    _, i0, itrans, *_ = count(bl)
    return math.log(i0 / itrans)


def test_a_pitch_scan_finds_the_rocking_curve(steady):
    steady.put("MONO:ENERGY", 7112.0)
    steady.put("SIM:PITCH:OPTIMUM", -60.0)
    pitches = np.arange(-100.0, -19.0, 2.5)
    counts = []
    for pitch in pitches:
        steady.put("MONO:PITCH", pitch)
        counts.append(count(steady)[1])
    counts = np.array(counts, dtype=float)
    assert pitches[counts.argmax()] == -60.0
    rising = np.interp(0.5, counts[:17] / counts.max(), pitches[:17])
    falling = np.interp(-0.5, -counts[16:] / counts.max(), pitches[16:])
    assert (rising + falling) / 2 == pytest.approx(-60.0, abs=0.1)
    assert falling - rising == pytest.approx(2 * HALF_WIDTH_URAD, abs=1.0)


@pytest.mark.parametrize(("thickness", "least"), [(1.0, 3e-3), (3.0, 0.05)])
def test_detuning_takes_the_harmonics_out(steady, thickness, least):
    steady.put("MONO:ENERGY", 7900.0)
    steady.put("SAMPLE:THICKNESS", thickness)
    steady.put("REF:NAME", "empty")
    clean = absorption(steady)
    steady.put("MIRROR:IN", "Out")
    distorted = absorption(steady)
    steady.put("MONO:PITCH", 25.0 + 15.0)
    detuned = absorption(steady)
    assert clean - distorted > least
    assert abs(clean - detuned) < (clean - distorted) / 20


def test_the_offset_takes_out_what_a_slipped_axis_is_wrong_by(steady):
    steady.put("MONO:ENERGY", 7118.0)
    before = absorption(steady)
    steady.put("SIM:BRAGG:SLIP", 0.004)  # 1.7 eV
    assert abs(absorption(steady) - before) > 0.05
    steady.put("MONO:BRAGG.OFF", 0.004)
    steady.put("MONO:ENERGY", 7118.0)
    assert absorption(steady) == pytest.approx(before, abs=1e-4)


def test_devices_of_the_optics(ioc, side):
    mono, mirror = Monochromator(ioc.prefix, name="mono"), HarmonicMirror(ioc.prefix, name="mirror")
    try:
        for device in (mono, mirror):
            connect(device, timeout=60.0)
        mono.pitch.set(12.5).wait(60.0)
        assert side.get("MONO:PITCH.RBV") == 12.5
        assert (mono.pitch.egu, mono.pitch.limits) == ("urad", (-500.0, 500.0))
        mirror.state.set("Out").wait(60.0)
        assert mirror.state.get() == "Out"
    finally:
        disconnect(mono, mirror)
