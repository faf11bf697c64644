"""The commands that are no scan."""

import json
import os
from importlib.metadata import version

import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.serving import TiledServer, connect


@pytest.mark.slow("four processes that load Tiled")
def test_replay_puts_a_journal_into_tiled_once(beamline, tmp_path, xafs_documents):
    documents = xafs_documents(points=20)
    journal = tmp_path / "run.jsonl"
    journal.write_bytes(b"".join(encode_line(name, doc) for name, doc in documents))
    uid = documents[0][1]["uid"]
    with TiledServer(tmp_path / "tiled") as server:
        for _ in range(2):
            result = beamline("replay", journal, "--folder", tmp_path / "tiled")
            assert result.returncode == 0, result.stderr
            assert f"{uid} is in Tiled at {server.uri}" in result.stderr
        with connect(server.uri, server.keys.reader) as client:
            assert list(client.runs) == [uid]
            assert len(client.runs[uid]["primary"].read()["I0"]) == 20
        # Not from a journal: the folder of journals beside the server's is not there.
        xdi = tmp_path / "a.xdi"
        result = beamline(
            "export", uid, "--to", "xdi", "--out", xdi, "--folder", server.folder.root
        )
        assert result.returncode == 0, result.stderr
        assert ScanData.from_xdi(xdi).mu()[0].tobytes() == (
            ScanData.from_documents(documents).mu()[0].tobytes()
        )


def test_validate_tells_what_is_wrong(beamline, tmp_path):
    file = tmp_path / "no.nxs"
    file.write_text("nothing of the kind")
    result = beamline("validate", file, "--json")
    assert result.returncode == 1
    assert len(json.loads(result.stdout)["problems"]) >= 1


def doctor(beamline, *options, **environment):
    result = beamline("doctor", "--json", *options, env={**os.environ, **environment})
    return result.returncode, {each["what"]: each for each in json.loads(result.stdout)}


@pytest.mark.slow("processes that load all there is")
def test_the_doctor_finds_a_beamline_well(beamline, ioc, tmp_path):
    with TiledServer(tmp_path / "tiled") as server:
        status, found = doctor(beamline, "--folder", tmp_path, "--timeout", "30")
        assert status == 0, found
        assert {each["state"] for each in found.values()} == {"ok"}
        assert f"at {server.uri}, with 0 runs" in found["Tiled"]["found"]
        named = {"BEAMLINE_TILED_URI": server.uri, "TILED_API_KEY": server.keys.writer}
        _, elsewhere = doctor(beamline, "--folder", tmp_path / "other", **named)
        assert elsewhere["Tiled"] == found["Tiled"]
        assert f"bluesky {version('bluesky')}" in found["packages"]["found"]
        assert "GB are free" in found["room for data"]["found"]
        assert "answer for BL02:" in found["devices"]["found"]
    (tmp_path / "tiled/writer.key").chmod(0o644)
    status, found = doctor(beamline, "--folder", tmp_path)
    assert status == 1
    assert found["Tiled's keys"]["remedy"] == f"chmod 600 {tmp_path}/tiled/writer.key"
    assert found["Tiled"]["remedy"] == f"beamline tiled --folder {tmp_path}/tiled"


@pytest.mark.slow("a process that loads all there is")
def test_the_doctor_has_a_remedy_for_each_problem(beamline):
    status, found = doctor(beamline, "--folder", "/proc/sys", "--prefix", "GONE:", "--timeout", "1")
    assert status == 1
    problems = {what for what, each in found.items() if each["state"] == "problem"}
    assert {"folder for data", "folder for files", "devices"} <= problems
    assert all(found[what]["remedy"] for what in problems)
    assert "mono" in found["devices"]["found"]
    assert "/proc/sys cannot be written" in found["folder for data"]["found"]


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "ioc",
        "tiled",
        "up",
        "shell",
        "scan",
        "devices",
        "status",
        "doctor",
        "validate",
        "replay",
        "export",
        "repair",
    ],
)
def test_every_command_has_help(beamline, command):
    result = beamline(command, "--help")
    assert result.returncode == 0
    assert len((result.stdout + result.stderr).splitlines()) > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ioc", "--port", "nonsense"], "nonsense"),
        (["tiled", "--host", "192.0.2.1"], "not a loopback address"),
        (["replay", "/nonexistent.jsonl", "--uri", "http://127.0.0.1:9"], "127.0.0.1:9"),
    ],
)
def test_bad_options_are_told_in_a_line(beamline, tmp_path, arguments, words):
    result = beamline(*arguments, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert result.returncode != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr
