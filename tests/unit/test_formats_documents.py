import pytest

from beamline_ophyd.formats.documents import RunIndex, document_key, rows_in


def test_every_kind_of_document_finds_its_run():
    index = RunIndex()
    for run in ("a", "b"):
        assert index.run_of("start", {"uid": run}) == run
        assert index.run_of("descriptor", {"uid": f"{run}d", "run_start": run}) == run
        assert index.run_of("resource", {"uid": f"{run}r", "run_start": run}) == run
        assert index.run_of("stream_resource", {"uid": f"{run}s", "run_start": run}) == run
    assert index.run_of("event", {"descriptor": "ad"}) == "a"
    assert index.run_of("event_page", {"descriptor": "bd"}) == "b"
    assert index.run_of("bulk_events", {"bd": []}) == "b"
    assert index.run_of("datum", {"resource": "ar"}) == "a"
    assert index.run_of("stream_datum", {"stream_resource": "bs", "descriptor": "bd"}) == "b"
    assert index.run_of("stop", {"run_start": "a"}) == "a"
    index.forget("a")
    assert index.run_of("event", {"descriptor": "ad"}) is None
    assert index.run_of("event", {"descriptor": "bd"}) == "b"


def test_resource_that_names_no_run_belongs_to_the_only_one():
    index = RunIndex()
    index.run_of("start", {"uid": "a"})
    index.run_of("descriptor", {"uid": "ad", "run_start": "a"})
    assert index.run_of("resource", {"uid": "r"}) == "a"
    index.run_of("descriptor", {"uid": "bd", "run_start": "b"})
    assert index.run_of("resource", {"uid": "q"}) is None


@pytest.mark.parametrize(
    ("name", "doc", "rows"),
    [
        ("event", {}, 1),
        ("event_page", {"seq_num": [1, 2, 3]}, 3),
        ("event_page", {"seq_num": []}, 1),
        ("datum_page", {"datum_id": ["a", "b"]}, 2),
        ("bulk_events", {"d": [1, 2], "e": [3]}, 3),
    ],
)
def test_rows(name, doc, rows):
    assert rows_in(name, doc) == rows


def test_documents_have_keys():
    assert document_key({"uid": "a"}) == "a"
    assert document_key({"uid": ["a", "b"]}) == "a"
    assert document_key({"datum_id": "r/0"}) == "r/0"
    assert document_key({"d": [], "e": [{"uid": "a"}, {"uid": "b"}]}) == "a"
