"""`beamline scan`: one spectrum without anybody at the keyboard."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file

from ..processes import DEADLINE_S, child

SHORT = ["Fe-K", "--bounds=-20 0 30", "--steps", "5 2", "--times", "0.2 0.2"]


def elsewhere(server):
    """An environment whose only word on EPICS is where one server runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EPICS_")}
    return kept | {"DEVICE_HOST": server.interface, "DEVICE_PORT": str(server.ca_port)}


def test_a_scan_by_host_and_port_ends_in_a_valid_file(beamline, start_ioc, tmp_path):
    environment = elsewhere(start_ioc(prefix="ONE:", speed=200))
    common = ["--prefix", "ONE:", "--folder", tmp_path, "--files", tmp_path / "nexus"]
    refused = beamline("scan", *SHORT, "--sample", "gold_bar", *common, env=environment)
    assert refused.returncode == 1
    assert re.search("--sample: the beamline has no gold_bar; it has .*fe_foil", refused.stderr)
    assert not list((tmp_path / "nexus").iterdir())

    result = beamline("scan", *SHORT, "--sample", "fe2o3", *common, "--json", env=environment)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    file = Path(told["file"])
    assert told["problems"] == []
    assert file.parent == tmp_path / "nexus"
    assert validate_file(file) == []
    data = ScanData.from_nexus(file)
    assert data.about.sample_name == "fe2o3"
    assert told["uid"][:8] in file.name


@pytest.mark.slow("three processes that load a session")
def test_a_server_that_goes_fails_the_scan_and_resuming_completes_it(beamline, start_ioc, tmp_path):
    server = start_ioc(prefix="TWO:", speed=2)  # points enough are left when it goes
    environment = elsewhere(server)
    command = ["scan", *SHORT, "--prefix", "TWO:", "--folder", str(tmp_path)]
    with child(
        [Path(sys.executable).with_name("beamline"), *command],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + DEADLINE_S
        while _points(tmp_path) < 3:
            assert time.monotonic() < deadline, "the scan takes no points"
            assert process.poll() is None
        server.kill()
        _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "TWO:" in told.splitlines()[-1]
    assert "Traceback" not in told
    (journal,) = (tmp_path / "journal").glob("*.jsonl")
    assert f"--resume {journal.stem}" in told

    server.start()
    resumed = beamline(*command, "--resume", journal.stem[:12], "--json", env=environment)
    assert resumed.returncode == 0, resumed.stderr
    file = json.loads(resumed.stdout)["file"]
    assert validate_file(file) == []
    earlier = ScanData.from_journal(journal)
    assert 0 < len(earlier.columns["I0"]) < 20
    assert len(earlier.columns["I0"]) + len(ScanData.from_nexus(file).columns["I0"]) >= 20


def _points(folder):
    with contextlib.suppress(ValueError):
        (journal,) = (folder / "journal").glob("*.jsonl")
        return journal.read_text().count('"event"')
    return 0
