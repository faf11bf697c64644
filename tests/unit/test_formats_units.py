"""Readings in one unit throughout, where a device changed its unit in mid-run."""

import logging
from copy import deepcopy
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.formats.units import in_one_unit
from beamline_ophyd.formats.validate import validate_file

from ..runs import numbered

CHANGE = 7
"""Events before the change."""


def opened(path) -> Any:
    return h5py.File(path)


def changing(documents, units, *, before):
    """The run with a second descriptor: data key to (its new unit, factor of the readings)."""
    documents = deepcopy(documents)
    for key, unit in before.items():
        documents[1][1]["data_keys"][key]["units"] = unit
    anew = deepcopy(documents[1][1])
    anew["uid"] += "-2"
    for key, (unit, _) in units.items():
        anew["data_keys"][key]["units"] = unit
    for _, event in documents[2 + CHANGE : -1]:
        event["descriptor"] = anew["uid"]
        for key, (_, factor) in units.items():
            event["data"][key] *= factor
    documents.insert(2 + CHANGE, ("descriptor", anew))
    return documents


@pytest.mark.parametrize(
    "units", [{"I0": ("nA", 1e9)}, {"I0": ("nA", 1e9), "It": ("pA", 1e12)}, {"It": ("mA", 1e3)}]
)
def test_mu_does_not_change_with_the_unit_of_a_channel(xafs_documents, tmp_path, units):
    before = {"I0": "A", "It": "A", "Ir": "A"}
    plain = ScanData.from_documents(xafs_documents())
    data = ScanData.from_documents(changing(xafs_documents(), units, before=before))
    powers = {"A": 1.0, "mA": 1e3, "nA": 1e9, "pA": 1e12}
    for key in ("I0", "It"):
        unit = units.get(key, ("A", 1.0))[0]
        assert data.units[key] == unit
        np.testing.assert_allclose(data.columns[key], plain.columns[key] * powers[unit], 1e-12)
    # Not the level of mu, which is that of the units that the channels end with.
    offset = np.log(powers[data.units["I0"] or ""] / powers[data.units["It"] or ""])
    np.testing.assert_allclose(data.mu()[0], plain.mu()[0] + offset, rtol=0, atol=1e-12)
    path = data.to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == data
    with opened(path) as file:
        for key, name in (("I0", "i0"), ("It", "itrans")):
            shown = file[f"entry/instrument/{name}/data"]
            assert shown.attrs["units"] == data.units[key]
            np.testing.assert_array_equal(shown, data.columns[key])
            raw = file[f"entry/bluesky/streams/primary/data/{key}"]
            assert raw.attrs["units"] == (f"A, {units[key][0]}" if key in units else "A")
            np.testing.assert_array_equal(raw, data.run.streams["primary"].columns[key])


def test_energies_that_come_in_kev_half_way(xafs_documents):
    plain = ScanData.from_documents(xafs_documents())
    documents = changing(
        xafs_documents(), {"mono_energy": ("keV", 1e-3)}, before={"mono_energy": "eV"}
    )
    data = ScanData.from_documents(documents)
    np.testing.assert_allclose(data.energy, plain.energy, rtol=1e-14)
    np.testing.assert_array_equal(data.mu()[0], plain.mu()[0])
    assert list(data.run.documents()) == documents


def scan(units):
    """A scan of x that is not XAFS, of two descriptors with three events each."""
    yield "start", {"uid": "r", "time": 0.0, "hints": {"dimensions": [[["x"], "primary"]]}}
    for part, unit in enumerate(units):
        x = {"source": "s", "dtype": "number", "shape": [], "units": unit}
        keys = {"x": x, "y": {"source": "s", "dtype": "number", "shape": []}}
        hints = {"y": {"fields": ["y"]}}
        words = {"uid": f"d{part}", "run_start": "r", "name": "primary", "time": 0.0}
        yield "descriptor", {**words, "data_keys": keys, "hints": hints}
        yield (
            "event_page",
            {
                "uid": [f"{part}-{row}" for row in range(3)],
                "descriptor": f"d{part}",
                "seq_num": [3 * part + row + 1 for row in range(3)],
                "time": [float(part)] * 3,
                "data": {"x": [1.0, 2.0, 3.0], "y": [4, 5, 6]},
                "timestamps": {"x": [0.0] * 3, "y": [0.0] * 3},
            },
        )
    yield "stop", {"uid": "s", "run_start": "r", "time": 9.0, "exit_status": "success"}


def test_every_form_of_a_plain_run_has_one_unit(tmp_path):
    data = ScanData.from_documents(scan(["mm", "um"]))
    expected = [1000.0, 2000.0, 3000.0, 1.0, 2.0, 3.0]
    path = data.to_nexus(tmp_path / "a.nxs")
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == data
    with opened(path) as file:
        for place in ("data/x", "instrument/positioners/x/value"):
            assert file[f"entry/{place}"].attrs["units"] == "um"
            np.testing.assert_allclose(file[f"entry/{place}"], expected)
        raw = file["entry/bluesky/streams/primary/data/x"]
        assert raw.attrs["units"] == "mm, um"
        assert raw[()].tolist() == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
    np.testing.assert_allclose(data.to_dataframe()["x"], expected)
    np.testing.assert_allclose(data.to_xarray()["x"], expected)
    assert data.to_xarray()["x"].attrs["units"] == "um"


@pytest.mark.parametrize("units", [["mm", "deg"], ["mm", "steps of a kind"], ["a b c", "mm"]])
def test_units_that_have_nothing_in_common_leave_the_readings_and_are_told(units, tmp_path, caplog):
    data = ScanData.from_documents(scan(units))
    with caplog.at_level(logging.WARNING):
        path = data.to_nexus(tmp_path / "a.nxs")
    assert f"x is shown as it was read: its unit changes to '{units[1]}'" in caplog.text
    assert validate_file(path) == []
    assert ScanData.from_nexus(path) == data
    assert data.columns["x"].tolist() == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]


def test_a_run_of_one_unit_is_left_alone():
    for units in (["mm", "mm"], ["mm", None], [None, "mm"]):
        run = ScanData.from_documents(scan(units)).run
        assert in_one_unit(run) is run or in_one_unit(run).streams["primary"].units("x") == "mm"
        np.testing.assert_array_equal(
            in_one_unit(run).streams["primary"].columns["x"], run.streams["primary"].columns["x"]
        )


def test_a_resumed_run_is_joined_in_its_own_units(xafs_documents):
    def merged(units):
        first, second = (
            xafs_documents(12, taken=taken, uid=uid * 8) for taken, uid in ((5, "a"), (7, "b"))
        )
        second = numbered(second, [*range(5, 12)], continues="a" * 8, first_point=5)
        for documents, (unit, factor) in zip((first, second), units, strict=True):
            for key in ("I0", "It", "Ir"):
                documents[1][1]["data_keys"][key]["units"] = unit
                for _, event in documents[2:-1]:
                    event["data"][key] *= factor
        return ScanData.from_documents(second).joined(ScanData.from_documents(first)).merged()

    whole, joined = merged([("A", 1.0), ("A", 1.0)]), merged([("A", 1.0), ("nA", 1e9)])
    assert len(joined.energy_ev) == 12
    np.testing.assert_allclose(joined.channels["i0"], whole.channels["i0"] * 1e9, rtol=1e-12)
    np.testing.assert_allclose(joined.mu()[0], whole.mu()[0], rtol=1e-12)
