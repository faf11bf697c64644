"""The edge step that a run should show, by what it says of its sample."""

from typing import Any

from beamline_ophyd.analysis.xafs import tabulated_edge_step
from beamline_ophyd.metadata import RunMetadata

__all__ = ["predicted_edge_step"]

CM_PER_UM = 1e-4


def predicted_edge_step(about: RunMetadata, mode: str) -> float | None:
    """Edge step of mu t by the tables; None where the run does not say enough.

    The sample says it: ``{"formula": "Fe", "thickness_um": 5, "density_g_cm3": 7.87}``, or
    ``areal_density_g_cm2`` in the place of the last two.
    """
    if mode != "transmission" or about.element is None or about.edge is None:
        return None
    sample = about.families.get("Sample", {})
    areal = _number(sample.get("areal_density_g_cm2"))
    if areal is None:
        thickness, density = (_number(sample.get(k)) for k in ("thickness_um", "density_g_cm3"))
        if thickness is None or density is None:
            return None
        areal = thickness * CM_PER_UM * density
    try:
        return tabulated_edge_step(about.element, about.edge, areal, sample.get("formula"))
    except (TypeError, ValueError):  # over what people call a formula
        return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
