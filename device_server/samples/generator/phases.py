"""Crystal phases: the lines of their powders, and how their atoms scatter.

Sources: form factors of D. Waasmaier and A. Kirfel, Acta Cryst. A51 (1995) 416, anomalous parts of
C. T. Chantler, J. Phys. Chem. Ref. Data 24 (1995) 71, both as in xraydb.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xraydb

from . import structures
from .structures import Crystal

__all__ = ["PHASES", "Phase", "powder_lines", "write_phases"]

#: The monochromator reaches from 4 to 20 keV.
LOWEST_EV = 4000.0
HIGHEST_EV = 20000.0
HC_EV_ANGSTROM = 12398.41984
AVOGADRO_PER_MOL = 6.02214076e23
SHORTEST_D = HC_EV_ANGSTROM / HIGHEST_EV / 2
F0_STEP = 0.02
#: Lines weaker than this, of the strongest of a phase, are left out.
WEAKEST = 1e-3
ROOM_TEMPERATURE_K = 295.0


@dataclass(frozen=True)
class Phase:
    """A phase of the library.

    Attributes
    ----------
    name, formula
        As in the table; a sample shows the lines of the phase that has its composition.
    crystal
        Its cell, with a centre of inversion at the origin.
    debye_k
        Debye temperature of its Debye-Waller factor.
    size_angstrom
        Size of its crystallites, chosen; 0 for too large to widen a line.
    source
        Of the lattice parameters.
    """

    name: str
    formula: str
    crystal: Crystal
    debye_k: float
    size_angstrom: float
    source: str


_POWDER = "powder diffraction at room temperature"
_SRM = "NIST Standard Reference Material"

PHASES: tuple[Phase, ...] = (
    Phase("silicon", "Si", structures.diamond("Si", 5.431144), 543.0, 0.0, f"{_SRM} 640f"),
    Phase(
        "lanthanum_hexaboride",
        "LaB6",
        structures.hexaboride("La", 4.156826, 0.1993),
        600.0,
        0.0,
        f"{_SRM} 660c",
    ),
    Phase("iron", "Fe", structures.bcc("Fe", 2.8665), 420.0, 800.0, _POWDER),
    Phase("cobalt", "Co", structures.hcp("Co", 2.5071, 4.0686), 445.0, 600.0, _POWDER),
    Phase("nickel", "Ni", structures.fcc("Ni", 3.5238), 390.0, 800.0, _POWDER),
    Phase("copper", "Cu", structures.fcc("Cu", 3.6149), 315.0, 800.0, _POWDER),
    Phase("zinc", "Zn", structures.hcp("Zn", 2.6649, 4.9468), 234.0, 800.0, _POWDER),
    Phase("platinum", "Pt", structures.fcc("Pt", 3.9242), 230.0, 600.0, _POWDER),
    Phase("gold", "Au", structures.fcc("Au", 4.0782), 170.0, 600.0, _POWDER),
    Phase("lead", "Pb", structures.fcc("Pb", 4.9502), 88.0, 1000.0, _POWDER),
    Phase("wustite", "FeO", structures.rocksalt("Fe", "O", 4.307), 420.0, 500.0, _POWDER),
    Phase(
        "hematite",
        "Fe2O3",
        structures.corundum("Fe", 5.0356, 13.7489, 0.35534, 0.3056),
        500.0,
        500.0,
        _POWDER,
    ),
    Phase("bunsenite", "NiO", structures.rocksalt("Ni", "O", 4.1771), 500.0, 500.0, _POWDER),
    Phase(
        "tenorite",
        "CuO",
        structures.tenorite("Cu", 4.6837, 3.4226, 5.1288, 99.54, 0.4184),
        400.0,
        500.0,
        _POWDER,
    ),
)

HEADER = """\
# Crystal phases for the powder diffractometer.
# Made by device_server/samples/generate.py phases with xraydb {version}: form factors f0 of
# D. Waasmaier and A. Kirfel, Acta Cryst. A51 (1995) 416; anomalous parts f', f'' of C. T. Chantler,
# J. Phys. Chem. Ref. Data 24 (1995) 71. Lattice parameters and their sources with each phase.
# scatterer SYMBOL F0_STEP; then f0 at sin(theta)/lambda = 0, step, 2 step ..; then rows of
#   anomalous ENERGY_EV F1 F2
# phase NAME FORMULA VOLUME_A3 DENSITY_G_CM3 SIZE_A; sites SYMBOL B_A2 ..; then rows of
#   line H K L MULTIPLICITY D_A and for each site the cell's sum of cos 2 pi (hx + ky + lz)
"""


def _debye_function(x: float) -> float:
    t = np.linspace(1e-6, x, 2001)
    return float(np.trapezoid(t / np.expm1(t), t) / x)


def debye_waller_b(mass_u: float, debye_k: float, temperature_k: float) -> float:
    """B = 8 pi^2 <u^2> in Angstrom^2 by the Debye theory (B. E. Warren, X-ray Diffraction, ch. 11).

    Parameters
    ----------
    mass_u
        Mean mass of the atoms.
    debye_k, temperature_k
        In kelvin.
    """
    x = debye_k / temperature_k
    return 11492.0 * temperature_k / (mass_u * debye_k**2) * (_debye_function(x) + x / 4)


def _sites(crystal: Crystal) -> dict[str, np.ndarray]:
    symbols = dict.fromkeys(symbol for symbol, _ in crystal.basis)
    return {
        symbol: np.array([site for other, site in crystal.basis if other == symbol])
        for symbol in symbols
    }


def powder_lines(crystal: Crystal) -> list[tuple[tuple[int, int, int], int, float, list[float]]]:
    """All lines down to the shortest distance that the beamline can reach.

    Parameters
    ----------
    crystal
        Its origin must be a centre of inversion.

    Returns
    -------
    list
        Of Miller indices, multiplicity, distance of the planes in Angstrom and, for each element
        of the cell, the sum of cos(2 pi h.r) over its atoms; longest distance first. Planes of one
        distance that scatter alike are one line.
    """
    reciprocal = np.linalg.inv(np.array(crystal.lattice)).T
    sites = _sites(crystal)
    reach = [int(np.linalg.norm(vector) / SHORTEST_D) + 1 for vector in np.array(crystal.lattice)]
    hkl = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    hkl = hkl[np.any(hkl != 0, axis=1)]
    d = 1.0 / np.linalg.norm(hkl @ reciprocal, axis=1)
    hkl, d = hkl[d >= SHORTEST_D], d[d >= SHORTEST_D]
    sums = []
    for positions in sites.values():
        phase = 2 * np.pi * hkl @ positions.T
        if np.abs(np.sin(phase).sum(axis=1)).max() > 1e-6:
            raise ValueError(f"{crystal.source}: the origin is no centre of inversion")
        sums.append(np.cos(phase).sum(axis=1))
    amplitude = np.round(np.array(sums).T, 4) + 0.0
    amplitude *= np.where(amplitude[:, :1] < 0, -1.0, 1.0)  # the sign of all is no matter
    groups: dict[tuple, list[int]] = {}
    for index, (distance, row) in enumerate(zip(np.round(d, 6), amplitude, strict=True)):
        if np.any(row != 0):
            groups.setdefault((-distance, *row), []).append(index)
    found = []
    for _, members in sorted(groups.items()):
        first = max(members, key=lambda i: (min(hkl[i]) >= 0, *hkl[i]))
        indices = tuple(int(n) for n in hkl[first])
        found.append((indices, len(members), float(d[first]), [float(v) for v in amplitude[first]]))
    return found


def _strong(phase: Phase, b_a2: float) -> list:
    lines, symbols = powder_lines(phase.crystal), list(_sites(phase.crystal))
    weights = []
    for _, multiplicity, d, sums in lines:
        s = 1 / (2 * d)
        factor = sum(g * float(xraydb.f0(e, s)[0]) for g, e in zip(sums, symbols, strict=True))
        # at the shortest wavelength, where short distances are strongest: Lorentz factor of small s
        weights.append(multiplicity * (factor * np.exp(-b_a2 * s**2) / s) ** 2)
    strongest = max(weights)
    return [line for line, w in zip(lines, weights, strict=True) if w > WEAKEST * strongest]


def _scatterer_lines(symbol: str) -> list[str]:
    s = np.arange(0.0, 1 / (2 * SHORTEST_D) + 2 * F0_STEP, F0_STEP)
    edges = [edge.energy for edge in xraydb.xray_edges(symbol).values()]
    near = [edge + np.array([-100, -30, -10, -3, 3, 10, 30, 100.0]) for edge in edges]
    energy = np.concatenate([np.geomspace(LOWEST_EV * 0.95, HIGHEST_EV * 1.05, 40), *near])
    energy = np.unique(np.round(energy[(energy > 3000.0) & (energy < 22000.0)], 1))
    f1, f2 = xraydb.f1_chantler(symbol, energy), xraydb.f2_chantler(symbol, energy)
    lines = [f"scatterer {symbol} {F0_STEP:g}"]
    lines += [" ".join(f"{v:.5g}" for v in row) for row in np.array_split(xraydb.f0(symbol, s), 9)]
    lines += [f"anomalous {e:.1f} {a:.4f} {b:.4f}" for e, a, b in zip(energy, f1, f2, strict=True)]
    return lines


def _phase_lines(phase: Phase) -> list[str]:
    sites = _sites(phase.crystal)
    masses = [xraydb.atomic_mass(symbol) for symbol, _ in phase.crystal.basis]
    b_a2 = debye_waller_b(float(np.mean(masses)), phase.debye_k, ROOM_TEMPERATURE_K)
    volume = float(abs(np.linalg.det(np.array(phase.crystal.lattice))))
    density = sum(masses) / volume * 1e24 / AVOGADRO_PER_MOL
    return [
        f"# {phase.crystal.source}; {phase.source}; B from a Debye temperature of "
        f"{phase.debye_k:g} K at {ROOM_TEMPERATURE_K:g} K; size chosen",
        f"phase {phase.name} {phase.formula} {volume:.5f} {density:.4f} {phase.size_angstrom:g}",
        "sites " + " ".join(f"{symbol} {b_a2:.4f}" for symbol in sites),
        *(
            f"line {hkl[0]} {hkl[1]} {hkl[2]} {multiplicity} {d:.6f} "
            + " ".join(f"{g:g}" for g in sums)
            for hkl, multiplicity, d, sums in _strong(phase, b_a2)
        ),
    ]


def write_phases(path: Path) -> int:
    """Write the table of all phases.

    Parameters
    ----------
    path
        File to write.

    Returns
    -------
    int
        Number of lines.
    """
    symbols = dict.fromkeys(symbol for phase in PHASES for symbol in _sites(phase.crystal))
    lines = [line for symbol in symbols for line in _scatterer_lines(symbol)]
    lines += [line for phase in PHASES for line in _phase_lines(phase)]
    path.write_text(HEADER.format(version=xraydb.__version__) + "\n".join(lines) + "\n", "ascii")
    return len(lines)
