"""The samples of the library."""

from dataclasses import dataclass

from . import structures
from .exafs import ExafsModel
from .general_edge import GeneralEdge
from .structures import Crystal

__all__ = ["RECIPES", "PublishedEdge", "Recipe"]


@dataclass(frozen=True)
class PublishedEdge:
    """Where the edge of a compound is: the steepest rise of a published spectrum, in eV."""

    energy_ev: float
    source: str


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
    compound_edge
        That of the compound; None for a metal, whose edge is the tabulated one of its element.
    crystal
        Surroundings of the absorber.
    start
        Parameters of chi(k), the start of their fit when `fit_exafs`.
    near_edge
        File of the spectrum that near edge (and chi) are fitted to, or a general shape.
    fit_exafs
        Whether chi(k) is fitted to that spectrum too; else `start` is taken as it is.
    calibrate
        Whether its steepest rise is put on the tabulated edge (a metal foil), or `shift_ev` is
        added.
    near_edge_to_ev
        End of the fit of the near edge, above E0; from there on chi(k) stands alone.
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
    near_edge: str | GeneralEdge
    compound_edge: PublishedEdge | None = None
    fit_exafs: bool = True
    calibrate: bool = True
    shift_ev: float = 0.0
    near_edge_to_ev: float = 90.0
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
    near_edge: str | GeneralEdge,
    s02: float = 0.9,
    e0_shift_ev: float = 5.0,
    k_max: float = 13.0,
    remark: str = "",
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
        start=ExafsModel(s02, e0_shift_ev, 0.0, debye_k, 300.0),
        near_edge=near_edge,
        fit_exafs=isinstance(near_edge, str),
        k_max=k_max,
        remark=remark,
    )


#: Of hexagonal and cubic close-packed 3d metals: a low first peak.
CLOSE_PACKED = GeneralEdge("low first peak of a close-packed 3d metal", (16.0, 5.0, 0.2))

#: 1s to 3d, at the metal's edge whatever the main edge does, and a white line above the main edge.
DIVALENT_IRON = GeneralEdge(
    "white line and 1s-3d peak of octahedral Fe(II)",
    (5.5, 2.6, 0.55),
    pre_peak=(0.5, 1.0, 0.035),
)
DIVALENT_NICKEL = GeneralEdge(
    "white line and 1s-3d peak of octahedral Ni(II)",
    (5.5, 2.4, 0.75),
    pre_peak=(0.5, 1.0, 0.025),
)

WUSTITE_EDGE = PublishedEdge(
    7122.9,
    "FeO_rt_01.xdi of the XAS Data Library, APS 20-BM, 2001; a rise at 7118.4 eV is less steep",
)
HEMATITE_EDGE = PublishedEdge(
    7125.6, "Fe2O3_rt_01.xdi of the XAS Data Library, APS 20-BM, 2001, an hour after FeO"
)
TENORITE_EDGE = PublishedEdge(
    8983.5,
    "CuO_tenorite_13K_01.xdi of the XAS Data Library; the Cu foil counted with it is at 8978.9 eV",
)
BUNSENITE_EDGE = PublishedEdge(
    8345.0,
    "NiO.prj of xraylarch's examples, NSLS X23A2, 2014; "
    "the Ni foil counted with it is at 8333.0 eV",
)

HEMATITE = structures.corundum("Fe", 5.0356, 13.7489, 0.35534, 0.3056)
HEMATITE_REMARK = (
    "chi(k) is that of hematite's structure and not fitted: the measured powder, which the "
    "near edge is fitted to, shows another arrangement of Fe around Fe"
)

RECIPES: tuple[Recipe, ...] = (
    _foil(
        "Fe",
        "K",
        structures.bcc("Fe", 2.8665),
        density=7.874,
        thickness_um=5.0,
        debye_k=420.0,
        near_edge="Fe_metal_rt_01.xdi",
    ),
    _foil(
        "Cu",
        "K",
        structures.fcc("Cu", 3.6149),
        density=8.96,
        thickness_um=6.0,
        debye_k=315.0,
        near_edge="cu_metal_rt.xdi",
    ),
    _foil(
        "Ni",
        "K",
        structures.fcc("Ni", 3.5238),
        density=8.908,
        thickness_um=5.0,
        debye_k=390.0,
        near_edge="Ni_metal_rt_01.xdi",
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
        compound_edge=HEMATITE_EDGE,
        crystal=HEMATITE,
        start=ExafsModel(0.8, -1.5, 0.0, 590.0, 300.0),
        near_edge="Fe2O3_rt_01.xdi",
        near_edge_to_ev=45.0,
        fit_exafs=False,
        calibrate=False,
        remark=HEMATITE_REMARK,
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
        compound_edge=TENORITE_EDGE,
        crystal=structures.tenorite("Cu", 4.6837, 3.4226, 5.1288, 99.54, 0.4184),
        start=ExafsModel(0.85, 0.0, 0.0, 450.0, 13.0),
        near_edge="CuO_tenorite_13K_01.xdi",
        calibrate=False,
        k_max=12.0,
        r_max=4.0,
    ),
    _foil(
        "Co",
        "K",
        structures.hcp("Co", 2.5071, 4.0695),
        density=8.90,
        thickness_um=5.0,
        debye_k=385.0,
        s02=0.8,
        e0_shift_ev=6.0,
        near_edge=CLOSE_PACKED,
    ),
    _foil(
        "Zn",
        "K",
        structures.hcp("Zn", 2.6649, 4.9468),
        density=7.14,
        thickness_um=8.0,
        debye_k=240.0,
        near_edge=GeneralEdge("first peak of a metal with full 3d shell", (7.0, 3.0, 0.3)),
    ),
    _foil(
        "Pt",
        "L3",
        structures.fcc("Pt", 3.9242),
        density=21.45,
        thickness_um=5.0,
        debye_k=230.0,
        s02=0.85,
        e0_shift_ev=7.0,
        near_edge=GeneralEdge("white line of a metal with holes in its 5d band", (2.5, 2.8, 0.45)),
    ),
    _foil(
        "Au",
        "L3",
        structures.fcc("Au", 4.0782),
        density=19.30,
        thickness_um=5.0,
        debye_k=165.0,
        s02=0.85,
        near_edge=GeneralEdge("weak white line of a metal with full 5d band", (4.0, 3.0, 0.15)),
    ),
    _foil(
        "Pb",
        "L3",
        structures.fcc("Pb", 4.9508),
        density=11.34,
        thickness_um=10.0,
        debye_k=90.0,
        near_edge="Pb_Foil_L3_rt_2016Foils.xdi",
        k_max=9.0,
        remark=(
            "lead vibrates anharmonically at room temperature, which the model does not know: "
            "its distance is the effective one, 0.06 A short of the crystal's"
        ),
    ),
    Recipe(
        stem="feo",
        title="FeO (wuestite) powder, 4 mg/cm^2",
        formula="FeO",
        preparation="simulated powder",
        areal_density_g_cm2=4e-3,
        amount="4 mg/cm^2",
        symbol="Fe",
        edge="K",
        compound_edge=WUSTITE_EDGE,
        crystal=structures.rocksalt("Fe", "O", 4.307),
        start=ExafsModel(0.75, 0.0, 0.0, 480.0, 300.0),
        near_edge=DIVALENT_IRON,
        fit_exafs=False,
    ),
    Recipe(
        stem="nio",
        title="NiO (bunsenite) powder, 5 mg/cm^2",
        formula="NiO",
        preparation="simulated powder",
        areal_density_g_cm2=5e-3,
        amount="5 mg/cm^2",
        symbol="Ni",
        edge="K",
        compound_edge=BUNSENITE_EDGE,
        crystal=structures.rocksalt("Ni", "O", 4.1771),
        start=ExafsModel(0.85, 0.0, 0.0, 560.0, 300.0),
        near_edge=DIVALENT_NICKEL,
        fit_exafs=False,
    ),
    Recipe(
        stem="fe2o3_dilute",
        title="Fe2O3 (hematite), 0.7 % of weight in SiO2, 30 mg/cm^2",
        # 0.7 g of Fe2O3 and 99.3 g of SiO2: 0.004384 and 1.6527 mol.
        formula="SiO2.007957Fe0.005305",
        preparation="simulated pellet for fluorescence",
        areal_density_g_cm2=30e-3,
        amount="30 mg/cm^2 with 0.21 mg/cm^2 of Fe2O3",
        symbol="Fe",
        edge="K",
        compound_edge=HEMATITE_EDGE,
        crystal=HEMATITE,
        start=ExafsModel(0.8, -1.5, 0.0, 590.0, 300.0),
        near_edge="Fe2O3_rt_01.xdi",
        near_edge_to_ev=45.0,
        fit_exafs=False,
        calibrate=False,
        remark=HEMATITE_REMARK,
    ),
)
