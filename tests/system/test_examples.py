"""The scripts under docs/examples, each run as a user runs it, on the real device server."""

import runpy
import sys

import pytest

from beamline_ophyd.formats.journal import encode_line

from ..documentation import DOCS

EXAMPLES = DOCS / "examples"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Run a script with arguments; its names, and what it printed."""
    monkeypatch.setenv("BEAMLINE_TILED_FOLDER", str(tmp_path / "tiled"))

    def run(name, *arguments):
        script = EXAMPLES / name
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        names = runpy.run_path(str(script), run_name="__main__")
        return names, capsys.readouterr().out

    return run


def test_every_example_is_run():
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts == {
        "basic_scan.py", "linear_scan.py", "mesh_scan.py", "xafs_scan.py", "nexus_export.py",
        "sample_queue.py",
        "write_elsewhere.py",  # in test_write_elsewhere.py
    }  # fmt: skip


def test_basic_scan(example, side):
    names, _ = example("basic_scan.py")
    assert len(names["table"]) == 5
    # Behind iron above its edge less is left than before it.
    assert (names["table"]["It"] < names["table"]["I0"]).all()


def test_linear_scan(example, side):
    names, told = example("linear_scan.py")
    assert names["middle"] == pytest.approx(0.0, abs=200)
    assert side.get("SAMPLE:X.RBV") == pytest.approx(names["middle"], abs=1)
    assert told.startswith("the sample is at x = ")


def test_mesh_scan(example, side):
    names, told = example("mesh_scan.py")
    absorbance = names["absorbance"]
    middle, outside = absorbance[2, 4], absorbance[:, 0].mean()
    assert middle > outside + 0.5
    assert len(told.splitlines()) == 5


def test_xafs_scan(example, side):
    names, told = example("xafs_scan.py")
    assert names["e0"] == pytest.approx(7112.0, abs=2.0)
    assert "points a sweep" in told


def test_nexus_export(example, xafs_documents, tmp_path):
    journal = tmp_path / "run.jsonl"
    journal.write_bytes(b"".join(encode_line(*item) for item in xafs_documents(repeats=2)))
    _, told = example("nexus_export.py", journal, tmp_path)
    assert told.startswith("Fe K of Fe foil: ")
    assert {path.suffix for path in tmp_path.glob("spectrum.*")} == {".nxs", ".xdi", ".csv"}


def test_sample_queue(example, side):
    _, told = example("sample_queue.py")
    assert "2 of 2 rows" in told
