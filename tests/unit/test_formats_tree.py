from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd.formats.tree import Field, Group, Link, TreeWriter


def opened(path: Any, mode: str = "r") -> Any:
    return h5py.File(path, mode)


@pytest.fixture
def file(tmp_path):
    with opened(tmp_path / "t.h5", "w") as file:
        yield file


def tree(rows, text="a", units="eV"):
    values = Field(np.arange(float(rows)), {"units": units}, grows=True)
    return Group("NXroot", {"g": Group("NXentry", {"x": values, "t": Field(text)}),
                            "l": Link("/g/x")}, {"default": "g"})  # fmt: skip


def test_tree_is_written_with_classes_and_link_targets(file):
    TreeWriter(file).write(tree(3))
    assert file.attrs["NX_class"] == "NXroot"
    assert file["g"].attrs["NX_class"] == "NXentry"
    assert file["l"] == file["g/x"]
    assert file["g/x"].attrs["target"] == "/g/x"
    assert file["g/x"].attrs["units"] == "eV"
    assert file["g/t"].asstr()[()] == "a"


def test_later_trees_change_what_differs(file):
    writer = TreeWriter(file, live=True)
    for rows, text in ((0, "a"), (3, "a"), (100, "bc"), (100, "")):
        writer.write(tree(rows, text))
        assert file["g/x"][()].tolist() == list(map(float, range(rows)))
        assert file["g/t"].asstr()[()] == text
        assert file["l"] == file["g/x"]


def test_attributes_that_vanish_are_removed(file):
    writer = TreeWriter(file, live=True)
    values = Field(np.arange(3.0), {"units": "eV", "note": "first"})
    attrs = {"default": "data", "auxiliary_signals": ["a"]}
    writer.write(Group("NXroot", {"g": Group("NXdata", {"x": values}, attrs)}, attrs))
    writer.write(Group("NXroot", {"g": Group("NXdata", {"x": Field(values.value)})}))
    assert set(file.attrs) == {"NX_class"}
    assert set(file["g"].attrs) == {"NX_class"}
    assert set(file["g/x"].attrs) == set()
    writer.write(Group("NXroot", {"g": Group("NXdata", {"x": values}, attrs)}, attrs))
    assert file["g"].attrs["default"] == "data"
    assert file["g/x"].attrs["note"] == "first"


@pytest.mark.parametrize("kind", ["data", "link"])
def test_text_in_another_code_is_written_anew(file, kind):
    writer = TreeWriter(file, live=True)
    link = {"l": Link("/x")} if kind == "link" else {}
    for texts, code in ((["open"], {}), (['"open"', "null"], {"encoding": "json"})):
        array = np.array(texts, dtype=object)
        field = Field(array, code, grows=True, append_only=True)
        writer.write(Group("NXroot", {"x": field, **link}))
        assert file["x"].asstr()[()].tolist() == texts
    assert kind == "data" or file["l"] == file["x"]


def test_values_in_the_middle_and_nan_are_followed(file):
    writer = TreeWriter(file, live=True)
    values = np.arange(5.0)
    for change in ((2, np.nan), (0, -0.0), (2, 1.5), (4, np.inf)):
        values = values.copy()
        values[change[0]] = change[1]
        writer.write(Group("NXroot", {"x": Field(values, {}, grows=True)}))
        assert file["x"][()].tobytes() == values.tobytes()


def test_other_type_or_shape_replaces_the_dataset_and_keeps_its_links(file):
    writer = TreeWriter(file, live=True)
    for values in (np.arange(3), np.arange(3) / 2, np.arange(6.0).reshape(3, 2)):
        items = {"x": Field(values, {"units": "eV"}, grows=True), "l": Link("/x")}
        writer.write(Group("NXroot", items))
        assert file["x"].dtype == values.dtype
        assert file["l"] == file["x"]
        assert file["l"].attrs["units"] == "eV"
        assert file["l"].attrs["target"] == "/x"


def test_nodes_that_vanish_are_removed(file):
    writer = TreeWriter(file)
    writer.write(tree(3))
    writer.write(Group("NXroot", {"other": Field(1)}))
    assert list(file) == ["other"]
    writer.write(tree(2))
    assert sorted(file) == ["g", "l"]


def test_small_arrays_are_contiguous_and_large_ones_compressed(file):
    noise = np.zeros(100_000)
    writer = TreeWriter(file, compression=6)
    writer.write(Group("NXroot", {"small": Field(noise[:100]), "large": Field(noise)}))
    assert file["small"].chunks is None
    assert (file["large"].compression, file["large"].compression_opts) == ("gzip", 6)
    assert file["large"].shuffle


def test_no_compression_when_not_wanted(file):
    writer = TreeWriter(file, compression=0)
    writer.write(Group("NXroot", {"large": Field(np.zeros(100_000))}))
    assert file["large"].compression is None


def test_texts_grow(file):
    writer = TreeWriter(file, live=True)
    for items in ([], ["a"], ["a", "µ", ""]):
        array = np.empty(len(items), dtype=object)
        array[:] = items
        writer.write(Group("NXroot", {"t": Field(array, grows=True, append_only=True)}))
        assert list(file["t"].asstr()[()]) == items


def test_text_of_one_length_grows_and_gets_longer(file):
    writer = TreeWriter(file, live=True)
    for items in (["a"], ["a", "b"], ["a", "b", "longer"]):
        words = Field(np.array(items, dtype="S"), grows=True, append_only=True)
        writer.write(Group("NXroot", {"t": words, "l": Link("/t")}))
        assert list(file["t"].asstr()[()]) == items
        assert file["l"] == file["t"]
        assert h5py.check_string_dtype(file["t"].dtype).encoding == "utf-8"


def test_file_of_another_writer_keeps_its_attributes_but_for_those_that_are_given(file):
    file.attrs.update({"default": "other", "creator": "somebody"})
    TreeWriter(file).write(tree(3))
    assert dict(file.attrs) == {"default": "g", "creator": "somebody", "NX_class": "NXroot"}


def test_names_that_are_not_ascii(file):
    writer = TreeWriter(file, live=True)
    for rows in (2, 3):
        values = Field(np.arange(rows), {"µ": "é"}, grows=True)
        writer.write(Group("NXroot", {"µ": Group("NXentry", {"Å": values}), "l": Link("/µ/Å")}))
        assert file["l"][()].tolist() == list(range(rows))
        assert dict(file["µ/Å"].attrs) == {"µ": "é", "target": "/µ/Å"}
