"""The samples of the library."""

from dataclasses import dataclass

from . import structures
from .exafs import ExafsModel
from .structures import Crystal

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a sample is made.

    Attributes
    ----------
    stem
        Name of the file and of the place on the holder.
    title, formula, preparation
        As the header tells them.
    areal_density_g_cm2
        Density times thickness, of the formula.
    amount
        The same in words.
    symbol, edge
        Absorption edge.
    crystal
        Surroundings of the absorber.
    start
        Parameters of chi(k), the start of their fit when `fit_exafs`.
    measured
        Spectrum that near edge (and chi) are fitted to.
    fit_exafs
        Whether chi(k) is fitted to it too; else `start` is taken as it is.
    calibrate
        Whether its steepest rise is put on the tabulated edge (a metal foil), or `shift_ev` is
        added.
    k_max, r_max
        Ends of the fit of chi(k), in k and R.
    temperature_k
        Of the sample made; that of `start` belongs to the measured one.
    remark
        For the header.
    """

    stem: str
    title: str
    formula: str
    preparation: str
    areal_density_g_cm2: float
    amount: str
    symbol: str
    edge: str
    crystal: Crystal
    start: ExafsModel
    measured: str
    fit_exafs: bool = True
    calibrate: bool = True
    shift_ev: float = 0.0
    k_max: float = 13.0
    r_max: float = 6.0
    temperature_k: float = 300.0
    remark: str = ""


def _foil(
    symbol: str,
    edge: str,
    crystal: Crystal,
    *,
    density: float,
    thickness_um: float,
    debye_k: float,
    measured: str,
    k_max: float = 13.0,
) -> Recipe:
    return Recipe(
        stem=f"{symbol.lower()}_foil",
        title=f"{symbol} foil, {thickness_um:g} um",
        formula=symbol,
        preparation="simulated metal foil",
        areal_density_g_cm2=density * thickness_um * 1e-4,
        amount=f"{thickness_um:g} um at {density:g} g/cm^3",
        symbol=symbol,
        edge=edge,
        crystal=crystal,
        start=ExafsModel(0.9, 5.0, 0.0, debye_k, 300.0),
        measured=measured,
        k_max=k_max,
    )


RECIPES: tuple[Recipe, ...] = (
    _foil(
        "Fe",
        "K",
        structures.bcc("Fe", 2.8665),
        density=7.874,
        thickness_um=5.0,
        debye_k=420.0,
        measured="Fe_metal_rt_01.xdi",
    ),
    _foil(
        "Cu",
        "K",
        structures.fcc("Cu", 3.6149),
        density=8.96,
        thickness_um=6.0,
        debye_k=315.0,
        measured="cu_metal_rt.xdi",
    ),
    _foil(
        "Ni",
        "K",
        structures.fcc("Ni", 3.5238),
        density=8.908,
        thickness_um=5.0,
        debye_k=390.0,
        measured="Ni_metal_rt_01.xdi",
    ),
    Recipe(
        stem="fe2o3",
        title="Fe2O3 (hematite) powder, 3.5 mg/cm^2",
        formula="Fe2O3",
        preparation="simulated powder",
        areal_density_g_cm2=3.5e-3,
        amount="3.5 mg/cm^2",
        symbol="Fe",
        edge="K",
        crystal=structures.corundum("Fe", 5.0356, 13.7489, 0.35534, 0.3056),
        start=ExafsModel(0.8, -1.5, 0.0, 450.0, 300.0),
        measured="Fe2O3_rt_01.xdi",
        fit_exafs=False,
        calibrate=False,
        remark=(
            "chi(k) is that of hematite's structure and not fitted: the measured powder, which the "
            "near edge is fitted to, shows another arrangement of Fe around Fe"
        ),
    ),
    Recipe(
        stem="cuo",
        title="CuO (tenorite) powder, 6 mg/cm^2",
        formula="CuO",
        preparation="simulated powder",
        areal_density_g_cm2=6e-3,
        amount="6 mg/cm^2",
        symbol="Cu",
        edge="K",
        crystal=structures.tenorite("Cu", 4.6837, 3.4226, 5.1288, 99.54, 0.4184),
        start=ExafsModel(0.85, 0.0, 0.0, 450.0, 13.0),
        measured="CuO_tenorite_13K_01.xdi",
        calibrate=False,
        k_max=12.0,
        r_max=4.0,
    ),
)
