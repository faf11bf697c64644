from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from beamline_ophyd.analysis.xafs import FeffPath, autobk, find_e0, fit_shell

COPPER = Path(__file__).parents[2] / "notebooks/data/cu_feff0001.dat"
K = 0.05 * np.arange(280)


@pytest.fixture(scope="module")
def path():
    return FeffPath.read(COPPER)


def correlated_debye(theta, temperature, distance, mass, volume):
    """Mean square relative displacement of the first shell, in Angstrom^2.

    E. Sevillano, H. Meuth, J. J. Rehr, Phys. Rev. B 20, 4908 (1979).
    """
    debye_k = (6 * np.pi**2 / volume) ** (1 / 3)

    def spectrum(x):
        phase = x * debye_k * distance
        return x / np.tanh(x * theta / (2 * temperature)) * (1 - np.sin(phase) / phase)

    # hbar^2 / (k_B amu) = 48.508 Angstrom^2 K
    return 3 * 48.508 / (mass * theta) * quad(spectrum, 0, 1)[0]


def test_a_path_file_is_read(path):
    assert (path.degeneracy, path.legs, path.atoms) == (12.0, 2, ("Cu", "Cu"))
    assert path.r_eff == pytest.approx(3.6149 / np.sqrt(2), abs=1e-4)
    assert len(path.k) == len(path.amplitude)


@pytest.mark.parametrize("spoil", [lambda t: "", lambda t: t[:600], lambda t: t.replace("-", " ")])
def test_other_files_are_refused(spoil, tmp_path):
    (tmp_path / "other.dat").write_text(spoil(COPPER.read_text()))
    with pytest.raises(ValueError, match="is not a path file of FEFF"):
        FeffPath.read(tmp_path / "other.dat")


def test_what_was_put_in_is_found(path):
    put = {"n": 10.5, "r": 2.581, "sigma2": 0.0071, "e0": -3.0}
    fit = fit_shell(K, path.chi(K, s02=0.85, **put), path, s02=0.85, kmax=12)
    assert {name: getattr(fit, name) for name in put} == pytest.approx(put, rel=1e-4)
    assert fit.r_factor < 1e-12
    np.testing.assert_allclose(fit.chi, path.chi(K, s02=0.85, **put), atol=1e-6)


def test_what_is_held_stays(path):
    chi = path.chi(K, n=9.0, sigma2=0.008, e0=2.0)
    fit = fit_shell(K, chi, path, kmax=12, hold={"n": 9.0, "e0": 2.0})
    assert (fit.n, fit.n_error, fit.fitted) == (9.0, 0.0, ("r", "sigma2"))
    assert fit.sigma2 == pytest.approx(0.008, rel=1e-4)


def test_weights_are_fitted_together(path):
    chi = path.chi(K, sigma2=0.008, e0=2.0)
    assert fit_shell(K, chi, path, kmax=12, kweight=(1, 2, 3)).n == pytest.approx(12, rel=1e-3)


def test_errors_are_the_scatter_of_noisy_spectra(path):
    rng = np.random.default_rng(12)
    clean, noise = path.chi(K, sigma2=0.008), 4e-3
    # White noise in the range of R of the fit, which is what the errors are for.
    fits = [
        fit_shell(K, clean + noise * rng.standard_normal(len(K)), path, kmax=12, chi_error=noise)
        for _ in range(150)
    ]
    for name in ("n", "r", "sigma2", "e0"):
        told = np.sqrt(np.mean([getattr(fit, f"{name}_error") ** 2 for fit in fits]))
        assert np.std([getattr(fit, name) for fit in fits]) == pytest.approx(told, rel=0.3)
    told = [fit.reduced_chi_square for fit in fits if fit.reduced_chi_square is not None]
    assert np.mean(told) == pytest.approx(1, abs=0.25)


def test_a_range_that_holds_too_little_is_refused(path):
    with pytest.raises(ValueError, match="independent points for 4 parameters"):
        fit_shell(K, path.chi(K), path, kmin=3, kmax=6, rmin=1.5, rmax=2.5)
    with pytest.raises(ValueError, match="hold names cumulant"):
        fit_shell(K, path.chi(K), path, hold={"cumulant": 1.0})


@pytest.mark.parametrize("name", ["cu_metal_rt", "Cu_Foil_rt_2016Foils"])
def test_the_first_shell_of_a_copper_foil_is_the_published_one(name, path, measured_columns):
    """12 neighbours at a / sqrt(2), a = 3.6149 A; disorder by the Debye temperature of 315 K.

    Tolerances: FEFF6 is known to 0.01 to 0.02 A in R and 10 % in N (J. J. Rehr, R. C. Albers, Rev.
    Mod. Phys. 72, 621 (2000)); S02 of copper is 0.9 to 0.95 for its potentials.
    """
    column = measured_columns(f"{name}.xdi")
    energy, first = np.unique(column["energy"], return_index=True)
    mu = np.log(column["i0"] / column["itrans"])[first]
    background = autobk(energy, mu, ek0=find_e0(energy, mu, near=8979.0))
    fit = fit_shell(
        background.k, background.chi, path, s02=0.92, kmin=3, kmax=11.9, rmin=1.6, rmax=2.8
    )
    assert fit.r == pytest.approx(3.6149 / np.sqrt(2), abs=0.02)
    assert fit.n == pytest.approx(12, abs=1)
    debye = correlated_debye(315.0, 295.0, path.r_eff, 63.546, 3.6149**3 / 4)
    assert debye == pytest.approx(0.0088, abs=1e-4)
    assert fit.sigma2 == pytest.approx(debye, abs=0.0005)
    assert fit.r_factor < 0.002
    assert 0 < fit.n_error < 1
    assert 0 < fit.r_error < 0.01
