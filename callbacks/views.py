"""What a live reduction shows: in the terminal, and as a figure."""

import math
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from .reduction import LiveState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FigureView", "TextView", "in_words"]

LINES, COLUMNS = 12, 76

MINUTE_S = 60.0


def in_words(state: LiveState) -> list[str]:
    """A live state in a few lines of numbers, each with its uncertainty where it has one."""
    of = "" if state.planned is None else f" of {state.planned}"
    ended = "" if state.exit_status is None else f", {state.exit_status}"
    lines = [f"{state.title}, {state.mode}: {state.points}{of} points{ended}"]
    edge = None if state.spectrum is None else state.spectrum.normalised
    if state.spectrum is not None and edge is not None:
        step, band = float(edge.edge_step), state.spectrum.edge_step_band or 0.0
        words = f"E0 {edge.e0:.2f} eV, edge step {step:.3f} ± {step * band:.3f}"
        if state.predicted_step is not None:
            words += f" (tables: {state.predicted_step:.3f})"
        lines.append(words)
    if math.isfinite(state.noise):
        words = f"noise of k² chi {state.noise:.2e}"
        if (left := state.seconds_to_target) is not None:
            words += f", target {state.target_noise:.2e}: {_duration(left)} of counting to go"
        lines.append(words)
    return lines


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * MINUTE_S else f"{seconds / MINUTE_S:.0f} min"


class TextView:
    """Draws the spectrum and its numbers in a terminal, at one place while the scan goes on.

    Parameters
    ----------
    file : text file, optional
        By default stderr. One that is no terminal gets the numbers once, when the run ends.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file
        self._drawn = 0

    def __call__(self, state: LiveState) -> None:
        """Show a state."""
        out = self._file or sys.stderr
        if out is None:  # a program without a console
            return
        ended = state.exit_status is not None
        if out.isatty():
            width = min(COLUMNS, shutil.get_terminal_size().columns - 1)
            lines = [*_plot(state, width), *in_words(state)]
            back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
            out.write(back + "\n".join(lines) + "\n")
            self._drawn = 0 if ended else len(lines)
        elif ended:
            out.write("\n".join(in_words(state)) + "\n")
        out.flush()


def _plot(state: LiveState, width: int) -> list[str]:
    spectrum = state.spectrum
    if spectrum is None or len(spectrum.energy) < 2:
        return []
    import plotille

    values, label = spectrum.mu, "mu"
    if spectrum.normalised is not None:
        values, label = spectrum.normalised.flat, "normalised"
    canvas = plotille.Figure()
    canvas.width, canvas.height, canvas.with_colors = max(width - 24, 20), LINES, False
    canvas.x_label, canvas.y_label = "eV", label
    canvas.register_label_formatter(float, _tick)
    canvas.plot(spectrum.energy.tolist(), np.asarray(values, float).tolist(), interp="linear")
    return canvas.show().splitlines()


def _tick(value: float, chars: int, delta: float, left: bool = False) -> str:
    digits = max(0, min(3, 1 - math.floor(math.log10(delta)))) if delta > 0 else 2
    return f"{value:{'<' if left else '>'}{chars}.{digits}f}"


class FigureView:
    """Draws mu, normalised mu and chi in a matplotlib figure while a scan goes on.

    The figure is drawn by the event loop of its window, which belongs to the main thread; the
    reduction's thread only leaves the state there.

    Attributes
    ----------
    figure : matplotlib.figure.Figure or None
        None before the first state is drawn.
    """

    def __init__(self, interval: float = 0.5) -> None:
        from matplotlib import pyplot

        self.figure: Figure = pyplot.figure("live", figsize=(11, 3.6), layout="constrained")
        self._waiting: LiveState | None = None
        self._timer: Any = self.figure.canvas.new_timer(interval=int(1000 * interval))
        self._timer.add_callback(self.draw)
        self._timer.start()
        pyplot.show(block=False)

    def __call__(self, state: LiveState) -> None:
        """Leave a state to be drawn."""
        self._waiting = state

    def draw(self) -> None:
        """Draw the newest state; on the main thread."""
        state, self._waiting = self._waiting, None
        if state is None or state.spectrum is None:
            return
        spectrum, figure = state.spectrum, self.figure
        figure.clear()
        raw, normal, chi = figure.subplots(1, 3)
        raw.plot(spectrum.energy, spectrum.mu, lw=1)
        raw.set(xlabel="energy (eV)", ylabel="mu")
        if (edge := spectrum.normalised) is not None:
            normal.plot(spectrum.energy, edge.flat, lw=1)
            _band(normal, spectrum.energy, edge.flat, edge.norm_errors)
            normal.set(xlabel="energy (eV)", ylabel="normalised")
        if (background := spectrum.background) is not None:
            weight = background.k**2
            errors = None if background.chi_errors is None else weight * background.chi_errors
            chi.plot(background.k, weight * background.chi, lw=1)
            _band(chi, background.k, weight * background.chi, errors)
            chi.set(xlabel=r"$k$ ($\AA^{-1}$)", ylabel=r"$k^2 \chi(k)$")
        figure.suptitle("   ".join(in_words(state)), fontsize="small")
        figure.canvas.draw_idle()


def _band(axes: Any, x: np.ndarray, y: np.ndarray, errors: np.ndarray | None) -> None:
    """A band of one standard deviation, where that is known."""
    if errors is not None:
        axes.fill_between(x, y - errors, y + errors, alpha=0.25)
