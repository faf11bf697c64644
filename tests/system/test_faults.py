"""What is left when something dies in the middle of a scan."""

import os
import signal

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.validate import validate_file


@pytest.mark.slow("a scan in a process of its own, with servers to kill")
def test_the_ioc_is_killed_in_mid_scan(scanning):
    scan = scanning("--kill-ioc-at", "100")
    ended = scan.until("ended")
    # The cause, and not what its consequences say: the shutter, the last baseline readings.
    cause = ended["error"]
    # A read that is under way ends by its own limit, before the client knows of the server's end.
    assert any(words in cause for words in ("connect", "no answer", "Failed to read BL02:"))
    assert "BL02:SCALER" in cause or "BL02:MONO" in cause
    assert ended["seconds"] < 30  # since it was killed: no motion or count has this long
    assert ended["done"]
    (file,) = ended["files"].values()
    assert validate_file(file) == []
    data = ScanData.from_nexus(file)
    assert len(data.columns["I0"]) == 100
    with h5py.File(file) as nexus:
        assert nexus["entry/bluesky/exit_status"].asstr()[()] == "fail"
        assert nexus["entry/bluesky/exit_reason"].asstr()[()] in cause


@pytest.mark.slow("a scan in a process of its own, with servers to kill")
@pytest.mark.parametrize("killed", ["the session", "all at once"])
def test_kill_minus_nine_leaves_a_file_and_every_document(scanning, ended, killed):
    # At this speed a point takes long enough that half a second is a few dozen points.
    scan = scanning("--speed", "30")
    pids = scan.until("ready")
    scan.until("point", 200)
    if killed == "all at once":
        scan.process.send_signal(signal.SIGSTOP)
        os.kill(pids["keeper"], signal.SIGKILL)
    scan.process.kill()
    scan.process.wait(60)
    for pid in pids.values():
        assert ended(pid)

    (journal,) = (scan.folder / "journal").glob("*.jsonl")
    documents = read_journal(journal).documents
    names = [name for name, _ in documents]
    kept = [doc for name, doc in documents if name == "event" and "I0" in doc["data"]]
    assert names[0] == "start"
    assert len(kept) >= 200

    (file,) = (scan.folder / "files").glob("*.nxs*")
    with h5py.File(file, locking=False) as nexus:
        found = np.asarray(nexus["entry/instrument/i0/data"])
        status = nexus["entry/bluesky/exit_status"].asstr()[()]
    if killed == "the session":  # after which the keeper's process ends the file
        assert validate_file(file) == []
        assert (file.suffix, status) == (".nxs", "unknown")
        flushed = [event for event in kept if event["time"] < kept[-1]["time"] - 0.1]
    else:
        # At most the last half second is missing, and a tenth for the flush itself.
        assert (file.suffix, status) == (".part", "running")
        flushed = [event for event in kept if event["time"] < kept[-1]["time"] - 0.6]
    assert len(found) >= len(flushed) > 0
    np.testing.assert_array_equal(found, [e["data"]["I0"] for e in kept[: len(found)]])


@pytest.mark.slow("a scan in a process of its own, with servers to kill")
def test_tiled_out_of_reach_does_not_hurt_a_scan(scanning):
    scan = scanning("--no-tiled", "--short")
    ended = scan.until("ended")
    assert ended["error"] is None
    (file,) = ended["files"].values()
    assert validate_file(file) == []
    scan.process.wait(30)
    assert "127.0.0.1:9" in scan.stderr


@pytest.mark.slow("a process that loads IPython and waits for PVs")
@pytest.mark.parametrize(
    ("prefix", "port", "words"),
    [("XX99:", None, "XX99:MONO"), (None, "9", "searched 127.0.0.1:9")],
)
def test_a_wrong_prefix_or_port_says_what_to_do(beamline, ioc, prefix, port, words, tmp_path):
    import os

    environment = {**os.environ, **ioc.environment}
    if port:
        environment |= {"EPICS_CA_ADDR_LIST": "127.0.0.1", "EPICS_CA_SERVER_PORT": port}
    arguments = ["--prefix", prefix] if prefix else []
    result = beamline("shell", "--folder", tmp_path, *arguments, "-c", "1", env=environment)
    assert result.returncode == 1
    assert words in result.stderr
    assert "searched 127.0.0.1" in result.stderr
    assert "beamline ioc" in result.stderr
    assert "Traceback" not in result.stderr
