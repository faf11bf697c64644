import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal
from beamline_ophyd.serving.lookup import LookupFailedError, find_run, journal_folder


@pytest.fixture
def journals(xafs_documents, tmp_path):
    """A folder with the journals of three runs."""
    journal = Journal(tmp_path / "journal")
    for uid in ("aaa1", "aaa2", "aaa"):
        for item in xafs_documents(uid=uid):
            journal(*item)
    return journal.folder


def test_by_file(xafs_documents, tmp_path, journals):
    data = ScanData.from_documents(xafs_documents(uid="aaa"))
    for path in (data.to_nexus(tmp_path / "a.nxs"), journals / "aaa.jsonl"):
        assert find_run(path) == data
        assert find_run(str(path)) == data


def test_by_uid_and_its_first_letters(journals):
    assert find_run("aaa1", journals=journals).uid == "aaa1"
    assert find_run("aaa", journals=journals).uid == "aaa"
    with pytest.raises(LookupFailedError, match=r"beginning of 3 runs .* add letters"):
        find_run("a", journals=journals)


def test_default_folder_is_that_of_a_session_beside_the_servers(tmp_path, journals):
    assert journal_folder(tmp_path / "tiled") == tmp_path / "journal"
    assert find_run("aaa2", folder=tmp_path / "tiled").uid == "aaa2"


def test_what_is_not_there_says_where_it_was_looked_for(tmp_path, journals):
    with pytest.raises(LookupFailedError, match="there is no file absent"):
        find_run("absent.nxs")
    with pytest.raises(LookupFailedError, match=r"no journal in .* Tiled cannot be asked"):
        find_run("bbb", folder=tmp_path / "tiled")


def test_mapping_is_handed_on(tmp_path, xafs_documents):
    data = ScanData.from_documents(xafs_documents(contract=False, start={"hints": {}}))
    path = data.to_nexus(tmp_path / "a.nxs")
    assert find_run(path).mode is None
    mapping = {"energy": "mono_energy", "i0": "I0", "itrans": "It"}
    assert find_run(path, mapping=mapping).mode == "transmission"
