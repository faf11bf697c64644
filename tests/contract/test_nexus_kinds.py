"""Other people's validators and readers on every kind of file."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from silx.io import open as silx_open
from silx.io.nxdata.parse import get_default

from beamline_ophyd import ScanData
from beamline_ophyd.formats.definitions import DEFINITIONS

from ..kinds import PLANS, documents_of

DEADLINE_S = 180.0
DEFINED = {"powder": "NXmonopd", "powder with monitor": "NXmonopd"}
SHAPES = {
    "powder": (5,),
    "mesh": (2, 3),
    "xanes map by pixel": (2, 3, 4),
    "xanes map by energy": (4, 2, 3),
    "grid_scan": (2, 2, 3),
    "line": (3,),
    "count": (3,),
}


@pytest.fixture
def repeats(xafs_documents, tmp_path):
    """A spectrum of two sweeps and its file, with an entry each."""
    data = ScanData.from_documents(xafs_documents(repeats=2))
    return data, data.to_nexus(tmp_path / "repeats.nxs", repeats="entries")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return {
        kind: ScanData.from_documents(documents_of(kind)).to_nexus(folder / f"{number}.nxs")
        for number, kind in enumerate(PLANS)
    }


def said_by(program, *arguments):
    command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", list(DEFINED))
def test_nxvalidate(files, kind):
    said = said_by("nxvalidate", "--warning", files[kind])
    assert f"Application Definition: {DEFINED[kind]}" in said
    assert "Total number of warnings: 0" in said
    assert "Total number of errors: 0" in said


@pytest.mark.parametrize("kind", ["powder with monitor", "mesh", "baseline"])
def test_nxcheck(files, kind):
    """The base classes alone, which a run without a definition has to follow too."""
    said = said_by("nxcheck", "--warning", files[kind])
    assert "Total number of errors: 0" in said
    assert said.count("is not defined") == said.count("@beamline_ophyd_layout") == 1


@pytest.mark.parametrize("kind", list(DEFINED))
def test_pynxtools(files, kind):
    said = said_by("pynx", "validate", files[kind])
    assert f"is valid according to the `{DEFINED[kind]}` application definition" in said
    assert "WARNING" not in said


@pytest.mark.parametrize("kind", [kind for kind in PLANS if kind != "nothing read"])
def test_default_plot_of_silx(files, kind):
    with silx_open(str(files[kind])) as root:
        found: Any = get_default(root)
        assert found is not None
        assert found.is_valid
        assert found.signal.shape == SHAPES.get(kind, found.signal.shape)
        if kind != "count":  # along no axis
            assert all(axis is not None for axis in found.axes)
            assert found.axes[0].shape == found.signal.shape[:1]


@pytest.mark.parametrize("kind", list(SHAPES))
def test_default_plot_of_nexusformat(files, kind):
    from nexusformat.nexus import nxload

    tree: Any = nxload(str(files[kind]))
    with tree as root:
        data = root.plottable_data
        assert data.nxsignal.shape == SHAPES[kind]
        assert np.all(np.isfinite(data.nxsignal.nxdata))


def test_validators_on_repeats(repeats):
    _, path = repeats
    said = said_by("nxvalidate", "--warning", path)
    assert "Total number of warnings: 0" in said
    assert "Total number of errors: 0" in said
    said = said_by("pynx", "validate", path)
    assert said.count("is valid according to the `NXxas` application definition") == 3
    assert "WARNING" not in said


def test_validators_on_files_of_repeats(repeats, tmp_path):
    path = repeats[0].to_nexus(tmp_path / "whole.nxs", repeats="files")
    for place in (path, tmp_path / "whole_sweep_2.nxs"):
        said = said_by("nxvalidate", "--warning", place)
        assert "Total number of warnings: 0" in said
        assert "Total number of errors: 0" in said
        said = said_by("pynx", "validate", place)
        assert said.count("is valid according to the `NXxas` application definition") == 1
        assert "WARNING" not in said


def test_readers_on_repeats(repeats):
    data, path = repeats
    with silx_open(str(path)) as root:
        found: Any = get_default(root)
        np.testing.assert_array_equal(found.signal[()], data.mu()[0])
        sweep: Any = get_default(root["entry_sweep_2"])
        np.testing.assert_array_equal(sweep.signal[()], data.sweeps()[1].mu()[0])
        np.testing.assert_array_equal(sweep.errors[()], data.sweeps()[1].mu()[1])
    from nexusformat.nexus import nxload

    tree: Any = nxload(str(path))
    with tree as root:
        np.testing.assert_array_equal(root.plottable_data.nxsignal.nxdata, data.mu()[0])
        sweep = root["entry_sweep_2"].plottable_data
        np.testing.assert_array_equal(sweep.nxsignal.nxdata, data.sweeps()[1].mu()[0])
        np.testing.assert_array_equal(sweep.nxaxes[0].nxdata, data.sweeps()[1].energy_ev)


@pytest.mark.parametrize("name", [n for n, d in DEFINITIONS.items() if d.required])
def test_pynxtools_on_drafts(name, xafs_documents, tmp_path):
    spectrometer = {
        "emission_line": "Ka1",
        "emission_energy": 6404.0,
        "emission_window": [6380.0, 6420.0],
        "analyzer": "Ge(440)",
    }
    documents = xafs_documents(mode=DEFINITIONS[name].mode, start={"Detector": spectrometer})
    path = ScanData.from_documents(documents).to_nexus(tmp_path / "a.nxs", definition=name)
    said = said_by("pynx", "validate", path)
    assert f"is valid according to the `{name}` application definition" in said
    assert "WARNING" not in said
