import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamline_ophyd.formats.columns import Column, Words
from beamline_ophyd.formats.journal import loads


def column_of(values):
    column = Column()
    for value in values:
        column.append(value)
    return column


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2, 3], "int64", [1, 2, 3]),
        ([1, 2.5], "float64", [1.0, 2.5]),
        ([0.1, float("inf")], "float64", [0.1, float("inf")]),
        ([True, False], "bool", [True, False]),
        (["a", "µ", ""], "object", ["a", "µ", ""]),
        ([np.float32(0.1)], "float64", [float(np.float32(0.1))]),
        ([np.int32(7), 8], "int64", [7, 8]),
        ([[1, 2], [3, 4]], "int64", [[1, 2], [3, 4]]),
        ([np.array([1, 2], "uint16")], "uint16", [[1, 2]]),
        ([2**63, 2**63 + 1], "uint64", [2**63, 2**63 + 1]),
    ],
)
def test_types_follow_the_values(values, dtype, expected):
    column = column_of(values)
    assert not column.is_json
    assert column.array.dtype == dtype
    assert column.array.tolist() == expected
    block = Column()
    block.extend(values)
    assert block.array.dtype == column.array.dtype
    assert block.array.tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        [1.5, "broken"],
        ["a", 1],
        [True, 2],
        [[1, 2], [3]],
        [{"a": 1}],
        ["nul\0"],
        ["\ud800"],
        [2**53 + 1, 0.5],
        [2**70],
        [[]],
        [[1, 2], 3],
    ],
)
def test_values_without_a_common_type_are_kept_as_json(values):
    column = column_of(values)
    assert column.is_json
    assert [loads(text) for text in column.array] == values


def test_missing_values():
    assert np.isnan(column_of([1, None, 2]).array).tolist() == [False, True, False]
    for first in (1.5, 3, "a", [1.0, 2.0], {"x": 1}):
        column = column_of([first])
        column.pad(3)
        assert len(column) == 3
    assert column_of(["a"]).array.dtype == object


def test_a_snapshot_does_not_change():
    column = column_of([1, 2])
    before = column.array
    for value in (3, 4.5, *range(1000)):
        column.append(value)
    assert before.tolist() == [1, 2]
    assert before.dtype == "int64"
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 9


values = st.one_of(
    st.lists(st.floats()),
    st.lists(st.integers(-(2**60), 2**60)),
    st.lists(st.booleans()),
    st.lists(st.text(st.characters())),
    st.lists(st.floats() | st.integers(-100, 100)),
    st.lists(st.floats() | st.text(st.characters()) | st.booleans() | st.integers()),
)


@given(values, st.data())
def test_cutting_into_blocks_makes_no_difference_to_values(items, data):
    single, blocks = column_of(items), Column()
    position = 0
    while position < len(items):
        size = data.draw(st.integers(1, 5))
        blocks.extend(items[position : position + size])
        position += size
    for column in (single, blocks):
        back = [loads(t) for t in column.array] if column.is_json else column.array.tolist()
        assert len(back) == len(items)
        for found, given_ in zip(back, items, strict=True):
            assert found == given_ or (found != found and given_ != given_)


def test_words_are_bytes_of_one_length_until_one_is_not_ascii():
    words = Words()
    assert words.array.tolist() == []
    words.extend(["a1", "b2"])
    before = words.array
    words.extend(["longer"])
    assert words.array.dtype == "S6"
    assert words.array.tolist() == [b"a1", b"b2", b"longer"]
    words.extend(["µ", "nul\0", "\ud800"])
    assert words.array.tolist() == ["a1", "b2", "longer", "µ", "nul\ufffd", "?"]
    words.extend(["c3"])
    assert words.array.tolist()[-1] == "c3"
    assert before.tolist() == [b"a1", b"b2"]
