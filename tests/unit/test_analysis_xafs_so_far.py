"""A spectrum while it is measured: what can be said of it, and how well."""

import numpy as np
import pytest

from beamline_ophyd import ScanData
from beamline_ophyd.analysis.xafs import reduce_so_far

MEASURED = [
    "CuO_tenorite_13K_01.xdi",
    "Cu_Foil_rt_2016Foils.xdi",
    "Fe2O3_rt_01.xdi",
    "Fe_Foil_rt_2016Foils.xdi",
    "Ni2O3_rt_01.xdi",
    "Ni_metal_rt_02.xdi",
    "Pb_Foil_L3_rt_2016Foils.xdi",
    "cu_metal_rt.xdi",
]


@pytest.fixture
def begun(measured_columns, xafs_documents):
    """The first points of a measured scan, up to a distance from its end."""

    def make(name, until_ev):
        columns = measured_columns(name)
        order = np.argsort(columns["energy"])
        columns = {role: values[order] for role, values in columns.items() if role != "irefer"}
        taken = int(np.searchsorted(columns["energy"], until_ev))
        scan = xafs_documents(
            len(order), columns=columns, taken=taken, exit_status=None, contract=False
        )
        mapping = {"energy": "mono_energy", "i0": "I0", "itrans": "It"}
        return reduce_so_far(ScanData.from_documents(scan, mapping=mapping))

    return make


FOIL = "Fe_Foil_rt_2016Foils.xdi"


def test_each_part_comes_when_the_points_reach_it(begun):
    before, behind, far = begun(FOIL, 7140.0), begun(FOIL, 7240.0), begun(FOIL, 7900.0)
    assert (before.normalised, before.background, before.transform) == (None, None, None)
    assert behind.normalised is not None
    assert behind.transform is None
    assert far.transform is not None
    assert len(before.mu) < len(behind.mu) < len(far.mu)


@pytest.mark.parametrize("name", MEASURED)
def test_the_edge_step_stays_within_its_band(begun, name):
    final = begun(name, np.inf).normalised
    bands = []
    for reach in (55.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0):
        early = begun(name, final.e0 + reach)
        assert abs(early.normalised.edge_step / final.edge_step - 1) < early.edge_step_band
        bands.append(early.edge_step_band)
    assert bands == sorted(bands, reverse=True)
    assert bands[4] < 0.05


def test_a_run_without_a_point_gives_nothing(xafs_documents):
    empty = xafs_documents(taken=0)
    assert reduce_so_far(ScanData.from_documents(empty)) is None


def test_noise_falls_with_the_square_root_of_the_photons(xafs_documents):
    def noise(per_count):
        energy = np.linspace(7000.0, 7600.0, 301)
        mu = 0.4 + 1.4 / (1 + np.exp(-(energy - 7112.0) / 2))
        i0 = np.full(301, 1e6)
        columns = {"energy": energy, "i0": i0, "itrans": i0 * np.exp(-mu)}
        documents = xafs_documents(301, columns=columns, ev_per_count=per_count)
        return reduce_so_far(ScanData.from_documents(documents)).noise

    few, many = noise(2.5e4), noise(2.5e5)
    assert few / many == pytest.approx(np.sqrt(10), rel=0.05)
