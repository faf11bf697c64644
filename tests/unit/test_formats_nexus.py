"""Kinds of file: what a run of each plan becomes."""

from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.nexus_map import map_data
from beamline_ophyd.formats.validate import validate_file

from ..kinds import ENERGIES, PLANS, X, Y, documents_of
from ..runs import of, with_dark, with_spectra


def written(documents, tmp_path):
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs", mode="w")
    assert validate_file(path) == []
    return path


def opened(path) -> Any:
    return h5py.File(path)


@pytest.mark.parametrize("kind", list(PLANS))
def test_every_plan_makes_a_valid_file_that_gives_its_documents_back(kind, tmp_path):
    documents = documents_of(kind)
    path = written(documents, tmp_path)
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


def contents(path):
    """Every dataset and attribute of a file by its path, but for the time of writing."""
    found = {}

    def take(name, node):
        for key, value in node.attrs.items():
            if key != "file_time":
                found[f"{name}@{key}"] = np.asarray(value).tolist()
        if isinstance(node, h5py.Dataset) and name != "entry/process/date":
            found[name] = (str(node.dtype), node.shape, np.asarray(node[()]).tobytes())
            if node.dtype == object:
                found[name] = np.asarray(node.asstr()[()]).tolist()

    with opened(path) as file:
        take("", file)
        file.visititems(take)
    return found


@pytest.mark.parametrize("kind", list(PLANS))
def test_file_of_a_file_is_the_same_file(kind, tmp_path):
    first = written(documents_of(kind), tmp_path)
    second = ScanData.from_nexus(first).to_nexus(tmp_path / "b.nxs")
    assert contents(second) == contents(first)


def test_spectrum_of_a_file_is_the_same_file(xafs_documents, tmp_path):
    documents = with_dark(with_spectra(xafs_documents(repeats=2)), {"I0": 1.0, "It": 2.0})
    first = written(documents, tmp_path)
    second = ScanData.from_nexus(first).to_nexus(tmp_path / "b.nxs")
    assert contents(second) == contents(first)
    assert len(contents(first)) > 100


@pytest.mark.parametrize("kind", ["powder", "powder with monitor"])
def test_powder_pattern(kind, tmp_path):
    documents = documents_of(kind)
    with opened(written(documents, tmp_path)) as file:
        entry = file["entry"]
        assert entry["definition"].asstr()[()] == "NXmonopd"
        detector = entry["instrument/detector"]
        angles = [28.0, 28.5, 29.0, 29.5, 30.0]
        assert detector["polar_angle"][()].tolist() == angles
        assert detector["data"].dtype == np.int64
        assert detector["data"][()].tolist() == [
            event["data"]["counter"] for event in of(documents, "event")
        ]
        assert detector["count_time"][()].tolist() == [0.01] * 5
        assert entry["instrument/crystal/wavelength"][()].tolist() == [1.5406]
        assert entry["instrument/crystal/d_spacing"][()] == 3.1356
        assert entry["instrument/monochromator/energy"][()] == pytest.approx(8047.8, abs=0.1)
        assert entry["data/data"] == detector["data"]
        assert list(entry["data"].attrs["axes"]) == ["polar_angle"]
        rotation, integral = entry["sample/rotation_angle"][()], entry["monitor/integral"][()]
        if kind == "powder":
            assert np.isnan(rotation)
            assert np.isnan(integral)
        else:
            assert rotation.tolist() == [angle / 2 for angle in angles]
            assert integral == 5000.0
            assert list(entry["data"].attrs["auxiliary_signals"]) == ["monitor"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": "x"}, "names 'x', which is no number of this run"),
        ({"counts": "dwell_time"}, "'dwell_time' is in s"),
        ({"monitor": "camera"}, "names 'camera'"),
    ],
)
def test_powder_run_that_has_no_counts_is_a_plain_run(change, words, tmp_path, caplog):
    documents = documents_of("powder")
    contract = documents[0][1]["powder"]
    contract["roles"] = {**contract["roles"], **change}
    with opened(written(documents, tmp_path)) as file:
        assert "definition" not in file["entry"]
        assert file["entry/data"].attrs["signal"] == "counter"
    assert words in caplog.text


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("mesh", "yx"),
        ("mesh flying back", "yx"),
        ("map at one energy", "yx"),
        ("xanes map by pixel", "yxe"),
        ("xanes map flying back", "yxe"),
        ("xanes map by energy", "eyx"),
    ],
)
def test_map_has_every_reading_at_its_place(kind, axes, tmp_path):
    positions = {
        "x": np.linspace(*X),
        "y": np.linspace(*Y),
        "e": 7112.0 + np.array(ENERGIES),
    }
    names = {"x": "x", "y": "y", "e": "energy"}
    grid = dict(zip(axes, np.meshgrid(*(positions[a] for a in axes), indexing="ij"), strict=True))
    energy = grid.get("e", 7130.0 if kind == "map at one energy" else 0.0)
    expected = 100 * grid["y"] + 10 * grid["x"] + np.maximum(energy - 7000.0, 0)
    with opened(written(documents_of(kind), tmp_path)) as file:
        data = file["entry/data"]
        assert data.attrs["signal"] == "counter"
        assert list(data.attrs["axes"]) == [names[a] for a in axes]
        for number, axis in enumerate(axes):
            assert data.attrs[f"{names[axis]}_indices"] == number
            np.testing.assert_allclose(data[names[axis]], positions[axis])
        np.testing.assert_array_equal(data["counter"], np.rint(expected))
        assert data["beam"].shape == expected.shape
        assert "beam" in data.attrs["auxiliary_signals"]


def test_blueskys_own_grids(tmp_path):
    with opened(written(documents_of("grid_scan"), tmp_path)) as file:
        data = file["entry/data"]
        energy, y, x = np.meshgrid([7000, 7010], [10, 11], [0, 1, 2], indexing="ij")
        np.testing.assert_array_equal(data["counter"], 100 * y + 10 * x + energy - 7000)
    with opened(written(documents_of("list_grid_scan"), tmp_path)) as file:
        data = file["entry/data"]
        assert data["y"][()].tolist() == [10.0, 12.0, 11.0]
        assert data["counter"][()].tolist() == [[1000, 1050], [1200, 1250], [1100, 1150]]


@pytest.mark.parametrize("kind", ["mesh", "xanes map by energy"])
def test_map_that_is_under_way_has_nan_where_it_has_not_been(kind):
    documents = documents_of(kind)
    whole = map_data(ScanData.from_documents(documents).run)
    part = map_data(ScanData.from_documents(documents[:6]).run)
    assert whole is not None
    assert part is not None
    for name in whole.attrs["axes"]:
        np.testing.assert_allclose(part.items[name].value, whole.items[name].value)
    counted = part.items["counter"].value
    assert np.isfinite(counted).sum() == 4
    known = np.isfinite(counted)
    np.testing.assert_array_equal(counted[known], whole.items["counter"].value[known])


def test_place_measured_twice_has_the_last_reading():
    documents = documents_of("mesh")
    (position,) = (n for n, (name, d) in enumerate(documents) if d.get("seq_num") == 4)
    again = {**documents[position][1], "uid": "again"}
    again["data"] = {**again["data"], "counter": 7}
    found = map_data(ScanData.from_documents([*documents, ("event", again)]).run)
    assert found is not None
    assert found.items["counter"].value[1, 2] == 7


def test_grid_whose_shape_is_not_told_is_a_plain_run(tmp_path):
    documents = documents_of("mesh")
    del documents[0][1]["shape"]
    with opened(written(documents, tmp_path)) as file:
        assert list(file["entry/data"].attrs["axes"]) == ["y"]
        assert file["entry/data/counter"].ndim == 1
