"""The project's ophyd devices on the real device server."""

import math
import threading
from contextlib import contextmanager

import pytest
from bluesky import RunEngine
from ophyd import EpicsMotor
from ophyd._pyepics_shim import get_dispatcher
from ophyd.signal import EpicsSignalBase
from ophyd.status import StatusTimeoutError
from ophyd.utils.errors import DisconnectedError, LimitError

from beamline_ophyd.devices import (
    BeamlineConnectionError,
    CountError,
    IonChambers,
    Monochromator,
    MotionError,
    SampleStage,
    Shutter,
    StorageRing,
    connect,
    disconnect,
)
from beamline_ophyd.devices._connect import signals_of
from beamline_ophyd.devices._status import Action, Pending
from beamline_ophyd.plans import connected_wrapper, xafs_scan

DEADLINE_S = 60


@pytest.fixture
def make(side):
    """Make a connected device: make(Class)."""
    made = []

    def build(kind, prefix=side.prefix):
        device = kind(prefix, name=kind.__name__.lower())
        made.append(device)
        connect(device, timeout=DEADLINE_S)
        return device

    yield build
    disconnect(*made)


def fails_with(status, error):
    with pytest.raises(error) as caught:
        status.wait(DEADLINE_S)
    return str(caught.value)


def test_energy_and_bragg_angle_move_together(make):
    mono = make(Monochromator)
    mono.energy.set(7112.0).wait(DEADLINE_S)
    two_d_over_hc = 2 * 3.135601 / 12398.41984  # Si(111), Bragg's law
    angle = math.degrees(math.asin(1 / (two_d_over_hc * 7112.0)))
    assert mono.bragg.user_readback.get(use_monitor=False) == pytest.approx(angle, abs=1e-4)
    assert mono.energy.position == pytest.approx(7112.0, abs=0.01)
    mono.bragg.set(14.0).wait(DEADLINE_S)
    energy = 1 / (two_d_over_hc * math.sin(math.radians(14.0)))
    assert mono.energy.user_readback.get(use_monitor=False) == pytest.approx(energy, abs=0.05)


def test_a_move_outside_the_limits_is_refused(make):
    mono = make(Monochromator)
    with pytest.raises(LimitError):
        mono.energy.set(50_000.0)


def test_a_motor_stopped_by_somebody_has_not_arrived(make, side):
    stage = make(SampleStage)
    side.put("SIM:SPEED", 1.0)
    started = threading.Event()
    stage.x.subscribe(lambda value, **_: started.set() if value > 100 else None, run=False)
    status = stage.x.set(9000.0)
    assert started.wait(DEADLINE_S)
    side.put("SAMPLE:X.STOP", 1, wait=False)
    words = fails_with(status, MotionError)
    assert "samplestage_x (BL02:SAMPLE:X)" in words
    assert "not at 9000" in words


def test_a_move_that_takes_too_long_names_the_pv(make, side):
    stage = make(SampleStage)
    side.put("SIM:SPEED", 1.0)
    status = stage.x.set(9000.0, timeout=0.3)
    words = fails_with(status, MotionError)
    assert "samplestage_x (BL02:SAMPLE:X) did not reach 9000 within 0.3 s; it stands at" in words
    stage.x.stop()


def test_a_second_move_fails_the_first(make, side):
    stage = make(SampleStage)
    side.put("SIM:SPEED", 2.0)
    first = stage.x.set(9000.0)
    second = stage.x.set(-500.0)
    assert "sent elsewhere" in fails_with(first, MotionError)
    second.wait(DEADLINE_S)


def test_a_dead_server_fails_the_move_at_once(make, start_ioc):
    server = start_ioc(prefix="DEAD:", speed=1.0)
    stage = make(SampleStage, "DEAD:")
    status = stage.x.set(9000.0)
    server.kill()
    assert "DEAD:SAMPLE:X.DMOV disconnected" in fails_with(status, DisconnectedError)
    words = r"no answer for DEAD:SAMPLE:X\.RBV \(samplestage_x\), DEAD:SAMPLE:X\.VAL "
    with pytest.raises(BeamlineConnectionError, match=words):
        stage.x.set(0.0)


@pytest.mark.slow("Channel Access takes seconds to find a server again")
def test_a_scan_waits_for_a_server_that_was_restarted(make, start_ioc):
    options = {"prefix": "AGAIN:", "speed": 50.0}
    server = start_ioc(**options)
    mono, chambers = make(Monochromator, "AGAIN:"), make(IonChambers, "AGAIN:")
    signals = [signal for device in (mono, chambers) for _, signal in signals_of(device)]
    served = [signal for signal in signals if isinstance(signal, EpicsSignalBase)]
    gone = threading.Event()

    def note(**_):
        if not any(signal.connected for signal in served):
            gone.set()

    for signal in served:
        signal.subscribe(note, event_type="meta", run=False)
    server.kill()
    assert gone.wait(DEADLINE_S)
    restart = threading.Thread(target=start_ioc, kwargs=options)

    def scan():
        assert not mono.energy.connected
        restart.start()
        grid = {"bounds": [-10, 10], "steps": [5], "times": [0.5]}
        yield from xafs_scan([chambers.i0, chambers.it], mono.energy, "Fe-K", **grid)

    engine, documents = RunEngine({}), []
    engine.subscribe(lambda name, doc: documents.append(name), "event")
    try:
        engine(connected_wrapper(scan(), timeout=DEADLINE_S))
    finally:
        restart.join(DEADLINE_S)
        engine.loop.call_soon_threadsafe(engine.loop.stop)
    assert documents == ["event"] * 5


@contextmanager
def held(*names):
    """Hold threads of ophyd's dispatcher."""
    go_on = threading.Event()
    dispatcher = get_dispatcher()
    try:
        for name in names:
            begun = threading.Event()
            dispatcher.get_thread_context(name).run(
                lambda begun: begun.set() or go_on.wait(DEADLINE_S), begun
            )
            assert begun.wait(DEADLINE_S)
        yield
    finally:
        go_on.set()


def pvs_answer(motor):
    for _, signal in signals_of(motor):
        for pv in (signal._read_pv, getattr(signal, "_write_pv", signal._read_pv)):
            assert pv.wait_for_connection(timeout=DEADLINE_S)


def signals_are_there(motor):
    for _, signal in signals_of(motor):
        signal.wait_for_connection(timeout=DEADLINE_S)


@pytest.mark.parametrize(
    ("threads", "ready", "come"),
    [
        (["monitor"], signals_are_there, "first value of {}.RBV (motor), first value of {}.DMOV"),
        ([f"util{n}" for n in range(4)], pvs_answer, "units and limits of {}.RBV (motor), "),
    ],
)
def test_a_motor_whose_pvs_all_answer_says_what_it_waits_for(side, threads, ready, come):
    name = f"{side.prefix}SAMPLE:X"
    with held(*threads):
        motor = EpicsMotor(name, name="motor")
        ready(motor)
        with pytest.raises(BeamlineConnectionError) as caught:
            connect(motor, timeout=0.1)
    connect(motor, timeout=DEADLINE_S)
    disconnect(motor)
    words = come.replace("{}", name)
    assert f"all PVs answer; still to come: {words}" in str(caught.value)


def test_chambers_triggered_together_share_one_count(make, side):
    chambers = make(IonChambers)
    side.put("SHUTTER:CMD", 1)
    counted = []
    chambers.count.subscribe(lambda value, **_: counted.append(value), run=False)
    chambers.stage()
    for number in (1, 2):
        chambers.preset_time.set(0.5 * number).wait(DEADLINE_S)
        statuses = [c.trigger() for c in (chambers.i0, chambers.it, chambers.ir)]
        assert len({id(status) for status in statuses}) == 1
        statuses[0].wait(DEADLINE_S)
        readings = [c.read() for c in (chambers.i0, chambers.it, chambers.ir)]
        assert [list(r) for r in readings] == [["I0"], ["It"], ["Ir"]]
        assert side.get("SCALER.T") == pytest.approx(0.5 * number, rel=1e-3)
    chambers.unstage()


def test_a_chamber_alone_counts_anew_each_time(make):
    chambers = make(IonChambers)
    first = chambers.i0.trigger()
    first.wait(DEADLINE_S)
    again = chambers.i0.trigger()
    assert again is not first
    again.wait(DEADLINE_S)


def test_what_a_count_stands_for_is_in_the_configuration(make):
    chambers = make(IonChambers)
    configuration = chambers.i0.read_configuration()
    # W / (e gain vf) with W(N2) = 34.8 eV.
    expected = 34.8 / (1.602176634e-19 * configuration["I0_gain"]["value"] * 1e5)
    assert configuration["I0_ev_per_count"]["value"] == pytest.approx(expected, rel=1e-6)
    assert configuration["I0_gas"]["value"] == "N2"


def test_a_count_cut_short_by_a_dead_server_fails(make, start_ioc):
    server = start_ioc(prefix="DEAD2:", speed=1.0)
    chambers = make(IonChambers, "DEAD2:")
    chambers.preset_time.set(30.0).wait(DEADLINE_S)
    status = chambers.i0.trigger()
    server.kill()
    assert "DEAD2:SCALER.CNT disconnected" in fails_with(status, DisconnectedError)
    assert chambers.unstage() is not None


def test_leaving_a_dead_server_leaves_nothing_to_be_cleared_twice(make, start_ioc):
    server = start_ioc(prefix="DEAD3:", speed=1.0)
    stage = make(SampleStage, "DEAD3:")
    gone = threading.Event()
    stage.x.motor_done_move.subscribe(
        lambda connected, **_: None if connected else gone.set(),
        event_type=stage.x.motor_done_move.SUB_META,
        run=False,
    )
    server.kill()
    assert gone.wait(DEADLINE_S)
    pvs = [walk.item._read_pv for walk in stage.walk_signals() if hasattr(walk.item, "_read_pv")]
    assert any(pv._monref for pv in pvs)
    disconnect(stage)
    # pyepics clears this subscription when it collects a PV, and its channel is cleared by now.
    assert [pv.pvname for pv in pvs if pv._monref] == []


def test_a_destroyed_device_asks_its_server_no_more(make):
    chambers = make(IonChambers)
    pending = Pending(chambers.count)
    status, late = Action(chambers), Action(chambers)
    asked, answer = threading.Event(), threading.Event()
    order = []

    def check():
        order.append("asked")
        asked.set()
        assert answer.wait(DEADLINE_S)
        order.append("answered")

    def close():
        pending.close()
        order.append("closed")

    pending.begin(status, CountError("replaced"))
    threads = [threading.Thread(target=pending.completion(status, check))]
    threads.append(threading.Thread(target=close))
    threads[0].start()
    assert asked.wait(DEADLINE_S)
    threads[1].start()
    answer.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    pending.begin(late, CountError("replaced"))
    pending.completion(late, check)()
    assert order == ["asked", "answered", "closed"]
    assert "destroyed" in fails_with(late, DisconnectedError)


def test_a_stopped_count_has_failed(make, side):
    chambers = make(IonChambers)
    side.put("SIM:SPEED", 1.0)
    chambers.preset_time.set(60.0).wait(DEADLINE_S)
    status = chambers.i0.trigger()
    chambers.stop()
    assert "was stopped" in fails_with(status, CountError)


def test_shutter_and_ring(make):
    shutter, ring = make(Shutter), make(StorageRing)
    shutter.set("close").wait(DEADLINE_S)
    assert shutter.position == "close"
    shutter.set("open").wait(DEADLINE_S)
    assert shutter.position == "open"
    with pytest.raises(ValueError, match="'open' or 'close'"):
        shutter.set("ajar")
    assert 0 < ring.current.get() <= 400
    assert ring.describe()["ring_current" if ring.name == "ring" else f"{ring.name}_current"]


def test_samples_come_into_the_beam_by_name(make):
    stage = make(SampleStage)
    assert {"fe_foil", "cu_foil", "fe2o3", "empty"} <= set(stage.places)
    for place in ("cu_foil", "empty"):
        stage.set(place).wait(DEADLINE_S)
        assert stage.position == place
    with pytest.raises(ValueError, match="has no sample 'gold'; the holder has"):
        stage.set("gold")


def test_a_timeout_of_ophyd_itself_still_works(make, side):
    stage = make(SampleStage)
    side.put("SIM:SPEED", 1.0)
    status = stage.x.set(5000.0)
    with pytest.raises((StatusTimeoutError, TimeoutError)):
        status.wait(0.1)
    stage.x.stop()
    assert isinstance(status.exception(DEADLINE_S), MotionError)
