import threading

import pytest
from ophyd import Signal
from ophyd_async.core import init_devices, soft_signal_rw

from beamline_ophyd.plans import beam_suspenders, count, line_scan, suspend_wrapper

from .doubles import Timed


def watched(*values):
    return [Signal(name=name, value=value) for name, value in zip("abc", values, strict=True)]


def events(engine):
    return [doc["data"] for name, doc in engine.documents if name == "event"]


class Dip(Timed):
    """A detector during whose third count something goes wrong, for a moment."""

    def __init__(self, name, spoil, mend):
        super().__init__(name)
        self.spoil, self.mend = spoil, mend
        self.well = True

    def trigger(self):
        if self.triggers == 2:
            self.spoil()
            threading.Timer(0.2, self.mend).start()
        return super().trigger()


@pytest.mark.parametrize(
    ("role", "good", "bad"),
    [("current", 200.0, 1.0), ("shutter", "Open", "Close"), ("pressure", 1e-8, 1e-3)],
)
def test_a_point_in_a_dip_is_taken_again_when_all_is_well(engine, energy, role, good, bad):
    signal = Signal(name=role, value=good)
    detector = Dip("i0", lambda: signal.put(bad), lambda: signal.put(good))
    seen = []
    engine.subscribe(lambda name, doc: seen.append(signal.get()), "event")
    plan = line_scan([detector], energy, 0, 4, 5, time=0.1)
    engine(suspend_wrapper(plan, beam_suspenders(**{role: signal})))
    assert [e["energy"] for e in events(engine)] == [0, 1, 2, 3, 4]
    assert detector.triggers == 6
    assert seen == [good] * 5
    assert engine.suspenders == ()


def test_signals_of_ophyd_async_are_watched(engine, energy):
    with init_devices():
        current = soft_signal_rw(float, 200.0)
    setting = []

    def put(value):
        engine.loop.call_soon_threadsafe(lambda: setting.append(current.set(value)))

    detector = Dip("i0", lambda: put(0.0), lambda: put(200.0))
    plan = line_scan([detector], energy, 0, 4, 5, time=0.1)
    engine(suspend_wrapper(plan, beam_suspenders(current=current)))
    assert [e["energy"] for e in events(engine)] == [0, 1, 2, 3, 4]
    assert detector.triggers >= 6


def test_nothing_is_watched_when_a_plan_has_failed(engine, energy):
    def fail():
        raise RuntimeError("broken")

    detector = Dip("i0", fail, lambda: None)
    suspenders = beam_suspenders(current=Signal(name="current", value=200.0))
    with pytest.raises(RuntimeError, match="broken"):
        engine(suspend_wrapper(count([detector], 5, time=0.1), suspenders))
    assert engine.suspenders == ()


def test_no_signal_and_no_number_are_refused():
    with pytest.raises(ValueError, match="got no signal"):
        beam_suspenders()
    with pytest.raises(ValueError, match="resume_after is -1"):
        beam_suspenders(current=Signal(name="current"), resume_after=-1)
