"""What a run shows while it is measured: a table in the terminal, plots where a display is."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.callbacks.core import LiveTable
from tqdm import tqdm

from beamline_ophyd.formats.measurement import read_metadata

__all__ = ["LiveView", "has_display", "has_terminal"]

logger = logging.getLogger(__name__)

_MOST_COLUMNS = 8


def has_terminal() -> bool:
    """Whether somebody reads what is printed: a terminal or a notebook."""
    return sys.stdout.isatty() or _in_notebook()


def has_display() -> bool:
    """Whether a figure would be seen: in a notebook, or on a screen with a backend for it."""
    if _in_notebook():
        return True
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    import matplotlib as mpl

    return mpl.get_backend().lower() not in ("agg", "pdf", "ps", "svg", "cairo", "template")


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


class LiveView:
    """Bluesky's LiveTable and LivePlot of what a run's devices hint at.

    A look is never worth a scan: nothing is raised into the RunEngine. The first trouble is
    logged, and that run goes on unseen.

    Parameters
    ----------
    table, plots : bool, optional
        By default whether there is a terminal, and whether there is a display.
    out : callable, optional
        Takes each line of the table; by default it is printed above a progress bar.
    """

    def __init__(
        self,
        *,
        table: bool | None = None,
        plots: bool | None = None,
        out: Callable[[str], Any] = tqdm.write,
    ) -> None:
        self.table = has_terminal() if table is None else table
        self.plots = has_display() if plots is None else plots
        self._out = out
        self._best = _plots_alone() if self.plots else None
        self._start: dict[str, Any] = {}
        self._rows: LiveTable | None = None
        self._blind = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Show one document; never raises."""
        if name == "start":
            self._blind = False
        if self._blind:
            return
        try:
            if self._best is not None:
                self._best(name, dict(doc))
            if self.table:
                self._tabulate(name, dict(doc))
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self._blind:
            logger.warning("the run goes on without being shown: %r", error)
        self._blind = True

    def _print(self, line: str) -> None:
        # Here, since LiveTable would tell of each line that fails, with a traceback.
        try:
            if not self._blind:
                self._out(line)
        except Exception as error:
            self._give_up(error)

    def _tabulate(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._start, self._rows = doc, None
        elif name == "descriptor" and doc.get("name") == "primary" and self._rows is None:
            self._rows = LiveTable(_hinted(self._start, doc), out=self._print)
            self._rows("start", self._start)
        if self._rows is not None and name != "start":
            self._rows(name, doc)


def _plots_alone() -> BestEffortCallback:
    best = BestEffortCallback(table_enabled=False)
    best.disable_heading()
    best.disable_baseline()
    return best


def _hinted(start: Mapping[str, Any], descriptor: Mapping[str, Any]) -> list[str]:
    """Data keys to show: what is scanned, what the detectors hint at, and what the plan notes."""
    dimensions = (start.get("hints") or {}).get("dimensions") or []
    scanned = [key for keys, stream in dimensions if stream == "primary" for key in keys]
    hints = [key for hint in descriptor.get("hints", {}).values() for key in hint.get("fields", ())]
    contract = read_metadata(start)[0].xafs
    notes = [] if contract is None else [contract.roles.dwell, contract.quality_key]
    keys = descriptor["data_keys"]
    wanted = [key for key in dict.fromkeys([*scanned, *hints, *notes]) if key in keys]
    return [key for key in wanted if not keys[key].get("shape")][:_MOST_COLUMNS]
