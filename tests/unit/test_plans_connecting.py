"""Devices that are away for a moment, and those that stay away."""

import pytest
from bluesky import plan_stubs as bps
from bluesky.utils import PlanHalt
from ophyd.sim import SynAxis

from beamline_ophyd.plans import DeviceError, connected_wrapper, count, line_scan

from .doubles import Timed, returned_by


class Away(SynAxis):
    """An axis that is found again at the given look, or never."""

    def __init__(self, name, found_at=None):
        self.looks, self.found_at = 0, found_at
        super().__init__(name=name)

    @property
    def connected(self):
        self.looks += 1
        return self.found_at is not None and self.looks >= self.found_at

    def set(self, value):
        assert self.found_at is not None
        assert self.looks >= self.found_at
        return super().set(value)


def events(engine):
    return [doc for name, doc in engine.documents if name == "event"]


def test_a_device_that_comes_back_is_waited_for_once(engine, caplog):
    axis = Away("energy", found_at=4)
    plan = line_scan([Timed("i0")], axis, 0, 3, num=4)
    engine(connected_wrapper(plan, timeout=60))
    assert len(events(engine)) == 4
    assert caplog.messages.count("energy is not connected; waiting 60 s for it") == 1
    # In four looks there it was; what asks through another reader has had a look of its own.
    assert axis.looks < 4 + 4


def test_a_device_that_stays_away_opens_no_run(engine):
    axis = Away("energy")
    with pytest.raises(DeviceError, match="energy is not connected"):
        engine(connected_wrapper(line_scan([Timed("i0")], axis, 0, 3, num=4), timeout=0.0))
    assert engine.documents == []


def test_another_sentence_may_tell_what_is_away(engine):
    def error(device):
        return ConnectionError(f"no answer for {device.name}")

    with pytest.raises(ConnectionError, match="no answer for energy"):
        engine(connected_wrapper(bps.mv(Away("energy"), 1.0), timeout=0.0, error=error))


def test_each_run_of_a_plan_looks_again(engine):
    axis = Away("energy", found_at=1)
    looks = []

    def plan():
        for _ in range(3):
            yield from line_scan([Timed("i0")], axis, 0, 3, num=4)
            looks.append(axis.looks)

    engine(connected_wrapper(plan(), timeout=60))
    assert 0 < looks[0] < looks[1] < looks[2]


def test_what_knows_no_connection_is_there(engine):
    detector = Timed("i0")
    assert detector.connected
    engine(connected_wrapper(count([detector], num=2), timeout=0.0))
    assert len(events(engine)) == 2


def test_a_plan_may_do_without_what_is_away(engine):
    detector = Timed("i0")

    def plan():
        with pytest.raises(DeviceError):
            yield from bps.mv(Away("energy"), 1.0)
        yield from count([detector], num=1)
        return "done without"

    assert returned_by(engine, connected_wrapper(plan(), timeout=0.0)) == "done without"
    assert len(events(engine)) == 1


def test_a_halt_ends_the_plan_inside(engine):
    ended = []

    def plan():
        try:
            yield from bps.null()
        except GeneratorExit:
            ended.append("inside")
            raise

    wrapped = connected_wrapper(plan())
    assert next(wrapped).command == "null"
    with pytest.raises(PlanHalt):
        wrapped.throw(PlanHalt())
    assert ended == ["inside"]
