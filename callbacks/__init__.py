"""Documents in, files and streams out: callbacks for the RunEngine.

    from beamline_ophyd.callbacks import Journal, NXxasWriter

Each is a ``callback(name, doc)`` for ``RE.subscribe`` and knows documents only, never
a plan or a device. On the RunEngine's thread only the journal writes; the others work
on threads of their own, or all in one process (:class:`Keeper`), and never raise into the
RunEngine.
"""

if __name__ != "beamline_ophyd.callbacks":
    raise ImportError(
        f"the callbacks of beamline-ophyd cannot be imported as {__name__!r}; "
        "use `import beamline_ophyd.callbacks`"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .journal import Journal
    from .keeper import Keeper
    from .live_view import LiveView
    from .nxxas import NXxasWriter, rebuild
    from .progress import ScanProgress
    from .reduction import LiveReduction, LiveState
    from .report import ReportWriter
    from .tiled import TiledPublisher
    from .timing import ScanSummary, TimingMemory
    from .views import FigureView, TextView
    from .web_view import WebView
    from .xdi import XDIWriter

_HOMES = {
    "FigureView": "views",
    "Journal": "journal",
    "Keeper": "keeper",
    "LiveView": "live_view",
    "LiveReduction": "reduction",
    "LiveState": "reduction",
    "NXxasWriter": "nxxas",
    "ReportWriter": "report",
    "ScanProgress": "progress",
    "ScanSummary": "timing",
    "TextView": "views",
    "TiledPublisher": "tiled",
    "TimingMemory": "timing",
    "WebView": "web_view",
    "XDIWriter": "xdi",
    "rebuild": "nxxas",
}

__all__ = [
    "FigureView",
    "Journal",
    "Keeper",
    "LiveReduction",
    "LiveState",
    "LiveView",
    "NXxasWriter",
    "ReportWriter",
    "ScanProgress",
    "ScanSummary",
    "TextView",
    "TiledPublisher",
    "TimingMemory",
    "WebView",
    "XDIWriter",
    "rebuild",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
