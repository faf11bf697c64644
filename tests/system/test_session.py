"""The session on the real device server: what is checked before a run, and what is kept."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from bluesky.preprocessors import plan_mutator
from bluesky.utils import RunEngineInterrupted

from beamline_ophyd import ScanData
from beamline_ophyd.devices import BeamlineFileError
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.problems import OutputError
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.grid import GridError, energy_grid
from beamline_ophyd.occupancy import BeamlineBusyError
from beamline_ophyd.plans import xafs_scan
from beamline_ophyd.serving import DataFolder, TiledServer, connect
from beamline_ophyd.session import start

from ..processes import DEADLINE_S
from ..runs import of

SHORT = {"bounds": [-20, 0, 30], "steps": [5, 2], "times": [0.2, 0.2]}


def scan(session, edge="Fe-K", **options):
    detectors = [session.i0, session.it, session.ir]
    return session.RE(xafs_scan(detectors, session.mono.energy, edge, **(SHORT | options)))


def test_a_folder_that_takes_nothing_is_refused_before_anything_connects(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"folder .*/file cannot be written .*give another"):
        start("AWAY:", folder=tmp_path / "file", timeout=0.1)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("RE", "its RunEngine"),
        ("xafs_scan", r"beamline_ophyd\.plans\.xafs_scan"),
        ("bps", "bluesky's plan stubs"),
        ("it", r"chambers\.it"),
    ],
)
def test_a_device_that_would_replace_a_name_at_the_prompt_is_refused(tmp_path, name, given):
    file = tmp_path / "own.yaml"
    file.write_text(
        f"IonChambers: [{{name: chambers, prefix: 'AWAY:'}}]\nophyd.Device: [{{name: {name}}}]\n"
    )
    words = rf"own\.yaml: a device is called '{name}', .* session gives to {given}; give .* another"
    with pytest.raises(BeamlineFileError, match=words):
        start("AWAY:", devices=file, folder=tmp_path, timeout=0.1)


def test_a_run_knows_its_beamline_and_its_sample(begin, side):
    session = begin()
    session.RE(bps.mv(session.stage, "cu_foil"))
    side.put("SHUTTER:CMD", 0)
    (uid,) = scan(session, "Cu-K", repeats=2)
    assert session.wait()
    assert session.problems() == []
    file = session.files[uid]
    assert validate_file(file) == []
    data = ScanData.from_nexus(file)
    assert data == ScanData.from_journal(session.journal.path(uid))
    assert data.about.sample_name == "cu_foil"
    assert not data.about.is_experimental
    mono = data.metadata["families"]["Mono"]
    assert mono == {"name": "Si(111)", "d_spacing": pytest.approx(3.135601)}
    sweep = data.about.xafs.points_per_sweep
    assert len(data.columns["I0"]) == 2 * sweep
    mu, errors = data.mu()
    assert len(mu) == sweep
    assert np.isfinite(mu).all()
    assert errors is not None
    assert (errors > 0).all()
    # The plan opened the shutter, and closed it.
    assert side.get("SHUTTER:STATUS") == 0


def paused_scan(session):
    """A scan that pauses when its fifth point is saved."""
    detectors = [session.i0, session.it, session.ir]
    plan = xafs_scan(detectors, session.mono.energy, "Fe-K", **SHORT)
    saves = count(1)

    def pause_at_the_fifth(msg):
        if msg.command == "save" and next(saves) == 5:
            return None, bps.pause()
        return None, None

    with pytest.raises(RunEngineInterrupted):
        session.RE(plan_mutator(plan, pause_at_the_fifth))


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        ("resume", "success", ""),
        ("abort", "abort", "the ring tripped"),
        ("stop", "success", ""),
        ("halt", "abort", ""),  # which skips all clean-up
    ],
)
def test_an_interrupted_scan_ends_in_a_true_file(begin, side, end, status, reason):
    session = begin()
    paused_scan(session)
    act = getattr(session.RE, end)
    (uid,) = act(reason) if end == "abort" else act()
    assert session.wait()
    data = ScanData.from_nexus(session.files[uid])
    assert validate_file(session.files[uid]) == []
    assert data == ScanData.from_journal(session.journal.path(uid))
    assert (data.metadata["stop"]["exit_status"], data.metadata["stop"]["reason"]) == (
        status,
        reason,
    )
    grid = energy_grid("Fe-K", **SHORT).energy_ev
    taken = len(grid) if end == "resume" else 5
    assert data.energy == pytest.approx(grid[:taken], abs=0.01)
    assert side.get("SHUTTER:STATUS") == 0
    assert side.get("MONO:ENERGY.DMOV") == 1
    assert side.get("SCALER.CNT") == 0


@pytest.mark.slow("a motion lasts long enough to be halted")
def test_a_halt_in_a_motion_stops_it_and_closes_the_shutter(begin, side):
    session = begin()
    session.RE(bps.mv(session.mono.energy, 7000.0))
    side.put("SIM:SPEED", 2.0)
    interrupt_when(
        session.mono.energy.user_readback,
        lambda value: value > 7050.0,
        lambda: session.RE.request_pause(False),
    )
    with pytest.raises(RunEngineInterrupted):
        scan(session, bounds=[188, 198], steps=[5], times=[2.0])
    session.RE.halt()
    assert side.get("MONO:ENERGY.DMOV") == 1
    assert side.get("SHUTTER:STATUS") == 0


def test_ctrl_c_once_pauses_between_two_points(begin, side):
    session = begin()

    # Slow enough that points are left when the key has been noticed.
    side.put("SIM:SPEED", 1.0)

    def press(name, doc):
        if "I0" in doc["data"] and doc["seq_num"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    token = session.RE.subscribe(press, "event")
    with pytest.raises(RunEngineInterrupted):
        scan(session)
    session.RE.unsubscribe(token)
    side.put("SIM:SPEED", 200.0)
    assert session.RE.state == "paused"
    assert side.get("SCALER.CNT") == 0
    (uid,) = session.RE.resume()
    data = ScanData.from_journal(session.journal.path(uid))
    assert data.metadata["stop"]["exit_status"] == "success"
    assert len(data.energy) == len(energy_grid("Fe-K", **SHORT))
    assert side.get("SHUTTER:STATUS") == 0


def test_leaving_with_a_paused_scan_ends_it(begin, side):
    session = begin()
    paused_scan(session)
    session.close()
    assert side.get("SHUTTER:STATUS") == 0
    (journal,) = session.journal.folder.glob("*.jsonl")
    stop = ScanData.from_journal(journal).metadata["stop"]
    assert (stop["exit_status"], stop["reason"]) == ("abort", "the session ended")


def interrupt_when(watched, wanted, act):
    """Act once, from a thread of its own, when a signal has a wanted value."""
    acted = threading.Event()

    def look(value, **_):
        if wanted(value) and not acted.is_set():
            acted.set()
            threading.Thread(target=act).start()

    watched.subscribe(look, run=False)


@pytest.mark.slow("moves and counts last long enough to be interrupted")
@pytest.mark.parametrize("when", ["counting", "moving"])
@pytest.mark.parametrize("how", ["pause", "suspend"])
def test_a_point_that_was_interrupted_is_taken_again(begin, side, when, how):
    session = begin()
    session.RE(bps.mv(session.mono.energy, 7000.0))
    side.put("SIM:SPEED", 2.0)
    released = threading.Event()

    async def beam_is_back():
        released.set()

    def act():
        if how == "pause":
            session.RE.request_pause(False)
        else:
            session.RE.request_suspend(beam_is_back, justification="beam loss")

    if when == "counting":
        interrupt_when(session.chambers.count, lambda value: value == 1, act)
    else:
        interrupt_when(session.mono.energy.user_readback, lambda value: value > 7050.0, act)
    grid = {"bounds": [188, 198], "steps": [5], "times": [2.0]}
    if how == "pause":
        with pytest.raises(RunEngineInterrupted):
            scan(session, **grid)
        assert side.get("SCALER.CNT") == 0
        (uid,) = session.RE.resume()
    else:
        (uid,) = scan(session, **grid)
        assert released.is_set()
    data = ScanData.from_journal(session.journal.path(uid))
    assert data.metadata["stop"]["exit_status"] == "success"
    assert data.energy == pytest.approx(energy_grid("Fe-K", **grid).energy_ev, abs=0.01)
    # Whole counts, the one that was interrupted too.
    assert data.columns["I0"] == pytest.approx(np.mean(data.columns["I0"]), rel=0.05)


def test_a_scan_passes_after_one_aborted_in_a_long_count(begin, side):
    session = begin()
    side.put("SIM:SPEED", 1.0)
    interrupt_when(
        session.chambers.count, lambda value: value == 1, lambda: session.RE.request_pause(False)
    )
    with pytest.raises(RunEngineInterrupted):
        scan(session, times=[60.0, 60.0])
    session.RE.abort("enough")
    assert side.get("SCALER.CNT") == 0
    side.put("SIM:SPEED", 200.0)
    (uid,) = scan(session)
    data = ScanData.from_journal(session.journal.path(uid))
    assert len(data.energy) == len(energy_grid("Fe-K", **SHORT))
    assert side.get("SHUTTER:STATUS") == 0


def test_a_run_that_has_no_end_is_told_of_and_can_be_continued(begin, caplog):
    session = begin()
    (uid,) = scan(session)
    journal = session.journal.path(uid)
    session.close()
    assert "has no end" not in caplog.text
    # What a process leaves that was killed after a few points.
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:9]))
    kept = len(ScanData.from_journal(journal).energy)
    assert 0 < kept < len(energy_grid("Fe-K", **SHORT))
    session = begin()
    assert f"the last run has no end; go on with resume={str(journal)!r}" in caplog.text
    (again,) = scan(session, resume=str(journal), bounds=None, steps=None, times=None)
    measured = [len(of(read_journal(p).documents, "event", "primary")) for p in
                (journal, session.journal.path(again))]  # fmt: skip
    assert measured == [kept, len(energy_grid("Fe-K", **SHORT)) - kept]


def test_scan_ids_go_on_counting(begin):
    session = begin()
    scan(session)
    first = session.RE.md["scan_id"]
    session.close()
    session = begin()
    scan(session)
    assert session.RE.md["scan_id"] == first + 1


@pytest.mark.parametrize("edge", ["Mo-K", "K-K"])
def test_a_grid_outside_the_mono_moves_nothing(begin, side, edge):
    session = begin()
    side.put("SHUTTER:CMD", 0)
    before = session.mono.energy.position
    with pytest.raises(GridError, match=r"outside the monochromator's \d+\.\d to \d+\.\d eV"):
        scan(session, edge, bounds=[-20, 10], steps=[5], times=[1])
    assert session.mono.energy.position == before
    assert side.get("SHUTTER:STATUS") == 0
    assert list(session.journal.folder.glob("*")) == []


def test_a_file_that_exists_is_refused_before_the_run(begin, side, tmp_path):
    session = begin(template="{sample}.nxs")
    side.put("SHUTTER:CMD", 0)
    scan(session, md={"sample": "mine"})
    assert session.wait()
    opened = []
    session.shutter.status.subscribe(lambda value, **_: opened.append(value), run=False)
    with pytest.raises(OutputError, match=r"mine\.nxs"):
        scan(session, md={"sample": "mine"})
    assert "Open" not in opened
    assert len(list(session.journal.folder.glob("*.jsonl"))) == 1


def test_a_folder_that_cannot_be_written_is_refused_before_the_run(begin):
    session = begin(files="/proc/sys")
    with pytest.raises(OutputError, match="/proc/sys"):
        scan(session)
    assert list(session.journal.folder.glob("*")) == []


OWN_BEAMLINE = """
Monochromator:
  - name: mono
    pvs:
      energy: "{P}MONO:ENERGY"
      bragg: "{P}MONO:BRAGG"
      pitch: null
      crystal: null
      d_spacing: null
IonChambers:
  - {{name: chambers, prefix: "{P}"}}
ophyd_async.epics.motor.Motor:
  - {{name: table, prefix: "ca://{P}SAMPLE:Y", labels: [baseline]}}
ophyd.EpicsSignalRO:
  - {{name: gone, read_pv: "{P}NOT:THERE", labels: [baseline, optional]}}
"""


def test_a_beamlines_own_file_makes_the_session(begin, side, tmp_path, caplog):
    file = tmp_path / "own_beamline.yaml"
    file.write_text(OWN_BEAMLINE.format(P=side.prefix))
    side.put("SHUTTER:CMD", 1)
    session = begin(devices=file)
    assert "not in this session: gone" in caplog.text
    assert session.shutter is None
    assert {"mono", "chambers", "table", "i0"} <= set(session.namespace())
    (uid,) = scan(session)
    data = ScanData.from_journal(session.journal.path(uid))
    start = data.metadata["start"]
    assert start["Beamline"]["name"] == "own_beamline"
    assert "is_experimental" not in start
    documents = read_journal(session.journal.path(uid)).documents
    keys = {d["name"]: set(d["data_keys"]) for name, d in documents if name == "descriptor"}
    assert {"table", "mono_bragg"} <= keys["baseline"]
    assert data.energy == pytest.approx(energy_grid("Fe-K", **SHORT).energy_ev, abs=0.01)


def test_names_for_the_prompt(begin):
    names = begin().namespace()
    assert {"RE", "mono", "i0", "it", "ir", "shutter", "stage", "ring", "xafs_scan", "bps"} <= set(
        names
    )


def test_two_sessions_on_one_beamline_are_refused_unless_asked_for(begin, caplog):
    first = begin()
    scan(first)
    with pytest.raises(BeamlineBusyError, match="this very process, since"):
        begin()
    second = begin(shared=True)
    assert "another session is on this beamline or its folder" in caplog.text
    scan(second)
    assert second.RE.md["scan_id"] == first.RE.md["scan_id"] + 1
    second.close()
    first.close()
    assert begin().RE.md["scan_id"] == first.RE.md["scan_id"]


def test_two_beamlines_are_not_measured_into_one_folder(tmp_path, begin, side):
    """One's scan_id would be lost, and its metadata with it."""
    first = begin()
    with pytest.raises(BeamlineBusyError, match=r"on folder .*this very process.*`--folder`"):
        start("OTHER:", folder=tmp_path, timeout=0.1)
    assert scan(first)


def test_who_is_refused_has_asked_for_no_pv(begin, beamline, tmp_path):
    """A program that ends while its PVs connect may crash in Channel Access."""
    begin()
    result = beamline("shell", "--folder", tmp_path / "other", "-c", "1")
    assert result.returncode == 1
    assert result.stderr.startswith("BeamlineBusyError: a session is on beamline ")
    assert len(result.stderr.splitlines()) == 1


def test_a_beamline_that_does_not_answer_is_free_again(begin, monkeypatch):
    monkeypatch.setattr("beamline_ophyd.devices.Beamline.connect", no_answer)
    with pytest.raises(TimeoutError):
        begin()
    monkeypatch.undo()
    begin()


def no_answer(beamline, timeout):
    raise TimeoutError


PROFILE = Path(__file__).parents[2] / "docs" / "examples" / "profile"


@pytest.mark.slow("a process that loads IPython and all else")
def test_the_facilitys_profile_opens_in_ipython(ioc, side, tmp_path):
    profile = tmp_path / "profile"
    shutil.copytree(PROFILE, profile)
    code = (
        "RE(xanes_of_all_edges([i0, it], mono.energy, ['Fe-K']));"
        "print(RE.md['Facility']['name'], session.wait(120), session.problems()); session.close()"
    )
    result = subprocess.run(
        [sys.executable, "-m", "IPython", "--profile-dir", profile, "-c", code],
        capture_output=True,
        text=True,
        timeout=180,
        # As on any machine: EPICS would not look for a simulated beamline where one is served.
        env={
            **without_epics(),
            "DEVICE_PORT": str(ioc.ca_port),
            "BEAMLINE_FOLDER": str(tmp_path / "data"),
        },
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "my ring True []" in result.stdout
    (file,) = (tmp_path / "data/tiled/files").glob("*.nxs")
    assert validate_file(file) == []


def test_the_server_that_the_environment_names_gets_runs_and_files(
    begin, served, tmp_path, monkeypatch
):
    monkeypatch.setenv("BEAMLINE_TILED_URI", served.uri)
    monkeypatch.setenv("TILED_API_KEY", served.keys.writer)
    monkeypatch.setenv("BEAMLINE_FILES_FOLDER", str(served.folder.files))
    session = begin()
    (uid,) = scan(session)
    assert session.wait(DEADLINE_S)
    assert session.problems() == []
    assert session.keeper.published == session.keeper.registered == (uid,)


@pytest.mark.slow("two Tiled servers, one after another")
def test_a_server_that_comes_back_at_another_address_is_found_again(begin, tmp_path):
    with TiledServer(tmp_path / "tiled") as server:
        session = begin()
        scan(session)
        assert session.wait(DEADLINE_S)
        before = server.uri
        os.kill(server.pid, signal.SIGKILL)
        server.wait(DEADLINE_S)
        (uid,) = scan(session)
        assert not session.wait(0)
    with TiledServer(tmp_path / "tiled") as again:
        assert again.uri != before
        assert session.wait(DEADLINE_S)
        assert uid in session.keeper.published
        (uid,) = scan(session)
        assert session.wait(DEADLINE_S)
        with connect(folder=again.folder.root) as client:
            shown = client.root.context.http_client.get(f"{again.uri}/api/v1/watch/state")
        assert shown.json()["uid"] == uid
        session.close()


@pytest.mark.slow("device server, Tiled and IPython, one after another")
def test_up_starts_all_of_it_and_leaves_nothing_behind(beamline, tmp_path):
    code = (
        "import json; uid, = RE(xafs_scan([i0, it], mono.energy, 'Fe-K', bounds=[-10, 10], "
        "steps=[2], times=[0.1])); session.wait(120); from beamline_ophyd.serving import connect; "
        f"c = connect(folder={str(tmp_path / 'tiled')!r}); "
        "print(json.dumps([len(c.runs[uid].mu()), session.keeper.published == (uid,)]))"
    )
    result = beamline(
        *("--log-level", "info", "up", "--folder", tmp_path, "--port", 0, "--speed", 1000),
        *("-c", code),
        env=without_epics(),
    )
    assert result.returncode == 0, result.stderr
    assert "[11, true]" in result.stdout
    assert "the device server serves BL02:*; in another terminal" in result.stderr
    assert "INFO beamline_ophyd.serving.server: Tiled serves" in result.stderr
    assert "problem" not in result.stderr
    assert DataFolder.at(tmp_path / "tiled").running() is None


def without_epics():
    return {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}


@pytest.mark.slow("two processes that load IPython and all else")
def test_the_shell_runs_a_scan(beamline, side, tmp_path):
    code = (
        'RE(xafs_scan([i0, it, ir], mono.energy, "Fe-K", bounds=[-10, 10], steps=[2], times=[0.1]))'
    )
    result = beamline("shell", "--folder", tmp_path, "-c", code)
    assert result.returncode == 0, result.stderr
    (file,) = (tmp_path / "tiled" / "files").glob("*.nxs")
    assert validate_file(file) == []
    checked = beamline("validate", file, "--json")
    assert checked.returncode == 0
    assert '"problems": []' in checked.stdout
