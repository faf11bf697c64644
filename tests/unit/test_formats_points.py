"""Points numbered, marked and joined over runs, by what XAFSContract says."""

from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import Journal, NXxasWriter
from beamline_ophyd.callbacks.nxxas import rebuild
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.formats.validate import validate_file

from ..runs import numbered

DEADLINE_S = 60.0
POINTS = 6


def readings(documents, key="I0"):
    return [doc["data"][key] for name, doc in documents if name == "event"]


def stopped_and_resumed(make):
    """A run of two sweeps that stopped in its second, and the run that takes the rest.

    Point 3 of the first was bad, and is taken again by the second, which finds its own point 8
    bad at first. Point 11 nobody takes well.
    """
    first = make(POINTS, 2, taken=8, uid="first", exit_status="abort", seed=3)
    first = numbered(first, list(range(8)), ["", "", "", "beam lost", "", "", "", ""])
    second = make(POINTS, 2, taken=6, uid="second", seed=4)
    marks = ["", "ring current jumped", "", "", "", "beam lost"]
    second = numbered(second, [3, 8, 8, 9, 10, 11], marks, continues="first", first_point=8)
    return first, second


def test_last_good_event_of_each_point_counts(xafs_documents):
    documents = xafs_documents(POINTS, taken=6, seed=2)
    documents = numbered(documents, [0, 1, 1, 2, 2, 5], ["", "", "", "", "beam lost", ""])
    found = ScanData.from_documents(documents)
    taken = readings(documents)
    merged = found.merged()
    assert merged.index.tolist() == [0, 1, 2, 5]
    assert merged.channels["i0"].tolist() == [taken[0], taken[2], taken[3], taken[5]]
    assert found.missing_points.tolist() == [3, 4]
    assert len(found.columns["I0"]) == 6  # every point taken stays


def test_point_without_a_good_event_is_missing(xafs_documents):
    documents = numbered(xafs_documents(POINTS), range(POINTS), ["dark"] * 2 + [""] * 4)
    merged = ScanData.from_documents(documents).merged()
    assert merged.index.tolist() == [2, 3, 4, 5]
    assert np.isfinite(merged.mu()[0]).all()


def test_numbers_follow_from_first_point_where_no_key_has_them(xafs_documents):
    documents = xafs_documents(POINTS, 2, taken=4)
    documents[0][1]["xafs"]["first_point"] = 8
    found = ScanData.from_documents(documents)
    assert found.merged().index.tolist() == [2, 3, 4, 5]
    assert found.missing_points.tolist() == list(range(8))


@pytest.mark.parametrize("point", [-1, 12, float("nan"), float("inf"), None])
def test_number_that_is_no_point_of_the_grid_does_not_count(xafs_documents, point):
    documents = numbered(xafs_documents(POINTS, 2, taken=3), [0, point, 2])
    found = ScanData.from_documents(documents)
    assert found.merged().index.tolist() == [0, 2]
    assert len(found.columns["I0"]) == 3


def test_marks_of_all_kinds_in_one_column(xafs_documents):
    documents = numbered(xafs_documents(POINTS), range(POINTS), ["", 1, None, "", {"bad": 1}, ""])
    merged = ScanData.from_documents(documents).merged()
    assert merged.index.tolist() == [0, 2, 3, 5]


def test_later_runs_good_events_count_before_the_earlier(xafs_documents):
    first, second = stopped_and_resumed(xafs_documents)
    early, late = ScanData.from_documents(first), ScanData.from_documents(second)
    assert early.missing_points.tolist() == [3, 8, 9, 10, 11]
    joined = late.joined(early)
    assert joined.missing_points.tolist() == [11]
    a, b = readings(first), readings(second)
    merged = joined.merged()
    # Points 0 to 5 and 6 to 11 are the same energies.
    expected = [a[0] + a[6], a[1] + a[7], a[2] + b[2], b[0] + b[3], a[4] + b[4], a[5]]
    assert merged.channels["i0"].tolist() == expected
    assert merged.merged.tolist() == [2, 2, 2, 2, 2, 1]
    assert late.merged().index.tolist() == [2, 3, 4]
    assert late.merged().merged.tolist() == [1, 2, 1]
    assert joined != late
    assert joined == ScanData.from_documents(second).joined(ScanData.from_documents(first))


def test_chain_of_three_runs(xafs_documents):
    runs = []
    for count, points in enumerate(([0, 1, 2], [2, 3], [3, 4, 5])):
        before = f"r{count - 1}" if count else None
        documents = xafs_documents(POINTS, taken=len(points), uid=f"r{count}", seed=count)
        runs.append(numbered(documents, points, continues=before))
    data = [ScanData.from_documents(documents) for documents in runs]
    joined = data[2].joined(data[0], data[1])
    assert [run.uid for run in joined.earlier] == ["r0", "r1"]
    i0 = [readings(documents) for documents in runs]
    assert joined.merged().channels["i0"].tolist() == [*i0[0][:2], i0[1][0], *i0[2]]
    assert data[2].joined(data[1].joined(data[0])) == joined
    with pytest.raises(ValueError, match="continues run r0, of which neither a journal nor"):
        data[2].joined(data[1])


def test_run_that_continues_itself(xafs_documents):
    documents = numbered(xafs_documents(POINTS, uid="a"), range(POINTS), continues="a")
    with pytest.raises(ValueError, match="continues itself"):
        ScanData.from_documents(documents).joined()


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"points_per_sweep": 7}, "7 points a sweep"),
        ({"grid": {"edge": "Fe-K"}}, "grid is another"),
        ({"e0_shift_ev": 2.0}, "e0_shift is 2.0 eV"),
        ({"mode": "fluorescence"}, "roles are"),
    ],
)
def test_runs_that_measure_something_else_are_not_joined(xafs_documents, other, why):
    first, second = stopped_and_resumed(xafs_documents)
    second[0][1]["xafs"]["grid"] = {"edge": "Cu-K"}
    first[0][1]["xafs"].update(other)
    with pytest.raises(ValueError, match=why):
        ScanData.from_documents(second).joined(ScanData.from_documents(first))


def test_missing_points_of_a_run_without_contract(xafs_documents):
    with pytest.raises(ValueError, match="no contract under 'xafs'"):
        _ = ScanData.from_documents(xafs_documents(contract=False)).missing_points


def write(folder, *runs, **options):
    writer = NXxasWriter(folder, template="{uid}", **options)
    for documents in runs:
        for item in documents:
            writer(*item)
        writer.wait(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    return writer


def test_file_of_a_resumed_run_shows_the_joined_spectrum(xafs_documents, tmp_path):
    first, second = stopped_and_resumed(xafs_documents)
    writer = write(tmp_path, first, second)
    assert writer.problems == []
    path = writer.files["second"]
    assert validate_file(path) == []
    joined = ScanData.from_documents(second).joined(ScanData.from_documents(first))
    assert ScanData.from_nexus(path) == joined
    with h5py.File(path) as file:
        entry: Any = file["entry"]
        np.testing.assert_array_equal(entry["intensity"], joined.mu()[0])
        np.testing.assert_array_equal(entry["intensity_errors"], joined.mu()[1])
        parameters = entry["process/parameters"]
        assert parameters["continues"].asstr()[()] == "first"
        assert parameters["joined_runs"].asstr()[()].tolist() == ["first"]
        assert parameters["missing_points"][()].tolist() == [11]
        marks = entry["bluesky/streams/primary/data/quality"].asstr()[()].tolist()
        assert marks == ["", "ring current jumped", "", "", "", "beam lost"]
        earlier = entry["earlier_runs/run_1/streams/primary/data/quality"].asstr()[()].tolist()
        assert earlier[3] == "beam lost"


def test_earlier_run_from_its_journal(xafs_documents, tmp_path):
    first, second = stopped_and_resumed(xafs_documents)
    journal = Journal(tmp_path / "journal")
    for item in first:
        journal(*item)
    writer = write(tmp_path, second, journal=journal)
    assert writer.problems == []
    joined = ScanData.from_documents(second).joined(ScanData.from_documents(first))
    assert ScanData.from_nexus(writer.files["second"]) == joined
    late = tmp_path / "journal" / "second.jsonl"
    late.write_bytes(b"".join(encode_line(*item) for item in second))
    assert ScanData.from_journal(late) == joined
    assert ScanData.from_nexus(rebuild(late, tmp_path, template="again")) == joined


def test_earlier_run_that_is_not_found_is_told_of(xafs_documents, tmp_path):
    _, second = stopped_and_resumed(xafs_documents)
    writer = write(tmp_path, second)
    (problem,) = writer.problems
    assert "continues run first, of which neither a journal nor a file" in str(problem)
    assert validate_file(writer.files["second"]) == []
    assert ScanData.from_nexus(writer.files["second"]) == ScanData.from_documents(second)


def test_joining_can_be_declined(xafs_documents, tmp_path):
    first, second = stopped_and_resumed(xafs_documents)
    writer = write(tmp_path, first, second, join=False)
    assert writer.problems == []
    assert ScanData.from_nexus(writer.files["second"]) == ScanData.from_documents(second)


def test_damaged_neighbours_do_not_matter(xafs_documents, tmp_path):
    first, second = stopped_and_resumed(xafs_documents)
    (tmp_path / "first.jsonl").write_bytes(b"no journal")
    (tmp_path / "first-.nxs").write_bytes(b"no HDF5")
    writer = write(tmp_path, first, second)
    assert writer.problems == []
    assert len(ScanData.from_nexus(writer.files["second"]).earlier) == 1
