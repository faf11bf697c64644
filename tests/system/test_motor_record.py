"""The motor record from outside, by plain Channel Access."""

import math

import numpy as np
import pytest
from p4p.client.thread import RemoteError

from ..pvs import DEADLINE_S, MOTORS, Beamline, Monitor, Order

EARLY_S = 0.005  # by which the real time of a motion may be short: two clocks, and their digits
STALL_S = 3.0  # for which a machine that is busy may do nothing


def test_a_move_accelerates_cruises_and_ends_on_time(bl):
    speed = 0.5
    bl.put("SAMPLE:X", 0.0)
    bl.put("SIM:SPEED", speed)
    velocity, ramp = bl.get("SAMPLE:X.VELO"), bl.get("SAMPLE:X.ACCL")
    with (
        Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback,
        Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done,
    ):
        bl.put("SAMPLE:X", 1000.0)
        readback.until(lambda value: value == 1000.0)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    took = done.seen[-1][1] - done.seen[-2][1]
    expected = 1000 / velocity + ramp
    assert expected / speed - EARLY_S < took < expected / speed + STALL_S
    positions, stamps = np.array(readback.seen[1:]).T
    assert len(positions) > 20
    assert np.all(np.diff(positions) >= 0)
    # The profile tells when each position is passed; all but those before a stall agree on when
    # the motion began.
    ramped = velocity * ramp / 2
    passed = np.select(
        [positions < ramped, positions > 1000 - ramped],
        [
            np.sqrt(2 * positions * ramp / velocity),
            expected - np.sqrt(2 * (1000 - positions) * ramp / velocity),
        ],
        positions / velocity + ramp / 2,
    )
    began = stamps * speed - passed
    assert np.mean(np.abs(began - np.median(began)) < 0.02) > 0.8


def test_put_with_completion_ends_with_the_motion(bl):
    bl.put("SAMPLE:X", 2500.0)
    assert bl.get("SAMPLE:X.DMOV") == 1
    assert bl.get("SAMPLE:X.MOVN") == 0
    assert bl.get("SAMPLE:X.RBV") == 2500.0
    assert bl.get("SAMPLE:X.RRBV") == 25000


def test_a_target_is_told_to_who_watches_the_setpoint(bl):
    with Monitor(f"{bl.prefix}SAMPLE:X") as setpoint:
        bl.put("SAMPLE:X", 4321.0)
        setpoint.until(lambda value: value == 4321.0)


def test_dmov_toggles_for_a_move_to_where_the_motor_is(bl):
    bl.put("SAMPLE:X", 100.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done:
        bl.put("SAMPLE:X", 100.0)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert done.values == [1, 0, 1]


@pytest.mark.parametrize("target", [10000.2, -10000.2, 1e12, -1e12, math.nan, math.inf])
def test_a_target_beyond_the_limits_moves_nothing(bl, target):
    bl.put("SAMPLE:X", 50.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done:
        bl.put("SAMPLE:X", target)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert bl.get("SAMPLE:X.LVIO") == 1
    assert bl.get("SAMPLE:X") == bl.get("SAMPLE:X.RBV") == 50.0
    bl.put("SAMPLE:X", 60.0)
    assert bl.get("SAMPLE:X.LVIO") == 0
    assert bl.get("SAMPLE:X.RBV") == 60.0


def test_limits_are_served_in_user_and_in_dial_coordinates(bl):
    bl.put("SAMPLE:Y.OFF", 500.0)
    bl.put("SAMPLE:Y.DIR", 1)
    assert (bl.get("SAMPLE:Y.LLM"), bl.get("SAMPLE:Y.HLM")) == (-9500.0, 10500.0)
    bl.put("SAMPLE:Y.HLM", 8000.0)
    assert bl.get("SAMPLE:Y.DLLM") == -7500.0
    limits = bl.pv("SAMPLE:Y").get_ctrlvars(timeout=DEADLINE_S)
    assert (limits["lower_ctrl_limit"], limits["upper_ctrl_limit"]) == (-9500.0, 8000.0)
    assert limits["units"] == "um"
    bl.put("SAMPLE:Y.DLLM", -10000.0)
    assert bl.get("SAMPLE:Y.HLM") == 10500.0


def test_the_setpoint_is_told_before_the_limits_when_the_offset_changes(bl):
    fields = ("VAL", "RBV", "OFF", "HLM", "LLM")
    low = bl.get("SAMPLE:X.LLM")
    with Order(bl.prefix, *(f"SAMPLE:X.{field}" for field in fields)) as order:
        bl.put("SAMPLE:X.OFF", 12.0)
        order.until(lambda value: value == low + 12.0)
        told = [name.rpartition(".")[2] for name, _ in order.told]
    assert told.index("VAL") < told.index("HLM")
    assert told.index("VAL") < told.index("LLM")
    assert told.index("RBV") < told.index("HLM")


def test_offset_and_direction_change_the_user_position_alone(bl):
    bl.put("SAMPLE:X", 1000.0)
    bl.put("SAMPLE:X.OFF", 10.0)
    assert (bl.get("SAMPLE:X.RBV"), bl.get("SAMPLE:X.DRBV")) == (1010.0, 1000.0)
    bl.put("SAMPLE:X.DIR", 1)
    assert (bl.get("SAMPLE:X.RBV"), bl.get("SAMPLE:X.DRBV")) == (-990.0, 1000.0)
    bl.put("SAMPLE:X", -1990.0)
    assert (bl.get("SAMPLE:X.DVAL"), bl.get("SAMPLE:X.DRBV")) == (2000.0, 2000.0)


def test_set_mode_calibrates_the_offset_and_moves_nothing(bl):
    bl.put("SAMPLE:X", 1000.0)
    bl.put("SAMPLE:X.SET", 1)
    bl.put("SAMPLE:X", 1234.0)
    assert bl.get("SAMPLE:X.OFF") == 234.0
    assert (bl.get("SAMPLE:X.RBV"), bl.get("SAMPLE:X.DRBV")) == (1234.0, 1000.0)
    assert bl.get("SAMPLE:X.HLM") == 10234.0
    bl.put("SAMPLE:X.SUSE", 1)
    assert bl.get("SAMPLE:X.SET") == 0
    bl.put("SAMPLE:X", 1334.0)
    assert bl.get("SAMPLE:X.DRBV") == 1100.0


def test_set_mode_with_a_frozen_offset_redefines_the_dial(bl):
    bl.put("SAMPLE:Y", 100.0)
    bl.put("SAMPLE:Y.FOFF", 1)
    bl.put("SAMPLE:Y.SSET", 1)
    bl.put("SAMPLE:Y", 0.0)
    assert (bl.get("SAMPLE:Y.OFF"), bl.get("SAMPLE:Y.DRBV")) == (0.0, 0.0)
    assert bl.get("SAMPLE:Y.RBV") == 0.0
    bl.put("SAMPLE:Y", 100.0)  # and back to the dial it had
    assert bl.get("SAMPLE:Y.DRBV") == 100.0


def test_stop_decelerates_and_takes_the_position_as_the_target(bl):
    bl.put("SAMPLE:X", -5000.0)
    bl.put("SIM:SPEED", 1.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback:
        bl.put("SAMPLE:X", 5000.0, wait=False)
        readback.until(lambda value: value > -3000)
        with Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done:
            bl.put("SAMPLE:X.STOP", 1, wait=False)
            done.until(lambda value: value == 1)
    stopped = bl.get("SAMPLE:X.RBV")
    assert -3000 < stopped < 5000
    assert bl.get("SAMPLE:X") == stopped
    # Not at once: v^2 / 2a is travelled after the stop.
    velocity = bl.get("SAMPLE:X.VELO")
    path = velocity * bl.get("SAMPLE:X.ACCL") / 2
    assert stopped - readback.seen[-1][0] >= path * 0.99
    assert bl.get("SAMPLE:X.STOP") == 0


def test_a_new_target_in_mid_motion_is_reached_from_there(bl):
    bl.put("SAMPLE:X", -9000.0)
    bl.put("SIM:SPEED", 1.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback:
        bl.put("SAMPLE:X", 9000.0, wait=False)
        readback.until(lambda value: value > -8900)
        bl.put("SAMPLE:X", -8950.0, wait=False)
        readback.until(lambda value: value == -8950.0)
    assert max(readback.values) < 9000
    assert bl.get("SAMPLE:X.MISS") == 0


def test_pause_keeps_the_target_and_go_reaches_it(bl):
    bl.put("SAMPLE:X", -9000.0)
    bl.put("SIM:SPEED", 1.0)
    with (
        Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback,
        Monitor(f"{bl.prefix}SAMPLE:X.MOVN") as moving,
    ):
        bl.put("SAMPLE:X", 9000.0, wait=False)
        readback.until(lambda value: value > -8900)
        bl.put("SAMPLE:X.SPMG", "Pause", wait=False)
        moving.until(lambda value: value == 1)
        moving.until(lambda value: value == 0)
        assert bl.get("SAMPLE:X.DMOV") == 0
        assert -8900 < bl.get("SAMPLE:X.RBV") < 9000
        assert bl.get("SAMPLE:X") == 9000.0
        bl.put("SIM:SPEED", 200.0)
        bl.put("SAMPLE:X.SPMG", "Go")
    assert bl.get("SAMPLE:X.RBV") == 9000.0
    assert bl.get("SAMPLE:X.DMOV") == 1


def test_jog_runs_until_it_is_let_go_of(bl):
    bl.put("SIM:SPEED", 2.0)
    with (
        Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback,
        Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done,
    ):
        bl.put("SAMPLE:X.JOGF", 1, wait=False)
        readback.until(lambda value: value > 300)
        bl.put("SAMPLE:X.JOGF", 0, wait=False)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert 300 < bl.get("SAMPLE:X.RBV") < 10000
    assert bl.get("SAMPLE:X") == bl.get("SAMPLE:X.RBV")


@pytest.mark.parametrize("hold", ["Stop", "Pause"])
@pytest.mark.parametrize("field", ["HOMF", "HOMR", "JOGF", "JOGR"])
def test_a_motor_that_is_held_neither_homes_nor_jogs(bl, hold, field):
    bl.put("SAMPLE:X", 700.0)
    bl.put("SAMPLE:X.SPMG", hold)
    bl.put(f"SAMPLE:X.{field}", 1, wait=False)
    assert bl.get(f"SAMPLE:X.{field}") == 0
    assert bl.get("SAMPLE:X.DMOV") == 1
    assert bl.get("SAMPLE:X.RBV") == 700.0


def test_jog_in_reverse_goes_the_other_way(bl):
    bl.put("SAMPLE:X", 0.0)
    bl.put("SIM:SPEED", 2.0)
    with (
        Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback,
        Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done,
    ):
        bl.put("SAMPLE:X.JOGR", 1, wait=False)
        readback.until(lambda value: value < -300)
        assert bl.get("SAMPLE:X.TDIR") == 0
        bl.put("SAMPLE:X.STOP", 1, wait=False)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert -10000 < bl.get("SAMPLE:X.RBV") < -300
    assert bl.get("SAMPLE:X.JOGR") == 0


@pytest.mark.parametrize("field", ["HOMF", "HOMR"])
def test_homing_ends_at_home_with_the_dial_that_home_has(bl, field):
    bl.put("SAMPLE:Y", 2500.0 if field == "HOMR" else -2500.0)
    assert bl.get("SAMPLE:Y.ATHM") == 0
    bl.put("SIM:SPEED", 50.0)
    with Monitor(f"{bl.prefix}SAMPLE:Y.DMOV") as done:
        bl.put(f"SAMPLE:Y.{field}", 1)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert (bl.get("SAMPLE:Y.RBV"), bl.get("SAMPLE:Y"), bl.get("SAMPLE:Y.DRBV")) == (0.0, 0.0, 0.0)
    assert (bl.get("SAMPLE:Y.ATHM"), bl.get(f"SAMPLE:Y.{field}")) == (1, 0)
    assert int(bl.get("SAMPLE:Y.MSTA")) & 0x4088 == 0x4088  # home switch, at home, homed


def test_the_switches_are_those_of_the_user_direction(bl):
    bl.put("SIM:FAULT:LOW_LIMIT", "SAMPLE:Y")
    try:
        switches = ("HLS", "LLS", "RHLS", "RLLS")
        assert [bl.get(f"SAMPLE:Y.{name}") for name in switches] == [0, 1, 0, 1]
        bl.put("SAMPLE:Y.DIR", "Neg")
        assert [bl.get(f"SAMPLE:Y.{name}") for name in switches] == [1, 0, 0, 1]
        assert int(bl.get("SAMPLE:Y.MSTA")) & 0x2000
    finally:
        bl.put("SIM:FAULT", 0)


def test_a_base_velocity_is_taken_at_once(bl):
    bl.put("SAMPLE:X", 0.0)
    velocity, ramp = bl.get("SAMPLE:X.VELO"), bl.get("SAMPLE:X.ACCL")
    try:
        bl.put("SAMPLE:X.ACCL", 2.0)
        bl.put("SAMPLE:X.VBAS", velocity / 2)
        bl.put("SIM:SPEED", 10.0)
        with (
            Monitor(f"{bl.prefix}SAMPLE:X.RVEL") as speed,
            Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done,
        ):
            bl.put("SAMPLE:X", 4 * velocity)
            done.until(lambda value: value == 0)
            done.until(lambda value: value == 1)
            speed.until(lambda value: value == 0)
        moving = [value for value in speed.values if value != 0]
        assert moving
        assert min(moving) >= velocity / 2 / bl.get("SAMPLE:X.MRES")
    finally:
        bl.put("SAMPLE:X.VBAS", 0.0)
        bl.put("SAMPLE:X.ACCL", ramp)


def test_jog_ends_at_the_soft_limit(bl):
    bl.put("SAMPLE:X", 9000.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.DMOV") as done:
        bl.put("SAMPLE:X.JOGF", 1, wait=False)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    assert bl.get("SAMPLE:X.RBV") == 10000.0
    assert bl.get("SAMPLE:X.JOGF") == 0


def test_without_soft_limits_the_switch_ends_the_motion(bl):
    low, high = bl.get("SAMPLE:Y.DLLM"), bl.get("SAMPLE:Y.DHLM")
    try:
        bl.put("SAMPLE:Y.DLLM", 0.0)
        bl.put("SAMPLE:Y.DHLM", 0.0)
        bl.put("SAMPLE:Y", 20000.0)
        assert bl.get("SAMPLE:Y.HLS") == 1
        assert bl.get("SAMPLE:Y.RBV") == bl.get("SAMPLE:Y") == 11000.0
        assert bl.get("SAMPLE:Y.SEVR") == 2  # HLSV
        assert int(bl.get("SAMPLE:Y.MSTA")) & 0x4
        bl.put("SAMPLE:Y", 0.0)
        assert (bl.get("SAMPLE:Y.HLS"), bl.get("SAMPLE:Y.SEVR")) == (0, 0)
    finally:
        bl.put("SAMPLE:Y.DHLM", high)
        bl.put("SAMPLE:Y.DLLM", low)


@pytest.mark.parametrize("steps", [2**31 - 1, 2**31, -(2**31) + 1, -(2**31), -(2**40)])
def test_without_limits_the_steps_must_be_countable(bl, steps):
    low, high = bl.get("SAMPLE:Y.DLLM"), bl.get("SAMPLE:Y.DHLM")
    try:
        bl.put("SAMPLE:Y.DLLM", 0.0)
        bl.put("SAMPLE:Y.DHLM", 0.0)
        bl.put("SAMPLE:Y", steps * bl.get("SAMPLE:Y.MRES"))
        assert (bl.get("SAMPLE:Y.LVIO"), bl.get("SAMPLE:Y.RBV")) == (1, 0.0)
    finally:
        bl.put("SAMPLE:Y.DHLM", high)
        bl.put("SAMPLE:Y.DLLM", low)


def test_equal_limits_hold_the_motor_there(bl):
    low, high = bl.get("SAMPLE:Y.DLLM"), bl.get("SAMPLE:Y.DHLM")
    bl.put("SAMPLE:Y", 5.0)
    try:
        bl.put("SAMPLE:Y.DLLM", 5.0)
        bl.put("SAMPLE:Y.DHLM", 5.0)
        bl.put("SAMPLE:Y", 20.0)
        assert (bl.get("SAMPLE:Y.LVIO"), bl.get("SAMPLE:Y.RBV")) == (1, 5.0)
    finally:
        bl.put("SAMPLE:Y.DHLM", high)
        bl.put("SAMPLE:Y.DLLM", low)


def test_tweak_and_relative_moves(bl):
    bl.put("SAMPLE:X", 0.0)
    bl.put("SAMPLE:X.TWV", 25.0)
    bl.put("SAMPLE:X.TWF", 1)
    bl.put("SAMPLE:X.TWF", 1)
    assert bl.get("SAMPLE:X.RBV") == 50.0
    bl.put("SAMPLE:X.TWR", 1)
    assert bl.get("SAMPLE:X.RBV") == 25.0
    bl.put("SAMPLE:X.RLV", -5.0)
    assert bl.get("SAMPLE:X.RBV") == 20.0
    bl.put("SAMPLE:X.RVAL", 100)
    assert bl.get("SAMPLE:X") == pytest.approx(10.0, abs=1e-9)


def test_a_move_ends_in_the_direction_of_the_backlash_distance(bl):
    bl.put("SIM:SPEED", 20.0)
    bl.put("SAMPLE:X", 1000.0)
    bl.put("SAMPLE:X.BDST", 100.0)
    with Monitor(f"{bl.prefix}SAMPLE:X.RBV") as readback:
        bl.put("SAMPLE:X", 0.0)
        readback.until(lambda value: value == 0.0)
    assert -100.0 <= min(readback.values) < -90.0


@pytest.mark.parametrize("field", ["VELO", "VMAX", "MRES", "RDBD", "OFF", "ACCL", "HLM"])
def test_a_setting_that_makes_no_sense_is_refused(bl, pva, field):
    before = bl.get(f"SAMPLE:X.{field}")
    with pytest.raises(RemoteError):
        pva.put(f"{bl.prefix}SAMPLE:X.{field}", math.nan, timeout=DEADLINE_S)
    assert bl.get(f"SAMPLE:X.{field}") == before


def test_velocity_stays_within_base_and_maximum(bl):
    maximum = bl.get("SAMPLE:X.VMAX")
    former = bl.get("SAMPLE:X.VELO")
    bl.put("SAMPLE:X.VELO", 2 * maximum)
    assert bl.get("SAMPLE:X.VELO") == maximum
    bl.put("SAMPLE:X.VELO", former)


def test_no_motor_starts_in_alarm(start_ioc):
    server = start_ioc(prefix="FRESH:")
    bl = Beamline(server.prefix)
    for motor in MOTORS:
        assert (bl.get(f"{motor}.SEVR"), bl.get(f"{motor}.STAT")) == (0, 0)
        assert bl.get(f"{motor}.UDF") == 0
        assert bl.get(f"{motor}.DMOV") == 1
        assert bl.get(motor) == bl.get(f"{motor}.RBV")
    bl.close()


#: What operators' screens, plans, EpicsMotor, ophyd-async's and pyepics' Motor use.
# fmt: off
FIELDS = (
    "VAL", "DVAL", "RVAL", "RBV", "DRBV", "RRBV", "DMOV", "MOVN", "STOP", "SPMG", "VELO", "VBAS",
    "VMAX", "ACCL", "BDST", "BVEL", "BACC", "HLM", "LLM", "DHLM", "DLLM", "HLS", "LLS", "LVIO",
    "OFF", "DIR", "SET", "FOFF", "TWF", "TWR", "TWV", "JOGF", "JOGR", "JVEL", "HOMF", "HOMR",
    "TDIR", "MRES", "SREV", "UREV", "ERES", "RDBD", "EGU", "PREC", "MSTA", "MISS", "STAT", "SEVR",
    "OUT", "DESC", "RTRY", "RCNT", "UEIP", "RMP", "REP", "RVEL", "RDIF", "DIFF", "S", "SBAS",
    "SBAK", "SMAX", "HIHI", "LOLO", "HIGH", "LOW", "HHSV", "LLSV", "HSV", "LSV", "HLSV", "RHLS",
    "RLLS", "SSET", "SUSE", "FOF", "VOF", "ATHM", "CDIR", "MIP", "JAR", "HVEL", "RLV", "SYNC",
    "HOPR", "LOPR", "MDEL", "ADEL", "DTYP", "RTYP", "DISP", "DISA", "SCAN", "PROC", "NAME",
)
# fmt: on


@pytest.mark.parametrize("motor", MOTORS)
def test_every_field_that_clients_use_is_served(bl, pva, motor):
    names = [f"{bl.prefix}{motor}.{name}" for name in FIELDS]
    values = pva.get(names, timeout=DEADLINE_S, throw=False)
    assert not [n for n, value in zip(names, values, strict=True) if isinstance(value, Exception)]
