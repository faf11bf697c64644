import threading

import pytest
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal
from ophyd.status import Status
from ophyd_async.core import AsyncStatus, init_devices, soft_signal_rw

from beamline_ophyd.plans import (
    DeviceError,
    beam_suspenders,
    dark_current_wrapper,
    line_scan,
    shutter_wrapper,
    suspend_wrapper,
    xafs_scan,
)

from ..runs import of
from .doubles import Gate, Stuck, Timed

SHORT = {"bounds": [-10, 0, 5], "steps": [2, 0.5], "times": [0.5, 2.0]}
POINTS = [0, 1, 2, 3, 4]
LIMIT_S = 60


def failed(device, words):
    status = Status(device)
    status.set_exception(RuntimeError(words))
    return status


class Travelling(Gate):
    """A shutter that needs time, whose command is called off by the next, and that may refuse."""

    def __init__(self):
        super().__init__()
        self.refuses = ""
        self.refused = threading.Event()
        self.closed = threading.Event()
        self.under_way = None
        self.told = lambda value: None

    def set(self, value, **kwargs):
        self.history.append(value)
        if self.under_way is not None and not self.under_way.done:
            self.under_way.set_exception(RuntimeError("called off"))
        if value == self.refuses:
            self.refused.set()
            return failed(self, "interlocked")
        self.under_way = Status(self)
        threading.Timer(0.05, self.arrive, args=(value, self.under_way)).start()
        self.told(value)
        return self.under_way

    def arrive(self, value, status):
        if status.done:
            return
        self.put(value)
        status.set_finished()
        if value == "close":
            self.closed.set()
        else:
            self.closed.clear()


class Interrupted(Timed):
    """A detector in whose third count something happens, and which does not end that one."""

    def __init__(self, happens):
        super().__init__("i0")
        self.happens = happens

    def trigger(self):
        status = super().trigger()
        if self.triggers != 3:
            return status
        threading.Thread(target=self.happens).start()
        return Status(self)


@pytest.fixture
def shutter():
    return Travelling()


@pytest.fixture
def scan(engine, energy, shutter):
    """A line behind a shutter, interrupted in its third point: scan(happens)."""

    def line(happens=engine.request_pause):
        detector = Interrupted(happens)
        return line_scan([detector], energy, 0, 4, 5, time=0.1, shutter=shutter)

    return line


@pytest.fixture
def seen(engine, shutter):
    """Energy of every point, and where the shutter was then."""
    points = []

    def look(name, doc):
        points.append((doc["data"]["energy"], shutter.get()))

    engine.subscribe(look, "event")
    return points


def paused(act, *arguments):
    with pytest.raises(RunEngineInterrupted):
        act(*arguments)


def exit_status(engine):
    return of(engine.documents, "stop")[-1]["exit_status"]


def test_the_shutter_is_open_during_the_run_only(engine, energy, detectors):
    gate = Gate()
    seen = []
    engine.subscribe(lambda name, doc: seen.append((name, gate.get())))
    engine(xafs_scan(detectors, energy, "Fe-K", **SHORT, shutter=gate))
    assert gate.history == ["open", "close"]
    assert {state for name, state in seen if name == "event"} == {"open"}


def test_the_shutter_closes_when_the_scan_fails(engine, detectors, impatient):
    gate = Gate()
    with pytest.raises(DeviceError):
        engine(xafs_scan(detectors, Stuck(), "Fe-K", **SHORT, shutter=gate))
    assert gate.history == ["open", "close"]


def test_the_shutter_stays_open_until_the_last_nested_run_ends(engine, detectors):
    from bluesky import plan_stubs as bps
    from bluesky import preprocessors as bpp

    gate = Gate()
    seen = []
    engine.subscribe(lambda name, doc: seen.append(gate.get()), "event")

    @bpp.set_run_key_decorator("outer")
    @bpp.run_decorator()
    def outer():
        yield from bpp.set_run_key_wrapper(inner(), "inner")
        yield from bps.trigger_and_read(detectors)

    @bpp.run_decorator()
    def inner():
        yield from bps.trigger_and_read(detectors)

    engine(shutter_wrapper(outer(), gate))
    assert seen == ["open", "open"]
    assert gate.history == ["open", "close"]
    engine(shutter_wrapper(outer(), gate))
    assert gate.history == ["open", "close"] * 2


def test_a_motion_alone_opens_no_shutter(engine, energy):
    from bluesky import plan_stubs as bps

    gate = Gate()
    engine(shutter_wrapper(bps.mv(energy, 3.0), gate))
    assert gate.history == []


class Jammed(Gate):
    """A shutter that opens and does not close."""

    def set(self, value, **kwargs):
        if value == "close":
            self.history.append(value)
            status = Status(self)
            status.set_exception(RuntimeError("jammed"))
            return status
        return super().set(value, **kwargs)


def test_a_shutter_that_fails_too_does_not_hide_the_cause(engine, detectors, impatient, caplog):
    gate = Jammed()
    with pytest.raises(DeviceError, match="slow did not go to"):
        engine(shutter_wrapper(xafs_scan(detectors, Stuck(), "Fe-K", **SHORT), gate))
    assert "slow did not go to" in of(engine.documents, "stop")[0]["reason"]
    assert gate.history == ["open", "close"]
    assert "the shutter may be open" in caplog.text
    assert "jammed" in caplog.text


def test_a_shutter_that_alone_fails_fails_the_plan(engine, energy, detectors):
    with pytest.raises(DeviceError, match="gate failed to go to close: jammed"):
        engine(shutter_wrapper(xafs_scan(detectors, energy, "Fe-K", **SHORT), Jammed()))


def test_it_is_closed_while_a_plan_is_paused(engine, scan, shutter, seen):
    paused(engine, scan())
    assert shutter.closed.wait(LIMIT_S)
    engine.resume()
    assert seen == [(at, "open") for at in POINTS]
    assert shutter.history == ["open", "close", "open", "close"]
    assert exit_status(engine) == "success"


def test_it_is_closed_at_every_pause_of_a_plan_itself(engine, energy, shutter, seen):
    @bpp.run_decorator()
    def plan():
        for target in POINTS:
            yield from bps.mv(energy, target)
            yield from bps.trigger_and_read([energy])
            yield from bps.checkpoint()
            yield from bps.pause()

    paused(engine, shutter_wrapper(plan(), shutter))
    for _ in POINTS[1:]:
        assert shutter.closed.wait(LIMIT_S)
        paused(engine.resume)
    engine.resume()
    assert seen == [(at, "open") for at in POINTS]
    assert shutter.history == ["open", "close"] * 6


@pytest.mark.parametrize("travelled", [True, False])
@pytest.mark.parametrize(("end", "status"), [("abort", "abort"), ("stop", "success")])
def test_it_stays_closed_when_a_paused_plan_is_ended(
    engine, scan, shutter, end, status, travelled, caplog
):
    paused(engine, scan())
    assert not travelled or shutter.closed.wait(LIMIT_S)
    getattr(engine, end)()
    assert shutter.get() == "close"
    assert shutter.history.count("open") == 1
    assert exit_status(engine) == status
    assert "may be open" not in caplog.text


def test_it_is_closed_while_there_is_no_beam(engine, scan, shutter, seen):
    current = Signal(name="current", value=200.0)

    def trip():
        current.put(1.0)
        assert shutter.closed.wait(LIMIT_S)
        current.put(200.0)

    engine(suspend_wrapper(scan(trip), beam_suspenders(current=current)))
    assert seen == [(at, "open") for at in POINTS]
    assert shutter.history == ["open", "close", "open", "close"]


def test_a_session_and_a_plans_own_argument_move_it_once(engine, scan, shutter, seen):
    paused(engine, shutter_wrapper(scan(), shutter))
    assert shutter.closed.wait(LIMIT_S)
    assert shutter.history == ["open", "open", "close"]
    engine.resume()
    assert seen == [(at, "open") for at in POINTS]
    assert shutter.history[3:] == ["open", "close", "close"]


def test_one_that_a_plan_opens_by_itself_is_closed_too(engine, energy, shutter):
    def plan():
        yield from bps.mv(shutter, "open")
        yield from bps.checkpoint()
        yield from bps.pause()
        yield from bps.mv(shutter, "close")
        yield from bps.checkpoint()
        yield from bps.pause()

    paused(engine, shutter_wrapper(plan(), shutter))
    assert shutter.closed.wait(LIMIT_S)
    paused(engine.resume)
    engine.resume()
    # What the plan has closed is left alone at the second pause.
    assert shutter.history == ["open", "close", "open", "close"]


def test_one_that_opens_when_the_pause_comes_is_not_called_off(engine, scan, shutter, seen):
    def pause(value):
        shutter.told = lambda value: None
        engine.loop.call_soon(threading.Thread(target=engine.request_pause).start)

    shutter.told = pause
    paused(engine, scan(lambda: None if len(seen) > 2 else engine.request_pause()))
    assert shutter.closed.wait(LIMIT_S)
    paused(engine.resume)  # in the third count
    engine.resume()
    assert seen == [(at, "open") for at in POINTS]
    assert exit_status(engine) == "success"


def test_a_plan_stays_paused_while_it_does_not_open(engine, scan, shutter, seen):
    paused(engine, scan())
    assert shutter.closed.wait(LIMIT_S)
    shutter.refuses = "open"
    with pytest.raises(DeviceError, match="gate failed to go to open: interlocked"):
        engine.resume()
    assert engine.state == "paused"
    shutter.refuses = ""
    engine.resume()
    assert seen == [(at, "open") for at in POINTS]
    assert exit_status(engine) == "success"


def test_one_that_does_not_close_in_a_pause_is_told(engine, scan, shutter, seen, caplog):
    shutter.refuses = "close"
    paused(engine, scan())
    assert shutter.refused.wait(LIMIT_S)
    shutter.refuses = ""
    engine.resume()
    assert "the plan waits, and the shutter may be open, see to it: gate failed" in caplog.text
    assert seen == [(at, "open") for at in POINTS]


def test_a_pause_in_the_dark_opens_nothing(engine, energy, shutter):
    dark = Interrupted(engine.request_pause)
    plan = line_scan([dark], energy, 0, 4, 5, time=0.1)
    paused(engine, shutter_wrapper(dark_current_wrapper(plan, [dark], shutter), shutter))
    engine.resume()
    # The dark current is measured from its begin, for it was not under way as a point is.
    assert shutter.history == ["close", "close", "open", "close"]


def test_shutters_of_ophyd_async(engine, energy):
    with init_devices():
        state = soft_signal_rw(str, "close")
    closed = threading.Event()
    history = []

    class Async:
        name = "gate"
        parent = None

        @AsyncStatus.wrap
        async def set(self, value):
            history.append(value)
            await state.set(value)
            if value == "close":
                closed.set()

    detector = Interrupted(engine.request_pause)
    paused(engine, line_scan([detector], energy, 0, 4, 5, time=0.1, shutter=Async()))
    assert closed.wait(LIMIT_S)
    engine.resume()
    assert history == ["open", "close", "open", "close"]
    assert exit_status(engine) == "success"
