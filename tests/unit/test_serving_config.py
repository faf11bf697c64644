"""A server's configuration: its own, or a facility's, and what several servers may share."""

from pathlib import Path

import pytest

from beamline_ophyd.serving import DataFolder, ServerError
from beamline_ophyd.serving._config import check_shareable, read_config
from beamline_ophyd.serving._databases import make_ready

FACILITY = Path(__file__).parents[2] / "docs" / "examples" / "facility" / "tiled.yml"
PASSWORD = "not-to-be-told"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BEAMLINE_REDIS", f"redis://:{PASSWORD}@127.0.0.1:1/0")
    monkeypatch.setenv("PGHOST", "db.facility")
    place = DataFolder.at(tmp_path / "data", name="a")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    place.prepare()
    return place


def test_what_is_shipped_for_a_facility_belongs_to_no_process(folder):
    config = read_config(folder, FACILITY)
    check_shareable(config, folder)
    assert config.database.uri == "postgresql://db.facility/beamline_accounts"
    assert config.authentication.allow_anonymous_access is False
    assert config.expose_raw_assets is False
    assert config.trees is not None
    arguments = [tree.args or {} for tree in config.trees]
    assert [found["readable_storage"] for found in arguments] == [[str(folder.files)]]


def test_the_secret_is_the_folders_and_not_the_files(folder):
    secrets = read_config(folder, None).authentication.secret_keys
    assert secrets
    assert read_config(folder, FACILITY).authentication.secret_keys == secrets
    assert secrets[0] in folder.authentication.read_text()


def test_what_is_embedded_is_not_shared(folder):
    with pytest.raises(ServerError) as caught:
        check_shareable(read_config(folder, None), folder)
    assert "the catalogue, tables, the accounts, the stream of running scans" in str(caught.value)
    assert "docs/examples/facility/tiled.yml" in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("connect_timeout: 2", "connect_timeout: soon", r"streaming_cache\.socket_connect_timeout"),
        ("expose_raw_assets: false", "expose_raw_assets: perhaps", "expose_raw_assets"),
        ("catalog:", "kattalog:", "kattalog: Extra"),
        (
            'uri: "postgresql://${PGHOST}/beamline_catalog"',
            "uri: ${NOT_SET_ANYWHERE}",
            "NOT_SET_ANYWHERE",
        ),
        ("catalog:", f"password: [{PASSWORD}", r"cannot be read: .* \(line \d+\)"),
    ],
)
def test_what_is_wrong_is_named_and_no_password_told(folder, tmp_path, before, after, said):
    file = tmp_path / "mine.yml"
    text = FACILITY.read_text().replace("${BEAMLINE_REDIS}", "redis://x")
    assert before in text
    text = text.replace(before, after) + f"\nallow_origins: {{password: {PASSWORD}}}\n"
    file.write_text(text)
    with pytest.raises(ServerError, match=said) as caught:
        read_config(folder, file)
    assert str(file) in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_file_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(ServerError, match=r"missing\.yml cannot be read"):
        read_config(folder, tmp_path / "missing.yml")


def test_sections_that_are_said_twice_are_named(folder):
    (folder.config / "30-more.yml").write_text("expose_raw_assets: true\n")
    with pytest.raises(ServerError, match=r"expose_raw_assets in 30-more\.yml is in another"):
        read_config(folder, None)


def test_a_database_that_does_not_answer_is_named(folder, monkeypatch):
    for name, value in {"PGHOST": "127.0.0.1", "PGPORT": "1", "PGPASSWORD": PASSWORD}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServerError, match=r"PostgreSQL cannot be used: .*PGHOST") as caught:
        make_ready(read_config(folder, FACILITY), folder.prepare())
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("name", ["../a", "a b", "a.b", "x" * 41])
def test_a_name_is_part_of_a_files_name(tmp_path, name):
    with pytest.raises(ServerError, match="cannot be called"):
        DataFolder.at(tmp_path, name=name)


def test_servers_of_one_folder_have_their_own_state_and_the_same_keys(folder):
    other = DataFolder.at(folder.root, name="b")
    assert other.prepare(embedded=False) == folder.prepare()
    for own in ("log", "lock", "state"):
        assert getattr(other, own) != getattr(folder, own)
