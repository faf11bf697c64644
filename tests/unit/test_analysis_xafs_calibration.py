import numpy as np
import pytest

from beamline_ophyd.analysis.xafs import align, calibrated, find_e0

ENERGY = np.arange(7050.0, 7300.0, 0.5)


def edge(energy, e0=7112.0):
    x = energy - e0
    return 1.4 * (0.5 + np.arctan(x * 1.6) / np.pi) + 0.2 * np.exp(-(((x - 8) / 4) ** 2))


def test_a_shift_is_found_whatever_thickness_and_slope():
    shifts = np.array([-3.2, 0.0, 0.07, 1.5])
    mu = np.stack([(1 + s / 9) * edge(ENERGY + s) + 0.3 - 1e-4 * ENERGY for s in shifts])
    found = align(ENERGY, mu, ENERGY, edge(ENERGY))
    np.testing.assert_allclose(found.shift, shifts, atol=0.01)
    np.testing.assert_allclose(found.scale, 1 + shifts / 9, rtol=0.01)


def test_grids_may_differ_and_points_may_be_missing():
    other = np.sort(np.random.default_rng(8).uniform(7060, 7250, 500))
    mu = edge(other + 0.8)
    mu[::50] = np.nan
    assert align(other, mu, ENERGY, edge(ENERGY)).shift == pytest.approx(0.8, abs=0.01)


def test_the_deviation_is_the_scatter_of_noisy_spectra():
    noise = 3e-3 * np.random.default_rng(9).standard_normal((200, len(ENERGY)))
    found = align(ENERGY, edge(ENERGY - 0.4) + noise, ENERGY, edge(ENERGY))
    assert np.mean(found.shift) == pytest.approx(-0.4, abs=0.005)
    assert np.std(found.shift) == pytest.approx(np.mean(found.sigma), rel=0.2)


def test_calibration_puts_the_edge_where_it_belongs():
    measured = find_e0(ENERGY, edge(ENERGY, 7114.3))
    for d_spacing in (None, 3.1356):
        energy = calibrated(ENERGY, measured, 7112.0, d_spacing)
        assert find_e0(energy, edge(ENERGY, 7114.3)) == pytest.approx(7112.0, abs=0.05)


def test_a_bragg_offset_is_undone_over_the_whole_range():
    lowest = 12398.41984 / (2 * 3.1356)
    told = lowest / np.sin(np.arcsin(lowest / ENERGY) - 1e-4)
    measured = np.interp(7112.0, ENERGY, told)
    np.testing.assert_allclose(calibrated(told, measured, 7112.0, 3.1356), ENERGY, atol=1e-3)


def test_what_cannot_be_aligned_is_refused():
    with pytest.raises(ValueError, match="points lie within"):
        align(ENERGY, edge(ENERGY), ENERGY, edge(ENERGY), e0=9000.0)
    with pytest.raises(ValueError, match="does not cover the edge"):
        align(ENERGY, edge(ENERGY), ENERGY[150:], edge(ENERGY[150:]), e0=7112.0)
    with pytest.raises(ValueError, match="reaches no energy below"):
        calibrated(ENERGY, 7112.0, 7113.0, 0.5)
