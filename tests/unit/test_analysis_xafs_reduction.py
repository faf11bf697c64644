import numpy as np
import pytest
import xarray

from beamline_ophyd import ScanData
from beamline_ophyd.analysis import xafs
from beamline_ophyd.grid import energy_grid

E0 = 7112.0
ENERGY = energy_grid("Fe-K").energy_ev


def absorption(energy):
    k = np.sqrt(np.maximum(energy - E0, 0) / 3.80998211)
    chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    return 0.4 + 1.4 * (0.5 + np.arctan((energy - E0) * 1.6) / np.pi) * (1 + chi)


@pytest.fixture(scope="module")
def scan(xafs_documents):
    """Two sweeps, the second one backwards."""
    energy = np.concatenate([ENERGY, ENERGY])
    i0 = np.random.default_rng(2).normal(1e6, 1e3, len(energy))
    mu = absorption(energy)
    columns = {"energy": energy, "i0": i0, "itrans": i0 * np.exp(-mu)}
    columns["irefer"] = columns["itrans"] * np.exp(-mu)
    return ScanData.from_documents(xafs_documents(len(ENERGY), 2, columns=columns))


def test_a_run_is_reduced_in_one_call(scan):
    found = xafs.reduce(scan, kmax=12)
    assert found.e0 == pytest.approx(E0, abs=0.5)
    assert found.edge_step == pytest.approx(1.4, rel=0.02)
    assert found.transform.r[np.argmax(found.transform.chir_mag)] == pytest.approx(2.2, abs=0.05)
    assert found.mu_errors is not None
    assert found.normalised.norm_errors is not None
    assert found.background.chi_errors is not None
    assert xafs.reduce(scan, "reference").edge_step == pytest.approx(1.4, rel=0.02)


def test_the_parts_are_those_of_the_single_functions(scan):
    found = xafs.reduce(scan, e0=E0)
    normalised = xafs.pre_edge(scan.energy, scan.mu()[0], E0)
    np.testing.assert_array_equal(found.normalised.flat, normalised.flat)
    background = xafs.autobk(scan.energy, scan.mu()[0], normalised=normalised)
    np.testing.assert_array_equal(found.background.chi, background.chi)


def test_a_dataset_comes_out_and_goes_in(scan):
    found = xafs.reduce(scan)
    dataset = found.to_dataset()
    assert dataset["chi"].dims == ("k",)
    assert dataset["energy"].attrs["units"] == "eV"
    assert float(dataset["edge_step"]) == found.edge_step
    again = xafs.reduce(scan.to_xarray(merged=True))
    np.testing.assert_allclose(again.background.chi, found.background.chi, atol=1e-12)
    np.testing.assert_allclose(again.to_dataset()["chi_errors"], dataset["chi_errors"])


def test_a_stack_of_datasets_is_reduced_together(scan):
    one = scan.to_xarray(merged=True)
    found = xafs.reduce(xarray.concat([one, one, one], "sweep"), "transmission", e0=E0)
    dataset = found.to_dataset()
    assert dataset["chir"].dims == ("spectrum", "r")
    assert dataset.sizes["spectrum"] == 3
    alone = xafs.reduce(scan, e0=E0).to_dataset()
    np.testing.assert_allclose(dataset["chir"][1], alone["chir"], atol=1e-9)


def test_glitches_are_marked_and_left_out_only_when_asked():
    mu = absorption(ENERGY) + 3e-4 * np.random.default_rng(3).standard_normal(len(ENERGY))
    spoilt = mu.copy()
    spoilt[220] += 0.1
    counted, left = (
        xafs.reduce_arrays(ENERGY, spoilt, e0=E0, without_glitches=w) for w in (False, True)
    )
    assert np.flatnonzero(counted.glitches).tolist() == [220]
    np.testing.assert_array_equal(left.mu, spoilt)
    clean = xafs.reduce_arrays(ENERGY, mu, e0=E0).background.chi
    assert np.abs(left.background.chi - clean).max() < 0.01
    assert np.abs(counted.background.chi - clean).max() > 0.03


def test_a_dataset_that_is_no_spectrum_is_refused():
    with pytest.raises(ValueError, match="it takes the coordinate energy"):
        xafs.reduce(xarray.Dataset({"a": ("x", [1.0])}))
