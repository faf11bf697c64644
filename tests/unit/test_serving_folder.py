"""The data folder of a Tiled server, and finding a server by it."""

import fcntl
import json
import os
from pathlib import Path

import pytest
from tiled.config import parse_configs

from beamline_ophyd.serving import DataFolder, Keys, ServerError, _lock, connect, default_folder
from beamline_ophyd.serving.client import find_server, split_key


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    for name in ("TILED_API_KEY", "BEAMLINE_TILED_URI", "BEAMLINE_TILED_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


@pytest.fixture
def folder(tmp_path):
    return DataFolder.at(tmp_path / "data")


@pytest.fixture
def lock():
    """Hold the lock of a folder as a server does, or as somebody does who looks for one."""
    held = []

    def take(folder, kind=fcntl.LOCK_EX):
        held.append(os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600))
        fcntl.flock(held[-1], kind | fcntl.LOCK_NB)
        return held[-1]

    yield take
    for descriptor in held:
        os.close(descriptor)


@pytest.fixture
def announce(lock):
    """Do what a server does that runs."""

    def say(folder, uri):
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.state.write_text(json.dumps({"uri": uri, "pid": 1}))
        lock(folder)

    return say


def test_everything_private_is_made_private(folder):
    old = os.umask(0)
    try:
        keys = folder.prepare()
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.root.rglob("*.*")}
    assert modes["writer.key"] == modes["reader.key"] == 0o600
    assert modes["20-authentication.yml"] == 0o600
    assert folder.root.stat().st_mode & 0o777 == 0o700
    assert not list(folder.root.rglob(".*"))
    assert keys.writer != keys.reader
    assert len(bytes.fromhex(keys.writer)) == len(bytes.fromhex(keys.reader)) == 36


def test_preparing_again_changes_nothing(folder):
    keys = folder.prepare()
    config = folder.config / "10-server.yml"
    config.write_text(config.read_text() + "# mine\n")
    assert folder.prepare() == keys
    assert config.read_text().endswith("# mine\n")


def test_two_folders_share_no_secret(tmp_path):
    first, second = (DataFolder.at(tmp_path / name) for name in "ab")
    assert first.prepare() != second.prepare()
    private = "20-authentication.yml"
    assert (first.config / private).read_text() != (second.config / private).read_text()


def test_the_configuration_is_what_it_should_be(folder, monkeypatch):
    folder.prepare()
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    config = parse_configs(folder.config)
    assert config.expose_raw_assets is False
    assert config.authentication.allow_anonymous_access is False
    assert config.authentication.single_user_api_key is None
    assert [len(key) for key in config.authentication.secret_keys or ()] == [64]
    assert config.database is not None
    assert config.database.uri == f"sqlite:///{folder.root}/authentication.db"
    (arguments,) = (tree.args or {} for tree in config.trees or ())
    assert arguments["readable_storage"] == [str(folder.files)]
    assert arguments["uri"] == f"sqlite:///{folder.root}/catalog.db"
    assert "application/json-seq" in config.media_types["BlueskyRun"]
    assert len(config.routers) == 1


def test_a_key_shows_nowhere():
    assert "secret" not in repr(Keys(writer="secret", reader="secret"))


@pytest.mark.parametrize("name", ["writer.key", "config/20-authentication.yml"])
def test_a_secret_that_others_can_read_is_refused(folder, name):
    folder.prepare()
    (folder.root / name).chmod(0o640)
    with pytest.raises(ServerError, match=r"mode 0640.*chmod 600"):
        folder.prepare()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"cannot be used.*choose a folder that you can write"):
        DataFolder.at(tmp_path / "file" / "data").prepare()


@pytest.mark.parametrize("bad", ["a?b", "a#b", "a$b"])
def test_a_path_that_addresses_cannot_hold(tmp_path, bad):
    with pytest.raises(ServerError, match="cannot hold"):
        DataFolder.at(tmp_path / bad).prepare()
    assert not (tmp_path / bad).exists()


@pytest.mark.parametrize("files", [".", "..", "config", "arrays/x"])
def test_the_folder_of_files_never_exposes_the_rest(folder, files):
    with pytest.raises(ServerError, match="choose"):
        DataFolder.at(folder.root, folder.root / files).prepare()


def test_files_may_be_elsewhere(tmp_path):
    folder = DataFolder.at(tmp_path / "data", tmp_path / "files")
    folder.prepare()
    assert (tmp_path / "files").is_dir()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no Tiled server has been started there"),
        ("", "holds no key"),
        ("xyz", "no key"),
        ("ab", "72"),
    ],
)
def test_keys_that_are_not_there(folder, content, message):
    folder.root.mkdir()
    if content is not None:
        (folder.root / "reader.key").write_text(content)
    with pytest.raises(ServerError, match=message):
        folder.key("reader")


def test_the_default_folder(monkeypatch, tmp_path):
    assert default_folder() == tmp_path / "share" / "beamline-ophyd" / "tiled"
    usual = Path.home() / ".local/share/beamline-ophyd/tiled"
    monkeypatch.setenv("XDG_DATA_HOME", "share")  # no absolute path, so that it counts for nothing
    assert default_folder() == usual
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_folder() == usual
    monkeypatch.setenv("BEAMLINE_TILED_FOLDER", str(tmp_path))
    assert default_folder() == tmp_path


def test_a_server_is_found_by_its_folder(folder, announce):
    keys = folder.prepare()
    announce(folder, "http://127.0.0.1:5000")
    root = folder.root
    assert find_server(None, None, root, write=False) == ("http://127.0.0.1:5000", keys.reader)
    assert find_server(None, None, root, write=True) == ("http://127.0.0.1:5000", keys.writer)
    assert find_server("http://other", None, root, write=True) == ("http://other", keys.writer)


def test_the_folder_of_a_session_leads_to_its_servers(tmp_path):
    (tmp_path / "tiled").mkdir()
    assert DataFolder.at(tmp_path).root == tmp_path / "tiled"
    assert DataFolder.at(tmp_path / "tiled").root == tmp_path / "tiled"
    # A server's folder is what it is, whatever else lies in it.
    (tmp_path / "config").mkdir()
    assert DataFolder.at(tmp_path).root == tmp_path


def test_a_server_that_was_killed_does_not_run(folder, lock):
    folder.prepare()
    folder.state.write_text(json.dumps({"uri": "http://127.0.0.1:5000", "pid": 1}))
    assert folder.running() is None
    folder.lock.touch()
    assert folder.running() is None
    with pytest.raises(ServerError, match="no Tiled server runs"):
        find_server(None, None, folder.root, write=False)
    held = lock(folder)
    assert folder.running() == {"uri": "http://127.0.0.1:5000", "pid": 1}
    fcntl.flock(held, fcntl.LOCK_UN)
    assert folder.running() is None


def test_looking_for_a_server_keeps_none_from_starting(folder, lock, monkeypatch):
    folder.prepare()
    folder.state.write_text(json.dumps({"uri": "http://127.0.0.1:5000", "pid": 1}))
    look = lock(folder, fcntl.LOCK_SH)
    waited = []

    def end_looking(seconds):
        waited.append(seconds)
        assert folder.running() is None  # nor does one who looks see another
        fcntl.flock(look, fcntl.LOCK_UN)

    monkeypatch.setattr(_lock.time, "sleep", end_looking)
    held = _lock.take_folder(folder)
    try:
        assert len(waited) == 1
        assert not folder.state.exists()
        with pytest.raises(ServerError, match="already served"):
            _lock.take_folder(folder)
    finally:
        os.close(held)


def test_the_environment_is_asked_and_a_named_folder_goes_before_it(folder, announce, monkeypatch):
    keys = folder.prepare()
    announce(folder, "http://127.0.0.1:5000")
    monkeypatch.setenv("BEAMLINE_TILED_URI", "http://host:80/tiled?api_key=inside")
    assert find_server(None, None, None, write=False) == ("http://host:80/tiled", "inside")
    monkeypatch.setenv("BEAMLINE_TILED_URI", "http://host:80/tiled")
    monkeypatch.setenv("TILED_API_KEY", "abc")
    assert find_server(None, None, None, write=False) == ("http://host:80/tiled", "abc")
    assert find_server(None, "mine", None, write=False)[1] == "mine"
    expected = ("http://127.0.0.1:5000", keys.reader)
    assert find_server(None, None, folder.root, write=False) == expected


def test_the_default_folders_key_is_for_its_own_server_only(announce):
    folder = DataFolder.at()
    keys = folder.prepare()
    announce(folder, "http://127.0.0.1:5000")
    own = find_server("http://127.0.0.1:5000/", None, None, write=False)
    assert own == ("http://127.0.0.1:5000/", keys.reader)
    with pytest.raises(ServerError, match="no key for the Tiled server at http://elsewhere"):
        find_server("http://elsewhere", None, None, write=False)


def test_no_server_is_named_with_the_way_out():
    with pytest.raises(ServerError, match=r"no Tiled server runs over .*beamline tiled"):
        connect()


@pytest.mark.parametrize(
    ("uri", "address", "key"),
    [
        ("http://h:1/", "http://h:1/", None),
        ("http://h:1?api_key=ab", "http://h:1", "ab"),
        ("https://h/api/v1?x=1&api_key=ab#top", "https://h/api/v1", "ab"),
    ],
)
def test_keys_are_taken_out_of_addresses(uri, address, key):
    assert split_key(uri) == (address, key)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_a_public_address_has_to_be_asked_for(tmp_path, host):
    from beamline_ophyd.serving import TiledServer

    server = TiledServer(tmp_path / "data", host=host)
    with pytest.raises(ServerError, match="public=True"):
        server.start()
    assert not (tmp_path / "data").exists()


def test_serving_is_light_to_import():
    import subprocess
    import sys

    code = (
        "import sys, beamline_ophyd.serving as s\n"
        "s.connect, s.TiledServer\n"
        "heavy = {'tiled', 'bluesky', 'httpx', 'numpy', 'h5py'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=150)
