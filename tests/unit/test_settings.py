from pathlib import Path

import pytest

from beamline_ophyd.serving.lookup import journal_folder
from beamline_ophyd.settings import Settings, SettingsError, read_settings

WRITTEN = """
journal:
  folder: elsewhere/journals
  keep_days: 90
  keep_gb: 0.5
  leave_out: [user, Sample.name]
files:
  repeats: entries
  definition: NXxas_trans
"""


def test_defaults_keep_everything_private(tmp_path):
    settings = read_settings(tmp_path)
    assert settings == Settings()
    assert settings.journal.limits == {"keep_days": None, "keep_bytes": None}
    assert settings.journal.place(tmp_path) == tmp_path / "journal"
    assert not settings.journal.group_readable
    assert settings.files.model_dump(exclude_none=True) == {}


@pytest.mark.parametrize("name", ["settings.yml", "other.yml"])
def test_file_is_in_the_sessions_folder_or_named(tmp_path, name):
    (tmp_path / name).write_text(WRITTEN)
    named = None if name == "settings.yml" else tmp_path / name
    settings = read_settings(tmp_path, named)
    assert settings.journal.limits == {"keep_days": 90.0, "keep_bytes": 500_000_000}
    assert settings.journal.leave_out == ("user", "Sample.name")
    assert settings.journal.place(tmp_path) == tmp_path / "elsewhere/journals"
    options = settings.files.model_dump(exclude_none=True)
    assert options == {"repeats": "entries", "definition": "NXxas_trans"}


def test_commands_look_for_journals_where_the_settings_say(tmp_path):
    (tmp_path / "settings.yml").write_text("journal: {folder: /data/journals}")
    assert journal_folder(tmp_path / "tiled") == Path("/data/journals")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("journal: {keep: 3}", "journal.keep: .*; journal has folder, keep_days"),
        ("journal: {keep_days: -1}", "journal.keep_days: .* greater than or equal to 0"),
        ("files: {repeats: both}", "files.repeats: .*'merged', 'entries' or 'files'"),
        ("files: {mapping: {I0: x}}", "mapping has I0; it takes energy, i0, itrans"),
        ("files: {definition: NXxas_x}", "'NXxas_x'; give one of NXxas, NXxas_trans"),
        ("files: {compression: 10}", "files.compression"),
        ("- list", "the file: "),
        ("a: [", "cannot be read"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, written, words):
    (tmp_path / "settings.yml").write_text(written)
    with pytest.raises(SettingsError, match=words):
        read_settings(tmp_path)


def test_named_file_must_be_there(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.yml cannot be read"):
        read_settings(tmp_path, tmp_path / "absent.yml")
