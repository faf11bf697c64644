"""The commands that look at the beamline, on the real device server."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beamline_ophyd.cli import app

from ..processes import DEADLINE_S, child

MIXED = """
Monochromator:
  - {{name: mono, prefix: "{P}"}}
ophyd_async.epics.motor.Motor:
  - {{name: table, prefix: "ca://{P}SAMPLE:Y"}}
  - {{name: slit, prefix: "ca://{P}NO:SLIT", labels: [optional]}}
"""


@pytest.fixture
def run(ioc):
    """Run a command in this process, which has its libraries loaded: run("devices", ...)."""
    return lambda *arguments: CliRunner().invoke(app, [str(word) for word in arguments])


@pytest.fixture
def own_file(tmp_path, ioc):
    file = tmp_path / "mixed.yaml"
    file.write_text(MIXED.format(P=ioc.prefix))
    return file


def test_devices_are_listed_and_all_connected(run, ioc):
    result = run("devices", "--prefix", ioc.prefix, "--timeout", "30", "--json")
    assert result.exit_code == 0, result.stderr
    rows = {row["device"]: row for row in json.loads(result.stdout)}
    assert {"mono", "chambers", "shutter", "stage", "ring", "simulation"} <= set(rows)
    assert all(row["connected"] and row["missing"] == [] for row in rows.values())
    assert f"{len(rows)} of {len(rows)} devices are connected" in result.stderr


def test_what_is_missing_is_named(run, own_file):
    result = run("devices", "--devices", own_file, "--timeout", "4", "--json")
    assert result.exit_code == 0, result.stderr  # the one that is missing is optional
    rows = {row["device"]: row for row in json.loads(result.stdout)}
    assert rows["mono"]["connected"]
    assert rows["table"]["connected"]
    assert not rows["slit"]["connected"]
    assert "NO:SLIT" in rows["slit"]["missing"][0]
    assert "NOT CONNECTED, and is optional" in result.stderr


def test_a_beamline_that_is_away_is_an_error(run, ioc):
    result = run("devices", "--prefix", "AWAY:", "--timeout", "0.2")
    assert result.exit_code == 1
    assert "no answer for AWAY:MONO:ENERGY" in result.stderr
    assert "beamline ioc" in result.stderr


def test_status_tells_what_the_beamline_reads(run, ioc, side, own_file):
    side.put("SHUTTER:CMD", 1)
    side.put("MONO:ENERGY", 7112.0)
    result = run("status", "--prefix", ioc.prefix, "--timeout", "30", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["not_connected"] == []
    rows = {row["key"]: row for row in said["readings"]}
    assert rows["mono_energy"]["value"] == pytest.approx(7112.0, abs=0.01)
    assert rows["mono_energy"]["units"] == "eV"
    assert rows["mono_energy"]["text"] == f"{rows['mono_energy']['value']:.4f}"
    assert rows["shutter_status"]["value"] == "Open"
    assert rows["ring_current"]["units"] == "mA"

    words = run("status", "--devices", own_file, "--timeout", "4")
    assert words.exit_code == 0
    assert any(line.split()[:2] == ["mono", "mono_energy"] for line in words.stderr.splitlines())
    assert "table" in words.stderr
    lines = words.stderr.splitlines()
    assert ["slit", "NOT", "CONNECTED"] in [line.split() for line in lines]
    # One column of names, however long they are.
    mono = next(line for line in lines if line.startswith("mono "))
    slit = next(line for line in lines if line.startswith("slit "))
    assert mono.index("mono_energy") == slit.index("NOT")


def test_status_of_what_does_not_answer_says_what_to_do(run, ioc):
    result = run("status", "--prefix", "AWAY:", "--timeout", "0.2")
    assert result.exit_code == 1
    assert "start the device server with `beamline ioc`" in result.stderr


def test_of_a_beamline_in_a_file_the_file_is_to_be_corrected(run, ioc, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text('ophyd.EpicsSignalRO: [{name: valve, read_pv: "AWAY:VALVE"}]')
    result = run("devices", "--devices", str(file), "--timeout", "0.2")
    assert result.exit_code == 1
    assert f"correct the PVs in {file}" in result.stderr
    assert "device server" not in result.stderr


def test_status_watches_until_interrupted(ioc, side):
    side.put("SIM:SPEED", 0.5)  # a minute for the way
    program = Path(sys.executable).with_name("beamline")
    arguments = ["status", "--prefix", ioc.prefix, "--watch", "--every", "0.1"]
    with child([program, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = (line for line in process.stderr)
        assert any("mono_energy" in line for line in lines)
        side.put("MONO:ENERGY", 9000.0, wait=False)
        assert any("mono_energy" in line and "moving to 9000" in line for line in lines)
        side.put("SIM:SPEED", 1000.0)
        assert any("mono_energy" in line and "9000.0000 eV" in line for line in lines)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(DEADLINE_S) == 130


@pytest.mark.parametrize("command", ["devices", "status"])
def test_a_bad_file_is_told_in_a_line(run, tmp_path, command):
    file = tmp_path / "bad.yaml"
    file.write_text("Shuter: [{name: s}]")
    result = run(command, "--devices", file)
    assert result.exit_code == 1
    assert "no device class Shuter" in str(result.exception)
