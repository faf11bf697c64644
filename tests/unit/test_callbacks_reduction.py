import io
import re

import numpy as np
import pytest

from beamline_ophyd.callbacks import FigureView, LiveReduction, TextView
from beamline_ophyd.edges import energy_to_k
from beamline_ophyd.grid import energy_grid

ENERGY = energy_grid("Fe-K").energy_ev
FOIL = {"name": "Fe foil", "formula": "Fe", "thickness_um": 5, "density_g_cm3": 7.874}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def scan(xafs_documents):
    """The documents of an iron foil's scan in two sweeps, with a target noise."""
    k = energy_to_k(np.maximum(ENERGY, 7112.0), 7112.0)
    chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    mu = 0.4 + 1.4 * (0.5 + np.arctan((ENERGY - 7112.0) * 1.6) / np.pi) * (1 + chi)
    i0 = np.full(2 * len(ENERGY), 1e6)
    columns = {"energy": np.tile(ENERGY, 2), "i0": i0, "itrans": i0 * np.exp(-np.tile(mu, 2))}
    start = {"plan_args": {"target_noise": 2e-4}, "sample": FOIL, "num_points": len(i0)}
    return xafs_documents(len(ENERGY), 2, columns=columns, ev_per_count=2.5e5, start=start)


@pytest.fixture
def watched():
    """A live reduction, and all states that it showed."""
    states = []
    live = LiveReduction(states.append)
    yield live, states
    assert live.close(60)
    assert live.problems == []


def feed(live, documents, until=None):
    """Hand over documents up to a number of events, and wait until they are reduced."""
    events = 0
    for name, doc in documents:
        events += name == "event"
        if until is not None and events > until:
            break
        live(name, doc)
    assert live.wait(60)


def test_the_state_follows_the_scan(scan, watched):
    live, states = watched
    feed(live, scan, until=40)
    early = live.state
    assert (early.points, early.planned, early.exit_status) == (40, 2 * len(ENERGY), None)
    assert early.spectrum.normalised is None
    feed(live, scan)
    last = live.state
    assert last is states[-1]
    assert (last.points, last.exit_status) == (2 * len(ENERGY), "success")
    assert last.title == "Fe foil Fe-K"
    assert last.spectrum.normalised.e0 == pytest.approx(7112.0, abs=0.5)
    assert last.spectrum.transform is not None
    assert last.predicted_step == pytest.approx(1.395, abs=0.01)


def test_time_to_the_target_follows_from_the_noise(scan, watched):
    live, _ = watched
    feed(live, scan, until=len(ENERGY) - 1)
    assert live.state.seconds_to_target is None
    feed(live, scan, until=len(ENERGY))
    once = live.state
    feed(live, scan)
    twice = live.state
    assert once.noise / twice.noise == pytest.approx(np.sqrt(2), rel=0.01)
    assert once.noise > once.target_noise
    total = once.beam_s + once.seconds_to_target
    assert twice.beam_s + twice.seconds_to_target == pytest.approx(total, rel=0.01)


def test_points_that_come_at_once_are_reduced_together(scan):
    states = []
    live = LiveReduction(states.append, interval=30.0)
    feed(live, scan)
    assert len(states) == 1


def test_other_runs_are_passed_over(xafs_documents, watched):
    live, states = watched
    live("start", {"uid": "count-run", "time": 1.0, "plan_name": "count"})
    live("stop", {"uid": "s", "run_start": "count-run", "time": 2.0, "exit_status": "success"})
    assert live.wait(60)
    assert states == []


def test_a_view_that_fails_spoils_nothing(scan):
    def broken(state):
        raise RuntimeError("no display")

    states = []
    live = LiveReduction(broken, states.append)
    feed(live, scan)
    assert states[-1].exit_status == "success"
    (problem,) = live.problems
    assert "no display" in problem.message


def test_text_is_drawn_at_one_place_of_the_terminal(scan):
    terminal = Terminal()
    live = LiveReduction(TextView(terminal))
    feed(live, scan, until=200)
    feed(live, scan[201:])
    text = terminal.getvalue()
    lines = re.split(r"\x1b\[(\d+)F\x1b\[J", text)
    assert len(lines) >= 3
    for drawn, back in zip(lines[::2], lines[1::2], strict=False):
        assert drawn.count("\n") == int(back)
    assert "Fe foil Fe-K, transmission" in lines[-1]
    assert re.search(r"edge step 1\.\d+ ± 0\.\d+ \(tables: 1\.395\)", lines[-1])
    assert re.search(r"target 2\.00e-04: \d+ (s|min) of counting to go", lines[-1])


def test_what_is_no_terminal_gets_the_numbers_once(scan):
    log = io.StringIO()
    live = LiveReduction(TextView(log))
    feed(live, scan)
    assert log.getvalue().count("Fe foil Fe-K") == 1
    assert "\x1b" not in log.getvalue()


def test_the_figure_shows_spectrum_and_numbers(scan):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    view = FigureView()
    live = LiveReduction(view)
    feed(live, scan)
    view.draw()
    mu, norm, chi = view.figure.axes
    np.testing.assert_array_equal(mu.lines[0].get_xdata(), live.state.spectrum.energy)
    assert norm.collections, "the band of uncertainty"
    assert chi.get_xlabel()
    assert "edge step" in view.figure.get_suptitle()
