"""Other people's device classes and clients drive the server unmodified."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky import plans as bp

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import NXxasWriter
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.grid import GridError, energy_grid
from beamline_ophyd.plans import xafs_scan

DEADLINE_S = 60.0


def test_epics_motor_moves_and_reads_itself(connected):
    from ophyd import EpicsMotor

    motor = connected(EpicsMotor, "SAMPLE:X", name="x")
    assert (motor.egu, motor.precision, motor.limits) == ("um", 1, (-10000.0, 10000.0))
    motor.set(1234.5).wait(DEADLINE_S)
    assert motor.position == 1234.5
    assert not motor.moving
    reading = motor.read()
    assert reading["x"]["value"] == 1234.5
    assert reading["x_user_setpoint"]["value"] == 1234.5
    assert set(motor.read_configuration()) == {
        "x_user_offset",
        "x_user_offset_dir",
        "x_velocity",
        "x_acceleration",
        "x_motor_egu",
    }


def test_epics_motor_succeeds_where_it_already_is(connected):
    from ophyd import EpicsMotor

    motor = connected(EpicsMotor, "SAMPLE:X", name="x")
    for _ in range(20):
        motor.set(10.0).wait(DEADLINE_S)
    assert motor.position == 10.0


def test_epics_motor_refuses_targets_beyond_the_limits(connected):
    from ophyd import EpicsMotor
    from ophyd.utils import LimitError

    motor = connected(EpicsMotor, "MONO:ENERGY", name="energy")
    with pytest.raises(LimitError):
        motor.set(3999.0)
    with pytest.raises(LimitError):
        motor.set(20001.0)


def test_epics_motor_stops(connected, side):
    from ophyd import EpicsMotor

    side.put("SIM:SPEED", 1.0)
    motor = connected(EpicsMotor, "SAMPLE:X", name="x")
    under_way = threading.Event()
    motor.user_readback.subscribe(lambda value, **_: value > 200 and under_way.set())
    status = motor.set(9000.0)
    assert under_way.wait(DEADLINE_S)
    motor.stop()
    status.wait(DEADLINE_S)
    assert 200 < motor.position < 9000
    assert not motor.moving


def test_epics_motor_sets_its_position_and_keeps_its_limits_in_step(connected):
    from ophyd import EpicsMotor

    motor = connected(EpicsMotor, "SAMPLE:X", name="x")
    motor.set(100.0).wait(DEADLINE_S)
    low, high = threading.Event(), threading.Event()
    motor.low_limit_travel.subscribe(lambda value, **_: value == -10100.0 and low.set())
    motor.high_limit_travel.subscribe(lambda value, **_: value == 9900.0 and high.set())
    motor.set_current_position(0.0)
    assert low.wait(DEADLINE_S)
    assert high.wait(DEADLINE_S)
    assert motor.limits == (-10100.0, 9900.0)
    motor.set(-10050.0).wait(DEADLINE_S)
    assert motor.position == -10050.0


def test_epics_motor_goes_home(connected, side):
    from ophyd import EpicsMotor

    motor = connected(EpicsMotor, "SAMPLE:X", name="x")
    motor.set(700.0).wait(DEADLINE_S)
    motor.home("forward").wait(DEADLINE_S)
    assert motor.position == 0.0
    assert side.get("SAMPLE:X.ATHM") == 1


def test_epics_scaler_counts(connected):
    from ophyd import EpicsScaler

    scaler = connected(EpicsScaler, "SCALER", name="scaler")
    scaler.preset_time.set(0.5).wait(DEADLINE_S)
    scaler.stage()
    scaler.trigger().wait(DEADLINE_S)
    reading = scaler.read()
    scaler.unstage()
    assert reading["scaler_channels_chan1"]["value"] == 5_000_000
    assert reading["scaler_channels_chan2"]["value"] > 1000
    configuration = scaler.read_configuration()
    assert configuration["scaler_time"]["value"] == 0.5
    assert configuration["scaler_count_mode"]["value"] == "OneShot"
    assert configuration["scaler_names_name2"]["value"] == "I0"


def test_scaler_ch_selects_channels_by_name(connected):
    from ophyd.scaler import ScalerCH

    scaler = connected(ScalerCH, "SCALER", name="scaler")
    scaler.select_channels(["I0", "It", "Ir"])
    scaler.preset_time.set(0.25).wait(DEADLINE_S)
    scaler.trigger().wait(DEADLINE_S)
    reading = scaler.read()
    assert {"I0", "It", "Ir"} <= set(reading)
    assert all(reading[name]["value"] > 1000 for name in ("I0", "It", "Ir"))
    assert reading["scaler_time"]["value"] == 0.25


def test_a_bluesky_scan_of_stock_devices(connected):
    from ophyd import EpicsMotor
    from ophyd.scaler import ScalerCH

    energy = connected(EpicsMotor, "MONO:ENERGY", name="energy", timeout=DEADLINE_S)
    scaler = connected(ScalerCH, "SCALER", name="scaler")
    scaler.select_channels(["I0", "It", "Ir"])
    documents = []
    engine = RunEngine({})
    try:
        engine(bp.scan([scaler], energy, 7090.0, 7140.0, 26), lambda *pair: documents.append(pair))
        engine(bps.mv(energy, 7000.0))
    finally:
        engine.loop.call_soon_threadsafe(engine.loop.stop)
    events = [doc["data"] for name, doc in documents if name == "event"]
    assert [event["energy"] for event in events] == [7090.0 + 2 * i for i in range(26)]
    ratio = [event["I0"] / event["It"] for event in events]
    assert ratio[-1] > 2 * ratio[0]  # over the edge of the foil in the beam
    assert documents[-1][1]["exit_status"] == "success"


SCAN = {"bounds": [-15, -5, 15], "steps": [5, 2], "times": [0.1, 0.2]}


def spectrum_of(engine, writer, plan):
    """Run a plan and read the one file it leaves."""
    (uid,) = engine(plan)
    assert writer.wait(DEADLINE_S)
    assert writer.problems == []
    assert validate_file(writer.files[uid]) == []
    return ScanData.from_nexus(writer.files[uid])


@pytest.fixture
def engine():
    run_engine = RunEngine({}, context_managers=[])
    yield run_engine
    run_engine.loop.call_soon_threadsafe(run_engine.loop.stop)


@pytest.fixture
def writer(engine, tmp_path):
    nexus = NXxasWriter(tmp_path)
    engine.subscribe(nexus)
    yield nexus
    nexus.close(DEADLINE_S)


def test_xafs_scan_takes_stock_devices(connected, engine, writer):
    from ophyd import EpicsMotor, EpicsScaler

    energy = connected(EpicsMotor, "MONO:ENERGY", name="energy", timeout=DEADLINE_S)
    scaler = connected(EpicsScaler, "SCALER", name="scaler")
    roles = {"i0": "scaler_channels_chan2", "itrans": "scaler_channels_chan3"}
    data = spectrum_of(engine, writer, xafs_scan([scaler], energy, "Fe-K", **SCAN, roles=roles))
    grid = energy_grid("Fe-K", **SCAN)
    assert data.energy == pytest.approx(grid.energy_ev, abs=0.01)
    assert data.columns["dwell_time"].tolist() == grid.dwell_s.tolist()
    ticks = data.columns["scaler_channels_chan1"]
    assert ticks == pytest.approx(1e7 * grid.dwell_s, abs=1.0)
    mu, _ = data.mu()
    assert mu[-1] > mu[0] + 0.5  # over the edge of the foil in the beam
    with pytest.raises(GridError, match=r"outside the monochromator's 4000.0 to 20000.0 eV"):
        engine(xafs_scan([scaler], energy, "Si-K", **SCAN, roles=roles))


def test_xafs_scan_takes_devices_of_ophyd_async(side, engine, writer, tmp_path):
    from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
    from ophyd_async.epics.motor import Motor
    from ophyd_async.sim import PatternGenerator, SimBlobDetector, SimPointDetector

    pattern = PatternGenerator(sleep=lambda _: asyncio.sleep(0))
    paths = StaticPathProvider(UUIDFilenameProvider(), tmp_path)
    with init_devices(timeout=DEADLINE_S):
        energy = Motor(f"ca://{side.prefix}MONO:ENERGY", name="energy")
        blob = SimBlobDetector(paths, pattern, name="blob")
        point = SimPointDetector(pattern, name="point")
    side.put("MONO:ENERGY", 7000.0)
    roles = {"i0": "point-channel-1-value", "itrans": "point-channel-2-value"}
    plan = xafs_scan([point, blob], energy, "Fe-K", **SCAN, roles=roles, fixed_dwell=True)
    data = spectrum_of(engine, writer, plan)
    assert data.energy == pytest.approx(energy_grid("Fe-K", **SCAN).energy_ev, abs=0.01)
    with pytest.raises(GridError, match=r"outside the monochromator's 4000.0 to 20000.0 eV"):
        engine(xafs_scan([point], energy, "Si-K", **SCAN, roles=roles, fixed_dwell=True))


def test_ophyd_async_motor(side):
    import aioca
    from ophyd_async.core import init_devices
    from ophyd_async.epics.motor import Motor, MotorLimitsError, OffsetMode, UseSetMode

    async def drive():
        async with init_devices(timeout=DEADLINE_S):
            motor = Motor(f"ca://{side.prefix}SAMPLE:Y", name="y")
        await motor.set(2222.0)
        reading = await motor.read()
        assert reading["y"]["value"] == 2222.0
        await motor.set(2222.0)
        assert (await motor.locate())["setpoint"] == 2222.0
        with pytest.raises(MotorLimitsError):
            await motor.set(10001.0)
        assert await motor.offset_freeze_switch.get_value() is OffsetMode.VARIABLE
        assert await motor.set_use_switch.get_value() is UseSetMode.USE
        configuration = await motor.read_configuration()
        assert configuration["y-motor_egu"]["value"] == "um"
        assert configuration["y-motor_resolution"]["value"] == 0.1
        watched = []
        await speed_of_simulation(1.0)
        status = motor.set(-9000.0)
        under_way = asyncio.Event()
        status.watch(lambda current=None, **_: (watched.append(current), under_way.set()))
        await asyncio.wait_for(under_way.wait(), DEADLINE_S)
        await motor.stop()
        with pytest.raises(Exception, match=r"stopped|[Ff]ail"):
            await status
        assert -9000 < await motor.user_readback.get_value() < 2222
        aioca.purge_channel_caches()  # they hold this event loop

    async def speed_of_simulation(speed):
        await asyncio.get_running_loop().run_in_executor(None, side.put, "SIM:SPEED", speed)

    asyncio.run(drive())


def test_ophyd_async_motor_over_pvaccess(side):
    from ophyd_async.core import init_devices
    from ophyd_async.epics.motor import Motor

    async def drive():
        async with init_devices(timeout=DEADLINE_S):
            motor = Motor(f"pva://{side.prefix}SAMPLE:Y", name="y")
        await motor.set(300.0)
        assert (await motor.read())["y"]["value"] == 300.0

    asyncio.run(drive())


@pytest.mark.parametrize("what", ["functions", "motor"])
def test_pyepics(side, what):
    script = Path(__file__).with_name("pyepics_client.py")
    subprocess.run(
        [sys.executable, str(script), what, f"{side.prefix}SAMPLE:X"], check=True, timeout=180
    )


def test_p4p_gets_puts_and_monitors(side, pva):
    name = f"{side.prefix}SAMPLE:X"
    value = pva.get(name, timeout=DEADLINE_S)
    assert value.raw.display.units == "um"
    assert (value.raw.control.limitLow, value.raw.control.limitHigh) == (-10000.0, 10000.0)
    seen = []
    arrived = threading.Event()

    def follow(update):
        seen.append(float(update))
        if update == 555.0:
            arrived.set()

    subscription = pva.monitor(f"{name}.RBV", follow)
    try:
        pva.put(name, 555.0, timeout=DEADLINE_S, request="record[block=true]")
        assert pva.get(f"{name}.DMOV", timeout=DEADLINE_S) == 1
        assert arrived.wait(DEADLINE_S)
    finally:
        subscription.close()
    assert pva.get(f"{name}.RBV", timeout=DEADLINE_S) == 555.0


def test_p4p_reads_text_choices_and_arrays(side, pva):
    crystal = pva.get(f"{side.prefix}MONO:CRYSTAL", timeout=DEADLINE_S)
    assert list(crystal.raw.value.choices)[:2] == ["Si(111)", "Si(311)"]
    places = pva.get(f"{side.prefix}SAMPLE:PLACES", timeout=DEADLINE_S)
    xs = pva.get(f"{side.prefix}SAMPLE:PLACES:X", timeout=DEADLINE_S)
    assert "fe_foil" in places
    assert len(places) == len(xs)


ENUMS = {
    "SAMPLE:X.SPMG": ["Stop", "Pause", "Move", "Go"],
    "SAMPLE:X.DIR": ["Pos", "Neg"],
    "SAMPLE:X.FOFF": ["Variable", "Frozen"],
    "SAMPLE:X.SET": ["Use", "Set"],
    "SCALER.CNT": ["Done", "Count"],
    "SCALER.CONT": ["OneShot", "AutoCount"],
    "SCALER.G1": ["N", "Y"],
    "SHUTTER:CMD": ["Close", "Open"],
    "SHUTTER:STATUS": ["Close", "Open"],
}


@pytest.mark.parametrize("name", ENUMS)
def test_the_choices_of_a_menu_are_those_of_synapps(side, name):
    assert list(side.get(name).raw.value.choices) == ENUMS[name]
