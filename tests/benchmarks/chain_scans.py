"""The scans of tiled_chain.py. To be imported when the environment names the device server."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluesky.plans import scan
from ophyd.sim import SynAxis, SynSignal

from beamline_ophyd.devices import SIMULATOR, load_beamline
from beamline_ophyd.plans import xafs_scan

from ..runs import make_xafs_documents

__all__ = ["Scan", "at_the_beamline", "in_memory"]

I0, E0_EV = 1e6, 7112.0


@dataclass(frozen=True)
class Scan:
    """A plan, again and again, and what every one of its runs says of itself."""

    name: str
    plan: Callable[[], Any]
    md: Mapping[str, Any] = field(default_factory=dict)


def in_memory(points):
    """bluesky's own scan over a made-up spectrum, of devices that take no time at all."""
    energy = SynAxis(name="mono_energy")

    def mu():
        ev = energy.readback.get()
        wiggle = 0.05 * math.sin(0.05 * (ev - E0_EV)) if ev > E0_EV else 0.0
        return 0.5 + (0.7 + wiggle) * (1 + math.tanh((ev - E0_EV) / 4))

    channels = {
        "I0": lambda: I0,
        "It": lambda: I0 * math.exp(-mu()),
        "Ir": lambda: I0 * math.exp(-2 * mu()),
        "dwell_time": lambda: 0.5,
        "temperature": lambda: 295.0,
        "pressure": lambda: 1013.0,
    }
    detectors = [SynSignal(name=name, func=func) for name, func in channels.items()]
    (_, md), *_ = make_xafs_documents(points=points)
    for word in ("uid", "time", "scan_id", "plan_name", "num_points", "hints"):
        del md[word]
    name = f"`scan` of {points} points, in memory"
    return Scan(name, lambda: scan(detectors, energy, 6960.0, 7900.0, points), md)


def at_the_beamline(prefix, points):
    """xafs_scan at the simulated beamline, through Channel Access, 0.1 s a point."""
    beamline = load_beamline(SIMULATOR, P=prefix)
    beamline.connect(20.0)
    chambers, mono = beamline["chambers"], beamline["mono"]
    detectors = [chambers.i0, chambers.it, chambers.ir]
    grid = {"bounds": [-150.0, 800.0], "steps": [950.0 / (points - 1)], "times": [0.1]}
    return Scan("`xafs_scan`, 0.1 s", lambda: xafs_scan(detectors, mono.energy, "Fe-K", **grid))
