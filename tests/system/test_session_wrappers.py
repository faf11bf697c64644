"""What a session puts around every plan on demand: waiting for the beam, and a proposal."""

import threading

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import ProposalError, xafs_scan

GRID = {"bounds": [-20, 30], "steps": [2], "times": [0.2]}


def scan(session, **options):
    plan = xafs_scan([session.i0, session.it], session.mono.energy, "Fe-K", **GRID, **options)
    return session.RE(plan)


@pytest.mark.parametrize(
    "suspend", [True, {"current": "ring.current", "minimum_current": 50, "resume_after": 0.1}]
)
def test_a_dumped_beam_is_waited_for_and_the_point_taken_again(begin, side, suspend):
    session = begin(suspend=suspend)
    dumped, over = threading.Event(), threading.Event()

    def bring_it_back():
        while side.get("RING:CURRENT") > 10:
            if over.is_set():
                return
        dumped.set()
        side.put("SIM:FAULT:DUMP", 0)

    def dump(name, doc):
        if doc["seq_num"] == 5 and "I0" in doc["data"] and not dumped.is_set():
            side.put("SIM:FAULT:DUMP", 1)
            threading.Thread(target=bring_it_back).start()

    session.RE.subscribe(dump, "event")
    try:
        (uid,) = scan(session)
    finally:
        over.set()
        side.put("SIM:FAULT", 0)
    assert dumped.is_set()
    data = ScanData.from_journal(session.journal.path(uid))
    assert data.metadata["stop"]["exit_status"] == "success"
    assert list(data.missing_points) == []
    assert data.mu()[0].shape == energy_grid("Fe-K", **GRID).energy_ev.shape
    assert session.RE.suspenders == ()
    assert side.get("SHUTTER:STATUS") == 0


def test_a_signal_that_is_none_is_refused_at_the_start(begin):
    with pytest.raises(ValueError, match=r"suspend names 'ring\.curent', which is no signal"):
        begin(suspend={"current": "ring.curent"})
    with pytest.raises(ValueError, match="beam_suspenders got no signal"):
        begin(suspend={"minimum_current": 5})


def test_every_run_names_the_proposal(begin, tmp_path):
    file = tmp_path / "proposal.yaml"
    file.write_text("{id: 20261234, title: Rust, users: [{name: Ada Lovelace}]}")
    session = begin(proposal=file)
    (uid,) = scan(session)
    start = ScanData.from_journal(session.journal.path(uid)).metadata["start"]
    assert start["proposal_id"] == 20261234
    assert start["users"] == [{"name": "Ada Lovelace"}]
    file.write_text("{title: without a number}")
    with pytest.raises(ProposalError, match="id"):
        scan(session)
