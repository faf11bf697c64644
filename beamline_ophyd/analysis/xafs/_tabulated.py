"""What the tables say of a sample's edge."""

__all__ = ["tabulated_edge_step"]

BESIDE_EV = 1.0
"""Distance from the edge at which the tables are read on both sides."""


def tabulated_edge_step(
    element: str, edge: str, areal_density_g_cm2: float, formula: str | None = None
) -> float:
    """Edge step of mu t by the tables: what a sample of known amount should show.

    The jump of the element's photoelectric cross section (Elam, Ravel and Sieber, Radiat. Phys.
    Chem. 63, 121, 2002, by xraydb), times its share of the sample's areal density.

    Parameters
    ----------
    element, edge : str
        Such as "Fe", "K".
    areal_density_g_cm2 : float
        Of the whole sample: its density times its thickness.
    formula : str, optional
        What the sample is made of; by default the element alone.

    Raises
    ------
    ValueError
        When the formula does not hold the element, or the tables lack the edge.

    Examples
    --------
    >>> round(tabulated_edge_step("Fe", "K", 7.874 * 5e-4), 2)    # 5 um of iron
    1.4
    """
    import xraydb  # loads its database

    parts = xraydb.chemparse(formula or element)
    if element not in parts:
        raise ValueError(f"{formula} holds no {element}")
    masses = {symbol: count * xraydb.atomic_mass(symbol) for symbol, count in parts.items()}
    share = masses[element] / sum(masses.values())
    known = xraydb.xray_edge(element, edge)
    if known is None:
        raise ValueError(f"{element} has no edge {edge} in the tables")
    below, above = xraydb.mu_elam(
        element, [known.energy - BESIDE_EV, known.energy + BESIDE_EV], kind="photo"
    )
    return float(above - below) * share * areal_density_g_cm2
