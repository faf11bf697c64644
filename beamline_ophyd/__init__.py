"""An X-ray absorption beamline in software: server, devices, plans, files, analysis.

The parts are used one by one (``beamline_ophyd.grid``, ``.plans``, ``.callbacks``, ...)
and importing this package loads none of them.
"""

import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data import ScanData
    from .writer import NeXusWriter

    __version__: str

_HOMES = {"NeXusWriter": "writer", "ScanData": "data"}

__all__ = ["NeXusWriter", "ScanData", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("beamline-ophyd")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
