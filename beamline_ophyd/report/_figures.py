"""The pictures of a report, as SVG."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from beamline_ophyd.analysis.xafs import SoFar, find_glitches
from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.nexus_map import map_data
from beamline_ophyd.formats.nexus_parts import unique_names
from beamline_ophyd.formats.nexus_plain import hinted_keys
from beamline_ophyd.formats.tree import Field, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plain_figure", "readings_figure", "spectrum_figure"]

MAX_LINES = 8
MAX_IMAGES = 6

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
    """What a run that is no spectrum measured, as images or over its axis; None without any."""
    stream = scan.run.streams.get("primary")
    if stream is None or not len(stream):
        return None
    if (gridded := map_data(scan.run)) is not None:
        return _map_figure(scan, gridded)
    dimensions = [keys[0] for keys in scan.run.dimensions("primary") if keys]
    numeric = {
        key: column
        for key, column in stream.columns.items()
        if column.ndim == 1 and column.dtype.kind in "iuf"
    }
    x_key = next((key for key in dimensions if key in numeric), None)
    x = np.arange(1, len(stream) + 1) if x_key is None else numeric[x_key]
    shown = [key for key in _measured(scan) if key in numeric and key not in dimensions]
    if not shown:
        return None
    figure = _figure(3.6)
    axes = figure.subplots()
    for key in shown[:MAX_LINES]:
        axes.plot(x, numeric[key], ".-", lw=1, ms=3, label=_named(key, scan.units.get(key)))
    axes.set(xlabel="point" if x_key is None else _named(x_key, scan.units.get(x_key)))
    axes.legend(frameon=False)
    return _svg(figure)


def _map_figure(scan: ScanData, gridded: Group) -> str:
    """An image of each channel over the two axes of a map; of a stack of them the mean."""
    names = unique_names(scan.run.streams["primary"].columns)
    axes = list(gridded.attrs["axes"])
    stacked = _stacked([_units(gridded, name) for name in axes])
    y, x = (name for place, name in enumerate(axes) if place not in stacked)
    measured = [names[key] for key in _measured(scan)]
    signals = [gridded.attrs["signal"], *gridded.attrs.get("auxiliary_signals", ())]
    shown = [name for name in measured if name in signals][:MAX_IMAGES] or signals[:1]
    rows = -(-len(shown) // 2)
    figure = _figure(4.2 * rows)
    places = figure.subplots(rows, 2, squeeze=False).flat
    for place, name in zip(places, shown, strict=False):
        values = _array(gridded, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nothing measured at some place
            values = np.nanmean(values, axis=stacked) if stacked else values
        across, down = _centres(gridded, x), _centres(gridded, y)
        # As paths a large map would be a page of many megabytes.
        image = place.pcolormesh(across, down, values, shading="nearest", rasterized=True)
        figure.colorbar(image, ax=place)
        mean = f", mean over {', '.join(axes[i] for i in stacked)}" if stacked else ""
        place.set(
            title=f"{_named(name, _units(gridded, name))}{mean}",
            xlabel=_named(x, _units(gridded, x)),
            ylabel=_named(y, _units(gridded, y)),
        )
    for place in list(figure.axes)[len(shown) : 2 * rows]:
        place.set_visible(False)
    return _svg(figure)


def _stacked(units: Sequence[str]) -> tuple[int, ...]:
    """Which axes of a map are no side of its image: that of energies first, then the slowest."""
    order = sorted(range(len(units)), key=lambda axis: (units[axis] != "eV", axis))
    return tuple(sorted(order[: len(units) - 2]))


def _array(gridded: Group, name: str) -> np.ndarray:
    field = gridded.items[name]
    assert isinstance(field, Field)
    return field.array


def _units(gridded: Group, name: str) -> str:
    field = gridded.items[name]
    assert isinstance(field, Field)
    return str(field.attrs.get("units", ""))


def _centres(gridded: Group, name: str) -> np.ndarray:
    """Places along an axis; their numbers where some are not known."""
    places = _array(gridded, name)
    return places if np.isfinite(places).all() else np.arange(1, len(places) + 1)


def _named(name: str, units: str | None) -> str:
    return f"{name} ({units})" if units else name


def _measured(scan: ScanData) -> list[str]:
    """What the run's detectors think worth plotting, each once; else what any device does."""
    stream = scan.run.streams["primary"]
    hinted = hinted_keys(scan.run, stream)
    detectors = scan.run.start.get("detectors") or ()
    keys = {
        key
        for descriptor in scan.run.descriptors
        for detector in detectors
        for key in (descriptor.get("object_keys") or {}).get(detector, ())
    }
    return [key for key in hinted if key in keys] or hinted


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
