"""Faults that a test puts into the beamline, amplifiers and environment."""

import pytest

from ..pvs import Monitor, count

MAJOR, INVALID = 2, 3


@pytest.fixture
def faulty(bl):
    return bl


def test_a_stuck_motor_misses_its_target(faulty):
    start = faulty.get("MONO:PITCH.RBV")
    faulty.put("SIM:FAULT:STUCK", "MONO:PITCH")
    faulty.put("MONO:PITCH", start + 10.0)
    assert faulty.get("MONO:PITCH.RBV") == start
    assert faulty.get("MONO:PITCH.MISS") == 1
    assert faulty.get("MONO:PITCH.SEVR") == MAJOR


def test_a_limit_switch_ends_moves_towards_it_only(faulty):
    faulty.put("SIM:FAULT:HIGH_LIMIT", "SAMPLE:Z")
    faulty.put("SAMPLE:Z", 10.0)
    assert faulty.get("SAMPLE:Z.RBV") == 0
    assert faulty.get("SAMPLE:Z.HLS") == 1
    faulty.put("SAMPLE:Z", -10.0)
    assert faulty.get("SAMPLE:Z.RBV") == -10


def test_a_lost_encoder_is_an_alarm_and_stops_moves(faulty):
    faulty.put("SIM:FAULT:ENCODER", "SAMPLE:Z")
    faulty.put("SAMPLE:Z", 10.0)
    assert faulty.get("SAMPLE:Z.SEVR") == INVALID
    assert faulty.get("SAMPLE:Z.RBV") == 0


def test_a_dumped_beam_counts_nothing(faulty):
    faulty.put("SIM:FAULT:DUMP", 1)
    assert max(count(faulty, 1.0)[1:]) <= 2


def test_a_shutter_may_refuse_and_an_interlock_closes_it(faulty):
    with Monitor(faulty.prefix + "SHUTTER:CMD") as command:
        faulty.put("SIM:FAULT:SHUTTER", 1)
        faulty.put("SHUTTER:CMD", 0)
        assert faulty.get("SHUTTER:STATUS") == 1
        assert faulty.get("SHUTTER:CMD.SEVR") == INVALID
        faulty.put("SIM:FAULT", 0)
        faulty.put("SIM:FAULT:VACUUM", 1)
        command.until(lambda value: value == 0)
    assert faulty.get("SHUTTER:STATUS") == 0


def test_gain_acts_on_counts_and_their_energy(bl):
    bl.put("SIM:NOISE", 0)
    bl.put("SIM:RING", 1)
    before, energy = count(bl, 1.0)[1], bl.get("DET:I0:EV_PER_COUNT")
    try:
        bl.put("PREAMP:I0:sens_num", "50")
        after = count(bl, 1.0)[1]
        assert after / before == pytest.approx(0.4, rel=1e-3)
        assert bl.get("DET:I0:EV_PER_COUNT") == pytest.approx(energy / 0.4)
        bl.put("PREAMP:I0:sens_unit", "pA/V")
        assert count(bl, 1.0)[1] == pytest.approx(500_000, abs=2)  # 5 V on 1e5 Hz/V
    finally:
        bl.put("PREAMP:I0:sens_unit", "nA/V")
        bl.put("PREAMP:I0:sens_num", "20")
