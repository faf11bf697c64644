from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import NeXusWriter, ScanData
from beamline_ophyd.formats.problems import OutputError, ReadError
from beamline_ophyd.formats.validate import validate_file

ENERGY = np.linspace(7000.0, 7200.0, 101)
I0 = np.full(101, 1e6)
ITRANS = I0 * np.exp(-0.5 - 1.4 / (1 + np.exp(-(ENERGY - 7112.0))))
SPECTRUM = {"energy": ENERGY, "i0": I0, "itrans": ITRANS}
FOIL = {"Element": {"symbol": "Fe", "edge": "K"}, "Sample": {"name": "Fe foil"}}


def opened(path) -> Any:
    return h5py.File(path)


def test_spectrum_from_arrays_is_nxxas(tmp_path):
    with NeXusWriter(tmp_path / "a.nxs") as nexus:
        nexus.add_metadata(FOIL, user="Ann")
        assert nexus.write_scan(SPECTRUM) == "entry"
    assert validate_file(tmp_path / "a.nxs") == []
    with opened(tmp_path / "a.nxs") as file:
        assert file["entry/definition"].asstr()[()] == "NXxas"
        assert file["entry/sample/name"].asstr()[()] == "Fe foil"
        assert file["entry/user/name"].asstr()[()] == "Ann"
        assert file["entry/intensity"][()].tobytes() == np.log(I0 / ITRANS).tobytes()
    data = ScanData.from_nexus(tmp_path / "a.nxs", mapping={k: k for k in SPECTRUM})
    assert data.columns["itrans"].tobytes() == ITRANS.tobytes()


def test_further_scans_are_further_entries_and_the_first_stays_the_default(tmp_path):
    path = tmp_path / "a.nxs"
    with NeXusWriter(path, "w") as nexus:
        nexus.write_scan(SPECTRUM, metadata=FOIL)
        nexus.write_scan({"x": np.arange(4), "y": np.arange(4) ** 2}, units={"x": "mm"})
    with NeXusWriter(path, mode="a") as nexus:
        assert nexus.write_scan(SPECTRUM, name="third / µ") == "third"
        assert nexus.write_scan(SPECTRUM) == "entry_2"
        assert nexus.entries == ("entry", "entry_1", "entry_2", "third")
    assert validate_file(path, application=False) == []
    with opened(path) as file:
        assert file.attrs["default"] == "entry"
        assert file["entry_1/data"].attrs["signal"] == "y"
        assert list(file["entry_1/data"].attrs["axes"]) == ["x"]
        assert file["entry_1/data/x"].attrs["units"] == "mm"
        assert file["entry_2/energy"].attrs["target"] == "/entry_2/energy"
    plain = ScanData.from_nexus(path, entry="entry_1")
    assert plain.columns["y"].tolist() == [0, 1, 4, 9]
    with pytest.raises(ReadError, match="no entry 'x'; it has entry, entry_1"):
        ScanData.from_nexus(path, entry="x")


@pytest.mark.parametrize(
    ("definition", "column", "mode"),
    [("NXxas_trans", "itrans", "transmission"), ("NXxas_tey", "ifluor", "electron yield")],
)
def test_definition_is_an_option(tmp_path, definition, column, mode):
    spectrum = {"energy": ENERGY, "i0": I0, column: ITRANS}
    mapping = {**{name: name for name in spectrum}, "mode": mode}
    path = tmp_path / "a.nxs"
    with NeXusWriter(path, definition=definition) as nexus:
        nexus.add_metadata(FOIL)
        nexus.write_scan(spectrum, mapping=mapping)
        nexus.write_scan(spectrum, mapping=mapping, definition="NXxas")
        nexus.write_scan({"x": np.arange(4), "y": np.arange(4)})
    assert validate_file(path) == []
    with opened(path) as file:
        assert file["entry/definition"].asstr()[()] == definition
        assert file["entry_1/definition"].asstr()[()] == "NXxas"
        assert "definition" not in file["entry_2"]


def test_spectrum_that_does_not_fit_the_definition_is_an_error(tmp_path):
    path = tmp_path / "a.nxs"
    with NeXusWriter(path, definition="NXxas_tfy") as nexus:
        with pytest.raises(ValueError, match="give definition='NXxas_trans'"):
            nexus.write_scan(SPECTRUM, metadata=FOIL)
        with pytest.raises(ValueError, match=r"asks for Element\.edge, Element\.symbol"):
            nexus.write_scan(SPECTRUM, definition="NXxas_trans")
        assert nexus.entries == ()


def test_modes(tmp_path):
    path = tmp_path / "a.nxs"
    for mode, entries in (("w-", 1), ("a", 2), ("w", 1), ("a", 2)):
        with NeXusWriter(path, mode) as nexus:
            nexus.write_scan(SPECTRUM)
            assert len(nexus.entries) == entries
    with pytest.raises(OutputError, match="give mode 'w' to replace it or 'a'"):
        NeXusWriter(path)
    with NeXusWriter(tmp_path / "new.nxs", "a") as nexus:
        nexus.write_scan(SPECTRUM)
    assert (tmp_path / "new.nxs").exists()


def test_metadata_under_names_that_nexus_allows(tmp_path):
    path = tmp_path / "a.nxs"
    with NeXusWriter(path) as nexus:
        nexus.add_metadata({"beam size / mm": [0.5, 2.0], "2theta": 12.5, "x_errors": "µ"})
        nexus.add_metadata(Sample={"name": "a"})
        nexus.add_metadata(Sample={"prep": "powder"}, nested={"a": {"b": None}})
        nexus.write_scan(SPECTRUM, metadata={"Sample": {"name": "b"}})
    assert validate_file(path, application=False) == []
    with opened(path) as file:
        found = file["entry/metadata"]
        assert set(found) == {"beam_size_mm", "_2theta", "x_errors_value", "nested"}
        assert found["beam_size_mm"][()].tolist() == [0.5, 2.0]
        assert found["nested"].asstr()[()] == '{"a":{"b":null}}'
        assert file["entry/sample/name"].asstr()[()] == "b"
        assert file["entry/sample/description"].asstr()[()] == "powder"
    start = ScanData.from_nexus(path).metadata["start"]
    assert start["beam size / mm"] == [0.5, 2.0]


@pytest.mark.parametrize("compression", [0, 4, 9])
def test_compression(tmp_path, compression):
    large = {"x": np.arange(20_000), "y": np.zeros(20_000)}
    with NeXusWriter(tmp_path / "a.nxs", compression=compression) as nexus:
        nexus.write_scan(large)
    with opened(tmp_path / "a.nxs") as file:
        found = file["entry/data/y"]
        assert (found.compression_opts or 0) == compression
        assert (found.id.get_storage_size() < 20_000) is (compression > 0)


def test_images_text_and_a_mapping(tmp_path):
    columns = {
        "E": ENERGY / 1000,
        "ion1": I0,
        "ion2": ITRANS,
        "mca": np.ones((101, 16)),
        "state": ["open"] * 101,
    }
    with NeXusWriter(tmp_path / "a.nxs") as nexus:
        nexus.add_metadata(FOIL)
        roles = {"energy": "E", "i0": "ion1", "itrans": "ion2"}
        nexus.write_scan(columns, units={"E": "keV"}, mapping=roles)
    assert validate_file(tmp_path / "a.nxs") == []
    with opened(tmp_path / "a.nxs") as file:
        assert file["entry/energy"][0] == 7000.0
        assert file["entry/bluesky/streams/primary/data/mca"].shape == (101, 16)


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({}, {}, "no columns"),
        ({"x": [1, 2], "y": [1]}, {}, "different lengths"),
        (SPECTRUM, {"mapping": {"energy": "E", "i0": "i0"}}, "'E', which is no column"),
        (SPECTRUM, {"mapping": {"energy": "energy", "IO": "i0"}}, "mapping has IO; it takes"),
        (SPECTRUM, {"name": "entry"}, "'entry' is taken"),
    ],
)
def test_what_cannot_be_written_costs_nothing_else(tmp_path, columns, options, words):
    with NeXusWriter(tmp_path / "a.nxs") as nexus:
        nexus.write_scan(SPECTRUM, metadata=FOIL)
        with pytest.raises(ValueError, match=words):
            nexus.write_scan(columns, **options)
        assert nexus.entries == ("entry",)
    assert validate_file(tmp_path / "a.nxs") == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "r"}, "mode is 'r'"),
        ({"compression": 10}, "compression is 10"),
        ({"compression": True}, "compression is True"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        NeXusWriter(tmp_path / "a.nxs", **options)


def test_exception_in_the_block_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.nxs"
    with NeXusWriter(path) as nexus:
        nexus.write_scan(SPECTRUM)
    before = path.read_bytes()

    def fail_in_the_block():
        with NeXusWriter(path, "a") as nexus:
            nexus.write_scan(SPECTRUM)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail_in_the_block()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "a.nxs").write_text("text")
    with pytest.raises(ReadError, match="no HDF5 file"):
        NeXusWriter(tmp_path / "a.nxs", "a")
    with pytest.raises(OutputError, match="does not exist"):
        NeXusWriter(tmp_path / "absent" / "a.nxs")
