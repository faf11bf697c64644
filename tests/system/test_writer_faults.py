"""Whatever happens to disk, folder or process: no scan fails, no point is lost.

BEAMLINE_KILLS says how often a scan is killed at a random point: 10, or 100 in `make kills`.
"""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks.nxxas import rebuild
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.problems import ReadError
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.repair import repair_file

from ..processes import DEADLINE_S, end

KILLS = int(os.environ.get("BEAMLINE_KILLS", "10"))
POINTS = 150

pytestmark = pytest.mark.timeout(300 + 30 * KILLS)


class Scans:
    """The process of faulty.py."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("faulty.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, folder, **options):
        self.process.stdin.write(json.dumps({"folder": str(folder), **options}) + "\n")
        self.process.stdin.flush()
        return self.until("pid")

    def until(self, key, value=None):
        watchdog = threading.Timer(DEADLINE_S, self.process.kill)
        watchdog.start()
        try:
            assert self.process.stdout is not None
            for line in self.process.stdout:
                said = json.loads(line)
                if key in said and (value is None or said[key] >= value):
                    return said[key]
                if "dead" in said:
                    break
        finally:
            watchdog.cancel()
        raise AssertionError(f"the scan ended before it said {key}")

    def close(self):
        end(self.process)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def scans():
    server = Scans()
    yield server
    server.close()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of one megabyte."""
    folder = tmp_path / "files"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no file system of our own can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def events(folder):
    (path,) = (folder / "journal").glob("*.jsonl")
    contents = read_journal(path)
    assert contents.damaged in ((), (len(contents.documents) + 1,))  # the last line, cut short
    return path, sum(name == "event" for name, _ in contents.documents)


def check_whole(folder, ended):
    """Both files have every point of the journal, and the scan knows of the trouble."""
    journal, points = events(folder)
    assert points == POINTS
    assert ended["written"] == [True, True]
    data = ScanData.from_journal(journal)
    assert ScanData.from_nexus(folder / "files" / "run.nxs") == data
    assert validate_file(folder / "files" / "run.nxs") == []
    assert ScanData.from_xdi(folder / "files" / "run.xdi").energy.tobytes() == data.energy.tobytes()


@pytest.mark.slow("scans in processes of their own")
@pytest.mark.parametrize("fault", ["removed", "permission"])
def test_folder_that_is_lost_for_a_while(scans, tmp_path, fault):
    scans.start(tmp_path, points=POINTS, fault=fault)
    ended = scans.until("ended")
    assert scans.until("dead") == 0
    check_whole(tmp_path, ended)
    assert any("run.nxs is not up to date" in problem for problem in ended["problems"])


@pytest.mark.slow("scans in processes of their own")
@pytest.mark.parametrize("mend", [True, False])
def test_disk_that_is_full(scans, tmp_path, small_disk, mend):
    scans.start(tmp_path, points=POINTS, fault="full", mend=mend)
    ended = scans.until("ended")
    assert scans.until("dead") == 0
    assert any("No space left" in problem for problem in ended["problems"])
    if mend:
        check_whole(tmp_path, ended)
        return
    # What was flushed can be read still, and the journal, on another disk, has all.
    journal, points = events(tmp_path)
    assert points == POINTS
    part = small_disk / "run.nxs.part"
    flushed = len(ScanData.from_nexus(part).columns["i0"])
    assert 0 < flushed < POINTS
    assert len(ScanData.from_journal(journal).energy) == POINTS
    assert ScanData.from_nexus(rebuild(journal, tmp_path)) == ScanData.from_journal(journal)


@pytest.mark.slow("scans in processes of their own")
def test_file_that_a_reader_locks_and_keeps_open(scans, tmp_path):
    scans.start(tmp_path, points=POINTS)
    scans.until("point", POINTS // 3)
    (part,) = (tmp_path / "files").glob("*.part")
    with part.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = scans.until("ended")
        assert scans.until("dead") == 0
        check_whole(tmp_path, ended)
        assert ended["problems"] == []
        # The reader still holds a whole file, of the time when it opened it.
        copy = tmp_path / "copy.nxs"
        copy.write_bytes(held.read())
    assert 0 < len(ScanData.from_nexus(copy).columns["i0"]) < POINTS


@pytest.mark.slow("ten scans that are killed")
def test_killed_at_random_points(scans, tmp_path):
    chance = random.Random(20)
    for number in range(KILLS):
        folder = tmp_path / str(number)
        pid = scans.start(folder, points=POINTS)
        told = scans.until("point", chance.randrange(1, POINTS - 10))
        flushed = flushed_points(folder)
        os.kill(pid, signal.SIGKILL)
        assert scans.until("dead") == -signal.SIGKILL
        journal, kept = events(folder)
        assert kept >= told
        parts = list((folder / "files").glob("*.part"))
        if not parts:
            assert flushed == 0
            path = rebuild(journal, folder / "files")
        else:
            (part,) = parts
            # Nothing that was flushed is lost, and what is there opens as it is.
            assert flushed_points(folder) >= flushed
            done = repair_file(part, [folder / "journal"])
            assert (done.points, done.source) == (kept, journal)
            path = done.path
        assert validate_file(path, application=False) == []
        assert ScanData.from_nexus(path) == ScanData.from_journal(journal)


def flushed_points(folder):
    for path in (folder / "files").glob("*.part"):
        try:
            return len(ScanData.from_nexus(path).columns.get("i0", ()))
        except ReadError:
            return 0
        except OSError:
            if path.stat().st_size:
                raise
    return 0
