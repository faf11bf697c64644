"""XDI files through libxdifile, the C library of the XDI working group, and larch."""

import json
import subprocess
from pathlib import Path

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.xdi_read import parse_xdi

from ..environments import reference_python

NOT_VERSIONED = 104
"""What the library says of families whose program the first line of a file does not name."""


def judged(*paths):
    script = Path(__file__).with_name("xdi_judge.py")
    done = subprocess.run(
        [reference_python(), script, *paths], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow("a process that loads larch")
def test_the_library_reads_all_and_finds_nothing_wrong(xafs_documents, tmp_path):
    start = {
        "Facility": {"name": "r", "xray_source": "u", "energy": 3.0, "current": 200.5},
        "Sample": {"name": "rust: red", "formula": "Fe2O3", "temperature": 295.5, "pH": 7},
        "comment": "first: line\n--- second",
    }
    kinds = {
        "transmission": {"repeats": 2, "start": start},
        "fluorescence": {"mode": "fluorescence", "start": start},
        "aborted": {"taken": 5, "exit_status": "abort", "reason": "why: not", "start": start},
    }
    paths = []
    for name, options in kinds.items():
        data = ScanData.from_documents(xafs_documents(**options))
        paths.append(data.to_xdi(tmp_path / f"{name}.xdi"))
    for path, said in zip(paths, judged(*paths), strict=True):
        assert (said["status"], said["required"], said["recommended"]) == (0, 0, 0), said
        assert {key: item for key, item in said["items"].items() if item[0]} == {}
        assert "second" in said["comments"]
        _same_arrays(path, said)


@pytest.mark.slow("a process that loads larch")
def test_measured_files_written_again(reference_data, tmp_path):
    paths = [
        ScanData.from_file(path).to_xdi(tmp_path / path.name)
        for path in sorted(reference_data.glob("*.xdi"))
    ]
    for path, said in zip(paths, judged(*paths), strict=True):
        assert (said["status"], said["required"]) == (0, 0)
        wrong = {key for key, (code, _) in said["items"].items() if code not in (0, NOT_VERSIONED)}
        # As their authors wrote them: "13K" and "room temperature" have no number with a unit.
        assert wrong <= {"Sample.temperature"}
        _same_arrays(path, said)


@pytest.mark.slow("a process that loads larch")
def test_the_library_refuses_what_is_no_table(xafs_documents, tmp_path):
    path = ScanData.from_documents(xafs_documents()).to_xdi(tmp_path / "a.xdi")
    path.write_text(path.read_text() + "1 2 3\n")
    (said,) = judged(path)
    assert said["status"] < 0


def _same_arrays(path, said):
    found = parse_xdi(path)
    assert tuple(said["labels"]) == found.labels
    for number, label in enumerate(found.labels):
        assert [float.fromhex(x) for x in said["arrays"][label]] == found.table[:, number].tolist()
