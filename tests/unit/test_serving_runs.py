"""Documents on their way into Tiled, and values as its tables want them."""

import copy
import math

import numpy as np
import pytest
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError

from beamline_ophyd.serving.runs import Normalizer, _Columns

from ..runs import make_xafs_documents

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.floats(width=32).map(np.float32),
    st.booleans().map(np.bool_),
)


def settled(spec, value):
    columns = _Columns()
    columns.learn({"uid": "d", "data_keys": {"x": {"source": "test", **spec}}})
    event = {"descriptor": "d", "data": {"x": value}}
    return columns.settle(event)["data"]["x"]


@given(NUMBERS)
def test_numbers_are_floats_and_stay_what_they_are(value):
    found = settled({"dtype": "number", "shape": []}, value)
    assert type(found) is float
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        assert math.isnan(found)
    else:
        assert found == value


@given(st.lists(st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6)), min_size=1))
def test_arrays_of_numbers_are_lists_of_floats(values):
    for given_as in (values, tuple(values), np.array(values)):
        found = settled({"dtype": "array", "shape": [len(values)]}, given_as)
        assert found == [float(value) for value in values]
        assert {type(value) for value in found} == {float}


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        ({"dtype": "integer"}, np.int64(3), 3),
        ({"dtype": "integer"}, 2**62, 2**62),
        ({"dtype": "number", "dtype_numpy": "<i8"}, np.int64(3), 3),
        ({"dtype": "string"}, np.str_("µ"), "µ"),
        ({"dtype": "string"}, 5, "5"),
        ({"dtype": "string"}, None, None),
        ({"dtype": "boolean"}, np.bool_(True), True),
        ({"dtype": "array", "dtype_numpy": "<U3"}, np.array(["ab", "c"]), ["ab", "c"]),
        ({"dtype": "array", "dtype_numpy": "<i4"}, np.array([1, 2]), [1, 2]),
        ({"dtype": "array"}, np.eye(2, dtype=int), [[1.0, 0.0], [0.0, 1.0]]),
        ({"dtype": "array"}, [], []),
        ({"dtype": "array"}, ["a", "b"], ["a", "b"]),
        ({"dtype": "number", "external": "FILESTORE:"}, "datum/0", "datum/0"),
        ({}, {"free": "form"}, {"free": "form"}),
    ],
)
def test_values_by_their_descriptor(spec, value, expected):
    found = settled({"shape": [], **spec}, value)
    assert found == expected
    assert type(found) is type(expected)


def test_streams_do_not_mix():
    columns = _Columns()
    for uid, dtype in (("a", "number"), ("b", "integer")):
        columns.learn({"uid": uid, "data_keys": {"x": {"dtype": dtype, "shape": []}}})
    values = [columns.settle({"descriptor": uid, "data": {"x": 1}})["data"]["x"] for uid in "ab"]
    assert [type(value) for value in values] == [float, int]


def passed_on(normalizer, documents):
    """What comes out for these documents."""
    out = []
    normalizer.subscribe(lambda name, doc: out.append((name, doc)))
    for name, doc in documents:
        normalizer(name, doc)
    return out


def test_the_same_documents_come_out_as_of_the_stock_normalizer():
    documents = make_xafs_documents(points=5)
    out = passed_on(Normalizer(), documents)
    assert out == passed_on(RunNormalizer(), documents)
    assert len(out) == len(documents)


def test_what_others_are_handed_too_stays_as_it_is():
    documents = make_xafs_documents(points=2)
    (_, descriptor), events = documents[1], [doc for name, doc in documents if name == "event"]
    descriptor["data_keys"]["time"] = {"source": "test", "dtype": "array", "shape": [2]}
    for event in events:
        event["data"]["time"], event["timestamps"]["time"] = np.array([1, 2]), 3.0
    before = copy.deepcopy(events)
    columns = _Columns()
    patches = {"descriptor": columns.learn, "event": columns.settle}
    out = passed_on(Normalizer(patches=patches), documents)
    assert [doc["data"]["time_"] for name, doc in out if name == "event"] == [[1.0, 2.0]] * 2
    for event, was in zip(events, before, strict=True):
        np.testing.assert_equal(event, was)


def test_an_event_is_refused_that_is_none():
    start, descriptor, (_, event), *_ = make_xafs_documents(points=2)
    with pytest.raises(ValidationError, match="seq_num"):
        passed_on(Normalizer(), [start, descriptor, ("event", {**event, "seq_num": "first"})])
