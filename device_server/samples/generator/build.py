"""One sample: fit, composition of mu*t(E) and the file it is written to."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xraydb
from scipy.ndimage import gaussian_filter1d

from .exafs import K_CONSTANT_EV_A2, Exafs, ExafsModel, fit_exafs, run_feff
from .general_edge import GeneralEdge, general_near_edge
from .measured import Spectrum, below_edge, edge_absorption, fine_structure, read_spectrum
from .near_edge import FWHM_PER_SIGMA, STEP_EV, NearEdge, fit_near_edge
from .recipes import PublishedEdge, Recipe

__all__ = ["build_sample", "through_monochromator"]

#: Longest half path length of FEFF's paths.
PATH_RADIUS = 6.0

#: Divergence of the beam that is taken for the measured spectra, FWHM in rad, and the pair's width.
DIVERGENCE_RAD = 20e-6
PAIR_WIDTH = 0.94 / 7112.0

BELOW_EV = 250.0
ABOVE_EV = 1300.0


def resolution_fwhm_ev(energy_ev: float) -> float:
    """Width of a Si(111) pair: a flat top convolved with a Gaussian divergence."""
    bragg = np.arcsin(12398.41984 / (2 * 3.135601 * energy_ev))
    pair = PAIR_WIDTH * energy_ev
    divergence = energy_ev * DIVERGENCE_RAD / np.tan(bragg)
    step = 0.005
    x = np.arange(-10.0, 10.0, step)
    profile = np.convolve(
        (np.abs(x) < pair / 2).astype(float), np.exp(-4 * np.log(2) * (x / divergence) ** 2), "same"
    )
    return float(np.count_nonzero(profile >= 0.5 * profile.max()) * step)


def through_monochromator(
    energy_ev: np.ndarray, mu: np.ndarray, near_ev: float
) -> tuple[np.ndarray, np.ndarray]:
    """Energies, finer, and mu*t there as seen with the resolution: the mean is over intensity."""
    fine = np.arange(energy_ev[0], energy_ev[-1], STEP_EV)
    sigma = resolution_fwhm_ev(near_ev) / FWHM_PER_SIGMA / STEP_EV
    passed = gaussian_filter1d(np.exp(-np.interp(fine, energy_ev, mu)), sigma, mode="nearest")
    return fine, -np.log(passed)


def energy_grid(edge_ev: float) -> np.ndarray:
    """Energies of a file: fine where the edge is, as fine as chi(k) needs above."""
    parts = [
        np.arange(-BELOW_EV, -40.0, 10.0),
        np.arange(-40.0, -15.0, 1.0),
        np.arange(-15.0, 60.0, 0.2),
        np.arange(60.0, 150.0, 0.5),
        np.arange(150.0, 500.0, 1.0),
        np.arange(500.0, ABOVE_EV + 1.0, 2.0),
    ]
    return np.round(edge_ev + np.concatenate(parts), 2)


def chi_of_energy(
    exafs: Exafs, model: ExafsModel, e0_ev: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Fine structure against energy, 0 at and below the edge."""
    k = np.arange(0.02, 20.0, 0.02)
    values = exafs.chi(model, k)

    def chi(energy_ev: np.ndarray) -> np.ndarray:
        wave = np.sqrt(np.maximum(energy_ev - e0_ev, 0.0) / K_CONSTANT_EV_A2)
        return np.interp(wave, k, values, left=0.0, right=0.0)

    return chi


def compose(
    recipe: Recipe, energy_ev: np.ndarray, near_edge: NearEdge, chi: np.ndarray
) -> np.ndarray:
    """mu*t: the rest of the compound, the absorber without its edge, and the edge's own part."""
    masses = xraydb.chemparse(recipe.formula)
    total = sum(count * xraydb.atomic_mass(symbol) for symbol, count in masses.items())
    mu = np.zeros_like(energy_ev)
    for symbol, count in masses.items():
        fraction = count * xraydb.atomic_mass(symbol) / total
        if symbol != recipe.symbol:
            mu += fraction * np.asarray(xraydb.mu_elam(symbol, energy_ev))
            continue
        shape = near_edge.shape(energy_ev) + near_edge.onset(energy_ev) * chi
        mu += fraction * below_edge(symbol, recipe.edge, energy_ev)
        mu += fraction * edge_absorption(symbol, recipe.edge, energy_ev) * shape
    return recipe.areal_density_g_cm2 * mu


def _read(name: str, recipe: Recipe, folder: Path, edge_ev: float) -> Spectrum:
    spectrum = read_spectrum(folder / name)
    shift = edge_ev - spectrum.e0_ev if recipe.calibrate else recipe.shift_ev
    return read_spectrum(folder / name, shift)


def _fitted(
    recipe: Recipe, exafs: Exafs, spectrum: Spectrum, edge_ev: float
) -> tuple[ExafsModel, NearEdge, dict[str, str]]:
    """Near edge, and chi(k) where it is asked for, by fits to a measured spectrum."""
    model, misfits = recipe.start, {}
    if recipe.fit_exafs:
        k = np.arange(0.05, 16.0, 0.05)
        measured = fine_structure(spectrum, recipe.symbol, recipe.edge, k, K_CONSTANT_EV_A2)
        ranges = {"k_range": (3.0, recipe.k_max), "r_range": (1.2, recipe.r_max)}
        model, misfit = fit_exafs(exafs, recipe.start, k, measured, **ranges)
        misfits["Simulation.exafs_misfit"] = f"{misfit:.4f} (R space, 1.2 to {recipe.r_max:g} A)"
    near_edge, rms = fit_near_edge(
        spectrum.energy_ev,
        spectrum.normalised,
        spectrum.e0_ev,
        chi_of_energy(exafs, model, spectrum.e0_ev),
        symbol=recipe.symbol,
        edge=recipe.edge,
        pre_edge_ev=spectrum.pre_edge_ev,
        resolution_fwhm_ev=resolution_fwhm_ev(edge_ev),
        step_mu=spectrum.edge_step,
        above_ev=recipe.near_edge_to_ev,
    )
    figures = {
        "Simulation.near_edge": f"2 arctangents, {len(near_edge.gaussians)} Gaussians fitted to "
        f"{recipe.near_edge} (XAS Data Library, CC0) up to {recipe.near_edge_to_ev:g} eV above E0, "
        f"shifted by {spectrum.shift_ev:.3f} eV",
        **misfits,
        "Simulation.near_edge_rms": f"{rms:.4f} of the edge step",
    }
    return model.changed(temperature_k=recipe.temperature_k), near_edge, figures


def _general(
    recipe: Recipe, edge_ev: float, rise_ev: float
) -> tuple[ExafsModel, NearEdge, dict[str, str]]:
    """A general near edge, chi(k) as given."""
    assert isinstance(recipe.near_edge, GeneralEdge)
    near_edge = general_near_edge(
        recipe.near_edge,
        symbol=recipe.symbol,
        edge=recipe.edge,
        edge_ev=edge_ev,
        rise_ev=rise_ev,
        resolution_fwhm_ev=resolution_fwhm_ev(edge_ev),
    )
    told = f"general shape, as no measured spectrum is at hand: {recipe.near_edge.source}"
    return recipe.start, near_edge, {"Simulation.near_edge": told}


def _header(
    recipe: Recipe,
    exafs: Exafs,
    model: ExafsModel,
    near_edge: NearEdge,
    figures: dict[str, str],
) -> list[str]:
    fitted = "fitted" if recipe.fit_exafs else "as given"
    einstein_k, mass_u = exafs.first_bond(model)
    fields = {
        "Column.1": "energy eV",
        "Column.2": "mutrans",
        "Element.symbol": recipe.symbol,
        "Element.edge": recipe.edge,
        "Sample.name": recipe.title,
        "Sample.formula": recipe.formula,
        "Sample.prep": recipe.preparation,
        "Sample.amount": recipe.amount,
        "Sample.temperature": f"{model.temperature_k:g} K",
        "Simulation.scale": "absolute",
        "Simulation.resolution": "none",
        "Simulation.areal_density": f"{recipe.areal_density_g_cm2:.6g} g/cm^2",
        "Simulation.program": "device_server/samples/generate.py: FEFF6L of xraylarch "
        f"{importlib.metadata.version('xraylarch')}, xraydb {xraydb.__version__} (Elam)",
        "Simulation.structure": recipe.crystal.source,
        "Simulation.first_distance": f"{exafs.first_distance * (1 + model.expansion):.4f} A",
        "Simulation.exafs": f"{fitted}: S02 {model.s02:.4f}, k origin {model.e0_shift_ev:.3f} eV "
        f"above E0 {near_edge.e0_ev:.3f} eV, expansion {model.expansion:.5f}, "
        f"Debye temperature {model.debye_k:.1f} K, paths to {PATH_RADIUS:g} A",
        "Simulation.bond": f"{einstein_k:.1f} K, {mass_u:.3f} u (Einstein temperature and reduced "
        "mass of the first path)",
        **figures,
    }
    if recipe.remark:
        fields["Simulation.remark"] = recipe.remark
    return ["# XDI/1.0", *(f"# {key}: {value}" for key, value in fields.items())]


def edge_shift_ev(energy_ev: np.ndarray, mu: np.ndarray, edge_ev: float) -> float:
    """Steepest rise as the monochromator shows it, from the tabulated edge."""
    fine, seen = through_monochromator(energy_ev, mu, edge_ev)
    return float(fine[np.argmax(np.gradient(seen))]) - edge_ev


def build_sample(recipe: Recipe, data: Path, target: Path) -> Path:
    """Make a sample's file.

    Parameters
    ----------
    recipe
        What to make.
    data
        Folder of the measured spectra.
    target
        Folder of the library.

    Returns
    -------
    Path
        The file written.
    """
    edge_ev = float(xraydb.xray_edge(recipe.symbol, recipe.edge).energy)
    published = recipe.compound_edge or PublishedEdge(edge_ev, "the element's (xraydb, Elam)")
    exafs = Exafs(run_feff(recipe.crystal, recipe.edge, PATH_RADIUS))
    if isinstance(recipe.near_edge, GeneralEdge):
        model, near_edge, figures = _general(recipe, edge_ev, published.energy_ev)
    else:
        spectrum = _read(recipe.near_edge, recipe, data, edge_ev)
        model, near_edge, figures = _fitted(recipe, exafs, spectrum, edge_ev)
    energy = energy_grid(edge_ev)
    chi = chi_of_energy(exafs, model, near_edge.e0_ev)
    mu = compose(recipe, energy, near_edge, chi(energy))
    shift = edge_shift_ev(energy, mu, edge_ev)
    figures["Simulation.published_edge"] = f"{published.energy_ev:.1f} eV, {published.source}"
    figures["Simulation.edge_shift"] = f"{shift:.1f} eV, steepest rise from the tabulated edge"
    lines = _header(recipe, exafs, model, near_edge, figures)
    lines += ["#" + "-" * 40, "# energy mutrans"]
    lines += [f"{e:.2f} {m:.6f}" for e, m in zip(energy, mu, strict=True)]
    path = target / f"{recipe.stem}.xdi"
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path
