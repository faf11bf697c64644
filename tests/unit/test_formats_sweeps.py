"""Each repeat of a spectrum as an entry of the file, or as a file of its own."""

import datetime as dt
import shutil
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter
from beamline_ophyd.callbacks.nxxas import rebuild
from beamline_ophyd.formats.earlier import look_in
from beamline_ophyd.formats.nexus_read import entries_in, read_definition
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.repair import repair_file

from ..runs import BEGAN, numbered

DEADLINE_S = 60.0
POINTS = 6


def opened(path) -> Any:
    return h5py.File(path)


def retaken(make, uid="3f2d9b1e-0000-4000-8000-000000000001", **options):
    """Three sweeps, of which the second has a point taken twice and the third ends early."""
    points = [*range(6), 6, 7, 7, 8, 9, 10, 11, 12, 13]
    documents = make(POINTS, 3, taken=len(points), uid=uid, **options)
    return numbered(documents, points, ["", *[""] * 6, "beam lost", *[""] * 7])


def resumed(make):
    """The run that takes the rest of the third sweep."""
    uid = "4f2d9b1e-0000-4000-8000-000000000002"
    documents = make(POINTS, 3, taken=4, uid=uid, seed=8)
    before = "3f2d9b1e-0000-4000-8000-000000000001"
    return numbered(documents, [14, 15, 16, 17], continues=before, first_point=14)


def write(folder, *runs, **options):
    """Files of runs, and the writer."""
    folder.mkdir(exist_ok=True)
    writer = NXxasWriter(folder, **{"template": "{uid8}", **options})
    for documents in runs:
        for item in documents:
            writer(*item)
        assert writer.wait(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    assert writer.problems == []
    return writer


def test_repeats_are_entries_of_the_file_while_the_run_goes_on(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    writer = NXxasWriter(tmp_path, template="a", repeats="entries", flush_interval=0.01)
    for item in documents[: 2 + 8]:
        writer(*item)
    assert writer.wait(DEADLINE_S)
    with opened(tmp_path / "a.nxs.part") as file:
        assert sorted(file) == ["entry", "entry_sweep_1", "entry_sweep_2"]
        assert file["entry_sweep_1/energy"].shape == (POINTS,)
        assert file["entry_sweep_2/energy"].shape == (1,)  # the other one is bad
    for item in documents[2 + 8 :]:
        writer(*item)
    assert writer.close(DEADLINE_S)
    assert writer.problems == []
    path = writer.files["3f2d9b1e-0000-4000-8000-000000000001"]
    assert path == tmp_path / "a.nxs"
    assert [p.name for p in tmp_path.iterdir()] == ["a.nxs"]
    assert validate_file(path) == []
    assert entries_in(path) == ["entry", *(f"entry_sweep_{n}" for n in (1, 2, 3))]


def test_entry_of_a_sweep_is_whole_in_itself(xafs_documents, tmp_path):
    data = ScanData.from_documents(retaken(xafs_documents))
    path = data.to_nexus(tmp_path / "a.nxs", repeats="entries")
    assert validate_file(path) == []
    assert ScanData.from_file(path) == data
    assert data.sweep_numbers == [1, 2, 3]
    with opened(path) as file:
        assert file.attrs["default"] == "entry"
        for number, spectrum in enumerate(data.sweeps(), start=1):
            entry = file[f"entry_sweep_{number}"]
            assert entry["definition"].asstr()[()] == "NXxas"
            title = "Fe foil, Fe K edge, sweep"
            assert entry["title"].asstr()[()] == f"{title} {number} of 3"
            np.testing.assert_array_equal(entry["energy"], spectrum.energy_ev)
            np.testing.assert_array_equal(entry["intensity"], spectrum.mu()[0])
            np.testing.assert_array_equal(entry["intensity_errors"], spectrum.mu()[1])
            assert entry["bluesky/sweep"][()] == number
            own = ScanData.from_file(path, entry=f"entry_sweep_{number}")
            assert own == data.only_sweep(number)
            assert own.sweep == number
        # Of the second sweep the event that was bad is there, and does not count.
        assert len(file["entry_sweep_2/bluesky/streams/primary/seq_num"]) == 7
        parameters = [file[f"entry_sweep_{n}/process/parameters"] for n in (1, 3)]
        assert [p["missing_points"][()].tolist() for p in parameters] == [[], [14, 15, 16, 17]]
        times = [
            dt.datetime.fromisoformat(file[f"entry_sweep_2/{name}"].asstr()[()]).timestamp()
            for name in ("start_time", "end_time")
        ]
    # From the opening of the gate, 0.5 s before the seventh event, to the thirteenth.
    assert times == pytest.approx([BEGAN + 7 * 0.6 - 0.5, BEGAN + 13 * 0.6])


def test_sweep_written_by_itself_is_the_same_sweep(xafs_documents, tmp_path):
    sweep = ScanData.from_documents(retaken(xafs_documents)).only_sweep(2)
    path = sweep.to_nexus(tmp_path / "a.nxs", repeats="entries")
    assert validate_file(path) == []
    assert entries_in(path) == ["entry"]
    assert ScanData.from_file(path) == sweep
    assert sweep.missing_points.tolist() == []
    assert sweep.merged().index.tolist() == list(range(POINTS))
    assert len(sweep.to_dataframe()) == 7
    with pytest.raises(ValueError, match=r"sweep 4 of run .* has no point; there are 2"):
        sweep.only_sweep(4)


def test_repeats_as_files(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    data = ScanData.from_documents(documents)
    writer = write(tmp_path, documents, repeats="files")
    assert ScanData.from_file(writer.files[data.uid]) == data
    paths = writer.sweep_files[data.uid]
    assert [path.name for path in paths] == [f"3f2d9b1e_sweep_{n}.nxs" for n in (1, 2, 3)]
    for number, path in enumerate(paths, start=1):
        assert validate_file(path) == []
        assert ScanData.from_file(path) == data.only_sweep(number)
    assert sorted(tmp_path.iterdir()) == sorted([writer.files[data.uid], *paths])
    # A name that is taken stays; a run is not taken for one of its sweeps.
    again = write(tmp_path, documents, repeats="files")
    assert again.files[data.uid].name == "3f2d9b1e-2.nxs"
    assert again.sweep_files[data.uid][0].name == "3f2d9b1e-2_sweep_1.nxs"
    for path in (*writer.files.values(), *again.files.values()):
        path.unlink()
    assert look_in([tmp_path])(data.uid) == ()


@pytest.mark.parametrize("repeats", ["entries", "files"])
def test_sweeps_of_a_resumed_run_are_joined(xafs_documents, tmp_path, repeats):
    first, second = retaken(xafs_documents, exit_status="abort"), resumed(xafs_documents)
    writer = write(tmp_path, first, second, repeats=repeats)
    joined = ScanData.from_documents(second).joined(ScanData.from_documents(first))
    uid = joined.uid
    assert joined.missing_points.tolist() == []
    for number in (1, 2, 3):
        if repeats == "entries":
            found = ScanData.from_file(writer.files[uid], entry=f"entry_sweep_{number}")
        else:
            found = ScanData.from_file(writer.sweep_files[uid][number - 1])
        assert found == joined.only_sweep(number)
        assert found.missing_points.tolist() == []
        assert len(found.energy) == POINTS
    # Found again among files of which those of sweeps hold only a part of it.
    assert [run.uid for run in look_in([tmp_path])(uid)] == [first[0][1]["uid"], uid]
    assert len(look_in([tmp_path])(uid)[0].streams["primary"]) == 15


def test_runs_with_their_repeats_in_one_file(xafs_documents, tmp_path):
    uids = [f"{n}f2d9b1e-0000-4000-8000-000000000001" for n in (3, 4)]
    runs = [retaken(xafs_documents, uid=uid, seed=n) for n, uid in enumerate(uids)]
    writer = write(tmp_path, *runs, template="{sample}", mode="a", repeats="entries")
    (path,) = set(writer.files.values())
    assert validate_file(path) == []
    both = [ScanData.from_documents(documents) for documents in runs]
    for entry, data in zip(("entry", "entry_1"), both, strict=True):
        assert ScanData.from_nexus(path, entry=entry) == data
        sweep = ScanData.from_nexus(path, entry=f"{entry}_sweep_3")
        assert sweep == data.only_sweep(3)
    with opened(path) as file:
        assert len(file) == 8
        assert file["entry_1_sweep_2/energy"].attrs["target"] == "/entry_1_sweep_2/energy"
        assert file["entry_1_sweep_2/data/energy"] == file["entry_1_sweep_2/energy"]


@pytest.mark.parametrize("with_journal", [True, False])
def test_repair_brings_back_all_runs_and_their_sweeps(xafs_documents, tmp_path, with_journal):
    uids = [f"{n}f2d9b1e-0000-4000-8000-000000000001" for n in (3, 4)]
    runs = [retaken(xafs_documents, uid=uid, seed=n) for n, uid in enumerate(uids)]
    path = tmp_path / "a.nxs"
    journal = Journal(tmp_path / "journal")
    for documents in runs:
        ScanData.from_documents(documents).to_nexus(path, mode="a", repeats="entries")
        for item in documents:
            journal(*item)
    whole = entries_in(path)
    if with_journal:
        path.write_bytes(path.read_bytes()[:-5000])
    else:
        with h5py.File(path, "a") as file:
            del file.attrs["default"]
    done = repair_file(path, [journal.folder] if with_journal else [])
    assert done.path == path
    assert (done.points, done.lost) == (30, ())
    assert len(done.sources) == (2 if with_journal else 0)
    assert entries_in(path) == whole
    assert validate_file(path) == []
    for entry, documents in zip(("entry", "entry_1"), runs, strict=True):
        assert ScanData.from_nexus(path, entry=entry) == ScanData.from_documents(documents)


def test_repair_of_the_file_of_a_sweep_and_of_a_resumed_run(xafs_documents, tmp_path):
    first, second = retaken(xafs_documents, exit_status="abort"), resumed(xafs_documents)
    joined = ScanData.from_documents(second).joined(ScanData.from_documents(first))
    for number, data in enumerate((joined, joined.only_sweep(3))):
        path = data.to_nexus(tmp_path / f"{number}.nxs")
        with h5py.File(path, "a") as file:
            del file.attrs["default"]
        repair_file(path)
        assert validate_file(path) == []
        assert ScanData.from_file(path) == data


@pytest.mark.slow("every damaged file is read in processes of its own")
def test_repair_brings_back_the_files_of_sweeps(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    data = ScanData.from_documents(documents)
    journal = Journal(tmp_path / "journal")
    for item in documents:
        journal(*item)
    writer = write(tmp_path / "files", documents, repeats="files", definition="NXxas_trans")
    path, sweeps = writer.files[data.uid], writer.sweep_files[data.uid]
    whole = path.read_bytes()
    sweeps[0].unlink()
    sweeps[1].write_bytes(sweeps[1].read_bytes()[:-3000])
    done = repair_file(path)
    assert (done.kept, done.sweeps) == (None, sweeps[:2])
    assert path.read_bytes() == whole
    for number, place in enumerate(sweeps, start=1):
        assert ScanData.from_file(place) == data.only_sweep(number)
        assert read_definition(place) == "NXxas_trans"
        assert validate_file(place) == []
    # The run's own file lost, and with it two of those of its sweeps.
    sweeps[0].unlink()
    sweeps[2].write_text("mine")
    path.write_bytes(whole[:-5000])
    done = repair_file(path, [journal.folder])
    assert (done.path, done.points, done.sweeps) == (path, 15, (sweeps[0], sweeps[2]))
    assert read_definition(path) == "NXxas_trans"
    assert ScanData.from_file(path) == data
    assert [ScanData.from_file(place) for place in sweeps] == [
        data.only_sweep(number) for number in (1, 2, 3)
    ]
    assert repair_file(path) == replace(done, kept=None, sources=(), sweeps=())


def test_part_of_a_run_with_files_of_sweeps(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    writer = NXxasWriter(tmp_path, template="a", repeats="files", flush_interval=0.01)
    for item in documents[:-1]:
        writer(*item)
    assert writer.wait(DEADLINE_S)
    assert [place.name for place in tmp_path.iterdir()] == ["a.nxs.part"]
    (tmp_path / "dead").mkdir()
    part = shutil.copy(tmp_path / "a.nxs.part", tmp_path / "dead")
    assert writer.close(DEADLINE_S)
    done = repair_file(part)
    assert [place.name for place in done.sweeps] == [f"a_sweep_{n}.nxs" for n in (1, 2, 3)]
    for number, place in enumerate(done.sweeps, start=1):
        assert ScanData.from_file(place) == ScanData.from_file(done.path).only_sweep(number)


def test_file_of_a_sweep_of_which_nothing_is_left(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    data = ScanData.from_documents(documents)
    journal = Journal(tmp_path / "journal")
    for item in documents:
        journal(*item)
    path = tmp_path / "a_sweep_2.nxs"
    path.write_bytes(b"")
    done = repair_file(path, [journal.path(data.uid)])
    assert done.points == 7
    assert ScanData.from_file(path) == data.only_sweep(2)


def test_file_of_another_run_in_place_of_a_sweep_stays(xafs_documents, tmp_path):
    data, other = (ScanData.from_documents(retaken(xafs_documents, uid=u)) for u in ("a", "b"))
    path = data.to_nexus(tmp_path / "a.nxs", repeats="files")
    place = other.to_nexus(tmp_path / "a_sweep_2.nxs", mode="w")
    assert repair_file(path).sweeps == (tmp_path / "a_sweep_2-2.nxs",)
    assert ScanData.from_file(place) == other


def test_rebuild_with_repeats(xafs_documents, tmp_path):
    documents = retaken(xafs_documents)
    journal = Journal(tmp_path / "journal")
    for item in documents:
        journal(*item)
    uid = documents[0][1]["uid"]
    path = rebuild(journal.path(uid), tmp_path, repeats="files")
    assert validate_file(path) == []
    assert len(list(tmp_path.glob("*_sweep_*.nxs"))) == 3


@pytest.mark.parametrize("options", [{"repeats": 1}, {"repeats": 3, "contract": False}])
def test_run_without_repeats_has_one_entry(xafs_documents, tmp_path, options):
    documents = xafs_documents(POINTS, **options)
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs", repeats="entries")
    assert entries_in(path) == ["entry"]


def test_existing_file_of_a_sweep_is_kept(xafs_documents, tmp_path):
    data = ScanData.from_documents(retaken(xafs_documents))
    (tmp_path / "a_sweep_2.nxs").write_text("mine")
    with pytest.raises(OSError, match=r"a_sweep_2\.nxs exists already"):
        data.to_nexus(tmp_path / "a.nxs", repeats="files")
    assert [path.name for path in tmp_path.iterdir()] == ["a_sweep_2.nxs"]
    data.to_nexus(tmp_path / "a.nxs", repeats="files", mode="w")
    assert ScanData.from_file(tmp_path / "a_sweep_2.nxs").sweep == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repeats": "both"}, "repeats is 'both'; give one of 'merged', 'entries', 'files'"),
        ({"repeats": "files", "mode": "a"}, "give repeats 'entries'"),
    ],
)
def test_options_that_make_no_sense(xafs_documents, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        NXxasWriter(tmp_path, **options)
    with pytest.raises(ValueError, match=words):
        ScanData.from_documents(xafs_documents()).to_nexus(tmp_path / "a.nxs", **options)
