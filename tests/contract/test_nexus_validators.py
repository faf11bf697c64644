"""Other people's validators and readers on the files that the live writer leaves."""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from beamline_ophyd import NeXusWriter, ScanData
from beamline_ophyd.callbacks import NXxasWriter
from beamline_ophyd.formats.validate import application_problems, validate_file
from beamline_ophyd.repair import repair_file

from ..runs import with_dark, with_spectra

DEADLINE_S = 180.0

FULL = {
    "Facility": {"name": "a ring", "energy": 3.0},
    "Sample": {"name": "ferrite", "prep": "pressed", "temperature": 13.0},
    "queue": {"place": "holder 7"},
}
KINDS = {
    "transmission": {"repeats": 2, "start": {"user": "Ann"}},
    "aborted": {"taken": 7, "exit_status": "abort", "reason": "the ring tripped"},
    "no events": {"taken": 0, "exit_status": "fail", "reason": "no motion"},
    "fluorescence": {"mode": "fluorescence"},
    "large": {"points": 9000},
    "no counting errors": {"ev_per_count": None},
    "full": {"start": FULL},
}


ODD_NAMES = ("motor_offset", "x_errors", "y_set", "DECTRIS_z", "NX_class", "2theta", "mca 1/µ", "µ")


def with_odd_names(documents):
    """The run with a baseline of data keys that are reserved in NeXus, or no NeXus names."""
    start, *rest = documents
    run = start[1]["uid"]
    keys = {key: {"source": "x", "dtype": "number", "shape": []} for key in ODD_NAMES}
    descriptor = {
        "uid": f"{run}-b",
        "run_start": run,
        "name": "baseline",
        "time": 0.0,
        "data_keys": keys,
        "configuration": {"motor": {"data": dict.fromkeys(ODD_NAMES, 1.5)}},
    }
    event = {
        "uid": f"{run}-b0",
        "descriptor": f"{run}-b",
        "seq_num": 1,
        "time": 0.0,
        "data": dict.fromkeys(ODD_NAMES, 1.5),
        "timestamps": dict.fromkeys(ODD_NAMES, 0.0),
    }
    return [start, ("descriptor", descriptor), ("event", event), *rest]


@pytest.fixture(scope="module", params=list(KINDS))
def file(request, xafs_documents, tmp_path_factory):
    writer = NXxasWriter(tmp_path_factory.mktemp("files"), template="run")
    documents = with_odd_names(xafs_documents(**KINDS[request.param]))
    if request.param == "full":
        documents = with_dark(with_spectra(documents), {"I0": 1.0, "It": 1.0}, errors={"I0": 0.1})
    for item in documents:
        writer(*item)
    assert writer.close(DEADLINE_S)
    assert writer.problems == []
    (path,) = writer.files.values()
    return path


@pytest.fixture(scope="module")
def broken(xafs_documents, tmp_path_factory):
    """A file without the energy of its monochromator and without its element's name."""
    writer = NXxasWriter(tmp_path_factory.mktemp("broken"), template="run")
    for item in xafs_documents():
        writer(*item)
    assert writer.close(DEADLINE_S)
    (path,) = writer.files.values()
    with h5py.File(path, "a") as file:
        del file["entry/instrument/monochromator/energy"]
        del file["entry/element/name"]
        del file["entry/is_experimental"]
    return path


def output(*command):
    """What a command says; the validators' exit codes are always 0."""
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, timeout=DEADLINE_S
    )
    return done.stdout + done.stderr


def test_nxvalidate(file):
    said = output("nxvalidate", "--warning", str(file))
    assert "Application Definition: NXxas" in said
    assert "Total number of warnings: 0" in said
    assert "Total number of errors: 0" in said


def test_nxvalidate_finds_what_is_broken(broken):
    said = output("nxvalidate", "--warning", str(broken))
    assert "Total number of errors: 0" not in said
    assert "energy" in said
    assert any("monochromator/energy" in p.where for p in application_problems(broken))


def written_from_arrays(documents, folder):
    columns = ScanData.from_documents(documents).columns
    with NeXusWriter(folder / "arrays.nxs") as file:
        file.add_metadata({"Element": {"symbol": "Fe", "edge": "K"}, "Sample": {"name": "foil"}})
        file.write_scan(
            {"energy": columns["mono_energy"], "i0": columns["I0"], "itrans": columns["It"]}
        )
    return folder / "arrays.nxs"


def repaired(documents, folder):
    path = ScanData.from_documents(documents).to_nexus(folder / "damaged.nxs")
    with h5py.File(path, "a") as file:
        del file.attrs["default"]
    return repair_file(path).path


def of_two_units(documents, folder):
    """I0 in A, and in nA from the eighth event on."""
    anew = deepcopy(documents[1])
    anew[1]["uid"] += "-2"
    for (_, descriptor), unit in ((documents[1], "A"), (anew, "nA")):
        descriptor["data_keys"]["I0"]["units"] = unit
    for _, event in documents[9:-1]:
        event["descriptor"] = anew[1]["uid"]
    return ScanData.from_documents([*documents[:9], anew, *documents[9:]]).to_nexus(
        folder / "units.nxs"
    )


def of_a_clock_set_back(documents, folder):
    for _, doc in documents[6:]:
        doc["time"] -= 3600.0
    return ScanData.from_documents(documents).to_nexus(folder / "clock.nxs")


@pytest.mark.parametrize("made", [written_from_arrays, repaired, of_two_units, of_a_clock_set_back])
def test_validators_on_files_of_other_origin(made, xafs_documents, tmp_path):
    path = made(xafs_documents(), tmp_path)
    assert validate_file(path) == []
    said = output("nxvalidate", "--warning", str(path))
    assert "Total number of warnings: 0" in said, said
    assert "Total number of errors: 0" in said, said
    said = output("pynx", "validate", str(path))
    assert "is valid according to the `NXxas` application definition" in said, said


def test_pynxtools(file):
    said = output("pynx", "validate", str(file))
    assert "is valid according to the `NXxas` application definition" in said
    assert "WARNING" not in said


def test_pynxtools_finds_what_is_broken(broken):
    said = output("pynx", "validate", str(broken))
    assert "NOT valid" in said
    assert "is_experimental" in said


def test_default_plot_for_h5py(file):
    """The chain of attributes that h5web, silx and nexpy follow too."""
    with h5py.File(file) as root:
        group: Any = root
        while "default" in group.attrs:
            group = group[group.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata"
        signal = group[group.attrs["signal"]]
        (axis,) = group.attrs["axes"]
        assert group.attrs[f"{axis}_indices"] == 0
        assert signal.shape == group[axis].shape
        errors = group.get(f"{group.attrs['signal']}_errors")
        assert errors is None or errors.shape == signal.shape


def test_default_plot_for_nexusformat(file):
    from nexusformat.nexus import nxload

    tree: Any = nxload(str(file))
    with tree as root:
        data = root.plottable_data
        if data is None:
            assert len(root["entry/energy"]) == 0
            return
        assert data.nxsignal.nxname == "intensity"
        (axis,) = data.nxaxes
        assert axis.nxname == "energy"
        np.testing.assert_array_equal(axis.nxdata, root["entry/energy"].nxdata)
        assert (data.nxerrors is None) == ("intensity_errors" not in root["entry"])
