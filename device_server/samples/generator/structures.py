"""Clusters of atoms around an absorber, cut from a crystal."""

import itertools
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Atom",
    "Crystal",
    "bcc",
    "cluster",
    "corundum",
    "diamond",
    "fcc",
    "hcp",
    "hexaboride",
    "rocksalt",
    "tenorite",
]


@dataclass(frozen=True)
class Atom:
    """An atom of a cluster; positions in Angstrom, the absorber at the origin."""

    symbol: str
    position: tuple[float, float, float]

    @property
    def distance(self) -> float:
        """Distance to the absorber."""
        return float(np.linalg.norm(self.position))


@dataclass(frozen=True)
class Crystal:
    """Lattice vectors (rows, Angstrom) and the cell's atoms; the first one absorbs."""

    lattice: tuple[tuple[float, float, float], ...]
    basis: tuple[tuple[str, tuple[float, float, float]], ...]
    source: str


def _cubic(
    a: float, symbols: list[str], sites: list[tuple[float, float, float]], source: str
) -> Crystal:
    lattice = ((a, 0.0, 0.0), (0.0, a, 0.0), (0.0, 0.0, a))
    return Crystal(lattice, tuple(zip(symbols, sites, strict=True)), source)


_FACES = [(0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)]


def bcc(symbol: str, a: float) -> Crystal:
    """Body-centred cubic metal."""
    return _cubic(a, [symbol] * 2, [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5)], f"bcc, a = {a} A")


def fcc(symbol: str, a: float) -> Crystal:
    """Face-centred cubic metal."""
    return _cubic(a, [symbol] * 4, _FACES, f"fcc, a = {a} A")


def diamond(symbol: str, a: float) -> Crystal:
    """Diamond structure; the origin is a centre of inversion."""
    sites = [tuple(x + s for x in face) for face in _FACES for s in (0.125, -0.125)]
    return _cubic(a, [symbol] * 8, sites, f"diamond, a = {a} A")


def rocksalt(metal: str, anion: str, a: float) -> Crystal:
    """Rock salt structure."""
    anions = [tuple(x + 0.5 for x in face) for face in _FACES]
    symbols = [metal] * 4 + [anion] * 4
    return _cubic(a, symbols, _FACES + anions, f"rock salt, a = {a} A")


def hexaboride(metal: str, a: float, x: float) -> Crystal:
    """Hexaboride of the CaB6 structure, Pm-3m; metal (0, 0, 0), B (x, 1/2, 1/2)."""
    boron = [(x, 0.5, 0.5), (0.5, x, 0.5), (0.5, 0.5, x)]
    boron += [tuple(1.0 - s for s in site) for site in boron]
    sites = [(0.0, 0.0, 0.0), *boron]
    return _cubic(a, [metal] + ["B"] * 6, sites, f"Pm-3m, a = {a} A, x = {x}")


def _hexagonal(a: float, c: float) -> tuple[tuple[float, float, float], ...]:
    return ((a, 0.0, 0.0), (-a / 2, a * 3**0.5 / 2, 0.0), (0.0, 0.0, c))


def hcp(symbol: str, a: float, c: float) -> Crystal:
    """Hexagonal close-packed metal; the origin is a centre of inversion."""
    site = (1 / 3, 2 / 3, 0.25)
    basis = ((symbol, site), (symbol, tuple(-s for s in site)))
    return Crystal(_hexagonal(a, c), basis, f"hcp, a = {a} A, c = {c} A")


def corundum(metal: str, a: float, c: float, z: float, x: float) -> Crystal:
    """Sesquioxide of the corundum structure, hexagonal axes; metal (0, 0, z), O (x, 0, 1/4)."""
    centring = [(0.0, 0.0, 0.0), (2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)]
    metals = [(0.0, 0.0, s) for s in (z, 0.5 - z, 1.0 - z, 0.5 + z)]
    oxygen = [(x, 0.0, 0.25), (0.0, x, 0.25), (-x, -x, 0.25)]
    oxygen += [(-x, 0.0, 0.75), (0.0, -x, 0.75), (x, x, 0.75)]
    atoms = [(metal, site) for site in metals] + [("O", site) for site in oxygen]
    basis = tuple(
        (symbol, tuple(float(v) for v in np.add(site, shift)))
        for symbol, site in atoms
        for shift in centring
    )
    return Crystal(_hexagonal(a, c), basis, f"corundum, a = {a} A, c = {c} A, z = {z}, x = {x}")


def tenorite(metal: str, a: float, b: float, c: float, beta_deg: float, y: float) -> Crystal:
    """Monoclinic monoxide, C2/c; metal (1/4, 1/4, 0), O (0, y, 1/4)."""
    beta = np.radians(beta_deg)
    lattice = (
        (a, 0.0, 0.0),
        (0.0, b, 0.0),
        (c * float(np.cos(beta)), 0.0, c * float(np.sin(beta))),
    )
    metals = [(0.25, 0.25, 0.0), (0.75, 0.25, 0.5), (0.75, 0.75, 0.0), (0.25, 0.75, 0.5)]
    oxygen = [(0.0, y, 0.25), (0.0, -y, 0.75), (0.5, y + 0.5, 0.25), (0.5, 0.5 - y, 0.75)]
    basis = tuple([(metal, site) for site in metals] + [("O", site) for site in oxygen])
    source = f"C2/c, a = {a} A, b = {b} A, c = {c} A, beta = {beta_deg} deg, y = {y}"
    return Crystal(lattice, basis, source)


def cluster(crystal: Crystal, radius: float) -> tuple[Atom, ...]:
    """Atoms within a radius of the first atom of the basis, nearest first.

    Parameters
    ----------
    crystal
        Lattice and basis.
    radius
        In Angstrom.

    Returns
    -------
    tuple of Atom
        The absorber comes first, at the origin.
    """
    lattice = np.array(crystal.lattice)
    origin = np.array(crystal.basis[0][1]) @ lattice
    heights = 1.0 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = [range(-n, n + 1) for n in (np.ceil(radius / heights) + 1).astype(int)]
    found = []
    for cell in itertools.product(*reach):
        for symbol, site in crystal.basis:
            position = (np.array(site) + cell) @ lattice - origin
            if np.linalg.norm(position) <= radius:
                rounded = tuple(float(v) for v in np.round(position, 7) + 0.0)
                found.append(Atom(symbol, rounded))  # pyright: ignore[reportArgumentType]
    return tuple(sorted(found, key=lambda atom: (round(atom.distance, 5), atom.position)))
