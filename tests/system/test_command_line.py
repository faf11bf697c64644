"""The commands that are no scan."""

import json

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
