"""`beamline queue` on the real device server: checked, interrupted, gone on with, reported."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beamline_ophyd import ScanData
from beamline_ophyd.cli import app
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.grid import energy_grid

from ..processes import DEADLINE_S, child

PRESETS = "short: {bounds: [-20, 20], steps: [4], times: [0.2]}\n"
GRID = {"bounds": [-20, 20], "steps": [4], "times": [0.2]}
SHEET = """\
sample,place,edge,regions,repeats,comment,sample.formula
iron foil,fe_foil,Fe-K,short,1,,Fe
copper foil,cu_foil,Cu-K,short,2,the thin one,Cu
nickel foil,ni_foil,Ni-K,short,1,,Ni
"""


@pytest.fixture
def sheet(tmp_path):
    (tmp_path / "presets.yaml").write_text(PRESETS)
    path = tmp_path / "foils.csv"
    path.write_text(SHEET)
    return path


@pytest.fixture
def queue(ioc, tmp_path):
    """The command, in this process."""

    def run(*arguments):
        given = ("--presets", tmp_path / "presets.yaml", "--folder", tmp_path / "data")
        words = map(str, ("queue", *arguments, "--json", "--no-pages", *given))
        return CliRunner().invoke(app, list(words))

    return run


def test_a_sheet_is_checked_on_the_beamline_as_a_whole(queue, side, sheet, caplog):
    before = side.get("MONO:ENERGY.RBV")
    result = queue(sheet, "--check")
    assert result.exit_code == 0, result.output
    assert "row 3: copper foil, Cu-K, short: 22 points, about" in result.stderr
    sheet.write_text(SHEET.replace("ni_foil", "gold").replace("Fe-K", "Mo-K"))
    result = queue(sheet, "--check")
    words = str(result.exception)
    assert "has 2 problems; nothing has moved" in words
    assert "row 2, column regions: region 1 reaches" in words
    assert "row 4, column place: stage has no sample 'gold'; the holder has" in words
    assert "Run aborted" not in caplog.text  # which would tell all of it twice, with a traceback
    assert side.get("MONO:ENERGY.RBV") == before


@pytest.mark.slow("a process that loads everything, and is interrupted")
def test_an_interrupted_queue_goes_on_where_it_stopped(queue, side, sheet, tmp_path):
    side.put("SIM:SPEED", 5.0)
    program = Path(sys.executable).with_name("beamline")
    given = ["--presets", tmp_path / "presets.yaml", "--folder", tmp_path / "data"]
    command = [program, "queue", sheet, "--no-pages", *given]
    with child(command, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stderr is not None
        # The summary of the first row's scan: the second one is about to begin.
        said = ""
        for line in process.stderr:
            said += line
            if "Fe-K iron foil: 11 of 11 points" in line:
                break
        else:
            pytest.fail(said)
        wait_for_events(tmp_path / "data" / "journal", runs=2, events=1)
        side.put("SIM:SPEED", 0.5)  # points enough are left when the key is noticed
        wait_for_events(tmp_path / "data" / "journal", runs=2, events=3)
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
        assert process.wait(DEADLINE_S) == 130, said
    assert "the same command goes on where it stopped" in said
    assert side.get("SHUTTER:STATUS") == 0

    result = queue(sheet, "--report")
    rows = json.loads(result.stdout)["rows"]
    assert [row["status"] for row in rows] == ["done", "aborted", "waiting"], rows

    side.put("SIM:SPEED", 200.0)
    result = queue(sheet)
    assert result.exit_code == 0, result.output
    assert "3 of 3 rows" in result.stderr
    report = json.loads(result.stdout)
    assert report["finished"]
    runs = [row["runs"] for row in report["rows"]]
    assert [len(uids) for uids in runs] == [1, 2, 1]
    journal = tmp_path / "data" / "journal"
    copper = ScanData.from_journal(journal / f"{runs[1][1]}.jsonl")
    assert copper.about.xafs.continues == runs[1][0]
    assert copper.about.families["Sample"] == {"name": "copper foil", "formula": "Cu"}
    assert copper.metadata["start"]["comment"] == "the thin one"
    assert list(copper.missing_points) == []
    assert copper.mu()[0].shape == energy_grid("Cu-K", **GRID).energy_ev.shape
    for file in (tmp_path / "data" / "tiled" / "files").glob("*.nxs"):
        assert validate_file(file) == []


def wait_for_events(folder, runs, events):
    """Until the last of so many runs has so many points; the test's time limit ends it."""
    while True:
        journals = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
        if len(journals) >= runs and journals[-1].read_text().count('"point":') >= events:
            return
