"""The drafts of NXxas, one for each way of measuring."""

from typing import Any

import h5py
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import NXxasWriter
from beamline_ophyd.formats.definitions import DEFINITIONS
from beamline_ophyd.formats.validate import validate_file

SPECTROMETER = {
    "emission_line": "Ka1",
    "emission_energy": 6404.0,
    "emission_window": [6380.0, 6420.0],
    "analyzer": "Ge(440)",
}


def written(documents, path, definition):
    return ScanData.from_documents(documents).to_nexus(path, definition=definition)


def opened(path) -> Any:
    return h5py.File(path)


@pytest.mark.parametrize("name", list(DEFINITIONS))
def test_spectrum_by_each_definition(xafs_documents, tmp_path, name):
    mode = DEFINITIONS[name].mode or "transmission"
    documents = xafs_documents(mode=mode, start={"Detector": SPECTROMETER})
    path = written(documents, tmp_path / "a.nxs", name)
    assert validate_file(path) == []
    with opened(path) as file:
        entry = file["entry"]
        assert entry["definition"].asstr()[()] == name
        if name == "NXxas_pfy":
            assert entry["fluo_emission_line/name"].asstr()[()] == "Ka1"
            assert entry["emission_energy_window"][()].tolist() == [6380.0, 6420.0]
        if name == "NXxas_herfd":
            assert entry["emission_line/name"].asstr()[()] == "Ka1"
            assert entry["emission_energy"][()] == 6404.0
            assert entry["instrument/analyzer_crystal/reflection"][()].tolist() == [4, 4, 0]
        if name == "NXxas_tey":
            assert entry["instrument/absorbed_beam/data"] == entry["instrument/iey/data"]
            assert "iey / i0" in entry["process/parameters/formula"].asstr()[()]
    assert ScanData.from_nexus(path) == ScanData.from_documents(documents)


@pytest.mark.parametrize(
    ("definition", "mode", "start", "words"),
    [
        ("NXxas_tfy", "transmission", {}, "give definition='NXxas_trans'"),
        ("NXxas_trans", "fluorescence", {}, "'NXxas_tfy' or 'NXxas_pfy' or 'NXxas_herfd'"),
        ("NXxas_pfy", "fluorescence", {}, "asks for Detector.emission_line, Detector.emission_w"),
        ("NXxas_herfd", "fluorescence", {"Detector": {"analyzer": "Si(111)"}}, "emission_energy"),
        ("NXxas_trans", "transmission", {"Element": {"symbol": "Fe"}}, "asks for Element.edge"),
    ],
)
def test_spectrum_that_a_definition_does_not_fit(
    xafs_documents, tmp_path, definition, mode, start, words
):
    writer = NXxasWriter(tmp_path, definition=definition)
    for item in xafs_documents(mode=mode, start=start):
        writer(*item)
    assert writer.close(30.0)
    (problem,) = writer.problems
    assert words in str(problem)
    (path,) = writer.files.values()
    with opened(path) as file:
        assert file["entry/definition"].asstr()[()] == "NXxas"


def test_window_that_is_none(xafs_documents, tmp_path, caplog):
    detector = {**SPECTROMETER, "emission_window": [6420.0, 6380.0]}
    documents = xafs_documents(mode="fluorescence", start={"Detector": detector})
    written(documents, tmp_path / "a.nxs", "NXxas_pfy")
    assert "give the lowest and the highest energy of the window" in caplog.text


def test_what_a_draft_requires_is_looked_for(xafs_documents, tmp_path):
    path = written(xafs_documents(), tmp_path / "a.nxs", "NXxas_trans")
    with h5py.File(path, "a") as file:
        del file["entry/edge/name"]
    (problem,) = validate_file(path)
    assert problem.where == "/entry/edge/name"
    assert "NXxas_trans requires it" in problem.message


def test_definition_that_is_not_known(xafs_documents, tmp_path):
    with pytest.raises(ValueError, match="definition is 'NXmx'; give one of NXxas, NXxas_trans"):
        written(xafs_documents(), tmp_path / "a.nxs", "NXmx")
