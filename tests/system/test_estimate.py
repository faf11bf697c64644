"""The estimate of a preview, checked against the scan."""

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.plans import preview, xafs_scan
from beamline_ophyd.timing import Timing, load_timing


def seconds_of_points(session, uid):
    """From the begin of the second point to the end of the last, and the first's own part."""
    documents = read_journal(session.journal.path(uid)).documents
    times = [d["time"] for n, d in documents if n == "event" and "I0" in d["data"]]
    return (times[-1] - times[0]) * len(times) / (len(times) - 1)


@pytest.mark.slow("dwell times as at a beamline, long beside what a busy machine costs")
def test_the_estimate_holds_within_ten_percent_of_a_run(begin, side, tmp_path):
    session = begin()
    side.put("SIM:SPEED", 1.0)
    detectors = [session.i0, session.it]

    def scan(**grid):
        return xafs_scan(detectors, session.mono.energy, "Fe-K", settle_time=0.02, **grid)

    session.RE(scan(bounds=[-60, -20, 20], steps=[10, 5], times=[0.5, 1.0]))
    learnt = load_timing(tmp_path / "timing.json", "mono_energy", Timing())
    other = {"bounds": [-100, -20, 15, "4k"], "steps": [20, 5, "0.4k"], "times": [1.0, 0.7, 2.0]}
    shown = preview(scan(**other), learnt)
    (uid,) = session.RE(scan(**other))
    assert seconds_of_points(session, uid) == pytest.approx(shown.seconds, rel=0.1)


def test_a_run_is_found_by_its_uid(begin):
    session = begin()
    detectors = [session.i0, session.it]
    grid = {"bounds": [-10, 10], "steps": [2], "times": [0.1]}
    (uid,) = session.RE(xafs_scan(detectors, session.mono.energy, "Fe-K", **grid))
    assert session.recorded(uid[:8]) == str(session.journal.path(uid))
    with pytest.raises(ValueError, match=r"0 runs in .* are called 'zzz'"):
        session.recorded("zzz")
    with pytest.raises(ValueError, match=r"0 runs in .* are called ''"):
        session.recorded("")
    resumed = xafs_scan(detectors, session.mono.energy, "Fe-K", repeats=2, **grid,
                        resume=session.recorded(uid))  # fmt: skip
    (second,) = session.RE(resumed)
    data = ScanData.from_journal(session.journal.path(second))
    assert data.about.xafs.continues == uid
