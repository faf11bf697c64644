import csv
import json

import numpy as np
import pandas
import pyarrow.parquet
import pytest

from beamline_ophyd import ScanData


@pytest.fixture
def data(xafs_documents):
    """A run with a text and two kinds of arrays beside its numbers."""
    documents = xafs_documents(repeats=2)
    keys = documents[1][1]["data_keys"]
    keys["state"] = {"source": "x", "dtype": "string", "shape": []}
    keys["mca"] = {"source": "x", "dtype": "array", "shape": [3], "units": "counts"}
    keys["image"] = {"source": "x", "dtype": "array", "shape": [2, 2]}
    for name, doc in documents:
        if name == "event":
            row = doc["seq_num"]
            doc["data"] |= {
                "state": 'open, "so #1"',
                "mca": [row, 2, 3],
                "image": [[row, 1], [2, 3]],
            }
            doc["timestamps"] |= dict.fromkeys(("state", "mca", "image"), 0.0)
    return ScanData.from_documents(documents)


def test_csv_for_pandas_with_units_and_metadata_above(data, tmp_path):
    path = data.to_csv(tmp_path / "a.csv")
    lines = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert "# Element.symbol: Fe" in lines
    assert "# unit of mono_energy: eV" in lines
    (start,) = (line.removeprefix("# start: ") for line in lines if line.startswith("# start: "))
    assert json.loads(start) == data.metadata["start"]
    rows = list(csv.DictReader(line for line in path.open() if line[0] != "#"))
    for key in ("mono_energy", "I0", "It"):
        assert [float(row[key]) for row in rows] == data.columns[key].tolist()
    frame = pandas.read_csv(path, comment="#")
    assert list(frame) == ["seq_num", "time", *data.columns]
    assert json.loads(frame["mca"][1]) == [2, 2, 3]
    assert frame["seq_num"].tolist() == list(range(1, 25))


def test_merged_table_has_mu_with_errors(data, tmp_path):
    frame = data.to_dataframe(merged=True)
    assert list(frame)[:4] == ["energy", "i0", "itrans", "irefer"]
    mu, errors = data.mu()
    np.testing.assert_array_equal(frame["mu_transmission"], mu)
    np.testing.assert_array_equal(frame["mu_transmission_errors"], errors)
    assert frame["readings"].tolist() == [2] * 12
    assert frame.attrs["units"]["energy"] == "eV"
    assert len(pandas.read_csv(data.to_csv(tmp_path / "m.csv", merged=True), comment="#")) == 12


def test_dataframe_has_every_event_and_its_documents(data):
    frame = data.to_dataframe()
    assert frame["state"][0] == 'open, "so #1"'
    assert frame["image"][4].tolist() == [[5, 1], [2, 3]]
    assert frame.attrs["start"] == data.metadata["start"]
    assert frame.attrs["units"]["I0"] == "counts"


def test_parquet_keeps_types_units_and_documents(data, tmp_path):
    path = data.to_parquet(tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(path)
    assert table.column("I0").to_numpy().tobytes() == data.columns["I0"].tobytes()
    assert table.column("image").to_pylist()[2] == [[3, 1], [2, 3]]
    assert table.schema.field("mono_energy").metadata[b"units"] == b"eV"
    assert json.loads(table.schema.metadata[b"stop"]) == data.metadata["stop"]
    assert pandas.read_parquet(path)["state"].tolist() == ['open, "so #1"'] * 24


def test_xarray_has_dimensions_units_and_documents(data):
    dataset = data.to_xarray()
    assert dataset["image"].dims == ("event", "image_dim_1", "image_dim_2")
    assert dataset["I0"].attrs["units"] == "counts"
    assert list(dataset.coords) == ["seq_num", "time"]
    assert json.loads(dataset.attrs["start"])["uid"] == data.uid
    merged = data.to_xarray(merged=True)
    assert merged["mu_transmission"].dims == ("energy",)
    np.testing.assert_array_equal(merged["energy"], data.energy)


def test_run_without_the_stream_is_told(xafs_documents):
    start, *_ = xafs_documents()
    with pytest.raises(ValueError, match="no stream 'primary'; it has none"):
        ScanData.from_documents([start]).to_dataframe()
