import io
import json

import numpy as np
import pytest

from beamline_ophyd.callbacks import ScanSummary, TimingMemory
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import preview, preview_grid, xafs_scan
from beamline_ophyd.timing import Timing, learn, load_timing, save_timing

from .doubles import took_s

SHORT = {"bounds": [-10, 0, 5], "steps": [2, 0.5], "times": [0.5, 2.0]}
TRUE = Timing(overhead_s=0.2, pace_s_per_ev=0.03, dwell_scale=1.02)


def event_times(grid, timing, settle_s=0.0):
    return np.cumsum(timing.points_s(grid.energy_ev, grid.dwell_s, settle_s))


def test_the_timing_of_a_run_is_found_again():
    grid = energy_grid("Fe-K")
    found = learn(event_times(grid, TRUE, 0.5), grid.energy_ev, grid.dwell_s, 0.5)
    assert found is not None
    assert found.overhead_s == pytest.approx(0.2, abs=1e-6)
    assert found.pace_s_per_ev == pytest.approx(0.03, abs=1e-6)
    assert found.dwell_scale == pytest.approx(1.02, abs=1e-6)


def test_a_pause_is_no_speed():
    grid = energy_grid("Fe-K")
    times = event_times(grid, TRUE)
    times[100:] += 3600
    found = learn(times, grid.energy_ev, grid.dwell_s)
    assert found is not None
    assert found.points_s(grid.energy_ev, grid.dwell_s).sum() == pytest.approx(
        TRUE.points_s(grid.energy_ev, grid.dwell_s).sum(), rel=0.01
    )


def test_points_that_were_held_up_are_no_speed():
    grid = energy_grid("Fe-K")
    times = event_times(grid, TRUE)
    for late in (60, 90, 91, 120):
        times[late:] += 1.5
    found = learn(times, grid.energy_ev, grid.dwell_s)
    assert found is not None
    assert found.overhead_s == pytest.approx(0.2, abs=0.01)
    assert found.pace_s_per_ev == pytest.approx(0.03, abs=0.002)
    assert found.dwell_scale == pytest.approx(1.02, abs=0.01)


def test_too_few_points_teach_nothing():
    assert learn([0, 1, 2], [1, 2, 3], [1, 1, 1]) is None


def test_the_median_of_past_runs_counts(tmp_path):
    path = tmp_path / "timing.json"
    assert load_timing(path, "energy", TRUE) == TRUE
    for overhead in (0.1, 0.2, 9.0):
        save_timing(path, "energy", Timing(overhead_s=overhead))
    assert load_timing(path, "energy", TRUE).overhead_s == 0.2
    assert load_timing(path, "other", TRUE) == TRUE
    path.write_text("not JSON")
    assert load_timing(path, "energy", TRUE) == TRUE


def test_a_scan_is_remembered_and_told_in_one_line(engine, energy, detectors, tmp_path):
    out = io.StringIO()
    engine.subscribe(ScanSummary(out))
    engine.subscribe(TimingMemory(tmp_path / "timing.json"))
    engine(xafs_scan(detectors, energy, "Fe-K", md={"sample": "foil"}, **SHORT))
    took = took_s(engine)
    assert out.getvalue() == f"scan 1 Fe-K foil: 16 of 16 points in {took} - success\n"
    assert list(json.loads((tmp_path / "timing.json").read_text())) == ["energy"]


def test_preview_of_a_plan_moves_nothing(energy, detectors, gate):
    energy.set(1.0)
    plan = xafs_scan(detectors, energy, "Fe-K", repeats=2, settle_time=0.5, shutter=gate, **SHORT)
    shown = preview(plan, TRUE)
    assert (energy.position, gate.history, detectors[0].triggers) == (1.0, [], 0)
    grid = energy_grid("Fe-K", **SHORT)
    assert shown.points == 2 * len(grid)
    assert repr(shown) == str(shown)  # what a prompt shows
    two = np.tile(grid.energy_ev, 2), np.tile(grid.dwell_s, 2)
    assert shown.seconds == pytest.approx(TRUE.points_s(*two, 0.5).sum())


def test_preview_tells_regions_and_draws(tmp_path):
    shown = preview_grid(energy_grid("Fe-K"), repeats=3)
    text = str(shown)
    assert text.startswith("Fe K, E0 7112.0 eV, ")
    assert "6912.00" in text
    assert "3 sweeps, " in text
    shown.save_png(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(json.dumps(shown.to_dict()))["repeats"] == 3


def test_preview_of_what_is_no_spectrum(detectors):
    from bluesky.plans import count

    with pytest.raises(ValueError, match="count measures no spectrum"):
        preview(count(detectors))
    with pytest.raises(ValueError, match=r"plan is 'Fe-K'; give the plan itself"):
        preview("Fe-K")
    with pytest.raises(ValueError, match=r"grid is 'Fe-K'; give what energy_grid returns"):
        preview_grid("Fe-K")
