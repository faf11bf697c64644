"""Files of the sweeps of a spectrum on a real Tiled server, beside the file of their run."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter, TiledPublisher
from beamline_ophyd.cli import app
from beamline_ophyd.serving import ServerError
from beamline_ophyd.serving.registering import register_missing
from beamline_ophyd.serving.runs import replay

UID = "5f2d9b1e-0000-4000-8000-000000000003"
SWEEPS = 3
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """Where the run can be read again."""
    journal = Journal(tmp_path_factory.mktemp("journal"))
    yield journal
    journal.close()


@pytest.fixture(scope="module")
def data(served, journal, xafs_documents):
    """A run that went through the callbacks of a session, each sweep with a file of its own."""
    documents = xafs_documents(points=40, repeats=SWEEPS, uid=UID)
    publisher = TiledPublisher(served.uri, served.keys.writer, journal=journal)
    files = NXxasWriter(
        served.folder.files,
        template="{uid8}",
        repeats="files",
        on_file=publisher.register_file,
        on_sweep_file=publisher.register_sweep_file,
    )
    for item in documents:
        for callback in (journal, files, publisher):
            callback(*item)
    assert files.close(DEADLINE_S)
    assert publisher.close(DEADLINE_S)
    assert (files.problems, publisher.problems) == ([], [])
    assert publisher.registered == (UID, *(f"{UID}_sweep_{n}" for n in (1, 2, 3)))
    return ScanData.from_documents(documents)


def linked(reader):
    """What a run says of its files."""
    about = reader.runs[UID].metadata
    return {name: about.get(name) for name in ("files", "downloads", "sweeps")}


def test_each_file_of_a_sweep_is_a_tree_beside_that_of_the_run(reader, data):
    run = reader.runs[UID]
    np.testing.assert_array_equal(run.nexus()["entry/intensity"].read(), data.mu()[0])
    for number, spectrum in enumerate(data.sweeps(), start=1):
        entry = run.nexus(sweep=number)["entry"]
        np.testing.assert_array_equal(entry["intensity"].read(), spectrum.mu()[0])
        assert entry["bluesky/sweep"].read().item() == number
    with pytest.raises(LookupError, match=f"no NXxas file of sweep 4 of run {UID}"):
        run.nexus(sweep=4)


def test_a_run_and_the_files_of_its_sweeps_name_each_other(reader, data):
    found = linked(reader)
    assert found["files"] == {"NXxas": f"files/{UID}"}
    assert sorted(found["sweeps"]) == ["1", "2", "3"]
    for number, words in found["sweeps"].items():
        node = reader.root[words["file"]]
        assert (node.metadata["run_uid"], node.metadata["sweep"]) == (UID, int(number))
        assert words["download"] == f"/api/v1/download/{UID}_sweep_{number}/nxs"


def test_the_file_of_a_sweep_is_sent_as_it_is_on_disk(served, reader, data, tmp_path):
    path = reader.download(UID, to=tmp_path, sweep=2)
    assert path.name == "5f2d9b1e_sweep_2.nxs"
    assert path.read_bytes() == (served.folder.files / path.name).read_bytes()
    assert ScanData.from_file(path) == data.only_sweep(2)
    with pytest.raises(ServerError, match=f"no nxs of run {UID}_sweep_4"):
        reader.download(UID, to=tmp_path, sweep=4)


def test_a_run_that_is_sent_again_has_its_links_again(writer, reader, journal, data):
    before = linked(reader)
    assert replay(journal.path(UID), writer, force=True) == [UID]
    assert linked(reader) == before
    np.testing.assert_array_equal(reader.runs[UID].mu(), data.mu()[0])


@pytest.mark.slow("two commands, each of which judges files in a process of its own")
def test_a_repair_registers_what_a_killed_session_did_not(
    served, writer, reader, journal, xafs_documents
):
    uid = "5f2d9b1e-0000-4000-8000-000000000004"
    publisher = TiledPublisher(served.uri, served.keys.writer, journal=journal)
    files = NXxasWriter(served.folder.files, template="killed", repeats="files")
    for item in xafs_documents(points=40, repeats=2, uid=uid):
        for callback in (journal, files, publisher):
            callback(*item)
    assert files.close(DEADLINE_S)
    assert publisher.close(DEADLINE_S)
    assert publisher.registered == ()
    path, runner = files.files[uid], CliRunner()
    options = ["--folder", str(served.folder.root), "--journals", str(journal.folder), "--json"]

    def registered(file):
        result = runner.invoke(app, ["repair", str(file), *options])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["registered"]

    (second,) = (place for place in files.sweep_files[uid] if place.stem.endswith("_2"))
    assert registered(second) == [f"{uid}_sweep_2"]
    assert registered(path) == [uid, f"{uid}_sweep_1"]
    assert register_missing(writer.root, path) == []
    about = reader.runs[uid].metadata
    assert about["files"] == {"NXxas": f"files/{uid}"}
    assert sorted(about["sweeps"]) == ["1", "2"]
    for number, place in ((None, path), (2, second)):
        node = reader.runs[uid].nexus(sweep=number)
        assert node.metadata["run_uid"] == uid
        mu, _ = ScanData.from_nexus(place).mu()
        np.testing.assert_array_equal(node["entry/intensity"].read(), mu)
