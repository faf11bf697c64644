"""Fluorescence lines of the elements, from xraydb's Elam tables."""

from pathlib import Path

import xraydb

__all__ = ["write_lines"]

#: Edges that the monochromator reaches, and lines that the absorption tables cover.
HIGHEST_EDGE_EV = 20500.0
LOWEST_LINE_EV = 3150.0

#: Lines nearer than the detector resolves are one; those weaker than this part are left out.
CLOSE_EV = 60.0
WEAKEST = 0.02

HEADER = """\
# Fluorescence of the shells with edges from {lowest:.0f} to {highest:.0f} eV.
# Made by device_server/samples/generate.py lines from xraydb {version}:
# W. T. Elam, B. D. Ravel, J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121 (public domain data).
# shell SYMBOL EDGE YIELD; then for each group of lines ENERGY_EV PART, part of the shell's photons.
"""


def _groups(symbol: str, edge: str) -> list[tuple[float, float]]:
    """Energies and parts of the lines of one shell, those close to each other as one."""
    lines = sorted(
        (line.energy, line.intensity)
        for line in xraydb.xray_lines(symbol, initial_level=edge).values()
        if line.intensity > 0
    )
    groups: list[list[tuple[float, float]]] = []
    for energy, part in lines:
        if groups and energy - groups[-1][-1][0] < CLOSE_EV:
            groups[-1].append((energy, part))
        else:
            groups.append([(energy, part)])
    total = sum(part for _, part in lines)
    means = []
    for group in groups:
        weight = sum(part for _, part in group)
        energy = sum(energy * part for energy, part in group) / weight
        if energy > LOWEST_LINE_EV and weight > WEAKEST * total:
            means.append((energy, weight / total))
    return means


def write_lines(path: Path, lowest_edge_ev: float) -> None:
    """Write the table of lines for the device server.

    Parameters
    ----------
    path : Path
        The file, overwritten.
    lowest_edge_ev : float
        Edges from here on, in eV: where the absorption tables begin.
    """
    rows = [
        HEADER.format(lowest=lowest_edge_ev, highest=HIGHEST_EDGE_EV, version=xraydb.__version__)
    ]
    for z in range(1, 93):
        symbol = xraydb.atomic_symbol(z)
        for edge in ("K", "L3", "L2", "L1"):
            found = xraydb.xray_edges(symbol).get(edge)
            if found is None or not lowest_edge_ev < found.energy < HIGHEST_EDGE_EV:
                continue
            groups = _groups(symbol, edge)
            if groups:
                pairs = " ".join(f"{energy:.1f} {part:.4f}" for energy, part in groups)
                rows.append(f"shell {symbol} {edge} {found.fyield:.4f} {pairs}\n")
    path.write_text("".join(rows))
