"""Every sample of the library: scanned on the real server, reduced and fitted by larch."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xraydb
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from ophyd import EpicsSignal

from beamline_ophyd import ScanData
from beamline_ophyd.devices import SIMULATOR, load_beamline
from beamline_ophyd.plans import xafs_scan

from ..environments import ROOT, reference_python

pytestmark = [
    pytest.mark.slow("scans the whole library, a minute, and larch takes five seconds to import"),
    pytest.mark.timeout(900),
]

SAMPLES = ROOT / "device_server" / "samples"
LIBRARY = sorted(path.stem for path in SAMPLES.glob("*.xdi"))
GRID = {"bounds": [-150, -20, 35, "12k"], "steps": [10, 0.5, "0.05k"], "times": [1, 1, 1]}
FAST = 2000.0


def header(stem):
    lines = (SAMPLES / f"{stem}.xdi").read_text().splitlines()
    return dict(re.findall(r"^# ([\w.]+): (.*)$", "\n".join(lines), re.MULTILINE))


def first_number(text):
    return float(text.split()[0])


def tabulated(stem):
    """Edge of the element, in eV."""
    about = header(stem)
    return xraydb.xray_edge(about["Element.symbol"], about["Element.edge"]).energy


@pytest.fixture(scope="module")
def python():
    return reference_python()


@pytest.fixture(scope="module")
def scans(lent, python):
    """Energy, mu of sample and foil of every sample, by the plan that users call."""
    beamline = load_beamline(SIMULATOR, P=lent.prefix)
    engine = RunEngine({}, context_managers=[])
    beamline.connect(60)
    stage, energy, chambers = (beamline[name] for name in ("stage", "mono", "chambers"))
    reference = EpicsSignal(f"{lent.prefix}REF:NAME", name="reference", put_complete=True)
    reference.wait_for_connection(timeout=60)

    def scan(stem):
        about = header(stem)
        foil = f"{about['Element.symbol'].lower()}_foil"
        yield from bps.mv(stage, stem, reference, foil, beamline["simulation"].speed, FAST)
        edge = f"{about['Element.symbol']}-{about['Element.edge']}"
        detectors = [chambers.i0, chambers.it, chambers.ir]
        yield from xafs_scan(detectors, energy.energy, edge, **GRID, shutter=beamline["shutter"])

    taken = {}
    for stem in LIBRARY:
        documents = []
        engine(scan(stem), lambda *pair, kept=documents: kept.append(pair))
        data = ScanData.from_documents(documents)
        taken[stem] = data.energy, data.mu()[0], data.mu("reference")[0]
    yield taken
    reference.destroy()
    beamline.disconnect()
    engine.loop.call_soon_threadsafe(engine.loop.stop)


@pytest.fixture(scope="module")
def judged(python, scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    names = ("energy", "mu", "reference")
    given = {
        f"{name}/{stem}": values
        for stem, columns in scans.items()
        for name, values in zip(names, columns, strict=True)
    }
    np.savez(folder / "scans.npz", **given)
    judge = Path(__file__).with_name("sample_judge.py")
    command = [str(python), str(judge), str(folder / "scans.npz"), str(folder / "found.json")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("stem", LIBRARY)
def test_a_scan_shows_the_published_edge_of_the_compound(stem, judged):
    published = first_number(header(stem)["Simulation.published_edge"])
    assert judged[stem]["e0"] == pytest.approx(published, abs=2.0)


@pytest.mark.parametrize("stem", LIBRARY)
def test_the_foil_counted_in_the_same_scan_is_at_the_tabulated_edge(stem, judged):
    assert judged[stem]["reference"] == pytest.approx(tabulated(stem), abs=2.0)


@pytest.mark.parametrize("stem", LIBRARY)
def test_a_fit_finds_the_distance_of_the_recipe(stem, judged):
    distance = first_number(header(stem)["Simulation.first_distance"])
    assert judged[stem]["distance"] == pytest.approx(distance, abs=0.05)


@pytest.mark.parametrize("stem", [stem for stem in LIBRARY if stem.endswith("_foil")])
def test_a_foil_is_at_the_tabulated_edge(stem, judged):
    assert judged[stem]["e0"] == pytest.approx(tabulated(stem), abs=2.0)


@pytest.mark.parametrize("stem", ["fe2o3", "fe2o3_dilute", "feo", "nio"])
def test_absorption_of_an_oxide_begins_at_the_tabulated_edge(stem, judged):
    """The main edge of an oxide is higher, but its 1s-3d peak is at the metal's edge."""
    assert judged[stem]["onset"] == pytest.approx(tabulated(stem), abs=2.0)
