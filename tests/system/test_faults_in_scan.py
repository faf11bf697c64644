"""Every fault switch of the device server, put on in the middle of a scan."""

import re

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import DeviceError, line_scan, xafs_scan

GRID = {"bounds": [-20, 30], "steps": [2], "times": [0.2]}


@pytest.fixture
def scan_with(begin, side):
    """Scan with a fault from the fifth point on; what was raised, the uid and the session."""

    def run(switch, value=1, **options):
        session = begin()

        def fault(name, doc):
            if doc["seq_num"] == 5 and "I0" in doc["data"]:
                # Short of patience with what is to fail; the others may be slow.
                if switch == "DETECTOR":
                    session.i0.parent.time_margin = 0.3
                if switch == "SHUTTER":
                    session.shutter.travel_limit = 2.0
                side.put(f"SIM:FAULT:{switch}", value)

        faulting = session.RE.subscribe(fault, "event")
        uids = []
        session.RE.subscribe(lambda name, doc: uids.append(doc["uid"]), "start")
        raised = None
        plan = xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **GRID, **options)
        try:
            session.RE(plan)
        except Exception as error:
            raised = error
        session.RE.unsubscribe(faulting)
        assert session.wait()
        return session, uids[0], raised

    side.put("SIM:FAULT", 0)
    yield run
    side.put("SIM:FAULT", 0)


def check_truth(session, uid, status):
    """Journal and file say the same, and how the scan ended."""
    file = session.files[uid]
    assert validate_file(file) == []
    data = ScanData.from_journal(session.journal.path(uid))
    assert data == ScanData.from_nexus(file)
    assert data.metadata["stop"]["exit_status"] == status
    return data


@pytest.mark.slow("scans that wait for what does not come")
@pytest.mark.parametrize(
    ("switch", "value", "words"),
    [
        ("STUCK", "MONO:BRAGG", r"mono_energy \(BL02:MONO:ENERGY\.VAL\) failed to go to 7102"),
        ("LOW_LIMIT", "MONO:BRAGG", r"mono_energy \(BL02:MONO:ENERGY\.VAL\) failed to go to 7102"),
        ("HIGH_LIMIT", "MONO:BRAGG", r"mono_energy .* hit a limit switch"),
        ("ENCODER", "MONO:BRAGG", r"mono_energy \(BL02:MONO:ENERGY\.VAL\) failed to go to 7102"),
        ("DETECTOR", 1, r"chambers.*did not end its count"),
        ("DUMP", 1, r"10 points in a row are bad.*(beam dip|dead detector): I0"),
        ("VACUUM", 1, r"10 points in a row are bad.*(beam dip|dead detector): I0"),
    ],
)
def test_a_fault_ends_the_scan_with_the_right_words(scan_with, side, switch, value, words):
    session, uid, raised = scan_with(switch, value)
    assert isinstance(raised, DeviceError), raised
    assert re.search(words, str(raised)), raised
    data = check_truth(session, uid, "fail")
    assert data.metadata["stop"]["reason"] == str(raised)
    assert side.get("SHUTTER:STATUS") == 0


def test_a_fault_that_is_not_in_the_way_leaves_the_scan_alone(scan_with, side):
    session, uid, raised = scan_with("COOLING")
    assert raised is None
    data = check_truth(session, uid, "success")
    assert len(data.energy) == len(energy_grid("Fe-K", **GRID))
    assert side.get("SHUTTER:STATUS") == 0


def test_a_shutter_that_does_not_close_is_told(scan_with, side):
    session, uid, raised = scan_with("SHUTTER")
    assert isinstance(raised, DeviceError)
    assert "shutter (BL02:SHUTTER:CMD) was told to close and is at Open" in str(raised)
    # All points were taken before, and file and journal hold them.
    data = check_truth(session, uid, "success")
    assert len(data.energy) == len(energy_grid("Fe-K", **GRID))
    assert side.get("SHUTTER:STATUS") == 1


def test_a_shutter_that_does_not_open_lets_no_run_begin(begin, side):
    session = begin()
    session.shutter.travel_limit = 1.0
    side.put("SHUTTER:CMD", 0)
    side.put("SIM:FAULT:SHUTTER", 1)
    before = side.get("MONO:ENERGY.RBV")
    try:
        with pytest.raises(DeviceError, match=r"shutter .* was told to open and is at Close"):
            session.RE(xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **GRID))
    finally:
        side.put("SIM:FAULT", 0)
    assert side.get("MONO:ENERGY.RBV") == before
    assert list(session.journal.folder.glob("*.jsonl")) == []
    assert side.get("SHUTTER:STATUS") == 0


@pytest.mark.parametrize("switch", ["STUCK", "HIGH_LIMIT", "ENCODER"])
def test_a_fault_of_the_stage_ends_a_line(begin, side, switch):
    session = begin()
    x = session.stage.x

    def fault(name, doc):
        if doc["seq_num"] == 3 and "I0" in doc["data"]:
            side.put(f"SIM:FAULT:{switch}", "SAMPLE:X")

    session.RE.subscribe(fault, "event")
    uids = []
    session.RE.subscribe(lambda name, doc: uids.append(doc["uid"]), "start")
    try:
        with pytest.raises(DeviceError, match=r"stage_x .*SAMPLE:X"):
            session.RE(line_scan([session.i0, session.it], x, -400, 400, 9, time=0.1))
    finally:
        side.put("SIM:FAULT", 0)
    assert session.wait()
    data = ScanData.from_journal(session.journal.path(uids[0]))
    assert data == ScanData.from_nexus(session.files[uids[0]])
    assert data.metadata["stop"]["exit_status"] == "fail"
    assert "stage_x" in data.metadata["stop"]["reason"]
    assert len(data.columns["stage_x"]) == 3
    assert side.get("SHUTTER:STATUS") == 0


def test_a_scan_goes_on_in_another_run_when_the_fault_is_over(scan_with, side):
    session, failed, raised = scan_with("STUCK", "MONO:BRAGG")
    assert isinstance(raised, DeviceError)
    side.put("SIM:FAULT", 0)
    detectors = [session.i0, session.it]
    (uid,) = session.RE(
        xafs_scan(detectors, session.mono.energy, "Fe-K", resume=session.recorded(failed), **GRID)
    )
    assert session.wait()
    data = check_truth(session, uid, "success")
    assert data.about.xafs.continues == failed
    assert len(data.columns["I0"]) == len(energy_grid("Fe-K", **GRID)) - 5
    assert list(data.missing_points) == []
    assert data.mu()[0].shape == energy_grid("Fe-K", **GRID).energy_ev.shape
