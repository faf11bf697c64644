"""What is worth a second look in a run: how it ended, bad points, glitches, drift, thickness."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from beamline_ophyd.analysis.xafs import SoFar, find_e0, find_glitches, reduce_so_far
from beamline_ophyd.data import ScanData

__all__ = ["Finding", "findings"]

E0_OFF_EV = 2.0
"""Distance of the reference's edge from the tables that asks for a calibration."""

E0_DRIFT_EV = 0.1
"""Shift of the edge from sweep to sweep that smears a merged spectrum: a tenth of the narrowest."""

STEP_DRIFT = 0.01
"""Part of the edge step by which sweeps may differ: more is a sample that changes or moves."""

THICK = 3.0
"""Edge step at which 0.1 % of harmonics or leakage takes more than half a percent of mu t."""

LISTED = 5


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes
    ----------
    kind : str
        One of ended, missing, bad points, edge, glitches, thickness, calibration, drift.
    text : str
        What it is, and what it may come from.
    """

    kind: str
    text: str


def findings(scan: ScanData, spectrum: SoFar | None = None) -> list[Finding]:
    """What is worth a second look in a run.

    Parameters
    ----------
    scan : ScanData
        Any run; most is found in absorption spectra.
    spectrum : SoFar, optional
        The run's reduced spectrum, if it is at hand.
    """
    found = [*_ended(scan), *_points(scan)]
    spectrum = reduce_so_far(scan) if spectrum is None else spectrum
    if spectrum is not None:
        found += [*_edge(spectrum), *_glitches(spectrum), *_thickness(scan, spectrum)]
        found += [*_calibration(scan), *_drift(scan)]
    return found


def _ended(scan: ScanData) -> Iterator[Finding]:
    stop = scan.run.stop
    if stop is None:
        yield Finding("ended", "The run has no stop document: its process ended before it did.")
    elif (status := stop.get("exit_status")) != "success":
        reason = stop.get("reason") or "no reason is given"
        yield Finding("ended", f"The run did not end well ({status}): {reason}")


def _points(scan: ScanData) -> Iterator[Finding]:
    contract = scan.about.xafs
    if contract is None:
        return
    if missing := len(scan.missing_points):
        planned = contract.points_per_sweep * contract.repeats
        yield Finding(
            "missing",
            f"{missing} of {planned} planned points have no good event; "
            "xafs_scan(..., resume=...) measures them.",
        )
    marks = scan.columns.get(contract.quality_key or "")
    why = Counter(str(mark) for mark in ([] if marks is None else marks) if mark)
    if why:
        words = "; ".join(f"{count} x {text}" for text, count in why.most_common(LISTED))
        yield Finding("bad points", f"Points were bad, and do not count: {words}.")


def _edge(spectrum: SoFar) -> Iterator[Finding]:
    if spectrum.normalised is None:
        yield Finding("edge", "No edge could be normalised: too few points on one side of it.")


def _glitches(spectrum: SoFar) -> Iterator[Finding]:
    if spectrum.normalised is None:
        return
    marks = find_glitches(
        spectrum.energy, spectrum.mu, spectrum.mu_errors, e0=spectrum.normalised.e0
    )
    if marks.any():
        where = spectrum.energy[marks]
        words = ", ".join(f"{energy:.1f}" for energy in where[:LISTED])
        more = f" and {len(where) - LISTED} more" if len(where) > LISTED else ""
        yield Finding("glitches", f"Points stand off the curve at {words} eV{more}.")


def _thickness(scan: ScanData, spectrum: SoFar) -> Iterator[Finding]:
    if scan.mode != "transmission" or spectrum.normalised is None:
        return
    # ln(I0/It) has unknown gains in it, the edge step has not; what is thick by its step alone
    # is thick.
    if (step := float(spectrum.normalised.edge_step)) > THICK:
        yield Finding(
            "thickness",
            f"The edge step is {step:.2f}: harmonics, leakage and dark current flatten a spectrum "
            "this thick; use a thinner sample, or detune the monochromator.",
        )


def _calibration(scan: ScanData) -> Iterator[Finding]:
    if "reference" not in scan.merged().available or scan.about.xafs is None:
        return
    expected = scan.about.xafs.e0_ev
    mu, _ = scan.mu("reference")
    try:
        e0 = find_e0(scan.energy, mu, near=expected)
        rises = _rises(scan.energy, mu, e0)
    except ValueError:
        return
    if rises and abs(e0 - expected) > E0_OFF_EV:
        yield Finding(
            "calibration",
            f"The reference's edge is at {e0:.2f} eV, {e0 - expected:+.2f} eV from the scan's E0 "
            f"({expected:.2f} eV): calibrate the monochromator, or it is another element.",
        )


def _rises(energy: np.ndarray, mu: np.ndarray, e0: float) -> bool:
    """Whether there is an edge: mu behind it is above mu before it by more than its scatter."""
    before, behind = mu[energy < e0 - 10], mu[(energy > e0 + 10) & (energy < e0 + 100)]
    if len(before) < 3 or len(behind) < 3:
        return False
    return float(np.nanmean(behind) - np.nanmean(before)) > 3 * float(np.nanstd(before))


def _drift(scan: ScanData) -> Iterator[Finding]:
    edges, steps = [], []
    near = None if scan.about.xafs is None else scan.about.xafs.e0_ev
    for sweep in scan.sweeps():
        energy, (mu, _) = sweep.energy_ev, sweep.mu(str(scan.mode))
        try:
            e0 = find_e0(energy, mu, near=near)
        except ValueError:  # a sweep that ended before the edge
            continue
        above, below = (energy > e0 + 30) & (energy < e0 + 100), energy < e0 - 20
        if not (np.isfinite(mu[above]).any() and np.isfinite(mu[below]).any()):
            continue
        edges.append(e0)
        steps.append(float(np.nanmean(mu[above]) - np.nanmean(mu[below])))
    if len(edges) < 2:
        return
    if (shift := max(edges) - min(edges)) > E0_DRIFT_EV:
        direction = "one way" if _monotonic(edges) else "to and fro"
        yield Finding(
            "drift",
            f"The edge moves by {shift:.2f} eV {direction} between sweeps: align them on the "
            "reference before they are merged.",
        )
    if min(steps) > 0 and (change := max(steps) / min(steps) - 1) > STEP_DRIFT:
        yield Finding(
            "drift",
            f"The edge step changes by {100 * change:.1f} % between sweeps: the sample or the "
            "beam moved, or the sample changes.",
        )


def _monotonic(values: list[float]) -> bool:
    steps = [b - a for a, b in pairwise(values)]
    return all(step >= 0 for step in steps) or all(step <= 0 for step in steps)
