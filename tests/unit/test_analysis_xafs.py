import numpy as np
import pytest

from beamline_ophyd.analysis.xafs import find_e0, pre_edge
from beamline_ophyd.grid import energy_grid

E0 = 7112.0


def edge(energy, step=1.4, width=1.25, noise=0.0):
    """An arctangent edge on falling absorption."""
    smooth = 0.4 - 2e-4 * (energy - E0)
    mu = smooth + step * (0.5 + np.arctan((energy - E0) * 2 / width) / np.pi)
    return mu + noise * np.random.default_rng(7).standard_normal(len(energy))


@pytest.fixture
def energy():
    return energy_grid("Fe-K").energy_ev


def test_e0_of_a_clean_edge(energy):
    assert find_e0(energy, edge(energy)) == pytest.approx(E0, abs=0.05)


def test_e0_does_not_need_an_even_grid():
    uneven = np.sort(np.random.default_rng(3).uniform(7080, 7150, 300))
    assert find_e0(uneven, edge(uneven)) == pytest.approx(E0, abs=0.3)


def test_a_glitch_elsewhere_does_not_win_near_the_edge(energy):
    mu = edge(energy)
    mu[energy > 7500] += 5
    assert find_e0(energy, mu) > 7490
    assert find_e0(energy, mu, near=E0) == pytest.approx(E0, abs=0.05)


def test_points_that_are_not_finite_are_passed_over(energy):
    mu = edge(energy)
    mu[[3, 60, 200]] = np.nan
    assert find_e0(energy, mu) == pytest.approx(E0, abs=0.05)
    assert np.isnan(pre_edge(energy, mu, E0).norm[60])


def test_edge_step_and_normalisation(energy):
    # The arctangent's tails reach 0.2 % of the step at the ranges fitted.
    result = pre_edge(energy, edge(energy, step=1.4), e0=E0)
    assert result.edge_step == pytest.approx(1.4, rel=0.006)
    assert np.abs(result.norm[energy < E0 - 50]).max() < 0.01
    assert np.abs(result.flat[energy > E0 + 50] - 1).max() < 0.01


def test_e0_is_found_when_not_given(energy):
    assert pre_edge(energy, edge(energy, noise=1e-4)).e0 == pytest.approx(E0, abs=0.5)


def test_a_pinned_step_scales_the_result(energy):
    fitted = pre_edge(energy, edge(energy), e0=E0)
    pinned = pre_edge(energy, edge(energy), e0=E0, step=2 * fitted.edge_step)
    np.testing.assert_allclose(pinned.norm, fitted.norm / 2)


def test_victoreen_fits_a_falling_power_exactly(energy):
    mu = (2.0 + 0.001 * (energy - E0)) / energy**3 * 1e11
    mu = mu + (energy > E0) * 0.7
    result = pre_edge(energy, mu, e0=E0, nvict=3)
    np.testing.assert_allclose(result.pre_edge[energy < E0], mu[energy < E0], rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pre1": -900, "pre2": -800}, "pre-edge range -900 to -800"),
        ({"norm1": 900, "norm2": 950}, "post-edge range 900 to 950"),
        ({"e0": 7500.0, "pre1": -300, "pre2": -100}, "not positive"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(energy, options, words):
    with pytest.raises(ValueError, match=words):
        pre_edge(energy, edge(energy), **({"e0": E0} | options))


def test_bad_arrays_are_refused(energy):
    with pytest.raises(ValueError, match="one length"):
        find_e0(energy, energy[:-1])
    with pytest.raises(ValueError, match="strictly increasing"):
        find_e0(energy[::-1], edge(energy))
    with pytest.raises(ValueError, match="at least 5"):
        find_e0(energy[:4], energy[:4])
    with pytest.raises(ValueError, match="no points within"):
        find_e0(energy, edge(energy), near=9000.0)
