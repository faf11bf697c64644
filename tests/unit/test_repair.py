import signal
import subprocess
import sys
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter
from beamline_ophyd.formats.apart import salvage_files
from beamline_ophyd.formats.nexus_read import read_definition
from beamline_ophyd.formats.problems import ReadError
from beamline_ophyd.formats.salvage import salvage
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.repair import find_journal, repair_file


@pytest.fixture
def kept(xafs_documents, tmp_path):
    """A run's data, file and journal folder: kept(points=12)."""

    def make(**options):
        documents = xafs_documents(**options)
        journal = Journal(tmp_path / "journal")
        for item in documents:
            journal(*item)
        data = ScanData.from_documents(documents)
        return data, data.to_nexus(tmp_path / "a.nxs", compression=4), journal.folder

    return make


def truncate(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def test_whole_file_is_left_alone(kept):
    _, path, folder = kept()
    before = path.read_bytes()
    done = repair_file(path, [folder])
    assert (done.path, done.kept, done.points) == (path, None, 12)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_damaged_file_is_made_again_from_its_journal(kept, share):
    data, path, folder = kept()
    truncate(path, share)
    journals = [folder] if share > 0.5 else [folder / f"{data.uid}.jsonl"]
    done = repair_file(path, journals)
    assert done.path == path
    assert done.kept is not None
    assert done.kept.name == "a.nxs.damaged"
    assert done.source == folder / f"{data.uid}.jsonl"
    assert ScanData.from_nexus(path) == data
    assert validate_file(path) == []


def test_part_of_a_run_whose_process_died(xafs_documents, tmp_path):
    documents = xafs_documents(exit_status=None, taken=9)
    writer = NXxasWriter(tmp_path / "files", template="run", flush_interval=0.01)
    (tmp_path / "files").mkdir()
    journal = Journal(tmp_path / "journal")
    for item in documents[:8]:
        journal(*item)
        writer(*item)
    assert writer.wait(60)
    journal(*documents[8])
    part = tmp_path / "files" / "run.nxs.part"
    (tmp_path / "there.nxs.part").write_bytes(part.read_bytes())
    done = repair_file(tmp_path / "there.nxs.part", [tmp_path / "journal"])
    assert done.path == tmp_path / "there.nxs"
    assert done.points == 7
    assert validate_file(done.path) == []
    # Without the journal, all that was flushed.
    (tmp_path / "again.nxs.part").write_bytes(part.read_bytes())
    done = repair_file(tmp_path / "again.nxs.part")
    assert (done.points, done.source, done.lost) == (6, None, ())
    with h5py.File(done.path) as file:
        status: object = file["entry/bluesky/exit_status"]
        assert isinstance(status, h5py.Dataset)
        assert status.asstr()[()] == "unknown"
    assert writer.close(30)


@pytest.mark.parametrize("with_journal", [True, False])
def test_definition_and_roles_are_those_of_the_damaged_file(xafs_documents, tmp_path, with_journal):
    columns = {"energy": np.linspace(7000.0, 7200.0, 12), "i0": np.full(12, 1e6)}
    documents = xafs_documents(
        contract=False, columns={**columns, "itrans": np.linspace(6e5, 1e5, 12)}
    )
    roles = {"energy": "mono_energy", "i0": "It", "itrans": "I0"}  # whatever the keys are called
    journal = Journal(tmp_path / "journal")
    options = {"definition": "NXxas_trans", "mapping": roles}
    writer = NXxasWriter(tmp_path, template="a", **options)
    for item in documents:
        journal(*item)
        writer(*item)
    assert writer.close(30)
    assert writer.problems == []
    path = tmp_path / "a.nxs"
    whole = ScanData.from_nexus(path)
    with h5py.File(path, "a") as file:
        del file.attrs["default"]
    done = repair_file(path, [journal.folder] if with_journal else [])
    assert (done.source is not None) is with_journal
    again = ScanData.from_nexus(path)
    assert again.mapping == whole.mapping == {**roles, "mode": "transmission"}
    np.testing.assert_array_equal(again.mu()[0], whole.mu()[0])
    assert read_definition(path) == "NXxas_trans"


def test_file_of_another_program_is_left_alone(xafs_documents, tmp_path):
    path = ScanData.from_documents(xafs_documents()).to_nexus(tmp_path / "a.nxs")
    with h5py.File(path, "a") as file:
        del file["entry/bluesky"]
        entry: Any = file["entry"]
        entry.attrs.clear()
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
    done = repair_file(path)
    assert (done.kept, done.points) == (None, 12)


def test_fuller_file_goes_before_a_journal_that_lost_lines(kept):
    data, path, folder = kept()
    journal = folder / f"{data.uid}.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:6]))
    with h5py.File(path, "a") as file:
        file["entry"].attrs["default"] = "nowhere"
    done = repair_file(path, [folder])
    assert (done.source, done.points) == (None, 12)
    assert ScanData.from_nexus(path) == data


def test_taken_name_is_kept(kept):
    data, path, folder = kept()
    part = path.rename(path.with_name("a.nxs.part"))
    truncate(part, 0.9)
    path.write_text("mine")
    done = repair_file(part, [folder])
    assert path.read_text() == "mine"
    assert ScanData.from_nexus(done.path) == data
    assert done.path.name == "a-2.nxs"


def test_file_that_was_cut_off_gives_what_is_before_the_cut(kept):
    data, path, _ = kept(points=9000)
    whole = path.read_bytes()
    found = []
    for share in (0.2, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0):
        path.write_bytes(whole[: int(share * len(whole))])
        try:
            (salvaged,) = salvage(path)
        except ReadError:
            found.append(0)
            continue
        stream = salvaged.run.streams.get("primary")
        found.append(0 if stream is None else len(stream) * len(stream.columns))
        for key, values in ({} if stream is None else stream.columns).items():
            np.testing.assert_array_equal(values, data.columns[key][: len(values)])
        assert bool(salvaged.lost) is (share < 1)
    assert found == sorted(found)
    assert found[-1] == 9000 * 5
    assert found[-2] > 0


def test_lost_column_costs_only_itself(kept):
    data, path, _ = kept()
    with h5py.File(path, "a") as file:
        del file["entry/bluesky/streams/primary/data/It"]
        file["entry/bluesky/streams/primary/data/It"] = "nothing"
        del file["entry/bluesky/documents/start"]
        del file["entry/bluesky/documents/descriptors"]
        del file["entry/bluesky/streams/primary/seq_num"]
    (found,) = salvage(path)
    stream = found.run.streams["primary"]
    assert stream.columns["I0"].tobytes() == data.columns["I0"].tobytes()
    assert "It" not in stream.columns
    assert stream.seq_num.tolist() == list(range(1, 13))
    assert found.run.uid == data.uid
    assert "/entry/bluesky/streams/primary/data/It" in found.lost
    done = repair_file(path)
    assert done.points == 12
    assert validate_file(done.path, application=False) == []


BUSY = """
import sys
from beamline_ophyd.formats import apart
apart.LEAST_S = 0.5
apart._TASKS["salvage"] = lambda path: [turn for turn in iter(int, 1) if turn]
apart._work("salvage", sys.argv[1:])
"""


def test_a_file_that_keeps_hdf5_busy_for_ever_ends_its_process(tmp_path):
    place = tmp_path / "a.nxs"
    place.write_bytes(b"HDF")
    done = subprocess.run([sys.executable, "-c", BUSY, place], timeout=100, check=False)
    assert done.returncode == -signal.SIGXCPU


@pytest.mark.slow("some of the damaged files keep their process busy until its time is up")
@pytest.mark.timeout(600)  # of sixty damaged files one or two may keep their process busy
def test_no_damaged_byte_stops_a_repair(kept, tmp_path):
    _, path, _ = kept()
    whole, random = path.read_bytes(), np.random.default_rng(2)
    places = [tmp_path / f"{number}.nxs" for number in range(60)]
    for place in places:
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 30):
            damaged[at] = random.integers(256)
        place.write_bytes(damaged)
    found = salvage_files(places)
    assert len(found) == len(places)
    assert all(str(saved) for saved in found if isinstance(saved, ReadError))
    runs = [one.run for saved in found if not isinstance(saved, ReadError) for one in saved]
    points = [len(run.streams.get("primary", ())) for run in runs]
    assert max(points) == 12
    # The whole way of one of each kind.
    kinds = {type(saved): place for saved, place in zip(found, places, strict=True)}
    assert repair_file(kinds[list]).points <= 12
    with pytest.raises(ReadError, match="nothing can be read from"):
        repair_file(kinds[ReadError])


def test_what_is_no_hdf5_file_and_has_no_journal(tmp_path):
    (tmp_path / "a.nxs").write_bytes(b"\x89HDF\r\n\x1a\n\x00")
    with pytest.raises(ReadError, match="no journal of its run is known; name its folder"):
        repair_file(tmp_path / "a.nxs")
    assert find_journal(tmp_path / "a.nxs", [tmp_path]) is None
