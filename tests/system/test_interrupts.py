"""Interrupts in the middle of a motion and of a count: everything stands still and is told."""

import threading

import pytest
from bluesky.utils import RunEngineInterrupted

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.plans import mesh_scan, xafs_scan

DEADLINE_S = 60
ENDS = [("stop", "success"), ("abort", "abort"), ("halt", "abort")]


def once(watched, wanted, act):
    """Act once, in a thread of its own, when a signal has a wanted value."""
    left = threading.Semaphore(1)

    def look(value, **_):
        if wanted(value) and left.acquire(blocking=False):
            threading.Thread(target=act).start()

    watched.subscribe(look, run=False)


def pause_when(session, watched, wanted):
    """Pause at once, as two Ctrl-C do, when a signal has a wanted value."""
    once(watched, wanted, lambda: session.RE.request_pause(False))


def check_end(session, side, uid, status):
    assert side.get("SHUTTER:STATUS") == 0
    assert side.get("SCALER.CNT") == 0
    assert side.get("MONO:ENERGY.DMOV") == 1
    assert side.get("SAMPLE:X.DMOV") == 1
    assert session.wait()
    data = ScanData.from_journal(session.journal.path(uid))
    file = session.files[uid]
    assert validate_file(file) == []
    assert data == ScanData.from_nexus(file)
    assert data.metadata["stop"]["exit_status"] == status
    return data


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_scan_ended_in_a_motion_leaves_the_axis_where_it_was_stopped(begin, side, end, status):
    session = begin()
    side.put("SIM:SPEED", 2.0)
    pause_when(session, session.mono.energy.user_readback, lambda energy: energy > 7150.0)
    # The first point is where the axis is, the second a way of some seconds from it.
    grid = {"bounds": [-112, 488], "steps": [600], "times": [0.1]}
    with pytest.raises(RunEngineInterrupted):
        session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **grid))
    (uid,) = getattr(session.RE, end)()
    assert 7150.0 < side.get("MONO:ENERGY.RBV") < 7590.0
    data = check_end(session, side, uid, status)
    assert len(data.energy) == 1


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_scan_ended_in_a_count_leaves_the_counter_stopped(begin, side, end, status):
    session = begin()
    side.put("SIM:SPEED", 2.0)
    pause_when(session, session.chambers.count, lambda count: count == 1)
    grid = {"bounds": [-112, -102], "steps": [5], "times": [30.0]}
    with pytest.raises(RunEngineInterrupted):
        session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **grid))
    (uid,) = getattr(session.RE, end)()
    data = check_end(session, side, uid, status)
    assert len(data.columns.get("I0", [])) == 0


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_map_ended_in_a_motion_leaves_the_stage_where_it_was_stopped(begin, side, end, status):
    session = begin()
    side.put("SIM:SPEED", 1.0)
    stage = session.stage
    pause_when(session, stage.x.user_readback, lambda x: x > 500.0)
    plan = mesh_scan(
        [session.i0, session.it], stage.y, 0, 100, 2, stage.x, 0, 9000, 2, time=0.1, snake=True
    )
    with pytest.raises(RunEngineInterrupted):
        session.RE(plan)
    (uid,) = getattr(session.RE, end)()
    assert 500.0 < side.get("SAMPLE:X.RBV") < 8990.0
    data = check_end(session, side, uid, status)
    assert len(data.columns["I0"]) == 1


LINE = {"bounds": [-112, -102], "steps": [5], "times": [1.0]}


class Followed:
    """What a session's shutter did in a scan: whether it has closed, and where it was at points."""

    def __init__(self, session):
        self.closed = threading.Event()
        self.at_points = []
        self.shutter = session.shutter
        self.shutter.status.subscribe(self.follow, run=False)
        session.RE.subscribe(self.look, "event")

    def follow(self, value, **_):
        if value == "Close":
            self.closed.set()

    def look(self, name, doc):
        self.at_points.append(self.shutter.position)

    def check(self, data):
        assert len(data.energy) == 3
        assert set(self.at_points) == {"open"}


def test_the_shutter_is_closed_while_a_scan_is_paused(begin, side):
    session = begin()
    side.put("SIM:SPEED", 2.0)
    followed = Followed(session)
    pause_when(session, session.chambers.count, lambda count: count == 1)
    with pytest.raises(RunEngineInterrupted):
        session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **LINE))
    assert followed.closed.wait(DEADLINE_S)
    assert side.get("SHUTTER:STATUS") == 0
    (uid,) = session.RE.resume()
    data = check_end(session, side, uid, "success")
    followed.check(data)
    # Whole counts with the whole beam, the one that was interrupted too.
    assert data.columns["I0"] == pytest.approx(data.columns["I0"].mean(), rel=0.1)


def test_the_shutter_is_closed_while_there_is_no_beam(begin, side):
    session = begin(suspend=True)
    side.put("SIM:SPEED", 2.0)
    followed = Followed(session)

    waited = []

    def lose_the_beam_for_a_while():
        side.put("SIM:FAULT:DUMP", 1)
        waited.append(followed.closed.wait(DEADLINE_S))
        side.put("SIM:FAULT:DUMP", 0)

    once(session.chambers.count, lambda count: count == 1, lose_the_beam_for_a_while)
    (uid,) = session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **LINE))
    assert waited == [True]
    followed.check(check_end(session, side, uid, "success"))
