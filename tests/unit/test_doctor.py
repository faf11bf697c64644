"""What the doctor says of each thing that is wrong, always with what to do."""

import json
import os

import pytest

from beamline_ophyd import doctor
from beamline_ophyd.serving import DataFolder
from beamline_ophyd.serving._lock import take_folder
from beamline_ophyd.simulator import DeviceServerError, free_ports


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch):
    monkeypatch.delenv("BEAMLINE_TILED_URI", raising=False)
    monkeypatch.setenv("DISPLAY", "")


@pytest.fixture
def served(tmp_path):
    folder = DataFolder.at(tmp_path / "tiled")
    folder.prepare()
    return folder


def found(folder):
    """Findings by what they are about; nothing is wrong without a remedy."""
    findings = list(doctor.examine(folder))
    assert all(f.remedy for f in findings if f.state != "ok")
    return {f.what: f for f in findings}


def check(finding, state, said, remedy):
    assert finding.state == state
    assert said in finding.found
    assert remedy in finding.remedy


def test_packages_that_are_missing_and_that_are_too_old(tmp_path, monkeypatch):
    required = ["numpy>=9999", "no-such-package", "h5py; extra == 'never'", "bluesky"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: required)
    said = "required is >=9999; no-such-package is not installed"
    remedy = "pip install --upgrade beamline-ophyd"
    check(found(tmp_path)["packages"], "problem", said, remedy)


def test_a_device_server_that_was_not_built(tmp_path, monkeypatch):
    def executable():
        raise DeviceServerError("it was not built")

    monkeypatch.setattr(doctor, "executable", executable)
    remedy = "only for the simulated beamline: pip install"
    check(found(tmp_path)["device server"], "warning", "it was not built", remedy)


@pytest.mark.parametrize(
    ("limit", "state"), [("ROOM_WARNING_BYTES", "warning"), ("ROOM_PROBLEM_BYTES", "problem")]
)
def test_a_disk_that_is_nearly_full(tmp_path, monkeypatch, limit, state):
    monkeypatch.setattr(doctor, limit, 10**18)
    check(found(tmp_path)["room for data"], state, "GB are free at", "make room")


def test_a_folder_that_cannot_be_written():
    for what in ("folder for data", "folder for files"):
        check(found("/proc/sys")[what], "problem", "/proc/sys", "or name another with --folder")


def test_settings_that_no_session_takes(tmp_path):
    assert "all defaults" in found(tmp_path)["settings"].found
    (tmp_path / "settings.yml").write_text("files: {compression: 11}")
    said, remedy = "compression", f"mend {tmp_path}/settings.yml"
    check(found(tmp_path)["settings"], "problem", said, remedy)


def test_keys_that_others_can_read(tmp_path, served):
    assert "Tiled's keys" not in found(tmp_path)
    key = served.root / "writer.key"
    key.chmod(0o640)
    check(found(tmp_path)["Tiled's keys"], "problem", "mode 0640", f"chmod 600 {key}")


def test_a_server_that_does_not_run_and_one_that_does_not_answer(tmp_path, served):
    remedy = f"beamline tiled --folder {served.root}"
    check(found(tmp_path)["Tiled"], "warning", "no server runs over", remedy)
    held = take_folder(served)
    try:
        state = {"uri": "http://127.0.0.1:9", "pid": os.getpid(), "files": str(served.files)}
        served.state.write_text(json.dumps(state))
        said = "no Tiled server answers at http://127.0.0.1:9"
        check(found(tmp_path)["Tiled"], "problem", said, f"see {served.log}")
    finally:
        os.close(held)


def test_no_display_is_no_trouble_and_says_the_way_out(tmp_path):
    check(found(tmp_path)["display"], "ok", "none", "set DISPLAY")


def test_the_server_that_the_environment_names_is_looked_at(tmp_path, monkeypatch):
    (port,) = free_ports(1)
    monkeypatch.setenv("BEAMLINE_TILED_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("TILED_API_KEY", "00")
    monkeypatch.setenv("BEAMLINE_FILES_FOLDER", str(tmp_path / "facility"))
    findings = found(tmp_path)
    away = f"no Tiled server answers at http://127.0.0.1:{port}"
    check(findings["Tiled"], "problem", away, "BEAMLINE_TILED_URI and TILED_API_KEY")
    assert findings["folder for files"].found.startswith(str(tmp_path / "facility"))
