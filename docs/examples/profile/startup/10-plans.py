"""Plans of this beamline. The files of this folder run in the order of their names."""

from collections.abc import Sequence

from bluesky.protocols import Movable, Readable

from beamline_ophyd.plans import xafs_scan
from beamline_ophyd.presets import preset


def xanes_of_all_edges(
    detectors: Sequence[Readable], energy: Movable, edges: Sequence[str], repeats: int = 1
):
    """Scan one edge after another with the regions of the preset "xanes"."""
    for edge in edges:
        yield from xafs_scan(detectors, energy, edge, repeats=repeats, **preset("xanes"))
