"""A powder scan as a pattern."""

from dataclasses import dataclass

import numpy as np

from beamline_ophyd.data import ScanData

__all__ = ["Pattern", "pattern"]


@dataclass(frozen=True)
class Pattern:
    """Counts over two-theta.

    Attributes
    ----------
    two_theta : ndarray, shape (n,)
        In degrees, increasing.
    counts : ndarray, shape (n,)
        As counted: their own noise is their square root.
    errors : ndarray, shape (n,)
        Standard deviation of `intensity`.
    intensity : ndarray, shape (n,)
        Counts for a constant incident beam, where a monitor was read; else the counts.
    wavelength : float
        In Angstrom.
    """

    two_theta: np.ndarray
    counts: np.ndarray
    errors: np.ndarray
    intensity: np.ndarray
    wavelength: float


def pattern(scan: ScanData) -> Pattern:
    """Powder pattern of a run of ``powder_scan``.

    Points without a finite angle or count are left out. The incident beam of a monitor counts
    relative to its mean, and its own noise is taken for small.

    Raises
    ------
    ValueError
        When the run is no powder scan.
    """
    contract = scan.about.powder
    if contract is None:
        raise ValueError(
            f"run {scan.uid} is no powder scan: its start document has nothing under 'powder'; "
            "measure with powder_scan"
        )
    roles = contract.roles
    columns = {key: np.asarray(values, dtype=float) for key, values in scan.columns.items()}
    missing = {roles.two_theta, roles.counts, roles.monitor or roles.counts} - set(columns)
    if missing:
        raise ValueError(f"run {scan.uid} lacks {', '.join(sorted(missing))}; is it empty?")
    angle, counts = columns[roles.two_theta], columns[roles.counts]
    usable = np.isfinite(angle) & np.isfinite(counts)
    beam = np.ones(len(angle))
    if roles.monitor is not None:
        beam = columns[roles.monitor]
        usable &= np.isfinite(beam) & (beam > 0)
    order = np.flatnonzero(usable)[np.argsort(angle[usable], kind="stable")]
    factor = np.mean(beam[order]) / beam[order] if len(order) else beam[order]
    counted = counts[order]
    return Pattern(
        two_theta=angle[order],
        counts=counted,
        errors=np.sqrt(np.maximum(counted, 1.0)) * factor,
        intensity=counted * factor,
        wavelength=contract.wavelength_angstrom,
    )
