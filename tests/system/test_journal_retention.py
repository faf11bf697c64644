"""Old journals go only when their run is whole in its file and in a real Tiled."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, TiledPublisher
from beamline_ophyd.callbacks.retention import whole_elsewhere
from beamline_ophyd.cli import app
from beamline_ophyd.formats.nexus_read import entries_in
from beamline_ophyd.plans import xafs_scan
from beamline_ophyd.serving import DataFolder
from beamline_ophyd.serving.runs import replay

DEADLINE_S = 60.0


@pytest.fixture
def kept(served, writer, xafs_documents):
    """Journals of four ended runs: whole; in no file; short in Tiled; not in Tiled at all."""
    journal = Journal(served.folder.root.parent / "journal")
    uids = [f"{n}a7d9b1e-0000-4000-8000-00000000000a" for n in range(4)]
    for number, uid in enumerate(uids):
        documents = xafs_documents(uid=uid, start={"user": "Ann"})
        for item in documents:
            journal(*item)
        if number != 1:
            path = served.folder.files / f"{uid[:8]}.nxs"
            ScanData.from_documents(documents).to_nexus(path)
    short = xafs_documents(uid=uids[2])
    del short[-2]
    other = Journal(served.folder.root.parent / "short")
    for item in short:
        other(*item)
    replay(journal.path(uids[0]), writer)
    replay(journal.path(uids[1]), writer)
    replay(other.path(uids[2]), writer)
    return journal, [journal.path(uid) for uid in uids]


def prune(served, *options):
    command = ["prune", "--folder", str(served.folder.root), *map(str, options), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return [Path(path) for path in json.loads(result.stdout)["removed"]]


def test_only_what_is_whole_in_file_and_tiled_goes(served, kept):
    journal, paths = kept
    refused = CliRunner().invoke(app, ["prune", "--folder", str(served.folder.root)])
    assert refused.exit_code == 2
    assert "no limit is set" in refused.output
    assert prune(served, "--keep-days", 1) == []
    assert prune(served, "--keep-days", 0, "--dry-run") == [paths[0]]
    assert all(path.exists() for path in paths)
    # By the settings of the session, with what Tiled lacked sent from the journal.
    (journal.folder.parent / "settings.yml").write_text("journal: {keep_gb: 0}")
    assert prune(served) == [paths[0]]
    assert [path.exists() for path in paths] == [False, True, True, True]
    publisher = TiledPublisher(served.uri, served.keys.writer, journal=journal)
    for item in ScanData.from_journal(paths[3]).run.documents():
        publisher(*item)
    assert publisher.close(DEADLINE_S)
    assert prune(served) == [paths[3]]


def test_nothing_goes_while_tiled_is_away(tmp_path, xafs_documents):
    place = DataFolder.at(tmp_path / "tiled")
    place.files.mkdir(parents=True)
    data = ScanData.from_documents(xafs_documents())
    data.to_nexus(place.files / "a.nxs")
    complete = whole_elsewhere(place)
    assert complete(data.run)  # Tiled has never been there
    place.prepare()
    assert not complete(data.run)
    assert not whole_elsewhere(place, ("http://127.0.0.1:9", "no key"))(data.run)


def test_session_takes_its_settings(begin, tmp_path):
    written = "journal: {folder: kept, leave_out: [user]}\nfiles: {repeats: entries, template: a}\n"
    (tmp_path / "settings.yml").write_text(written)
    session = begin(md={"user": "Ann"})
    detectors = [session.i0, session.it, session.ir]
    short = {"bounds": [-20, 0, 30], "steps": [10, 5], "times": [0.2, 0.2]}
    (uid,) = session.RE(xafs_scan(detectors, session.mono.energy, "Fe-K", repeats=2, **short))
    assert session.wait()
    path = session.files[uid]
    assert path.name == "a.nxs"
    assert entries_in(path) == ["entry", "entry_sweep_1", "entry_sweep_2"]
    assert ScanData.from_file(path).metadata["start"]["user"] == "Ann"
    journal = Path(session.recorded(uid))
    assert journal == tmp_path / "kept" / f"{uid}.jsonl"
    assert "Ann" not in journal.read_text()
    assert session.pruning is not None
    assert session.pruning.close()
    assert session.problems() == []
