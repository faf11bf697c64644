"""The commands on files, in this process."""

import json
from typing import Any

import h5py
import pandas
import pytest
from typer.testing import CliRunner

from beamline_ophyd import ScanData
from beamline_ophyd.cli import app
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.formats.nexus_read import read_definition
from beamline_ophyd.formats.validate import validate_file


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder: run("export", ...)."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(map(str, arguments)))


@pytest.fixture
def journal(xafs_documents, tmp_path):
    path = tmp_path / "journal" / f"{xafs_documents()[0][1]['uid']}.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(encode_line(*item) for item in xafs_documents(repeats=2)))
    return path


def test_export_chain_from_journal_to_every_form(run, journal, tmp_path):
    data = ScanData.from_journal(journal)
    result = run("export", data.uid[:6], "--journals", journal.parent, "--to", "nxxas", "--json")
    assert result.exit_code == 0, result.output
    path = tmp_path / json.loads(result.stdout)["file"]
    assert path == tmp_path / "00007_Fe_foil_Fe_K_6f2d9b1e.nxs"
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == data

    assert run("export", path, "--to", "xdi", "--out", "a.xdi").exit_code == 0
    assert ScanData.from_file("a.xdi").mu()[0].tobytes() == data.mu()[0].tobytes()

    assert run("export", path, "--to", "csv", "--out", "a.csv").exit_code == 0
    assert len(pandas.read_csv("a.csv", comment="#")) == 24
    assert run("export", "a.xdi", "--to", "csv", "--merged", "--out", "b.csv").exit_code == 0
    assert len(pandas.read_csv("b.csv", comment="#")) == 12

    assert run("export", path, "--to", "parquet").exit_code == 0
    assert len(pandas.read_parquet(path.with_suffix(".parquet"))) == 24


def test_export_by_definition_with_repeats_and_of_one_sweep(run, journal, tmp_path):
    options = ("--definition", "NXxas_trans", "--repeats", "entries", "--out", "a.nxs")
    assert run("export", journal, "--to", "nxxas", *options).exit_code == 0
    assert run("validate", "a.nxs").exit_code == 0
    both = run("validate", "a.nxs", journal, "--json")
    assert both.exit_code == 1
    told = [json.loads(line) for line in both.stdout.splitlines()]
    assert [bool(each["problems"]) for each in told] == [False, True]
    data = ScanData.from_journal(journal)
    assert ScanData.from_file("a.nxs") == data
    with h5py.File("a.nxs") as file:
        for entry in ("entry", "entry_sweep_1", "entry_sweep_2"):
            definition: Any = file[f"{entry}/definition"]
            assert definition.asstr()[()] == "NXxas_trans"

    entry = ("--entry", "entry_sweep_2")
    assert run("export", "a.nxs", *entry, "--to", "csv", "--out", "b.csv").exit_code == 0
    assert run("export", "a.nxs", "--sweep", 2, "--to", "csv", "--out", "c.csv").exit_code == 0
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "c.csv").read_text()
    assert len(pandas.read_csv("b.csv", comment="#")) == 12
    assert run("export", "a.nxs", "--sweep", 1, "--to", "xdi").exit_code == 0
    xdi = ScanData.from_file(tmp_path / "00007_Fe_foil_Fe_K_6f2d9b1e_sweep_1.xdi")
    assert xdi.mu()[0].tobytes() == data.sweeps()[0].mu()[0].tobytes()

    refused = run("export", journal, "--to", "csv", "--entry", "entry_sweep_2", "--out", "d.csv")
    assert "no NeXus (HDF5) file, which alone has entries" in str(refused.exception)
    assert run("replay", journal, "--files", tmp_path, "--repeats", "files").exit_code == 0
    assert len(list(tmp_path.glob("*_sweep_*.nxs"))) == 2


def test_export_replaces_only_when_told_to(run, journal):
    assert run("export", journal, "--to", "csv", "--out", "a.csv").exit_code == 0
    again = run("export", journal, "--to", "csv", "--out", "a.csv")
    assert again.exit_code == 1
    assert "exists already" in str(again.exception)
    assert run("export", journal, "--to", "csv", "--out", "a.csv", "--force").exit_code == 0


def test_what_a_run_does_not_say_comes_from_options(run, tmp_path, xafs_documents):
    start = {"hints": {}, "Mono": {}}
    documents = xafs_documents(contract=False, start=start)
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs")
    told = str(run("export", path, "--to", "xdi").exception)
    assert "give mapping=" in told
    roles = ["--role", "energy=mono_energy", "--role", "i0=I0", "--role", "itrans=It"]
    told = str(run("export", path, "--to", "xdi", *roles).exception)
    assert "Mono.d_spacing" in told
    given = ["--set", "Mono.d_spacing=3.1356", "--set", "Mono.name=Si(111)"]
    assert run("export", path, "--to", "xdi", *roles, *given, "--out", "a.xdi").exit_code == 0
    assert ScanData.from_file("a.xdi").about.families["Mono"]["d_spacing"] == 3.1356


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--role", "energy"], "'energy' is no KEY=VALUE"),
        (["--to", "xdi", "--set", "d_spacing=3"], "'d_spacing' is no FAMILY.KEY"),
        (["--to", "html"], "html"),
    ],
)
def test_options_that_make_no_sense(run, journal, options, words):
    result = run("export", journal, "--to", "csv", *options)
    assert result.exit_code == 2
    assert words in result.output


def test_replay_to_a_file(run, journal, tmp_path):
    (tmp_path / "files").mkdir()
    assert run("replay", journal, "--files", "files").exit_code == 0
    (path,) = (tmp_path / "files").iterdir()
    assert ScanData.from_nexus(path) == ScanData.from_journal(journal)


def test_replay_to_files_as_settings_say_and_their_repair(run, journal, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "settings.yml").write_text("files: {repeats: files, template: a, mode: a}\n")
    folder = ("--folder", tmp_path / "tiled")
    assert run("replay", journal, "--files", "files", *folder).exit_code == 0
    names = ["a.nxs", "a_sweep_1.nxs", "a_sweep_2.nxs"]
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == names
    sweep = tmp_path / "files" / "a_sweep_2.nxs"
    sweep.unlink()
    result = run("repair", tmp_path / "files" / "a.nxs", "--json", *folder)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sweeps"] == [str(sweep)]
    assert ScanData.from_nexus(sweep) == ScanData.from_journal(journal).only_sweep(2)


@pytest.mark.parametrize("by", ["settings", "--role"])
def test_repair_from_the_journal_alone_has_what_the_mapping_gives(
    run, xafs_documents, tmp_path, by
):
    documents = xafs_documents(contract=False)
    journal = tmp_path / "journal" / f"{documents[0][1]['uid']}.jsonl"
    journal.parent.mkdir()
    journal.write_bytes(b"".join(encode_line(*item) for item in documents))
    roles = {"energy": "mono_energy", "i0": "It", "itrans": "I0"}  # whatever the keys are called
    given = []
    if by == "settings":
        settings = {"files": {"mapping": roles, "definition": "NXxas_trans"}}
        (tmp_path / "settings.yml").write_text(json.dumps(settings))
    else:
        given = [word for pair in roles.items() for word in ("--role", "=".join(pair))]
    path = tmp_path / "a.nxs"
    path.write_bytes(b"nothing")
    options = ("--folder", tmp_path / "tiled", "--journals", journal, "--json")
    result = run("repair", path, *options, *given)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["problems"] == []
    assert ScanData.from_nexus(path).mapping == {**roles, "mode": "transmission"}
    assert read_definition(path) == ("NXxas_trans" if by == "settings" else "NXxas")


def test_repair_from_the_journal_and_from_what_is_left(run, journal, tmp_path):
    data = ScanData.from_journal(journal)
    path = data.to_nexus(tmp_path / "a.nxs")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    result = run("repair", path, "--journals", journal.parent, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["journal"] == str(journal)
    assert (said["points"], said["problems"]) == (24, [])
    assert ScanData.from_nexus(path) == data
    result = run("repair", path)
    assert "nothing to repair" in result.stderr

    path.write_bytes(b"nothing")
    result = run("repair", path, "--folder", tmp_path / "elsewhere" / "tiled")
    assert result.exit_code == 1
    assert "no journal of its run is known" in str(result.exception)
