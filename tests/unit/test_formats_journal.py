import datetime as dt
import enum
import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from beamline_ophyd.formats.journal import dumps, encode_line, loads, read_journal, unfinished_run

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def bits(value):
    """A form in which values are equal only to the last bit, nan included."""
    if isinstance(value, float):
        return struct.pack("<d", value) if value == value else "nan"
    if isinstance(value, complex):
        return ("complex", bits(value.real), bits(value.imag))
    if isinstance(value, list):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return (type(value), value)


@given(plain)
def test_plain_values_come_back_exactly(value):
    assert bits(loads(dumps(value))) == bits(value)


@given(plain)
def test_lines_are_strict_json_of_seven_bits(value):
    def refuse(token):
        raise AssertionError(token)

    text = dumps(value)
    assert text.isascii()
    assert "\n" not in text
    json.loads(text, parse_constant=refuse)


@given(
    npst.arrays(
        npst.scalar_dtypes() | npst.unicode_string_dtypes() | npst.byte_string_dtypes(),
        npst.array_shapes(min_dims=0, min_side=0),
    )
)
def test_arrays_come_back_with_type_shape_and_bits(array):
    back = loads(dumps({"a": array}))["a"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_structured_and_object_arrays():
    table = np.array([(1, 2.5, b"x")], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "S3")])
    assert loads(dumps(table)).dtype == table.dtype
    assert loads(dumps(table)).tobytes() == table.tobytes()
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[1.5], "text"]
    assert loads(dumps(ragged)).tolist() == ragged.tolist()


class Gas(enum.Enum):
    N2 = "nitrogen"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str, enum.Enum):  # noqa: UP042 - the older idiom, which devices use
    OPEN = "Open"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Gas.N2, "nitrogen"),
        (Level.HIGH, 3),
        (Word.OPEN, "Open"),
        ({Gas.N2: 1, 7: 2}, {"nitrogen": 1, "7": 2}),
        ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC), dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC)),
        (dt.date(2026, 1, 2), dt.date(2026, 1, 2)),
        ({"$float": "nan"}, {"$float": "nan"}),
        ({"$dict": []}, {"$dict": []}),
        ({"$unknown": 1}, {"$unknown": 1}),
    ],
)
def test_values_of_devices(value, expected):
    back = loads(dumps(value))
    assert back == expected
    assert type(back) is type(expected)


def test_what_nobody_can_encode_is_kept_as_text():
    assert loads(dumps({"x": object})) == {"x": repr(object)}


DOCS = [
    ("start", {"uid": "r", "time": 0.1}),
    ("event", {"data": {"x": float("inf")}}),
    ("stop", {"run_start": "r"}),
]


@pytest.fixture
def journal_file(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(encode_line(*item) for item in DOCS))
    return path


def test_whole_journal(journal_file):
    contents = read_journal(journal_file)
    assert list(contents.documents) == DOCS
    assert contents.complete
    assert contents.damaged == ()


@pytest.mark.parametrize("cut", [1, 5, 20, 39])
def test_last_line_cut_short(journal_file, cut):
    journal_file.write_bytes(journal_file.read_bytes()[:-cut])
    contents = read_journal(journal_file)
    if cut == 1:
        assert list(contents.documents) == DOCS
        return
    assert list(contents.documents) == DOCS[:2]
    assert not contents.complete
    assert contents.damaged == (3,)


def test_damage_in_the_middle_costs_one_line(journal_file):
    lines = journal_file.read_bytes().splitlines(keepends=True)
    journal_file.write_bytes(lines[0] + b"\x00\xff garbage\n" + lines[2])
    contents = read_journal(journal_file)
    assert list(contents.documents) == [DOCS[0], DOCS[2]]
    assert not contents.complete
    assert contents.damaged == (2,)


def test_run_without_stop_is_not_complete(journal_file):
    journal_file.write_bytes(b"".join(encode_line(*item) for item in DOCS[:2]))
    contents = read_journal(journal_file)
    assert not contents.complete
    assert contents.damaged == ()


def test_the_latest_run_is_known_to_have_no_end(journal_file, tmp_path):
    assert unfinished_run(tmp_path / "none") is None
    assert unfinished_run(tmp_path) is None
    whole = journal_file.read_bytes()
    for left in (whole[:-9], whole.splitlines(keepends=True)[0], b""):
        journal_file.write_bytes(left)
        assert unfinished_run(tmp_path) == journal_file
    later = tmp_path / "later.jsonl"
    later.write_bytes(whole)
    os.utime(journal_file, (1, 1))
    assert unfinished_run(tmp_path) is None


def test_empty_file_is_not_complete(tmp_path):
    (tmp_path / "e.jsonl").touch()
    assert not read_journal(tmp_path / "e.jsonl").complete
