"""The process that keeps a session's data: fed by the journal, killed, held up and left alone."""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, Keeper
from beamline_ophyd.callbacks import keeper as module
from beamline_ophyd.callbacks._keeping import Keeping
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.simulator import free_ports

from ..processes import child

DEADLINE_S = 120.0
OF_A_KEEPER = ("keeper", "keeper news", "live views")
UIDS = [f"6f2d9b1e-0000-4000-8000-00000000000{number}" for number in (1, 2)]


@pytest.fixture
def keep(tmp_path):
    """Start a keeper with its journal: keep(**options)."""
    kept = []

    def start(*, leave_out=(), folder=tmp_path, **options):
        journal = Journal(tmp_path / "journal", leave_out=leave_out)
        kept.append(Keeper(folder, journal=journal, **options))
        return journal, kept[-1]

    yield start
    for keeper in kept:
        keeper.close(DEADLINE_S)


def feed(journal, documents):
    """Hand documents to the journal, as a RunEngine does."""
    for item in documents:
        journal(*item)


def only_file(folder):
    """The one file of a folder, which is whole and of whose making nothing is left."""
    (path,) = folder.glob("*.nxs*")
    assert path.suffix == ".nxs"
    assert validate_file(path) == []
    return path


def halves(documents):
    """Documents of a run, cut among its events."""
    middle = len(documents) // 2
    return documents[:middle], documents[middle:]


def until(true):
    """Wait until something is true."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def assert_same_points(data, documents):
    """That data are all of a run: Tiled adds to the descriptors what NumPy calls each type."""
    wanted = ScanData.from_documents(documents)
    assert data.run.stop == wanted.run.stop
    assert data.to_dataframe().equals(wanted.to_dataframe())


def test_it_does_what_the_callbacks_do(xafs_documents, tmp_path, keep, caplog):
    shown = []
    caplog.set_level(logging.INFO, "beamline_ophyd")
    documents = xafs_documents(repeats=2)
    journal, keeper = keep(repeats="files", reports=True, live=True, views=[shown.append])
    feed(journal, documents)
    assert keeper.wait(DEADLINE_S)
    uid = documents[0][1]["uid"]
    assert ScanData.from_nexus(keeper.files[uid]) == ScanData.from_documents(documents)
    assert [path.name for path in keeper.sweep_files[uid]] == [
        f"{keeper.files[uid].stem}_sweep_{sweep}.nxs" for sweep in (1, 2)
    ]
    assert shown[-1] is keeper.state
    assert (keeper.state.uid, keeper.state.exit_status) == (uid, "success")
    assert f"NXxas writer: {keeper.files[uid]}, 24 points" in caplog.messages
    assert keeper.close(DEADLINE_S)
    assert keeper.pages[uid].is_file()
    assert keeper.problems == []
    assert [one.name for one in threading.enumerate() if one.name in OF_A_KEEPER] == []


def test_options_and_folder_are_looked_at_at_once(tmp_path, keep):
    with pytest.raises(ValueError, match="mode is 'x'"):
        keep(mode="x")
    with pytest.raises(ValueError, match="flush_interval is -1"):
        keep(flush_interval=-1)
    with pytest.raises(TypeError, match="takes no on_file: a function"):
        keep(on_file=print)
    _, keeper = keep(folder=tmp_path / "not there")
    with pytest.raises(OSError, match="does not exist"):
        keeper.preflight({}, num_points=1)


def test_words_that_the_journal_leaves_out_are_in_the_file(xafs_documents, keep):
    documents = xafs_documents(start={"user": "Somebody"})
    uid = documents[0][1]["uid"]
    journal, keeper = keep(leave_out=["user"])
    feed(journal, documents)
    assert keeper.wait(DEADLINE_S)
    assert "Somebody" not in journal.path(uid).read_text()
    assert ScanData.from_nexus(keeper.files[uid]).metadata["start"]["user"] == "Somebody"


def test_a_view_that_fails_is_told_of_once(xafs_documents, keep):
    def fails(state):
        raise RuntimeError("no screen")

    shown = []
    journal, keeper = keep(live=True, views=[fails, shown.append])
    first, second = halves(xafs_documents())
    feed(journal, first)
    assert keeper.wait(DEADLINE_S)
    feed(journal, second)
    assert keeper.wait(DEADLINE_S)
    assert len(shown) >= 2
    (problem,) = keeper.problems
    assert problem.message.endswith("RuntimeError: no screen")


def test_a_view_that_takes_its_time_keeps_no_file_from_being_written(xafs_documents, keep):
    shown, go_on = [], threading.Event()

    def slow(state):
        assert go_on.wait(DEADLINE_S)
        shown.append(state)

    journal, keeper = keep(live=True, views=[slow])
    feed(journal, xafs_documents(uid=UIDS[0]))
    until(lambda: UIDS[0] in keeper.files and keeper.state is not None)
    assert shown == []
    go_on.set()
    assert keeper.wait(DEADLINE_S)
    assert shown[-1] is keeper.state


@pytest.mark.parametrize("when", ["between runs", "in a run", "when it has ended"])
def test_another_process_takes_up_what_a_killed_one_left(xafs_documents, tmp_path, keep, when):
    documents = xafs_documents(start={"user": "Somebody"})
    first, second = halves(documents)
    if when == "between runs":
        first, second = [], documents
    elif when == "when it has ended":
        first, second = documents, []
    journal, keeper = keep(leave_out=["user"])
    feed(journal, first)
    if when != "when it has ended":
        assert keeper.wait(DEADLINE_S)
        assert len(list(tmp_path.glob("*.nxs.part"))) == bool(first)
    old = keeper.pid
    os.kill(old, signal.SIGKILL)
    feed(journal, second)
    assert keeper.wait(DEADLINE_S)
    assert keeper.pid != old
    assert keeper.close(DEADLINE_S)
    assert ScanData.from_nexus(only_file(tmp_path)) == ScanData.from_documents(documents)
    (problem,) = keeper.problems
    assert "was killed by signal 9; another one takes up what it left" in str(problem)


def test_what_comes_again_from_the_session_is_taken_once(xafs_documents, tmp_path):
    documents = xafs_documents()
    journal = Journal(tmp_path / "journal")
    feed(journal, documents)
    lines = [encode_line(*item) for item in documents]
    said = []
    keeping = Keeping(
        lambda *message: said.append(message),
        folder=tmp_path,
        journals=journal.folder,
        options={},
        tiled=None,
        reports=False,
        live=False,
    )
    keeping.again(documents[0][1]["uid"], lines[0], None)
    keeping.lines(b"".join(lines))
    keeping.close(1, DEADLINE_S)
    assert ScanData.from_nexus(only_file(tmp_path)) == ScanData.from_documents(documents)
    assert [message[0] for message in said] == ["new", "done"]


def test_a_run_over_which_processes_die_is_given_up_and_the_next_is_not(xafs_documents, keep):
    journal, keeper = keep()
    first, second = halves(xafs_documents(uid=UIDS[0]))
    feed(journal, first)
    for _ in range(module.TRIES):
        assert keeper.wait(DEADLINE_S)
        os.kill(keeper.pid, signal.SIGKILL)
    assert keeper.wait(DEADLINE_S)
    feed(journal, second + xafs_documents(uid=UIDS[1]))
    assert keeper.wait(DEADLINE_S)
    assert list(keeper.files) == [UIDS[1]]
    given_up = [str(problem) for problem in keeper.problems if problem.where]
    assert given_up[0] == (
        f"{UIDS[0]}: the process that writes files and publishes was killed by signal 9, 3 times "
        f"over this run; it is in its journal alone; `beamline replay {journal.path(UIDS[0])} "
        f"--files {keeper.folder}` writes its file"
    )


def test_a_process_that_never_starts_is_told_of_and_costs_no_document(
    xafs_documents, tmp_path, keep, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        journal, keeper = keep()
        assert not keeper.wait(DEADLINE_S)
    documents = xafs_documents()
    feed(journal, documents)
    uid = documents[0][1]["uid"]
    assert ScanData.from_journal(journal.path(uid)) == ScanData.from_documents(documents)
    *_, given_up, run = map(str, keeper.problems)
    assert "ended with exit code 1; after 3 in a row none is started any more" in given_up
    program, *words = run.split("`")[1].split()
    subprocess.run([Path(sys.executable).with_name(program), *words], check=True)
    assert ScanData.from_nexus(only_file(tmp_path)) == ScanData.from_documents(documents)
    assert not keeper.close(DEADLINE_S)


def test_what_comes_after_the_end_is_told_of_once(xafs_documents, tmp_path, keep):
    journal, keeper = keep()
    first, second = halves(xafs_documents(uid=UIDS[0]))
    feed(journal, first)
    assert keeper.close(DEADLINE_S)
    feed(journal, second)
    assert len(ScanData.from_nexus(only_file(tmp_path)).run.streams["primary"]) == len(first) - 2
    (problem,) = keeper.problems
    assert f"{UIDS[0]}: it is in its journal alone" in str(problem)
    assert keeper.wait()


def test_a_process_that_is_held_up_holds_nobody_up(xafs_documents, tmp_path, keep, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 20_000)
    documents = xafs_documents(points=1000)
    journal, keeper = keep()
    assert keeper.wait(DEADLINE_S)
    os.kill(keeper.pid, signal.SIGSTOP)
    try:
        feed(journal, documents)
        assert not keeper.wait(0.0)
    finally:
        os.kill(keeper.pid, signal.SIGCONT)
    assert keeper.wait(DEADLINE_S)
    assert ScanData.from_nexus(only_file(tmp_path)) == ScanData.from_documents(documents)
    (problem,) = keeper.problems
    assert "further points come from the journal when it goes on" in str(problem)


def test_it_looks_for_room_for_the_journal(xafs_documents, tmp_path, keep, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    in_the_way = tmp_path / "journal"
    in_the_way.write_text("")
    documents = xafs_documents()
    uid = documents[0][1]["uid"]
    journal, keeper = keep()
    feed(journal, documents)
    assert keeper.wait(DEADLINE_S)
    assert ScanData.from_nexus(only_file(tmp_path)) == ScanData.from_documents(documents)
    in_the_way.unlink()
    until(lambda: not journal.busy)
    assert ScanData.from_journal(journal.path(uid)) == ScanData.from_documents(documents)


def test_a_forked_child_leaves_it_alone(xafs_documents, tmp_path, keep):
    documents = xafs_documents()
    journal, keeper = keep()
    feed(journal, documents[:5])
    if (pid := os.fork()) == 0:
        feed(journal, documents[5:6])
        os._exit(keeper.wait(1.0))
    assert os.waitpid(pid, 0)[1] == 0
    feed(journal, documents[5:])
    assert keeper.wait(DEADLINE_S)
    assert len(ScanData.from_nexus(only_file(tmp_path)).run.streams["primary"]) == 12


def test_tiled_has_the_whole_run_of_a_process_that_was_killed(xafs_documents, served, writer, keep):
    documents = xafs_documents(uid=UIDS[0])
    first, second = halves(documents)
    tiled = (served.uri, served.keys.writer, None)
    journal, keeper = keep(folder=served.folder.files, tiled=tiled)
    feed(journal, first)
    assert keeper.wait(DEADLINE_S)
    assert UIDS[0] in writer.runs
    os.kill(keeper.pid, signal.SIGKILL)
    feed(journal, second)
    assert keeper.wait(DEADLINE_S)
    assert keeper.published == keeper.registered == (UIDS[0],)
    assert_same_points(ScanData.from_tiled(writer.runs[UIDS[0]]), documents)
    assert ScanData.from_nexus(keeper.files[UIDS[0]]) == ScanData.from_documents(documents)


def test_tiled_gets_what_a_killed_process_could_not_bring(xafs_documents, tmp_path, keep):
    documents = xafs_documents(uid=UIDS[0])
    (port,) = free_ports(1)
    server = TiledServer(tmp_path / "tiled", files=tmp_path / "files", port=port)
    with server:
        tiled = (server.uri, server.keys.writer, None)
    journal, keeper = keep(folder=tmp_path / "files", tiled=tiled)
    feed(journal, documents)
    until(lambda: keeper.away and UIDS[0] in keeper.files)
    os.kill(keeper.pid, signal.SIGKILL)
    with TiledServer(tmp_path / "tiled", files=tmp_path / "files", port=port) as server:
        assert keeper.wait(DEADLINE_S)
        assert keeper.published == keeper.registered == (UIDS[0],)
        until(lambda: not keeper.away)
        with connect(server.uri, server.keys.reader) as client:
            assert_same_points(ScanData.from_tiled(client.runs[UIDS[0]]), documents)
    only_file(tmp_path / "files")


SESSION = """
import os, pickle, signal, sys
from beamline_ophyd.callbacks import Journal, Keeper
journal = Journal(sys.argv[1] + "/journal")
keeper = Keeper(sys.argv[1], journal=journal)
print(keeper.pid, flush=True)
for item in pickle.load(sys.stdin.buffer):
    journal(*item)
if sys.argv[2] == "killed":
    assert keeper.wait(120)
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "interrupted":
    os.kill(keeper.pid, signal.SIGTERM)
    os.kill(keeper.pid, signal.SIGINT)
"""


@pytest.mark.parametrize("way", ["forgets to close", "killed", "interrupted"])
def test_it_finishes_after_its_session(xafs_documents, tmp_path, ended, way):
    documents = xafs_documents(taken=8, exit_status=None)
    command = [sys.executable, "-c", SESSION, tmp_path, way]
    with child(command, **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)) as process:
        told, said = process.communicate(pickle.dumps(documents))
    assert said == b""
    assert process.returncode == (-signal.SIGKILL if way == "killed" else 0)
    assert ended(int(told))
    data = ScanData.from_nexus(only_file(tmp_path))
    assert len(data.run.streams["primary"]) == 8
    assert data.run.stop is None
