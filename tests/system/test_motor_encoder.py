"""Motors with an encoder and without: retries, what a drive that counts its steps cannot see."""

import math

import pytest
from p4p.client.thread import RemoteError

from ..pvs import DEADLINE_S, Monitor

MOTOR = "SAMPLE:Z"
INVALID, MAJOR = 3, 2
ENCODER_PRESENT, PROBLEM = 0x100, 0x200
SETTINGS = {"UEIP": 1, "RTRY": 3, "DHLM": 5000.0, "DLLM": -5000.0}


@pytest.fixture
def motor(bl):
    """Field by name of a motor with an encoder; put brings it back."""
    yield bl
    bl.put("SIM:FAULT", 0)
    for field, value in SETTINGS.items():
        bl.put(f"{MOTOR}.{field}", value)
    bl.put(f"{MOTOR}.HOMF", 1)  # where the steps are counted anew


def fields(bl, *names):
    return tuple(bl.get(f"{MOTOR}.{name}") for name in names)


def test_a_stuck_motor_is_tried_again_as_often_as_rtry_says(motor):
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put(MOTOR, 50.0)
    assert fields(motor, "RCNT", "MISS", "RBV", "VAL", "DMOV") == (3, 1, 0.0, 50.0, 1)
    assert int(motor.get(f"{MOTOR}.MSTA")) & PROBLEM
    motor.put("SIM:FAULT", 0)
    motor.put(MOTOR, 60.0)
    assert fields(motor, "RCNT", "MISS", "RBV") == (0, 0, 60.0)


def test_without_retries_a_motor_that_is_stuck_misses_nothing(motor):
    motor.put(f"{MOTOR}.RTRY", 0)
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put(MOTOR, 50.0)
    assert fields(motor, "RCNT", "MISS", "RBV", "DMOV") == (0, 0, 0.0, 1)


def test_a_retry_arrives_when_the_axis_is_free_again(motor):
    motor.put(f"{MOTOR}.RTRY", 10)
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put("SIM:SPEED", 1.0)
    with (
        Monitor(f"{motor.prefix}{MOTOR}.RCNT") as tried,
        Monitor(f"{motor.prefix}{MOTOR}.DMOV") as done,
    ):
        motor.put(MOTOR, 500.0, wait=False)
        tried.until(lambda value: value == 1)
        motor.put("SIM:FAULT", 0)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert done.values == [1, 0, 1]  # a retry is the same move
    assert fields(motor, "MISS", "RBV") == (0, 500.0)
    assert 1 <= motor.get(f"{MOTOR}.RCNT") < 10


def test_a_deviation_within_the_retry_deadband_is_an_arrival(motor):
    deadband = motor.get(f"{MOTOR}.RDBD")
    try:
        motor.put(f"{MOTOR}.RDBD", 20.0)
        motor.put("SIM:FAULT:STUCK", MOTOR)
        motor.put(MOTOR, 15.0)
        assert fields(motor, "RCNT", "MISS", "RBV") == (0, 0, 0.0)
    finally:
        motor.put(f"{MOTOR}.RDBD", deadband)


def test_counted_steps_do_not_show_that_the_axis_is_stuck(motor):
    motor.put(f"{MOTOR}.UEIP", 0)
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put(MOTOR, 100.0)
    assert fields(motor, "RBV", "MISS", "RCNT") == (100.0, 0, 0)
    assert fields(motor, "RMP", "REP") == (1000, 0)  # what the encoder says all the while
    motor.put("SIM:FAULT", 0)
    motor.put(MOTOR, 130.0)
    assert fields(motor, "RBV", "RMP", "REP") == (130.0, 1300, 300)
    motor.put(f"{MOTOR}.UEIP", 1)
    assert fields(motor, "RBV", "VAL", "RMP") == (30.0, 30.0, 1300)
    motor.put(MOTOR, 40.0)
    assert fields(motor, "RBV", "RMP", "REP") == (40.0, 1400, 400)
    motor.put(f"{MOTOR}.HOMF", 1)
    assert fields(motor, "RBV", "RMP", "REP", "ATHM") == (0.0, 0, 0, 1)


def test_a_switch_ends_the_count_of_steps_too(motor):
    motor.put(f"{MOTOR}.UEIP", 0)
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put(MOTOR, 100.0)
    motor.put("SIM:FAULT", 0)
    for field in ("DLLM", "DHLM"):
        motor.put(f"{MOTOR}.{field}", 0.0)
    motor.put(MOTOR, 9000.0)
    assert fields(motor, "HLS", "REP", "RMP") == (1, 55000, 56000)
    motor.put(MOTOR, 5000.0)
    assert fields(motor, "HLS", "REP", "RMP") == (0, 49000, 50000)


def test_a_stop_ends_a_stuck_motor_and_its_retries(motor):
    motor.put("SIM:FAULT:STUCK", MOTOR)
    motor.put("SIM:SPEED", 1.0)
    with (
        Monitor(f"{motor.prefix}{MOTOR}.RVEL") as speed,
        Monitor(f"{motor.prefix}{MOTOR}.DMOV") as done,
    ):
        motor.put(MOTOR, 4000.0, wait=False)
        speed.until(lambda value: value == 10000)  # steps per second: VELO
        motor.put(f"{MOTOR}.STOP", 1, wait=False)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert fields(motor, "RBV", "VAL", "RCNT", "MISS", "RVEL") == (0.0, 0.0, 0, 0, 0)
    assert 0 < motor.get(f"{MOTOR}.RMP") < 40000


def test_a_lost_encoder_is_an_alarm_until_the_steps_are_used(motor):
    motor.put("SIM:FAULT:ENCODER", MOTOR)
    motor.put(MOTOR, 10.0)
    assert fields(motor, "SEVR", "RBV") == (INVALID, 0.0)
    assert int(motor.get(f"{MOTOR}.MSTA")) & ENCODER_PRESENT
    motor.put(f"{MOTOR}.UEIP", "No")
    assert fields(motor, "SEVR", "RBV") == (0, 0.0)
    motor.put(MOTOR, 25.0)
    assert fields(motor, "SEVR", "RBV", "RMP", "REP") == (0, 25.0, 250, 0)
    motor.put("SIM:FAULT", 0)
    motor.put(f"{MOTOR}.UEIP", "Yes")
    assert fields(motor, "SEVR", "RBV", "REP") == (0, 25.0, 250)


def test_the_energy_may_go_by_the_steps_of_the_bragg_axis(bl):
    bl.put("MONO:BRAGG.HOMF", 1)  # steps that a stuck axis lost before are forgotten
    with (
        Monitor(f"{bl.prefix}MONO:ENERGY.SEVR") as severity,
        Monitor(f"{bl.prefix}MONO:ENERGY.RBV") as energy,
    ):
        try:
            bl.put("SIM:FAULT:ENCODER", "MONO:BRAGG")
            severity.until(lambda value: value == INVALID)
            bl.put("MONO:ENERGY.UEIP", 0)
            severity.until(lambda value: value == 0)
            bl.put("MONO:ENERGY", 7500.0)
            energy.until(lambda value: value == 7500.0)
            assert bl.get("MONO:ENERGY.SEVR") == 0
        finally:
            bl.put("SIM:FAULT", 0)
            bl.put("MONO:ENERGY.UEIP", 1)
        assert bl.get("MONO:ENERGY.RBV") == 7500.0


def test_an_axis_without_encoder_cannot_use_one(bl, pva):
    name = f"{bl.prefix}SAMPLE:THETA"
    assert not int(bl.get("SAMPLE:THETA.MSTA")) & ENCODER_PRESENT
    with pytest.raises(RemoteError):
        pva.put(f"{name}.UEIP", 1, timeout=DEADLINE_S)
    assert bl.get("SAMPLE:THETA.UEIP") == 0
    bl.put("SIM:FAULT:ENCODER", "SAMPLE:THETA")
    bl.put("SAMPLE:THETA", 5.0)
    assert (bl.get("SAMPLE:THETA.RBV"), bl.get("SAMPLE:THETA.SEVR")) == (5.0, 0)


def test_retries_are_a_number(motor, pva):
    with pytest.raises(RemoteError):
        pva.put(f"{motor.prefix}{MOTOR}.RTRY", -1, timeout=DEADLINE_S)
    assert motor.get(f"{MOTOR}.RTRY") == 3


def test_speeds_are_told_and_set_in_revolutions_too(motor):
    velocity, turn = fields(motor, "VELO", "UREV")
    assert motor.get(f"{MOTOR}.S") == pytest.approx(velocity / turn)
    motor.put(f"{MOTOR}.S", 0.5 * velocity / turn)
    assert motor.get(f"{MOTOR}.VELO") == pytest.approx(velocity / 2)
    motor.put(f"{MOTOR}.VELO", velocity)
    assert motor.get(f"{MOTOR}.S") == pytest.approx(velocity / turn)
    assert motor.pv(f"{MOTOR}.S").get_ctrlvars(timeout=DEADLINE_S)["units"] == "rev/s"


@pytest.mark.parametrize("field", ["S", "SMAX", "SBAK", "SBAS"])
def test_a_speed_that_makes_no_sense_is_refused(motor, pva, field):
    before = fields(motor, field, "VELO", "VMAX", "BVEL", "VBAS")
    with pytest.raises(RemoteError):
        pva.put(f"{motor.prefix}{MOTOR}.{field}", math.nan, timeout=DEADLINE_S)
    assert fields(motor, field, "VELO", "VMAX", "BVEL", "VBAS") == before


def test_a_position_beyond_its_alarm_limits_is_an_alarm(motor):
    try:
        motor.put(f"{MOTOR}.HIGH", 100.0)
        motor.put(f"{MOTOR}.HSV", "MINOR")
        motor.put(f"{MOTOR}.HIHI", 200.0)
        motor.put(f"{MOTOR}.HHSV", "MAJOR")
        severities = []
        for position in (50.0, 150.0, 250.0, 50.0):
            motor.put(MOTOR, position)
            severities.append(motor.get(f"{MOTOR}.SEVR"))
        assert severities == [0, 1, MAJOR, 0]
        limits = motor.pv(f"{MOTOR}.RBV").get_ctrlvars(timeout=DEADLINE_S)
        assert (limits["upper_warning_limit"], limits["upper_alarm_limit"]) == (100.0, 200.0)
    finally:
        for field in ("HSV", "HHSV", "HIGH", "HIHI"):
            motor.put(f"{MOTOR}.{field}", 0)


def test_the_offset_is_frozen_and_freed_by_a_push(motor):
    motor.put(f"{MOTOR}.FOF", 1)
    assert motor.get(f"{MOTOR}.FOFF") == 1
    motor.put(f"{MOTOR}.VOF", 1)
    assert fields(motor, "FOFF", "FOF", "VOF") == (0, 0, 0)
