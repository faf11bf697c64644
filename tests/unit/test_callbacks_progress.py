import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tqdm import tqdm

from beamline_ophyd.callbacks import ScanProgress
from beamline_ophyd.callbacks._time_left import TimeLeft
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.timing import Timing, save_timing

from ..runs import numbered


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(progress, points=3, **start):
    progress("start", {"uid": "r", "scan_id": 7, **start})
    progress("descriptor", {"uid": "d", "name": "primary"})
    progress("descriptor", {"uid": "b", "name": "baseline"})
    progress("event", {"descriptor": "b", "seq_num": 1, "data": {}, "time": 0.0})
    for number in range(1, points + 1):
        progress("event", {"descriptor": "d", "seq_num": number, "data": {}, "time": 0.5 * number})
    page = {"seq_num": [points + 1, points + 2], "data": {}, "time": [2.0, 2.5]}
    progress("event_page", {"descriptor": "d", **page})
    progress("stop", {})


def test_points_of_the_scan_are_counted():
    terminal = Terminal()
    run(ScanProgress(terminal), num_points=5)
    assert "scan 7" in terminal.getvalue()
    assert "5/5" in terminal.getvalue()


def test_file_that_is_no_terminal_gets_no_bar():
    file = io.StringIO()
    run(ScanProgress(file), num_points=5)
    assert file.getvalue() == ""


def test_bar_outlives_the_cell_that_began_it():
    terminal = Terminal()
    progress = ScanProgress(terminal)
    whole = terminal.write
    terminal.write = lambda text: whole(text) if alive else pytest.fail("the cell is over")
    alive = True
    progress("start", {"uid": "r", "num_points": 2})
    progress("descriptor", {"uid": "d", "name": "primary"})
    terminal.write, alive = whole, False
    progress("event", {"descriptor": "d", "seq_num": 1, "data": {}, "time": 0.5})
    progress("stop", {})
    assert "1/2" in terminal.getvalue()


@pytest.mark.parametrize("planned", ["all", [3, 4], 5.5, True, -1, None])
def test_number_of_points_that_is_none(planned, caplog):
    terminal = Terminal()
    run(ScanProgress(terminal), num_points=planned)
    assert "5point" in terminal.getvalue()
    assert caplog.records == []


@pytest.mark.parametrize("error", [BrokenPipeError("gone"), OSError(28, "no space"), ValueError()])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_terminal_that_refuses_costs_the_bar_and_not_the_scan(error, after, caplog):
    class Refusing(Terminal):
        left = after

        def write(self, text):
            if self.left == 0:
                raise error
            self.left -= 1
            return super().write(text)

    progress = ScanProgress(Refusing())
    for _ in range(2):
        run(progress, num_points=5, points=200)
    assert len([r for r in caplog.records if "goes on without" in r.getMessage()]) == 1
    assert another_thread_gets(tqdm.get_lock().th_lock)


def another_thread_gets(lock):
    """Whether nobody keeps a lock; tqdm's thread wants it, and the program waits for its end."""

    def there_and_back():
        if got := lock.acquire(timeout=60):
            lock.release()
        return got

    with ThreadPoolExecutor() as pool:
        return pool.submit(there_and_back).result()


def test_no_terminal_at_all(monkeypatch, caplog):
    monkeypatch.setattr(sys, "stderr", None)
    run(ScanProgress(), num_points=5)
    assert caplog.records == []


TRUE = Timing(overhead_s=0.3, pace_s_per_ev=0.02, dwell_scale=1.1)
GRID = energy_grid(
    "Fe-K", bounds=[-200, -30, 15, "14k"], steps=[10, 0.5, "0.05k"], times=[0.5, 0.5, "0.5k"]
)


@pytest.fixture
def scan(xafs_documents):
    """The documents of a scan over GRID that takes what TRUE says, with the points' numbers."""
    documents = numbered(
        xafs_documents(len(GRID), 2), range(2 * len(GRID)), grid=GRID.to_dict(), repeats=2
    )
    index = np.arange(2 * len(GRID)) % len(GRID)
    ends = 1e9 + np.cumsum(TRUE.points_s(GRID.energy_ev[index], GRID.dwell_s[index]))
    events = [doc for name, doc in documents if name == "event"]
    for event, end in zip(events, ends, strict=True):
        event["time"] = float(end)
    return documents


def time_left(documents, memory=None):
    """After each event of a run: what is said to be left, and what is left."""
    left = TimeLeft(documents[0][1], memory)
    events = [doc for name, doc in documents if name == "event"]
    end = events[-1]["time"]
    for event in events:
        left.event(event["seq_num"], event["data"], event["time"])
        yield left.seconds, end - event["time"]


def test_the_time_left_is_learnt_from_the_scan_itself(scan):
    told = list(time_left(scan))
    assert told[0][0] is None  # nothing is known yet
    # All dwell times so far are the same: what is overhead and what is dwell cannot be told.
    for said, true in told[2:150]:
        assert said == pytest.approx(true, rel=0.3)
    for said, true in told[200:]:
        assert said == pytest.approx(true, rel=0.01, abs=1.0)
    # The rate of the points so far, which were the short ones, would say half of it.
    rate = (told[0][1] - told[150][1]) / 150
    assert rate * (2 * len(GRID) - 150) < 0.5 * told[150][1]


@pytest.mark.parametrize("speed", [1.0, 50.0])
def test_the_time_left_of_a_scan_at_any_speed(scan, speed):
    events = [doc for name, doc in scan if name == "event"]
    for event in events:
        event["time"] /= speed
    for said, true in list(time_left(scan))[200:]:
        assert said == pytest.approx(true, rel=0.01, abs=1.0 / speed)


def test_the_time_left_is_known_from_the_begin_where_scans_were_before(scan, tmp_path):
    save_timing(tmp_path / "timing.json", "mono_energy", TRUE)
    for said, true in time_left(scan, tmp_path / "timing.json"):
        assert said == pytest.approx(true, rel=1e-3, abs=0.01)
    terminal = Terminal()
    progress = ScanProgress(terminal, memory=tmp_path / "timing.json")
    progress(*scan[0])
    assert " min " in terminal.getvalue()
    assert "left" in terminal.getvalue()


def test_a_pause_is_not_the_scans_pace(scan):
    events = [doc for name, doc in scan if name == "event"]
    for event in events[100:]:
        event["time"] += 3600.0
    for number, (said, true) in enumerate(time_left(scan)):
        if number >= 200:
            assert said == pytest.approx(true, rel=0.05, abs=1.0)


def test_a_point_that_is_taken_again_counts_once(xafs_documents):
    documents = numbered(
        xafs_documents(5),
        [0, 1, 1, 2, 3], ["", "beam dip", "", "", ""], points_per_sweep=4,
        grid=energy_grid("Fe-K", bounds=[-10, 5], steps=[5], times=[1]).to_dict(),
    )  # fmt: skip
    terminal = Terminal()
    progress = ScanProgress(terminal)
    for document in documents:
        progress(*document)
    assert "4/4" in terminal.getvalue()
    assert "5/4" not in terminal.getvalue()


def test_a_continued_run_has_what_it_is_to_measure(xafs_documents):
    documents = numbered(
        xafs_documents(4), [2, 3, 6, 7], points_per_sweep=4, repeats=2,
        grid=energy_grid("Fe-K", bounds=[-10, 5], steps=[5], times=[1]).to_dict(),
    )  # fmt: skip
    documents[0][1]["xafs"]["points"] = ((2, 4), (6, 8))
    terminal = Terminal()
    progress = ScanProgress(terminal)
    for document in documents:
        progress(*document)
    assert "4/4" in terminal.getvalue()
