"""The one command that shows everything, and measured spectra through it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.cli import main
from beamline_ophyd.demo import DemoError, run_demo
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.serving import TiledServer, connect

from ..processes import DEADLINE_S, child


@pytest.mark.slow("a whole scan, between the start and the end of two servers")
def test_the_demo_from_nothing(beamline, tmp_path):
    result = beamline("demo", "--out", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["edge"] == "Fe-K"
    assert summary["e0_ev"] == pytest.approx(7112.0, abs=2.5)
    assert summary["edge_step"] == pytest.approx(1.39, rel=0.05)
    assert summary["points"] == 327
    assert summary["problems"] == []
    assert summary["tiled"].startswith("http://127.0.0.1:")
    assert validate_file(summary["file"]) == []
    assert Path(summary["picture"]).read_bytes().startswith(b"\x89PNG")
    for word in ("E0 found", "edge step", summary["uid"], summary["file"], summary["tiled"]):
        assert word in result.stderr
    assert summary["again"] == f"beamline tiled --folder {tmp_path}/tiled --files {tmp_path}/files"
    assert summary["again"] in result.stderr
    with (
        TiledServer(tmp_path / "tiled", files=tmp_path / "files") as again,
        connect(again.uri, again.keys.reader) as client,
    ):
        assert list(client.runs) == list(client.files) == [summary["uid"]]


def test_a_folder_without_room_is_told_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=200_000))
    with pytest.raises(DemoError, match=r"room for 0\.2 MB, .*--out"):
        run_demo(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow("a whole scan, between the start and the end of two servers")
@pytest.mark.parametrize(
    ("name", "edge"), [("Fe_Foil_rt_2016Foils", "Fe-K"), ("Cu_Foil_rt_2016Foils", "Cu-K")]
)
def test_a_measured_foil_comes_back_within_the_noise(
    beamline, tmp_path, reference_data, measured_columns, name, edge
):
    source = reference_data / f"{name}.xdi"
    result = beamline("demo", "--out", tmp_path, "--sample", source, "--edge", edge, "--json")
    assert result.returncode == 0, result.stderr
    scan = ScanData.from_nexus(json.loads(result.stdout)["file"])
    foil = measured_columns(source.name)
    energy, mu = foil["energy"], np.log(foil["i0"] / foil["itrans"])
    scanned, sigma = scan.mu()
    assert sigma is not None
    inside = (scan.energy >= energy[0]) & (scan.energy <= energy[-1])
    assert np.count_nonzero(inside) > 250
    expected = np.interp(scan.energy[inside], energy, mu)
    # The gains of the measurement are unknown; the constant that the server put in their place
    # is recorded with the scan.
    constant = scan.run.streams["baseline"].columns["simulation_mu_offset"][0]
    residual = (scanned[inside] - expected - constant) / sigma[inside]
    assert 0.8 < np.mean(residual**2) < 1.2
    # No second broadening: nothing is left at the edge, where it would show.
    at_edge = np.abs(scan.energy[inside] - scan.about.xafs.e0_ev - 5) < 15
    assert 0.6 < np.mean(residual[at_edge] ** 2) < 1.5


def children_of(pid):
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                found.add(int(stat.parent.name))
    return found


@pytest.mark.slow("starts both servers and scans in near real time")
@pytest.mark.parametrize("presses", [1, 4])
def test_ctrl_c_ends_everything(tmp_path, ended, presses):
    program = Path(sys.executable).with_name("beamline")
    command = [program, "demo", "--out", tmp_path, "--speed", "20"]
    with child(command, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "scanning" in line:
                break
        while not any(b'"seq_num":5' in p.read_bytes() for p in tmp_path.glob("journal/*")):
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(0.1)
                pytest.fail("the demo ended before the fifth point")
        children = children_of(demo.pid)
        assert len(children) >= 2  # the device server and Tiled
        os.kill(demo.pid, signal.SIGINT)
        for _ in range(presses - 1):  # as an impatient user does, while all is being ended
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(0.3)
                break
            os.kill(demo.pid, signal.SIGINT)
        words = demo.stderr.read()
        assert demo.wait(DEADLINE_S) == 130, words
        assert "Traceback" not in words
        (file,) = (tmp_path / "files").glob("*.nxs")
        assert f"what was measured is in {file}" in words
        assert "interrupted" in words
        assert all(ended(pid) for pid in children)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--edge", "Xx-K"], "there is no element 'Xx'"),
        (["--sample", "nowhere.xdi"], "nowhere.xdi"),
        (["--out", "/proc/nothing"], "output folder /proc/nothing"),
    ],
)
def test_bad_input_is_one_clear_line(monkeypatch, capsys, tmp_path, arguments, words):
    monkeypatch.setattr(sys, "argv", ["beamline", "demo", "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


@pytest.mark.slow("starts both servers")
def test_an_edge_without_a_sample_is_one_clear_line(beamline, tmp_path):
    result = beamline("demo", "--out", tmp_path, "--edge", "Zr-K")
    assert result.returncode == 1
    assert "the holder has no zr_foil; it has" in result.stderr
    assert "Traceback" not in result.stderr
