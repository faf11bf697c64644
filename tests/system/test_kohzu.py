"""The Kohzu set of names: setpoints that agree, modes, and what is told of a move."""

import math

import pytest
from p4p.client.thread import RemoteError

from ..pvs import Order

HC_KEV_ANGSTROM = 12.39841984
D_111 = 3.135601
D_311 = 1.637514


@pytest.fixture
def kohzu(bl):
    yield bl
    bl.put("KohzuUseSetBO", "Use")
    bl.put("KohzuModeBO", "Auto")
    bl.put("Kohzu_yOffsetAO", 17.5)
    bl.put("KohzuMode2MO", "Normal")
    bl.put("MONO:ENERGY.HLM", 20000.0)
    bl.put("BraggEAO", 7.0)


def angle_deg(kev, d_angstrom=D_111):
    return math.degrees(math.asin(HC_KEV_ANGSTROM / (2 * d_angstrom * kev)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("BraggEAO", 8.0), ("BraggThetaAO", angle_deg(8.0)), ("BraggLambdaAO", HC_KEV_ANGSTROM / 8)],
)
def test_a_setpoint_sets_the_other_two_and_moves(kohzu, name, value):
    kohzu.put(name, value)  # done when the motor is
    assert kohzu.get("MONO:ENERGY.DMOV") == 1
    for set_name in ("AO", "RdbkAO"):
        assert kohzu.get(f"BraggE{set_name}") == pytest.approx(8.0, abs=1e-7)
        assert kohzu.get(f"BraggTheta{set_name}") == pytest.approx(angle_deg(8.0), abs=1e-6)
        assert kohzu.get(f"BraggLambda{set_name}") == pytest.approx(HC_KEV_ANGSTROM / 8, abs=1e-7)
    assert kohzu.get("MONO:ENERGY.RBV") == pytest.approx(8000.0, abs=1e-4)


def test_readbacks_follow_the_motors(kohzu):
    kohzu.put("MONO:BRAGG", angle_deg(9.0))
    assert kohzu.get("BraggERdbkAO") == pytest.approx(9.0, abs=1e-6)
    assert kohzu.get("BraggEAO") != pytest.approx(9.0, abs=1e-3)


def test_in_manual_mode_only_the_button_moves(kohzu):
    kohzu.put("KohzuModeBO", "Manual")
    kohzu.put("BraggEAO", 7.5)
    assert kohzu.get("MONO:ENERGY.RBV") == 7000.0
    kohzu.put("KohzuPutBO", "Go")
    assert kohzu.get("MONO:ENERGY.RBV") == pytest.approx(7500.0)


@pytest.mark.parametrize("kev", [7.0, 7.3], ids=["nowhere", "somewhere"])
def test_moving_goes_to_one_and_back_at_every_move(kohzu, kev):
    with Order(kohzu.prefix, "KohzuSeqMsg2SI", "KohzuMoving") as order:
        kohzu.put("BraggEAO", kev)
        order.until(lambda value: value == 1)
        order.until(lambda value: value == 0)
    told = [value for name, value in order.told if name == "KohzuMoving"]
    assert told == [1, 0]
    assert order.told.index(("KohzuSeqMsg2SI", "Ready")) < order.told.index(("KohzuMoving", 0))


def test_a_setpoint_beyond_the_limits_is_told_until_it_is_acknowledged(kohzu):
    kohzu.put("MONO:ENERGY.HLM", 10000.0)
    kohzu.put("BraggEAO", 12.0)
    assert kohzu.get("MONO:ENERGY.RBV") == 7000.0
    assert kohzu.get("KohzuSeqMsg2SI") == "Beyond the limits"
    assert kohzu.get("KohzuMoving") == 0
    kohzu.put("KohzuOperAckBO", "Ack")
    assert kohzu.get("KohzuSeqMsg2SI") == "Ready"


def test_in_set_mode_the_angle_is_redefined(kohzu):
    dial = kohzu.get("MONO:BRAGG.DRBV")
    kohzu.put("KohzuUseSetBO", "Set")
    kohzu.put("BraggEAO", 7.01)
    kohzu.put("KohzuUseSetBO", "Use")
    assert kohzu.get("MONO:BRAGG.DRBV") == dial
    assert kohzu.get("MONO:BRAGG.OFF") == pytest.approx(angle_deg(7.01) - dial, abs=1e-6)
    assert kohzu.get("MONO:ENERGY.RBV") == pytest.approx(7010.0, abs=1e-3)


def test_other_crystals_give_another_energy_at_the_same_angle(kohzu):
    angle = kohzu.get("BraggThetaRdbkAO")
    kohzu.put("MONO:CRYSTAL", "Si(311)")
    assert [kohzu.get(f"Bragg{index}AO") for index in "HKL"] == [3, 1, 1]
    assert kohzu.get("Bragg2dSpacingAO") == pytest.approx(2 * D_311)
    assert kohzu.get("BraggAAO") == pytest.approx(5.43102, abs=1e-5)
    kev = HC_KEV_ANGSTROM / (2 * D_311 * math.sin(math.radians(angle)))
    for name in ("BraggEAO", "BraggERdbkAO"):
        assert kohzu.get(name) == pytest.approx(kev, abs=1e-6)
    assert kohzu.get("BraggThetaAO") == pytest.approx(angle, abs=1e-6)


def test_what_only_tells_refuses_a_put(kohzu, pva):
    for name, value in (("BraggHAO", 3.0), ("BraggERdbkAO", 8.0), ("KohzuMoving", 1)):
        before = kohzu.get(name)
        with pytest.raises(RemoteError):
            pva.put(kohzu.prefix + name, value, timeout=60)
        assert kohzu.get(name) == before


def test_slides_keep_the_exit_beam_where_it_is(kohzu):
    kohzu.put("BraggEAO", 8.0)
    angle = math.radians(angle_deg(8.0))
    assert kohzu.get("KohzuYRdbkAI") == pytest.approx(17.5 / math.sin(angle), abs=1e-6)
    assert kohzu.get("KohzuZRdbkAI") == pytest.approx(17.5 / math.cos(angle), abs=1e-6)
    kohzu.put("KohzuMode2MO", "Freeze Y")
    before = kohzu.get("KohzuYRdbkAI"), kohzu.get("KohzuZRdbkAI")
    kohzu.put("BraggEAO", 9.0)
    assert kohzu.get("KohzuYRdbkAI") == before[0]
    assert kohzu.get("KohzuZRdbkAI") < before[1]


def test_allstop_stops_every_motor(kohzu):
    kohzu.put("SIM:SPEED", 0.5)
    motors = {"MONO:ENERGY": 12000.0, "SAMPLE:X": 9000.0, "DIFF:TTH": 100.0}
    for name, target in motors.items():
        kohzu.put(name, target, wait=False)
    with Order(kohzu.prefix, *(f"{name}.DMOV" for name in motors)) as order:
        assert [kohzu.get(f"{name}.DMOV") for name in motors] == [0, 0, 0]
        kohzu.put("allstop", "stop", wait=False)
        order.until(lambda value: value == 1)
    for name, target in motors.items():
        assert kohzu.get(f"{name}.RBV") < target - 1
    kohzu.put("SIM:SPEED", 1000.0)
    kohzu.put("DIFF:TTH", 0.0)
