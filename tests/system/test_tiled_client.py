"""What a client finds on a real Tiled server: runs by what they measured, and files."""

import h5py
import pytest

from beamline_ophyd.callbacks import Journal, TiledPublisher
from beamline_ophyd.serving import connect
from beamline_ophyd.serving.runs import RunUpload, delete_run

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def runs(writer, xafs_documents):
    """Three runs: iron, copper a day later, and one that is no spectrum."""
    starts = {
        "run-iron": {"Element": {"symbol": "Fe", "edge": "K"}, "time": 1_000_000.0},
        "run-copper": {
            "Element": {"symbol": "Cu", "edge": "K"},
            "Sample": {},
            "sample": {"name": "Cu foil"},
            "time": 1_100_000.0,
        },
        "run-other": {
            "Element": {},
            "Sample": {},
            "sample_name": "Cu foil",
            "plan_name": "count",
            "time": 1_200_000.0,
        },
    }
    for uid, start in starts.items():
        upload = RunUpload(writer.runs, batch_size=100)
        for item in xafs_documents(4, uid=uid, start=start, contract=uid != "run-other"):
            upload.put(*item)
    return starts


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"element": "Fe"}, ["run-iron"]),
        ({"edge": "K"}, ["run-iron", "run-copper"]),
        ({"edge": "Fe-K"}, ["run-iron"]),
        ({"edge": "Fe-K", "element": "Fe"}, ["run-iron"]),
        ({"sample": "Cu foil"}, ["run-copper", "run-other"]),
        ({"sample": "Cu foil", "mode": "transmission"}, ["run-copper"]),
        ({"plan": "count"}, ["run-other"]),
        ({"since": 1_050_000.0}, ["run-copper", "run-other"]),
        ({"since": "1970-01-13", "until": "1970-01-13"}, ["run-copper"]),
        ({"until": "1970-01-13T00:00"}, ["run-iron"]),
        ({"element": "Fe", "plan": "count"}, []),
    ],
)
def test_runs_are_found_by_what_they_measured(reader, runs, asked, found):
    assert list(reader.search(**asked)) == found


def test_a_search_can_be_searched_further(reader, runs):
    found = reader.search(edge="K")
    assert found[-1].metadata["start"]["uid"] == "run-copper"


def test_a_search_asks_the_server_for_what_it_finds_only(served, runs, writer, xafs_documents):
    asked = []
    with connect(served.uri, served.keys.reader) as client:
        there = len(client.runs)
        assert len(client.search()) == there >= len(runs)
        http = client.root.context.http_client
        hooks = http.event_hooks
        hooks["request"].append(lambda request: asked.append(request.url.path))
        http.event_hooks = hooks
        found = client.search(sample="Fe foil")
        assert asked == []
        assert list(found) == ["run-iron"]
        assert set(asked) == {"/api/v1/search/runs"}
        upload = RunUpload(writer.runs, batch_size=100)
        for item in xafs_documents(4, uid="run-new"):
            upload.put(*item)
        try:
            # What was there before says nothing of what is there now.
            assert list(client.search(sample="Fe foil")) == ["run-iron", "run-new"]
            assert len(client.runs) == there + 1
        finally:
            delete_run(writer.root, "run-new")


def test_a_time_that_is_none_is_refused(reader):
    with pytest.raises(ValueError, match="since is 'yesterday'; give a date such as 2026-11-25"):
        reader.search(since="yesterday")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"edge": "iron K"}, "edge is 'iron K'; give one such as 'K' or 'L3', or 'Fe-K'"),
        ({"edge": "Fe-K", "element": "Cu"}, "edge is 'Fe-K'; give one"),
        ({"element": "fe"}, "element is 'fe'; give its symbol, such as 'Fe'"),
    ],
)
def test_words_that_no_run_can_say_are_refused(reader, words, why):
    with pytest.raises(ValueError, match=why):
        reader.search(**words)


def test_documents_do_not_change_for_being_searched(reader, runs, xafs_documents):
    (_, sent), *_ = xafs_documents(4, uid="run-iron", start=runs["run-iron"])
    (_, found), *_ = reader.runs["run-iron"].documents()
    assert {key: found[key] for key in sent} == sent


# A run and its file


def test_a_run_and_its_file_name_each_other(served, reader, tmp_path, xafs_documents):
    path = served.folder.files / "linked.nxs"
    with h5py.File(path, "w") as file:
        file["entry/data/intensity"] = [1.0, 2.0]
    journal = Journal(tmp_path)
    publisher = TiledPublisher(served.uri, served.keys.writer, journal=journal)
    documents = xafs_documents(4, uid="run-linked")
    for item in documents:
        journal(*item)
        publisher(*item)
    publisher.register_file("run-linked", path)
    assert publisher.wait(DEADLINE_S)
    run = reader.runs["run-linked"]
    assert run.metadata["files"] == {"NXxas": "files/run-linked"}
    assert run.metadata["downloads"]["report"] == "/api/v1/download/run-linked/report"
    node = reader.root[run.metadata["files"]["NXxas"]]
    assert node.metadata["run_uid"] == "run-linked"
    assert node["entry/data/intensity"].read().tolist() == [1.0, 2.0]
    assert publisher.close()
    journal.close()
