import numpy as np
import pytest

from beamline_ophyd.analysis.xafs import autobk, find_e0, locate_edge, pre_edge, xftf, xftr
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
    # The arctangent's tails reach 0.8 % of the step at the ranges fitted.
    result = pre_edge(energy, edge(energy, step=1.4), e0=E0)
    assert result.edge_step == pytest.approx(1.4, rel=0.01)
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
    with pytest.raises(ValueError, match="there are no points"):
        find_e0([], [])
    with pytest.raises(ValueError, match="energies are in eV, are these keV"):
        pre_edge(energy / 1000, edge(energy))
    with pytest.raises(ValueError, match="no points within"):
        find_e0(energy, edge(energy), near=9000.0)


def exafs(energy, distance=2.2):
    """An edge with one shell whose chi(k) is known."""
    k = np.sqrt(np.maximum(energy - E0, 0) / 3.80998211)
    chi = 0.4 * np.sin(2 * distance * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    return edge(energy) + 1.4 * chi, chi, k


def test_the_background_leaves_the_shell_alone(energy):
    mu, chi, k = exafs(energy)
    found = autobk(energy, mu, ek0=E0, edge_step=1.4)
    used = (found.k > 4) & (found.k < 12)
    expected = np.interp(found.k, k, chi)[used]
    assert np.sqrt(np.mean((found.chi[used] - expected) ** 2)) < 0.03 * np.std(expected)
    transform = xftf(found.k, found.chi, kmin=3, kmax=13, window="hanning")
    assert transform.r[np.argmax(transform.chir_mag)] == pytest.approx(2.2, abs=0.03)


def test_a_stack_is_its_spectra_one_by_one(energy):
    mu = exafs(energy)[0] * np.linspace(0.5, 2, 20)[:, None]
    mu[3, 40] = mu[7, 200] = np.nan
    both = find_e0(energy, mu), pre_edge(energy, mu, E0), autobk(energy, mu, ek0=E0)
    for i, one in enumerate(mu):
        assert both[0][i] == pytest.approx(find_e0(energy, one), abs=1e-6)
        assert both[1].edge_step[i] == pytest.approx(pre_edge(energy, one, E0).edge_step)
        np.testing.assert_allclose(both[1].flat[i], pre_edge(energy, one, E0).flat, atol=1e-9)
        np.testing.assert_allclose(both[2].chi[i], autobk(energy, one, ek0=E0).chi, atol=1e-9)


def test_spectra_may_have_edges_of_their_own(energy):
    mu = np.stack([exafs(energy)[0]] * 2)
    e0 = np.array([E0, E0 + 3])
    normalised = pre_edge(energy, mu, e0)
    found = autobk(energy, mu, normalised=normalised)
    for i in range(2):
        alone = autobk(energy, mu[i], ek0=e0[i], kmax=found.k[-1] + 0.01)
        np.testing.assert_allclose(found.chi[i, 60:250], alone.chi[60:250], atol=2e-3)


def test_errors_are_the_scatter_of_noisy_spectra(energy):
    clean = exafs(energy)[0]
    sigma = np.where(energy < 7400, 1e-3, 3e-3)
    noisy = clean + sigma * np.random.default_rng(5).standard_normal((2000, len(energy)))
    normalised = pre_edge(energy, noisy, E0)
    told = pre_edge(energy, clean, E0, mu_errors=sigma)
    assert told.norm_errors is not None
    np.testing.assert_allclose(told.norm_errors, np.std(normalised.norm, axis=0), rtol=0.1)
    assert told.edge_step_error == pytest.approx(np.std(normalised.edge_step), rel=0.1)
    chi = autobk(energy, noisy, ek0=E0, edge_step=1.4).chi
    chi_errors = autobk(energy, clean, ek0=E0, edge_step=1.4, mu_errors=sigma).chi_errors
    assert chi_errors is not None
    np.testing.assert_allclose(chi_errors[10:], np.std(chi, axis=0)[10:], rtol=0.1)


def test_the_edge_comes_with_its_uncertainty_and_rivals(energy):
    mu = edge(energy)
    noise = 2e-3 * np.random.default_rng(2).standard_normal((300, len(energy)))
    told = locate_edge(energy, mu, 2e-3)
    assert told.sigma == pytest.approx(np.std(find_e0(energy, mu + noise)), rel=0.3)
    assert told.rivals.size == 0
    two = locate_edge(energy, mu + edge(energy - 8, step=1.3))
    assert two.rivals == pytest.approx([E0 + 8], abs=0.3)


def test_back_transform_returns_what_was_transformed():
    k = np.arange(0, 15, 0.05)
    chi = np.sin(4.4 * k) * np.exp(-0.02 * k**2)
    there = xftf(k, chi, kmin=3, kmax=12, kweight=2, window="hanning", rmax_out=40)
    back = xftr(there.r, there.chir, rmin=0.5, rmax=30, dr=0.2, window="hanning")
    expected = there.kwin * k**2 * chi
    # The sharp sills of the window in k lie beyond any range of R.
    np.testing.assert_allclose(
        back.chiq.real[: len(k)], expected, atol=0.02 * np.abs(expected).max()
    )


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (lambda k, e: autobk(e, edge(e), rbkg=0.0), "rbkg is 0; give more than 0"),
        (lambda k, e: autobk(e, edge(e), kstep=-0.05), r"kstep is -0\.05; give more than 0"),
        (lambda k, e: autobk(e, edge(e), kweight=-1), "kweight is -1; give 0 or more"),
        (lambda k, e: autobk(e, edge(e), nclamp=-1), "nclamp is -1; give 0 or more"),
        (lambda k, e: xftf(k, np.cos(k), kweight=-1), "kweight is -1; give 0 or more"),
        (lambda k, e: xftf(k, np.cos(k), kmin=30, kmax=40), "from 30 is beyond chi, .* k = 14.95"),
        (lambda k, e: xftf(k, np.cos(k), dk=-1), "dx is -1 .* kaiser window takes 0 or more"),
        (lambda k, e: xftf(k, np.cos(k), dk=0, window="gaussian"), "window takes more than 0"),
    ],
)
def test_a_transform_of_nothing_is_refused(energy, transform, words):
    with pytest.raises(ValueError, match=words):
        transform(np.arange(300) * 0.05, energy)


def test_more_clamps_than_points_hold_every_point(energy):
    mu, *_ = exafs(energy)
    all_held = autobk(energy, mu, ek0=E0, edge_step=1.4, nclamp=1000, clamp_lo=1.0)
    assert np.isfinite(all_held.chi).all()


def test_a_spectrum_that_ends_at_the_edge_has_no_chi(energy):
    short = energy[energy < E0 + 10]
    with pytest.raises(ValueError, match="ends 10 eV above E0"):
        autobk(short, edge(short), ek0=E0, edge_step=1.4)
