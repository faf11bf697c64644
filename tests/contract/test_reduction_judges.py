"""Our reduction of every measured spectrum beside larch's and rexafs's."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from beamline_ophyd.analysis import xafs

from ..environments import reference_python

pytestmark = [
    pytest.mark.slow("larch takes five seconds to import"),
    pytest.mark.timeout(600),
]

FOILS = {
    "Fe_metal_rt_01": 7112.0,
    "Fe_Foil_rt_2016Foils": 7112.0,
    "cu_metal_rt": 8979.0,
    "Cu_Foil_rt_2016Foils": 8979.0,
    "Ni_metal_rt_01": 8333.0,
    "Ni_metal_rt_02": 8333.0,
    "Pb_Foil_L3_rt_2016Foils": 13035.0,
}
OTHERS = {"Fe2O3_rt_01": 7112.0, "CuO_tenorite_13K_01": 8979.0, "Ni2O3_rt_01": 8333.0}
SPECTRA = FOILS | OTHERS
KMIN = 3.0
COPPER = Path(__file__).parents[2] / "notebooks/data/cu_feff0001.dat"


@pytest.fixture(scope="module")
def python():
    return reference_python()


@pytest.fixture(scope="module")
def ours(measured_columns):
    found = {}
    for name, edge in SPECTRA.items():
        column = measured_columns(f"{name}.xdi")
        energy, first = np.unique(column["energy"], return_index=True)
        mu = np.log(column["i0"] / column["itrans"])[first]
        normalised = xafs.pre_edge(energy, mu, xafs.find_e0(energy, mu, near=edge))
        background = xafs.autobk(energy, mu, normalised=normalised)
        kmax = min(12.0, background.k[-1] - 1)
        transform = xafs.xftf(background.k, background.chi, kmin=KMIN, kmax=kmax, window="hanning")
        found[name] = (energy, mu, normalised, background, transform, kmax)
    return found


@pytest.fixture(scope="module")
def judged(python, ours, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judges")
    spectra = {}
    for name, (energy, mu, normalised, _, _, kmax) in ours.items():
        spectra |= {f"energy/{name}": energy, f"mu/{name}": mu}
        spectra |= {f"e0/{name}": normalised.e0, f"kmax/{name}": kmax}
    np.savez(folder / "spectra.npz", **spectra)
    judge = Path(__file__).with_name("reduction_judge.py")
    command = [python, judge, folder / "spectra.npz", folder / "results.npz", COPPER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "results.npz")


def weighted_misfit(background, k, chi, kmax):
    """RMS of the difference of k^2 chi(k), relative to the RMS of the judge's."""
    theirs = np.interp(background.k, k, chi) * background.k**2
    used = (background.k >= KMIN) & (background.k <= kmax)
    difference = (background.chi * background.k**2 - theirs)[used]
    return np.sqrt(np.mean(difference**2) / np.mean(theirs[used] ** 2))


def first_shell(r, magnitude):
    """Position and height of the highest maximum between 1 and 4 Angstrom."""
    at = int(np.argmax(np.where((r > 1) & (r < 4), magnitude, 0)))
    a, b, c = np.polyfit(r[at - 1 : at + 2] - r[at], magnitude[at - 1 : at + 2], 2)
    return r[at] - b / (2 * a), c - b**2 / (4 * a)


@pytest.mark.parametrize("name", SPECTRA)
def test_normalisation_agrees_with_larch(name, ours, judged):
    normalised = ours[name][2]
    assert normalised.edge_step == pytest.approx(judged[f"larch/edge_step/{name}"], rel=0.005)
    difference = normalised.flat - judged[f"larch/flat/{name}"]
    assert np.sqrt(np.mean(difference**2)) < 0.003


@pytest.mark.parametrize("name", SPECTRA)
def test_chi_agrees_with_larch(name, ours, judged):
    _, _, _, background, transform, kmax = ours[name]
    k, chi = judged[f"larch/k/{name}"], judged[f"larch/chi/{name}"]
    assert weighted_misfit(background, k, chi, kmax) < (0.03 if name in FOILS else 0.12)
    r, height = first_shell(transform.r, transform.chir_mag)
    theirs = first_shell(judged[f"larch/r/{name}"], np.abs(judged[f"larch/chir/{name}"]))
    assert r == pytest.approx(theirs[0], abs=0.01)
    assert height == pytest.approx(theirs[1], rel=0.02)


@pytest.mark.parametrize("name", SPECTRA)
def test_transforms_of_one_chi_are_larchs(name, ours, judged):
    k, chi = judged[f"larch/k/{name}"], judged[f"larch/chi/{name}"]
    transform = xafs.xftf(k, chi, kmin=KMIN, kmax=ours[name][5], window="hanning")
    theirs = judged[f"larch/chir/{name}"]
    np.testing.assert_allclose(transform.r, judged[f"larch/r/{name}"])
    np.testing.assert_allclose(transform.chir, theirs, atol=1e-6 * np.abs(theirs).max())
    step = transform.r[1]
    back = xafs.xftr(
        transform.r,
        transform.chir,
        rmin=36 * step,
        rmax=98 * step,
        dr=16 * step,
        window="hanning",
    )
    chiq = judged[f"larch/chiq/{name}"]
    np.testing.assert_allclose(back.chiq, chiq, atol=1e-6 * np.abs(chiq).max())


@pytest.mark.parametrize("name", SPECTRA)
def test_first_shell_agrees_with_rexafs(name, ours, judged):
    transform = ours[name][4]
    r, height = first_shell(transform.r, transform.chir_mag)
    theirs = first_shell(judged[f"rexafs/r/{name}"], judged[f"rexafs/chir_mag/{name}"])
    assert r == pytest.approx(theirs[0], abs=0.01)
    assert height == pytest.approx(theirs[1], rel=0.02)


@pytest.mark.parametrize("window", xafs.WINDOWS)
def test_windows_are_larchs(window, judged):
    x = np.linspace(0, 16, 321)
    ours = xafs.ftwindow(x, xmin=3, xmax=12, dx=2, dx2=1, window=window)
    np.testing.assert_allclose(ours, judged[f"larch/window/{window}"], atol=1e-9)


def test_chi_of_a_path_is_larchs(judged):
    path = xafs.FeffPath.read(COPPER)
    ours = path.chi(
        judged["larch/path/k"],
        r=path.r_eff + 0.03,
        n=11.0,
        s02=0.9,
        sigma2=0.008,
        e0=4.0,
        third=2e-4,
        fourth=1e-5,
    )
    theirs = judged["larch/path/chi"]
    np.testing.assert_allclose(ours[30:], theirs[30:], atol=2e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["cu_metal_rt", "Cu_Foil_rt_2016Foils"])
def test_the_first_shell_fitted_is_larchs(name, ours, judged):
    _, _, _, background, _, kmax = ours[name]
    path = xafs.FeffPath.read(COPPER)
    fit = xafs.fit_shell(
        background.k, background.chi, path, s02=0.92, kmin=KMIN, kmax=kmax, rmin=1.6, rmax=2.8
    )
    values, errors = judged[f"larch/shell/{name}"].T
    # larch varies S02 at 12 neighbours.
    per_n = 0.92 / 12
    found = [fit.n * per_n, fit.r - path.r_eff, fit.sigma2, fit.e0]
    told = [fit.n_error * per_n, fit.r_error, fit.sigma2_error, fit.e0_error]
    # Each with its own background: within a part of the uncertainty that both tell.
    assert np.abs((found - values) / errors).max() < 0.3
    np.testing.assert_allclose(told, errors, rtol=0.2)
