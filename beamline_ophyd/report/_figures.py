"""The pictures of a report, as SVG."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from beamline_ophyd.analysis.xafs import SoFar, find_glitches
from beamline_ophyd.data import ScanData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plain_figure", "readings_figure", "spectrum_figure"]

MAX_LINES = 8

KWEIGHT = 2

DATA, MODEL, BAND = "tab:blue", "tab:gray", 0.25


def spectrum_figure(spectrum: SoFar, mode: str) -> str:
    """mu(E), normalised mu with its near edge, chi(k) and chi(R): as far as the data go."""
    panels = {"mu": True, "normalised": spectrum.normalised is not None}
    panels |= {"chi": spectrum.background is not None, "chir": spectrum.transform is not None}
    rows = 2 if panels["chi"] else 1
    figure = _figure(4.0 * rows)
    axes = figure.subplots(rows, 2, squeeze=False)
    _mu(axes[0, 0], spectrum, mode)
    if panels["normalised"]:
        _normalised(axes[0, 1], spectrum)
    if panels["chi"]:
        _chi(axes[1, 0], spectrum)
    if panels["chir"]:
        _chir(axes[1, 1], spectrum)
    for place, shown in zip(axes.flat, panels.values(), strict=False):
        place.set_visible(shown)
    return _svg(figure)


def readings_figure(scan: ScanData) -> str:
    """The channels as counted, over energy."""
    spectrum = scan.merged()
    figure = _figure(3.2)
    axes = figure.subplots()
    for role, values in spectrum.channels.items():
        rate = values if spectrum.dwell_s is None else values / spectrum.dwell_s
        axes.plot(spectrum.energy_ev, rate, lw=1, label=role)
    per_second = "" if spectrum.dwell_s is None else "/s"
    axes.set(xlabel="energy (eV)", ylabel=f"readings{per_second}", yscale=_scale(spectrum.channels))
    axes.legend(frameon=False, ncols=4)
    return _svg(figure)


def plain_figure(scan: ScanData) -> str | None:
    """What a run that is no spectrum measured, over its first dimension; None without any."""
    stream = scan.run.streams.get("primary")
    if stream is None or not len(stream):
        return None
    dimensions = [keys[0] for keys in scan.run.dimensions("primary") if keys]
    numeric = {
        key: column
        for key, column in stream.columns.items()
        if column.ndim == 1 and column.dtype.kind in "iuf"
    }
    x_key = next((key for key in dimensions if key in numeric), None)
    x = np.arange(1, len(stream) + 1) if x_key is None else numeric[x_key]
    shown = [key for key in _hinted(scan) if key in numeric and key not in dimensions]
    if not shown:
        return None
    figure = _figure(3.6)
    axes = figure.subplots()
    for key in shown[:MAX_LINES]:
        units = scan.units.get(key)
        axes.plot(x, numeric[key], ".-", lw=1, ms=3, label=f"{key} ({units})" if units else key)
    units = scan.units.get(x_key) if x_key else None
    axes.set(xlabel="point" if x_key is None else f"{x_key} ({units})" if units else x_key)
    axes.legend(frameon=False)
    return _svg(figure)


def _hinted(scan: ScanData) -> list[str]:
    """Data keys that the devices of the run think worth plotting, each once."""
    fields = [
        field
        for descriptor in scan.run.descriptors
        for hints in (descriptor.get("hints") or {}).values()
        for field in hints.get("fields", ())
    ]
    return list(dict.fromkeys(fields))


def _mu(axes: "Axes", spectrum: SoFar, mode: str) -> None:
    axes.plot(spectrum.energy, spectrum.mu, color=DATA, lw=1.2)
    if (normal := spectrum.normalised) is not None:
        axes.plot(spectrum.energy, normal.pre_edge, "--", color=MODEL, lw=1, label="pre-edge")
        axes.plot(spectrum.energy, normal.post_edge, ":", color=MODEL, lw=1, label="post-edge")
        marks = find_glitches(spectrum.energy, spectrum.mu, spectrum.mu_errors, e0=normal.e0)
        if marks.any():
            axes.plot(spectrum.energy[marks], spectrum.mu[marks], "x", color="tab:red",
                      label="glitches")  # fmt: skip
        axes.legend(frameon=False)
    label = r"$\mu(E)t = \ln(I_0/I_t)$" if mode == "transmission" else r"$\mu(E) = I_f/I_0$"
    axes.set(xlabel="energy (eV)", ylabel=label)


def _normalised(axes: "Axes", spectrum: SoFar) -> None:
    normal = spectrum.normalised
    assert normal is not None
    axes.plot(spectrum.energy, normal.flat, color=DATA, lw=1.2)
    if normal.norm_errors is not None:
        low, high = normal.flat - normal.norm_errors, normal.flat + normal.norm_errors
        axes.fill_between(spectrum.energy, low, high, color=DATA, alpha=BAND)
    axes.axvline(normal.e0, color=MODEL, lw=0.8)
    axes.set(xlabel="energy (eV)", ylabel="normalised, flattened")
    near = np.abs(spectrum.energy - normal.e0 - 20) < 45
    if near.sum() > 5:
        inset = axes.inset_axes((0.47, 0.12, 0.5, 0.48))
        inset.plot(spectrum.energy[near], normal.flat[near], ".-", color=DATA, ms=3, lw=0.8)


def _chi(axes: "Axes", spectrum: SoFar) -> None:
    background = spectrum.background
    assert background is not None
    weight = background.k**KWEIGHT
    axes.plot(background.k, weight * background.chi, color=DATA, lw=1.2)
    if (errors := background.chi_errors) is not None:
        low, high = background.chi - errors, background.chi + errors
        axes.fill_between(background.k, weight * low, weight * high, color=DATA, alpha=BAND)
    axes.set(xlabel=r"$k$ ($\AA^{-1}$)", ylabel=rf"$k^{KWEIGHT} \chi(k)$ ($\AA^{{-{KWEIGHT}}}$)")


def _chir(axes: "Axes", spectrum: SoFar) -> None:
    transform = spectrum.transform
    assert transform is not None
    axes.plot(transform.r, transform.chir_mag, color=DATA, lw=1.2)
    axes.set(xlabel=r"$R$ ($\AA$)", xlim=(0, 6),
             ylabel=rf"$|\chi(R)|$ ($\AA^{{-{KWEIGHT + 1}}}$)")  # fmt: skip


def _scale(channels: Mapping[str, np.ndarray]) -> str:
    """Logarithmic where channels differ by more than a linear axis shows."""
    levels = [float(np.nanmedian(v)) for v in channels.values() if np.isfinite(v).any()]
    return "log" if levels and min(levels) > 0 and max(levels) > 20 * min(levels) else "linear"


def _figure(height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(10, height), layout="constrained")


def _svg(figure: "Figure") -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
