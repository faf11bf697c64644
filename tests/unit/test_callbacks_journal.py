import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal
from beamline_ophyd.callbacks import journal as module
from beamline_ophyd.callbacks.retention import JournalPruning, whole_in_files
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.problems import OutputError


def run_documents(uid, points=3):
    yield "start", {"uid": uid, "time": 1.0}
    yield "descriptor", {"uid": f"{uid}-d", "run_start": uid, "name": "primary", "data_keys": {}}
    for n in range(points):
        yield "event", {"uid": f"{uid}-{n}", "descriptor": f"{uid}-d", "seq_num": n + 1}
    yield "stop", {"uid": f"{uid}-s", "run_start": uid, "exit_status": "success"}


def test_every_document_is_on_disk_when_the_call_returns(tmp_path):
    journal = Journal(tmp_path / "journals")
    seen = []
    for item in run_documents("r1"):
        journal(*item)
        seen.append(item)
        assert list(read_journal(journal.path("r1")).documents) == seen
    assert read_journal(journal.path("r1")).complete
    assert journal.problems == []


def test_only_the_owner_may_read(tmp_path):
    journal = Journal(tmp_path)
    old = os.umask(0)
    try:
        journal("start", {"uid": "r1"})
    finally:
        os.umask(old)
    assert stat.S_IMODE(journal.path("r1").stat().st_mode) == 0o600


def test_nested_and_interleaved_runs_each_have_their_file(tmp_path):
    journal = Journal(tmp_path)
    outer, inner = list(run_documents("outer")), list(run_documents("inner"))
    for item in [*outer[:3], *inner[:3], outer[3], *inner[3:], *outer[4:]]:
        journal(*item)
    assert list(read_journal(journal.path("outer")).documents) == outer
    assert list(read_journal(journal.path("inner")).documents) == inner


def test_existing_journal_is_never_overwritten(tmp_path):
    for name in ("r1.jsonl", "r1-2.jsonl"):
        journal = Journal(tmp_path)
        for item in run_documents("r1"):
            journal(*item)
        assert journal.path("r1") == tmp_path / name
    assert (tmp_path / "r1.jsonl").read_bytes() == (tmp_path / "r1-2.jsonl").read_bytes()


def test_uid_cannot_leave_the_folder(tmp_path):
    journal = Journal(tmp_path / "inside")
    journal("start", {"uid": "../../outside"})
    assert journal.path("../../outside").parent == tmp_path / "inside"
    assert [p.parent for p in tmp_path.rglob("*.jsonl")] == [tmp_path / "inside"]


def test_document_of_no_run_is_reported_once(tmp_path):
    journal = Journal(tmp_path)
    for _ in range(3):
        journal("event", {"descriptor": "unknown", "seq_num": 1})
    assert len(journal.problems) == 1
    assert "belongs to no run" in str(journal.problems[0])


def test_nothing_is_raised_for_what_is_no_document(tmp_path):
    journal = Journal(tmp_path)
    journal("start", None)
    journal("start", {})
    assert len(journal.problems) == 2


def test_folder_removed_in_mid_run_is_made_anew_with_all_lines(tmp_path):
    journal = Journal(tmp_path / "journals")
    items = list(run_documents("r1", points=6))
    for item in items[:4]:
        journal(*item)
    shutil.rmtree(tmp_path / "journals")
    for item in items[4:]:
        journal(*item)
    assert list(read_journal(journal.path("r1")).documents) == items
    assert journal.problems == []


def test_lines_wait_while_the_folder_cannot_be_made(tmp_path):
    journal = Journal(tmp_path / "journals")
    items = list(run_documents("r1", points=6))
    for item in items[:3]:
        journal(*item)
    shutil.rmtree(tmp_path / "journals")
    (tmp_path / "journals").write_text("in the way")
    for item in items[3:6]:
        journal(*item)
    assert len(journal.problems) == 1
    (tmp_path / "journals").unlink()
    for item in items[6:]:
        journal(*item)
    assert list(read_journal(journal.path("r1")).documents) == items
    assert len(journal.problems) == 1


def test_preflight_names_the_folder_and_the_remedy(tmp_path):
    journal = Journal(tmp_path / "a" / "journals")
    journal.preflight(num_points=10)
    assert list((tmp_path / "a" / "journals").iterdir()) == []
    points = shutil.disk_usage(tmp_path).free // 1000
    with pytest.raises(OutputError, match=r"journal folder .*MB left, a run of \d+ points may"):
        journal.preflight(num_points=points)
    with pytest.raises(OutputError, match="journal folder /proc is not writable"):
        Journal("/proc").preflight(num_points=10)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file cannot be made .*; move away what is in its"):
        Journal(tmp_path / "file").preflight(num_points=10)


LIMITED = """
import resource, signal, sys
from beamline_ophyd.callbacks import Journal
from beamline_ophyd.callbacks import journal as module
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(sys.argv[1])
journal("start", {"uid": "r"})
journal("descriptor", {"uid": "d", "run_start": "r"})
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
for n in range(5):
    journal("event", {"descriptor": "d", "seq_num": n})
assert len(journal.problems) == 1, journal.problems
assert "kept in memory" in str(journal.problems[0])
def free():
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
if sys.argv[2] == "freed before stop":
    free()
journal("stop", {"run_start": "r"})
if sys.argv[2] == "freed after stop, retry":
    assert not journal.retry()
    free()
    assert journal.retry()
elif sys.argv[2] == "freed after stop, close":
    free()
    assert journal.close()
elif sys.argv[2] == "freed after stop, next run":
    free()
    journal("start", {"uid": "r2"})
free()
"""

WHEN = [
    "freed before stop",
    "freed after stop, retry",
    "freed after stop, close",
    "freed after stop, next run",
    "freed after stop, exit",
]


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limits here")
@pytest.mark.parametrize("when", WHEN)
def test_full_disk_costs_no_line_once_there_is_room(tmp_path, when):
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path), when], check=True, timeout=150)
    contents = read_journal(tmp_path / "r.jsonl")
    assert contents.complete
    assert [d["seq_num"] for name, d in contents.documents if name == "event"] == list(range(5))


def test_lines_that_wait_are_bounded_over_all_runs(tmp_path, monkeypatch):
    (tmp_path / "in the way").write_text("")
    monkeypatch.setattr(module, "MAX_BACKLOG_BYTES", 1000)
    journal = Journal(tmp_path / "in the way")
    for number in range(30):
        for item in run_documents(f"r{number}"):
            journal(*item)
    waiting = sum(len(file.backlog) for file in journal._open.values())
    assert 500 < waiting <= 1000
    assert any("has lost lines" in str(problem) for problem in journal.problems)
    (tmp_path / "in the way").unlink()
    assert journal.retry()
    assert list(read_journal(journal.path("r0")).documents) == list(run_documents("r0"))


KILLED = """
import os, signal, sys
from beamline_ophyd.callbacks import Journal
from beamline_ophyd.callbacks import journal as module
journal = Journal(sys.argv[1])
journal("start", {"uid": "r"})
journal("descriptor", {"uid": "d", "run_start": "r"})
for n in range(200):
    journal("event", {"descriptor": "d", "seq_num": n})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_line_survives_sigkill(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=150)
    assert done.returncode == -signal.SIGKILL
    contents = read_journal(tmp_path / "r.jsonl")
    assert not contents.complete
    assert contents.damaged == ()
    assert [d["seq_num"] for name, d in contents.documents if name == "event"] == list(range(200))


@pytest.fixture
def kept(xafs_documents, tmp_path):
    """Three ended runs, each older by a day, with files of all but the second; one without end."""
    journal = Journal(tmp_path / "journal")
    uids = [f"{number}f2d9b1e-0000-4000-8000-000000000001" for number in range(4)]
    for number, uid in enumerate(uids):
        documents = xafs_documents(uid=uid, exit_status=None if number == 3 else "success")
        for item in documents:
            journal(*item)
        if number != 1:
            ScanData.from_documents(documents).to_nexus(tmp_path / f"{uid[:8]}.nxs")
    journal.close()
    for number, uid in enumerate(uids):
        when = time.time() - (4 - number) * 86400
        os.utime(journal.path(uid), (when, when))
    return journal, [journal.path(uid) for uid in uids]


def test_without_limits_every_journal_stays(kept, tmp_path):
    journal, _ = kept
    assert journal.prune(whole_in_files(tmp_path)) == []


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        ({"keep_days": 3.5}, [0]),
        ({"keep_days": 0.5}, [0, 2]),
        ({"keep_bytes": 10**9}, []),
        ({"keep_bytes": 0}, [0, 2]),
    ],
)
def test_only_journals_whose_run_is_whole_in_a_file_go(kept, tmp_path, limits, gone):
    journal, paths = kept
    assert journal.prune(whole_in_files(tmp_path), **limits) == [paths[n] for n in gone]
    assert [path.exists() for path in paths] == [n not in gone for n in range(4)]


def test_journal_of_a_file_that_lacks_a_point_stays(kept, tmp_path, xafs_documents):
    journal, paths = kept
    uid = paths[0].stem
    short = xafs_documents(uid=uid)
    del short[4]
    ScanData.from_documents(short).to_nexus(tmp_path / f"{uid[:8]}.nxs", mode="w")
    assert paths[0] not in journal.prune(whole_in_files(tmp_path), keep_days=0)


def test_journal_beside_the_files_does_not_vouch_for_itself(xafs_documents, tmp_path):
    journal = Journal(tmp_path)
    for item in xafs_documents():
        journal(*item)
    assert journal.prune(whole_in_files(tmp_path), keep_days=0) == []
    part = ScanData.from_documents(xafs_documents()).to_nexus(tmp_path / "a.nxs.part")
    assert journal.prune(whole_in_files(tmp_path), keep_days=0) == []
    part.rename(tmp_path / "a.nxs")
    assert len(journal.prune(whole_in_files(tmp_path), keep_days=0)) == 1


def test_words_that_are_left_out(xafs_documents, tmp_path):
    documents = xafs_documents(start={"user": "Ann", "proposal": 7})
    journal = Journal(tmp_path / "journal", leave_out=["user", "Sample.name", "absent.word"])
    for item in documents:
        journal(*item)
    path = journal.path(documents[0][1]["uid"])
    assert "Ann" not in path.read_text()
    assert "Fe foil" not in path.read_text()
    start = ScanData.from_journal(path).metadata["start"]
    assert start["proposal"] == 7
    assert start["Sample"] == {"formula": "Fe", "prep": "foil, 5 µm"}
    assert documents[0][1]["user"] == "Ann"  # for the callbacks after it
    # Its file has all that it has, and more.
    data = ScanData.from_documents(documents)
    data.to_nexus(tmp_path / "a.nxs")
    assert journal.prune(whole_in_files(tmp_path), keep_days=0) == [path]


@pytest.mark.parametrize("word", ["uid", "xafs", "xafs.roles", "hints"])
def test_words_that_cannot_be_left_out(tmp_path, word):
    with pytest.raises(ValueError, match=f"leave_out names '{word}', without which"):
        Journal(tmp_path, leave_out=[word])


def test_old_journals_are_pruned_while_no_run_goes_on(kept, tmp_path, xafs_documents):
    journal, paths = kept
    passes = threading.Semaphore(0)
    whole = whole_in_files(tmp_path)

    def complete(run):
        passes.release()
        return whole(run)

    started = xafs_documents(uid="5f2d9b1e-0000-4000-8000-000000000001")
    journal(*started[0])
    pruning = JournalPruning(journal, complete, keep_days=3.5, first_s=0.01, every_s=0.01)
    assert not passes.acquire(timeout=0.3)
    for item in started[1:]:
        journal(*item)
    assert passes.acquire(timeout=60)
    assert pruning.close(60)
    assert pruning.removed == [paths[0]]
    assert [path.exists() for path in paths] == [False, True, True, True]


def test_without_limits_nothing_is_pruned(kept, tmp_path):
    journal, _ = kept
    pruning = JournalPruning(journal, whole_in_files(tmp_path), first_s=0.0, every_s=0.01)
    assert "journal pruning" not in {thread.name for thread in threading.enumerate()}
    assert pruning.close()


def test_group_may_read_where_told(xafs_documents, tmp_path):
    before = os.umask(0o022)
    try:
        for readable, mode, folder in ((False, 0o600, 0o700), (True, 0o640, 0o750)):
            journal = Journal(tmp_path / str(readable), group_readable=readable)
            for item in xafs_documents():
                journal(*item)
            path = journal.path(xafs_documents()[0][1]["uid"])
            assert path.stat().st_mode & 0o777 == mode
            assert path.parent.stat().st_mode & 0o777 == folder
    finally:
        os.umask(before)


def test_a_forked_child_writes_though_another_thread_wrote_when_it_was_made(tmp_path):
    journal = Journal(tmp_path)
    first, *rest = run_documents("r")
    journal(*first)
    with ThreadPoolExecutor(1) as other:
        other.submit(journal._lock.acquire).result()
        if (pid := os.fork()) == 0:
            signal.alarm(60)  # which ends a child that waits
            for item in rest:
                journal(*item)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        other.submit(journal._lock.release).result()
    assert list(read_journal(journal.path("r")).documents) == [first, *rest]
