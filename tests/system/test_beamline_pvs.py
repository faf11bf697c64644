"""Monochromator, shutter, samples and detectors by their PVs."""

import math

import numpy as np
import pytest

from ..pvs import Beamline, Monitor, Order, count
from ..xdi import write_xdi

HC_EV_ANGSTROM = 12398.41984
WRITE_ALARM = 2


def bragg_deg(energy_ev, d_angstrom):
    return math.degrees(math.asin(HC_EV_ANGSTROM / (2 * d_angstrom * energy_ev)))


def test_the_bragg_angle_follows_the_energy(bl):
    d = bl.get("MONO:DSPACING")
    assert d == pytest.approx(3.135601, abs=1e-9)
    for energy in (4000.0, 7112.0, 20000.0):
        bl.put("MONO:ENERGY", energy)
        assert bl.get("MONO:ENERGY.RBV") == energy
        assert bl.get("MONO:BRAGG.RBV") == pytest.approx(bragg_deg(energy, d), abs=1e-6)


def test_the_energy_follows_the_bragg_angle(bl):
    with (
        Monitor(f"{bl.prefix}MONO:ENERGY.DMOV") as done,
        Monitor(f"{bl.prefix}MONO:ENERGY.RBV") as energy,
    ):
        bl.put("SIM:SPEED", 20.0)
        bl.put("MONO:BRAGG", 20.0)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
        expected = HC_EV_ANGSTROM / (2 * 3.135601 * math.sin(math.radians(20)))
        energy.until(lambda value: abs(value - expected) < 1e-3)
    assert bl.get("MONO:ENERGY") == pytest.approx(expected, abs=1e-3)
    assert bl.get("MONO:BRAGG") == 20.0


def test_the_alarm_of_a_refused_command_ends_with_the_next(bl):
    bl.put("MONO:ENERGY.HOMF", 1)  # the energy is no axis and has no home
    assert (bl.get("MONO:ENERGY.SEVR"), bl.get("MONO:ENERGY.STAT")) == (3, WRITE_ALARM)
    bl.put("MONO:ENERGY", bl.get("MONO:ENERGY.RBV"))
    assert (bl.get("MONO:ENERGY.SEVR"), bl.get("MONO:ENERGY.STAT")) == (0, 0)


def test_the_energy_keeps_to_the_limits_of_the_bragg_axis(bl):
    former = bl.get("MONO:BRAGG.DLLM")
    angle = bl.get("MONO:BRAGG.RBV")
    try:
        bl.put("MONO:BRAGG.DLLM", 12.0)
        bl.put("MONO:ENERGY", 12000.0)  # 9.5 degrees
        assert (bl.get("MONO:ENERGY.SEVR"), bl.get("MONO:ENERGY.STAT")) == (3, WRITE_ALARM)
        assert bl.get("MONO:BRAGG.RBV") == angle
        assert bl.get("MONO:ENERGY") == bl.get("MONO:ENERGY.RBV") == 7000.0
        bl.put("MONO:ENERGY", 9000.0)  # 12.7 degrees
        assert (bl.get("MONO:ENERGY.SEVR"), bl.get("MONO:ENERGY.RBV")) == (0, 9000.0)
    finally:
        bl.put("MONO:BRAGG.DLLM", former)
    bl.put("MONO:ENERGY", 12000.0)
    assert bl.get("MONO:ENERGY.RBV") == 12000.0


def stop_the_bragg_axis_on_the_way(bl):
    """Send the energy to 9000 eV, and stop the axis behind it above 7500 eV."""
    with Monitor(f"{bl.prefix}MONO:ENERGY.RBV") as energy:
        bl.put("MONO:ENERGY", 9000.0, wait=False)
        energy.until(lambda value: value > 7500)
        with Monitor(f"{bl.prefix}MONO:ENERGY.DMOV") as done:
            bl.put("MONO:BRAGG.STOP", 1, wait=False)
            done.until(lambda value: value == 1)


def test_stopping_the_bragg_axis_stops_the_energy(bl):
    bl.put("SIM:SPEED", 5.0)
    stop_the_bragg_axis_on_the_way(bl)
    assert 7500 < bl.get("MONO:ENERGY.RBV") < 9000
    assert bl.get("MONO:ENERGY") == bl.get("MONO:ENERGY.RBV")


def test_what_stops_the_bragg_axis_stops_the_way_to_the_backlash_distance_too(bl):
    bl.put("SIM:SPEED", 5.0)
    bl.put("MONO:ENERGY.BDST", 50.0)
    stop_the_bragg_axis_on_the_way(bl)
    assert 7500 < bl.get("MONO:ENERGY.RBV") < 8900
    assert bl.get("MONO:ENERGY") == bl.get("MONO:ENERGY.RBV")


def test_another_crystal_is_another_energy_at_the_same_angle(bl):
    angle = bl.get("MONO:BRAGG.RBV")
    with Monitor(f"{bl.prefix}MONO:ENERGY") as energy:
        bl.put("MONO:CRYSTAL", "Si(311)")
        expected = HC_EV_ANGSTROM / (2 * 1.637514 * math.sin(math.radians(angle)))
        energy.until(lambda value: abs(value - expected) < 0.01)
    assert bl.get("MONO:BRAGG.RBV") == angle
    assert bl.get("MONO:CRYSTAL", as_string=True) == "Si(311)"


def test_the_offset_of_the_bragg_angle_calibrates_the_energy(bl):
    angle = bl.get("MONO:BRAGG.DRBV")
    with Monitor(f"{bl.prefix}MONO:ENERGY.RBV") as energy:
        bl.put("MONO:BRAGG.OFF", 0.01)
        expected = HC_EV_ANGSTROM / (2 * 3.135601 * math.sin(math.radians(angle + 0.01)))
        energy.until(lambda value: abs(value - expected) < 1e-3)
    bl.put("MONO:ENERGY", 7000.0)
    assert bl.get("MONO:BRAGG.RBV") == pytest.approx(bragg_deg(7000.0, 3.135601), abs=1e-6)
    assert bl.get("MONO:BRAGG.DRBV") == pytest.approx(angle - 0.01, abs=1e-5)


@pytest.mark.parametrize(
    ("prefix", "name", "title"),
    [
        ("LATIN:", b"5 \xb5m iron", "5 ?m iron"),
        (
            "CUT:",
            b"iron foil of a thickness of about 5.00\xc2\xb5m",
            "iron foil of a thickness of about 5.00",
        ),
    ],
    ids=["Latin-1", "cut"],
)
def test_a_title_of_any_bytes_can_be_read(start_ioc, tmp_path, prefix, name, title):
    path = write_xdi(tmp_path / "mine.xdi", *(f"{e} {e / 1e4}" for e in range(6900, 7400, 5)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"# Sample.name: " + name + b"\n", *lines[1:]]))
    start_ioc(prefix=prefix, sample=[path], speed=1000.0)
    bl = Beamline(prefix)
    place = list(bl.get("SAMPLE:PLACES")).index("mine")
    bl.put("SAMPLE:X", bl.get("SAMPLE:PLACES:X")[place])
    bl.put("SAMPLE:Y", bl.get("SAMPLE:PLACES:Y")[place])
    assert bl.get("SAMPLE:TITLE") == title
    bl.close()


@pytest.mark.parametrize("stopped", [True, False])
def test_a_motion_ends_where_its_angle_is_no_energy(bl, stopped):
    bl.put("SIM:SPEED", 1.0 if stopped else 20.0)
    with (
        Monitor(f"{bl.prefix}MONO:ENERGY.RBV") as energy,
        Monitor(f"{bl.prefix}MONO:ENERGY.DMOV") as done,
        Monitor(f"{bl.prefix}MONO:ENERGY.SEVR") as severity,
    ):
        bl.put("MONO:ENERGY", 9000.0, wait=False)
        energy.until(lambda value: value > 7010)
        bl.put("MONO:BRAGG.OFF", -30.0)
        severity.until(lambda value: value == 3)
        if stopped:
            bl.put("MONO:ENERGY.STOP", 1, wait=False)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
        assert bl.get("MONO:ENERGY.MOVN") == 0
        assert bl.get("MONO:ENERGY.SEVR") == 3
        bl.put("MONO:BRAGG.OFF", 0.0)
        severity.until(lambda value: value == 0)
    assert bl.get("MONO:ENERGY") == bl.get("MONO:ENERGY.RBV")
    assert 7010 < bl.get("MONO:ENERGY") < 9001


def test_a_step_of_one_ev_takes_a_realistic_time(bl):
    speed = 0.1  # so slow that a machine that is busy for a moment is none of it
    bl.put("SIM:SPEED", speed)
    with Monitor(f"{bl.prefix}MONO:ENERGY.DMOV") as done:
        bl.put("MONO:ENERGY", 7001.0)
        done.until(lambda value: value == 0)
        done.until(lambda value: value == 1)
    took = speed * (done.seen[-1][1] - done.seen[-2][1])
    assert 0.03 < took < 0.4


def test_the_shutter_travels_and_then_completes_the_put(bl):
    bl.put("SIM:SPEED", 1.0)
    with Monitor(f"{bl.prefix}SHUTTER:STATUS") as status:
        bl.put("SHUTTER:CMD", "Close")
        status.until(lambda value: value == 0)
    assert bl.get("SHUTTER:CMD", as_string=True) == "Close"
    bl.put("SIM:SPEED", 200.0)
    assert max(count(bl, 1.0)[1:4]) <= 2  # dark current
    bl.put("SHUTTER:CMD", "Open")
    assert bl.get("SHUTTER:STATUS", as_string=True) == "Open"
    assert count(bl, 1.0)[1] > 1000


def test_the_state_of_the_shutter_is_told_before_its_command_is_done(bl):
    with Order(bl.prefix, "SHUTTER:STATUS", "SHUTTER:CMD") as order:
        bl.put("SHUTTER:CMD", "Close")
        order.until(lambda value: value == 0)
        assert order.told.index(("SHUTTER:STATUS", 0)) < order.told.index(("SHUTTER:CMD", 0))


def test_the_stage_brings_each_place_into_the_beam(bl):
    names = list(bl.get("SAMPLE:PLACES"))
    xs, ys = bl.get("SAMPLE:PLACES:X"), bl.get("SAMPLE:PLACES:Y")
    assert {"fe_foil", "cu_foil", "fe2o3", "empty"} <= set(names)
    bl.put("SIM:NOISE", "Off")
    bl.put("SIM:SPEED", 5000.0)
    bl.put("MONO:ENERGY", 7200.0)
    transmitted = {}
    for name, x, y in zip(names, xs, ys, strict=True):
        bl.put("SAMPLE:X", x)
        bl.put("SAMPLE:Y", y)
        assert bl.get("SAMPLE:NAME") == name  # whoever waited for the motion finds it up to date
        _, i0, it, *_ = count(bl, 1.0)
        transmitted[name] = it / i0
    assert transmitted["empty"] == max(transmitted.values())
    # Above the Fe K edge, below that of Cu.
    assert transmitted["fe_foil"] < 0.5 * transmitted["empty"]
    assert transmitted["fe_foil"] != transmitted["fe2o3"]


def test_the_reference_foil_is_chosen_by_its_place(bl):
    former = bl.get("REF:NAME")
    bl.put("SIM:NOISE", "Off")
    bl.put("MONO:ENERGY", 7200.0)
    counts = {}
    for name in ("empty", "fe_foil"):
        bl.put("REF:NAME", name)
        assert bl.get("REF:NAME") == name
        counts[name] = count(bl, 1.0)[3]
    assert counts["fe_foil"] < 0.5 * counts["empty"]
    bl.put("REF:NAME", "unobtainium")
    assert bl.get("REF:NAME") == "fe_foil"
    assert bl.get("REF:NAME.SEVR") == 3
    bl.put("REF:NAME", former)
    assert bl.get("REF:NAME.SEVR") == 0


def test_the_constants_of_a_chamber_are_consistent(bl):
    for name in ("I0", "IT", "IR"):
        gain, vf = bl.get(f"DET:{name}:GAIN"), bl.get(f"DET:{name}:VF")
        w = bl.get(f"DET:{name}:WVALUE")
        expected = w / (1.602176634e-19 * gain * vf)
        assert bl.get(f"DET:{name}:EV_PER_COUNT") == pytest.approx(expected, rel=1e-9)
        assert bl.get(f"DET:{name}:GAS") == "N2"


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9])
def test_a_speed_out_of_range_is_brought_into_it(bl, value):
    bl.put("SIM:SPEED", value)
    assert 0.01 <= bl.get("SIM:SPEED") <= 100000


def test_a_crystal_that_is_not_there_leaves_the_former(bl):
    bl.put("MONO:CRYSTAL", 5)
    assert bl.get("MONO:CRYSTAL") == 0
    assert (bl.get("MONO:CRYSTAL.SEVR"), bl.get("MONO:CRYSTAL.STAT")) == (3, WRITE_ALARM)
    bl.put("MONO:CRYSTAL", 0)
    assert bl.get("MONO:CRYSTAL.SEVR") == 0


def test_a_setting_that_is_no_number_leaves_the_speed(bl):
    former = bl.get("SIM:SPEED")
    bl.put("SIM:SPEED", math.nan)
    assert (bl.get("SIM:SPEED"), bl.get("SIM:SPEED.OVAL")) == (former, former)
    bl.put("SIM:SPEED", former)
    assert bl.get("SIM:SPEED.SEVR") == 0


def test_a_file_of_the_user_is_on_the_holder(start_ioc, tmp_path):
    energies = np.arange(6900.0, 7400.0, 5.0)
    mu = 0.5 + 1.2 / (1 + np.exp(-(energies - 7112) / 2))
    rows = [f"{e:.1f} {m:.6f}" for e, m in zip(energies, mu, strict=True)]
    path = write_xdi(tmp_path / "mine.xdi", *rows)
    start_ioc(prefix="MINE:", sample=[path], noise=False, speed=500.0)
    bl = Beamline("MINE:")
    place = list(bl.get("SAMPLE:PLACES")).index("mine")
    bl.put("SAMPLE:X", bl.get("SAMPLE:PLACES:X")[place])
    bl.put("SAMPLE:Y", bl.get("SAMPLE:PLACES:Y")[place])
    assert bl.get("SAMPLE:NAME") == "mine"
    assert bl.get("SAMPLE:EDGE") == "Fe-K"
    ratios = []
    for energy in (7090.0, 7140.0):
        bl.put("MONO:ENERGY", energy)
        _, i0, it, *_ = count(bl, 20.0)
        ratios.append(math.log(i0 / it))
    bl.close()
    # The chambers' own absorption changes by far less than this over 50 eV.
    assert ratios[1] - ratios[0] == pytest.approx(np.interp(7140, energies, mu) - 0.5, abs=0.01)
