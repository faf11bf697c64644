import numpy as np
import pytest

from beamline_ophyd.analysis.xafs import autobk, find_glitches, masked
from beamline_ophyd.grid import energy_grid

E0 = 7112.0
ENERGY = energy_grid("Fe-K").energy_ev


def spectrum(noise=3e-4, seed=11):
    k = np.sqrt(np.maximum(ENERGY - E0, 0) / 3.80998211)
    chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    mu = 0.4 + 1.4 * (0.5 + np.arctan((ENERGY - E0) * 1.6) / np.pi) * (1 + chi)
    return mu + noise * np.random.default_rng(seed).standard_normal(len(ENERGY))


def test_a_glitch_is_marked_and_its_neighbours_are_not():
    mu = spectrum()
    at = int(np.searchsorted(ENERGY, 7400))
    mu[at] += 0.02
    before = mu.copy()
    marks = find_glitches(ENERGY, mu)
    assert np.flatnonzero(marks).tolist() == [at]
    np.testing.assert_array_equal(mu, before)


def test_a_glitch_of_three_points_is_marked_whole():
    mu = spectrum()
    at = int(np.searchsorted(ENERGY, 7500))
    mu[at - 1 : at + 2] -= [0.02, 0.05, 0.02]
    assert find_glitches(ENERGY, mu)[at - 1 : at + 2].all()


def test_clean_spectra_and_the_edge_have_none():
    stack = np.stack([spectrum(seed=seed) for seed in range(30)])
    assert find_glitches(ENERGY, stack).sum() <= 3


def test_a_calculated_spectrum_without_noise_has_none():
    assert not find_glitches(ENERGY, spectrum(noise=0.0)).any()


def test_errors_told_decide():
    mu = spectrum(noise=0.0)
    mu[200] += 0.004
    assert find_glitches(ENERGY, mu, 3e-4)[200]
    assert not find_glitches(ENERGY, mu, 3e-3)[200]


def test_fine_structure_sharper_than_the_noise_is_no_glitch():
    mu = spectrum(noise=1e-5)
    assert not find_glitches(ENERGY, mu, 1e-5).any()


def test_what_is_marked_can_be_left_out_of_the_reduction():
    clean = spectrum()
    mu = clean.copy()
    mu[220] += 0.1
    spoilt, mended, true = (
        autobk(ENERGY, y, ek0=E0, edge_step=1.4).chi
        for y in (mu, masked(mu, find_glitches(ENERGY, mu)), clean)
    )
    assert np.abs(mended - true).max() < 0.1 * np.abs(spoilt - true).max()


@pytest.mark.parametrize(
    "name", ["Fe_metal_rt_01", "cu_metal_rt", "Ni_metal_rt_01", "CuO_tenorite_13K_01"]
)
def test_measured_spectra_keep_their_structure(name, measured_columns):
    column = measured_columns(f"{name}.xdi")
    energy, first = np.unique(column["energy"], return_index=True)
    mu = np.log(column["i0"] / column["itrans"])[first]
    assert find_glitches(energy, mu).mean() < 0.02
