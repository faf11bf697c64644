import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, XDIWriter
from beamline_ophyd.callbacks._worker import DocumentWorker

DEADLINE_S = 60.0


@pytest.fixture
def write(tmp_path):
    """Put documents through a writer: write(documents, **options)."""
    made = []

    def put(documents, **options):
        writer = XDIWriter(tmp_path, **{"template": "{title}", **options})
        made.append(writer)
        for item in documents:
            writer(*item)
        assert writer.wait(DEADLINE_S)
        return writer

    yield put
    for writer in made:
        writer.close(DEADLINE_S)


@pytest.mark.parametrize("status", ["success", "abort", "fail"])
def test_each_absorption_run_gets_a_file_however_it_ended(write, xafs_documents, tmp_path, status):
    documents = xafs_documents(exit_status=status, reason="no beam", taken=8)
    told = []
    writer = write(documents, on_file=lambda *said: told.append(said))
    path = tmp_path / "Fe_foil_Fe_K.xdi"
    assert writer.files == {documents[0][1]["uid"]: path}
    assert told == [(documents[0][1]["uid"], path, documents[0][1])]
    assert writer.problems == []
    data = ScanData.from_xdi(path)
    assert len(data.energy) == 8
    assert data.metadata["stop"]["exit_status"] == status
    assert data.metadata["stop"]["reason"] == "no beam"


def test_taken_name_is_kept_or_replaced(write, xafs_documents, tmp_path):
    (tmp_path / "Fe_foil_Fe_K.xdi").write_text("mine")
    write(xafs_documents())
    assert (tmp_path / "Fe_foil_Fe_K.xdi").read_text() == "mine"
    assert ScanData.from_xdi(tmp_path / "Fe_foil_Fe_K-2.xdi").mode == "transmission"
    write(xafs_documents(), mode="w")
    assert (tmp_path / "Fe_foil_Fe_K.xdi").read_text().startswith("# XDI/1.0")
    assert len(list(tmp_path.iterdir())) == 2


def test_other_runs_get_no_file_and_no_complaint(write, tmp_path):
    writer = write(
        [
            ("start", {"uid": "a", "time": 0.0}),
            ("stop", {"uid": "b", "run_start": "a", "time": 1.0, "exit_status": "success"}),
        ]
    )
    assert list(tmp_path.iterdir()) == []
    assert writer.problems == []


def test_what_a_run_does_not_say_is_asked_for_or_given(write, xafs_documents, tmp_path):
    documents = xafs_documents(start={"Mono": {}})
    writer = write(documents)
    (problem,) = writer.problems
    assert "Mono.d_spacing" in problem.message
    assert "give metadata" in problem.message
    assert list(tmp_path.iterdir()) == []
    assert write(documents, metadata={"Mono": {"d_spacing": 3.1}}).files


def test_mapping_for_a_foreign_plan(write, xafs_documents, tmp_path):
    documents = xafs_documents(contract=False, start={"hints": {}})
    assert write(documents).files == {}
    mapping = {"energy": "mono_energy", "i0": "I0", "itrans": "Ir"}
    (path,) = write(documents, mapping=mapping).files.values()
    np.testing.assert_array_equal(
        ScanData.from_xdi(path).columns["itrans"],
        ScanData.from_documents(documents).columns["Ir"],
    )


def test_folder_that_comes_back_gets_its_file(xafs_documents, tmp_path):
    folder = tmp_path / "away"
    writer = XDIWriter(folder)
    for item in xafs_documents():
        writer(*item)
    assert not writer.wait(DEADLINE_S)
    assert "tried again" in writer.problems[0].message
    folder.mkdir()
    assert writer.close(DEADLINE_S)
    writer._retry()
    assert list(writer.files) == [xafs_documents()[0][1]["uid"]]


def test_dropped_points_come_from_the_journal(xafs_documents, tmp_path, monkeypatch):
    documents = xafs_documents()
    journal = Journal(tmp_path / "journal")
    for item in documents:
        journal(*item)
    monkeypatch.setattr(DocumentWorker, "has_gap", lambda self, run: True)
    for known in (journal, None):
        writer = XDIWriter(tmp_path, journal=known)
        for item in [*documents[:5], documents[-1]]:
            writer(*item)
        assert writer.close(DEADLINE_S)
        (path,) = writer.files.values()
        assert len(ScanData.from_xdi(path).energy) == (12 if known else 3)
        assert bool(writer.problems) is (known is None)


def test_documents_of_no_run_are_reported_not_raised(write):
    writer = write([("event", {"descriptor": "x"})])
    assert "belongs to no run" in writer.problems[0].message


def test_one_file_for_several_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mode is 'a', but an XDI file holds one spectrum"):
        XDIWriter(tmp_path, mode="a")
