import numpy as np
import pytest

from beamline_ophyd.analysis import xafs
from beamline_ophyd.grid import energy_grid

E0 = 7112.0
ENERGY = energy_grid("Fe-K").energy_ev
PHOTONS = 4e6


def absorption(energy):
    k = np.sqrt(np.maximum(energy - E0, 0) / 3.80998211)
    chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    return 0.4 + 1.4 * (0.5 + np.arctan((energy - E0) * 1.6) / np.pi) * (1 + chi)


def counted(repeats, energy=ENERGY):
    """Repeats whose channels are Poisson distributed, and the errors that their numbers give."""
    rng = np.random.default_rng(4)
    i0 = rng.poisson(PHOTONS, (repeats, len(energy)))
    it = rng.poisson(PHOTONS * np.exp(-absorption(energy)), i0.shape)
    return np.log(i0 / it), xafs.counting_noise(i0, it)


def test_counting_noise_is_the_scatter_of_repeats():
    mu, errors = counted(300)
    np.testing.assert_allclose(np.std(mu, axis=0, ddof=1), errors.mean(axis=0), rtol=0.25)
    check = xafs.check_noise(mu, errors)
    assert check.agrees
    assert check.ratio == pytest.approx(1, abs=4 * check.ratio_error)
    assert check.ratio_error < 0.003


def test_noise_that_is_not_counting_statistics_is_seen():
    mu, errors = counted(20)
    vibration = errors * np.random.default_rng(1).standard_normal(mu.shape)
    check = xafs.check_noise(mu + vibration, errors)
    assert not check.agrees
    assert check.ratio == pytest.approx(np.sqrt(2), rel=0.05)


def test_noise_of_a_yield_is_relative():
    rng = np.random.default_rng(2)
    fluorescence, i0 = rng.poisson(1e4, 20_000), rng.poisson(1e6, 20_000)
    told = xafs.counting_noise(i0, fluorescence, fluorescence / i0)
    assert np.std(fluorescence / i0) == pytest.approx(told.mean(), rel=0.02)
    assert np.isnan(xafs.counting_noise(0, 5.0))


def test_neighbours_tell_the_noise_of_one_spectrum():
    mu, errors = counted(40)
    told = xafs.point_noise(ENERGY, mu, low=E0 + 100)
    assert told.shape == (40,)
    expected = np.median(errors[:, ENERGY > E0 + 100])
    assert np.mean(told) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("step", "reads"), [("0.05k", 1.0), ("0.08k", 0.75)])
def test_the_high_r_rule_reads_low_on_a_coarse_grid(step, reads):
    grid = {"bounds": [-200, -30, 15, "14k"], "steps": [10, 0.5, step]}
    energy = energy_grid("Fe-K", **grid).energy_ev
    mu, errors = counted(60, energy)
    background = xafs.autobk(energy, mu, ek0=E0, edge_step=1.4, mu_errors=errors)
    assert background.chi_errors is not None
    k = background.k
    used = (k > 4) & (k < k[-1] - 1.5)
    scatter = np.std(background.chi, axis=0, ddof=1)[used]
    truth = np.sqrt(np.mean((scatter * k[used]) ** 2) / np.mean(k[used] ** 2))
    assert np.mean(xafs.high_r_noise(k, background.chi)) == pytest.approx(reads * truth, rel=0.06)
    # What the counting statistics say needs no such excuse.
    told = background.chi_errors.mean(axis=0)[used]
    assert np.sqrt(np.mean((told / scatter) ** 2)) == pytest.approx(1, abs=0.05)


def test_the_high_r_rule_is_right_for_white_noise():
    k = 0.05 * np.arange(300)
    chi = 0.01 * np.random.default_rng(6).standard_normal((200, len(k)))
    assert np.mean(xafs.high_r_noise(k, chi)) == pytest.approx(0.01, rel=0.05)


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="at least two repeats"):
        xafs.check_noise(np.zeros(5), 1.0)
    with pytest.raises(ValueError, match="no point is finite in all repeats"):
        xafs.check_noise(np.zeros((2, 5)), 0.0)
