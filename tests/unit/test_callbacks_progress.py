import io
import sys

import pytest

from beamline_ophyd.callbacks import ScanProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(progress, points=3, **start):
    progress("start", {"uid": "r", "scan_id": 7, **start})
    progress("descriptor", {"uid": "d", "name": "primary"})
    progress("descriptor", {"uid": "b", "name": "baseline"})
    progress("event", {"descriptor": "b"})
    for _ in range(points):
        progress("event", {"descriptor": "d"})
    progress("event_page", {"descriptor": "d", "seq_num": [4, 5]})
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


def test_no_terminal_at_all(monkeypatch, caplog):
    monkeypatch.setattr(sys, "stderr", None)
    run(ScanProgress(), num_points=5)
    assert caplog.records == []
