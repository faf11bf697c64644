"""What is still done when the interpreter ends, each time in a process of its own."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import NXxasWriter
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.validate import validate_file

SCRIPT = """
import pickle, sys, threading
from beamline_ophyd.callbacks import Journal, NXxasWriter, TiledPublisher
folder = sys.argv[1]
journal = Journal(folder + "/journal")
publisher = None
if sys.argv[2] == "tiled":
    publisher = TiledPublisher("http://127.0.0.1:9", "00", journal=journal, timeout_s=0.5)
def on_file(uid, path, start):
    threading.main_thread().join(30)  # the interpreter is ending by now
    print("on_file", uid, flush=True)
    if publisher is not None:
        publisher.register_file(uid, path)
writer = NXxasWriter(folder, journal=journal, on_file=on_file)
for item in pickle.load(sys.stdin.buffer):
    for callback in (journal, writer, *([publisher] if publisher else ())):
        callback(*item)
"""


def run(documents, folder, with_tiled):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), with_tiled],
        input=pickle.dumps(documents),
        capture_output=True,
        check=True,
        timeout=150,
    )


@pytest.mark.parametrize("status", ["success", None])
def test_file_of_the_last_run_is_finished(xafs_documents, tmp_path, status):
    documents = xafs_documents(taken=8, exit_status=status)
    done = run(documents, tmp_path, "no tiled")
    assert done.stdout.split() == [b"on_file", documents[0][1]["uid"].encode()]
    (path,) = tmp_path.glob("*.nxs*")
    assert path.suffix == ".nxs"
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)
    with h5py.File(path) as file:
        said = file["entry/bluesky/exit_status"].asstr()[()]
    assert said == (status or "unknown")
    (journal,) = (tmp_path / "journal").iterdir()
    assert list(read_journal(journal).documents) == documents


def write_in_a_child(folder, documents):
    writer = NXxasWriter(folder)
    for item in documents:
        writer(*item)


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_a_child_of_multiprocessing_finishes_its_file_too(xafs_documents, tmp_path, way):
    # As the worker of bluesky-queueserver is one, which ends without atexit.
    documents = xafs_documents()
    script = (
        "import pickle, sys; from multiprocessing import get_context;"
        "from tests.unit.test_callbacks_exit import write_in_a_child as target\n"
        "if __name__ == '__main__':\n"
        "    process = get_context(sys.argv[2]).Process("
        "target=target, args=(sys.argv[1], pickle.load(sys.stdin.buffer)))\n"
        "    process.start(); process.join(60); sys.exit(process.exitcode)\n"
    )
    main = tmp_path / "main.py"
    main.write_text(script)
    subprocess.run(
        [sys.executable, main, str(tmp_path), way],
        input=pickle.dumps(documents),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        timeout=150,
    )
    (path,) = tmp_path.glob("*.nxs")
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


@pytest.mark.parametrize("status", ["success", None])
def test_tiled_is_told_of_the_last_file(xafs_documents, tmp_path, status):
    done = run(xafs_documents(exit_status=status), tmp_path, "tiled")
    assert b"closed before this document came" not in done.stderr
    # No server is there to take it, and that is what the publisher says of the file.
    assert b".nxs is not in Tiled: the publisher was closed" in done.stderr


def test_the_order_and_one_deadline_for_all():
    code = """
from beamline_ophyd.callbacks import _exit
class Leaver:
    def __init__(self, turn):
        self.turn = turn
        _exit.at_exit(self, turn)
    def leave(self, timeout):
        print(self.turn.name, 0.0 <= timeout <= _exit.EXIT_DEADLINE_S)
        assert self.turn != _exit.Turn.WRITER, "one that fails"
kept = [Leaver(turn) for turn in reversed(_exit.Turn)]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=150, text=True
    )
    assert done.stdout.split() == [
        word for turn in ("JOURNAL", "WRITER", "PUBLISHER", "THREAD") for word in (turn, "True")
    ]
    assert "one that fails" in done.stderr
