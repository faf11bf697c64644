"""larch's own reader of NeXus files on ours."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from beamline_ophyd import ScanData

pytestmark = pytest.mark.slow("larch takes five seconds to import")


@pytest.fixture(scope="module")
def python():
    beside = Path(__file__).parents[2] / ".venv-reference/bin/python"
    found = Path(os.environ.get("BEAMLINE_REFERENCE_PYTHON", beside))
    if not found.is_file():
        pytest.skip("larch is not installed; `make reference` makes its environment")
    return found


def judged(python, path):
    judge = Path(__file__).with_name("nexus_judge.py")
    done = subprocess.run([python, judge, path], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_open_xas_source_finds_energy_and_channels(python, xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents(points=50, repeats=2))
    (scan,) = judged(python, data.to_nexus(tmp_path / "a.nxs"))["scans"].values()
    spectrum = data.merged()
    expected = {"energy": spectrum.energy_ev}
    expected |= {"i0": spectrum.channels["i0"], "itrans": spectrum.channels["itrans"]}
    for name, values in expected.items():
        assert scan[name] == [float(x).hex() for x in values], name


def test_larix_and_its_class_find_every_entry(python, xafs_documents, tmp_path):
    path = tmp_path / "a.nxs"
    spectra = {}
    for entry, mode in (("entry", "transmission"), ("entry_1", "fluorescence")):
        data = ScanData.from_documents(xafs_documents(mode=mode, uid=entry))
        data.to_nexus(path, mode="a")
        spectra[entry] = data.merged()
    said = judged(python, path)
    assert said["NXxas"] == list(spectra)
    for entry, spectrum in spectra.items():
        scan = said["scans"][entry]
        assert scan["energy"] == [float(x).hex() for x in spectrum.energy_ev]
        for role in spectrum.channels:
            name = {"irefer": "iref"}.get(role, role)
            assert scan[name] == [float(x).hex() for x in spectrum.channels[role]], (entry, role)
