import numpy as np
import pytest

from beamline_ophyd.analysis.xafs import align, merge_spectra, point_noise
from beamline_ophyd.grid import energy_grid

ENERGY = energy_grid("Fe-K").energy_ev
NOISE = 1e-3


def smooth(energy):
    return 0.4 + 1.4 * (0.5 + np.arctan((energy - 7112.0) * 1.6) / np.pi)


def repeats(count, seed=3):
    noise = NOISE * np.random.default_rng(seed).standard_normal((count, len(ENERGY)))
    return smooth(ENERGY) + noise


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_scatter_of_repeats_is_told(count):
    merged = merge_spectra([(ENERGY, mu) for mu in repeats(count)])
    assert np.median(merged.scatter) == pytest.approx(NOISE, rel=0.15)
    off = (merged.mu - smooth(ENERGY)) / merged.mu_errors
    assert np.median(np.abs(off)) == pytest.approx(0.6745, rel=0.15)
    assert merged.outliers == ()
    assert merged.outlying.mean() < 0.005


def test_a_spectrum_that_stands_apart_is_shown_and_stays():
    mu = repeats(6)
    mu[2] += 4 * NOISE * np.sin(ENERGY / 7)
    shown = merge_spectra([(ENERGY, one) for one in mu])
    assert shown.outliers == (2,)
    assert int(np.argmax(shown.deviation)) == 2
    np.testing.assert_allclose(shown.mu, mu.mean(axis=0))
    left = merge_spectra([(ENERGY, one) for one in mu], leave_out=True)
    assert not left.used[2].any()
    assert left.used[[0, 1, 3, 4, 5]].mean() > 0.99


def test_a_reading_that_stands_apart_is_shown_and_stays():
    mu = repeats(5)
    mu[1, 150] += 0.3
    shown = merge_spectra([(ENERGY, one) for one in mu])
    assert shown.outlying[1, 150]
    assert shown.outliers == ()
    left = merge_spectra([(ENERGY, one) for one in mu], leave_out=True)
    assert left.mu[150] == pytest.approx(np.mean(mu[[0, 2, 3, 4], 150]))


def test_two_spectra_have_no_majority():
    mu = repeats(2)
    mu[1, 150] += 0.3
    merged = merge_spectra([(ENERGY, one) for one in mu], leave_out=True)
    assert merged.outlying[:, 150].all()
    assert merged.used.all()


def test_errors_told_are_weights():
    mu = repeats(2)
    merged = merge_spectra([(ENERGY, mu[0], 1e-3), (ENERGY, mu[1], 2e-3)])
    np.testing.assert_allclose(merged.mu, 0.8 * mu[0] + 0.2 * mu[1])
    np.testing.assert_allclose(merged.mu_errors, np.sqrt(0.8) * 1e-3)


def test_grids_of_their_own_are_merged_where_all_reach():
    other = np.arange(7050.1, 7500.0, 0.37)
    merged = merge_spectra([(ENERGY, smooth(ENERGY)), (other, smooth(other))])
    assert merged.energy[0] >= other[0]
    assert merged.energy[-1] <= other[-1]
    np.testing.assert_allclose(merged.mu, smooth(merged.energy), atol=2e-3)


def test_readings_that_are_missing_are_passed_over():
    mu = repeats(3)
    mu[0, 40] = np.nan
    merged = merge_spectra([(ENERGY, one) for one in mu])
    assert merged.mu[40] == pytest.approx(np.mean(mu[1:, 40]))
    assert not merged.used[0, 40]


def test_what_cannot_be_merged_is_refused():
    mu = smooth(ENERGY)
    with pytest.raises(ValueError, match="at least two"):
        merge_spectra([(ENERGY, mu)])
    with pytest.raises(ValueError, match="give all or none"):
        merge_spectra([(ENERGY, mu), (ENERGY, mu, 1e-3)])
    with pytest.raises(ValueError, match="in common"):
        merge_spectra([(ENERGY, mu), (ENERGY + 2000, mu)])


def test_two_measured_scans_of_a_foil_agree_with_their_own_noise(measured_columns):
    scans = []
    for name in ("Ni_metal_rt_01", "Ni_metal_rt_02"):
        column = measured_columns(f"{name}.xdi")
        energy, first = np.unique(column["energy"], return_index=True)
        scans.append((energy, np.log(column["i0"] / column["itrans"])[first]))
    merged = merge_spectra(scans)
    assert merged.outlying.mean() < 0.01
    # The same monochromator within an hour: 0.0075 +- 0.002 eV.
    assert abs(align(*scans[0], *scans[1]).shift) < 0.02
    used = (merged.energy > 8500) & (merged.energy < 8900)
    told = np.mean(point_noise(merged.energy, merged.spectra, low=8500, high=8900))
    assert np.median(merged.scatter[used]) == pytest.approx(told, rel=0.3)
