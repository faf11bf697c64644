"""Runs of every kind of plan, on axes and counters in memory: name to its documents."""

from bluesky import RunEngine
from bluesky import plans as bp
from bluesky import preprocessors as bpp
from ophyd.sim import SynAxis

from beamline_ophyd.plans import (
    count,
    fixed_energy_map,
    line_scan,
    mesh_scan,
    powder_scan,
    xanes_map,
)

from .unit.doubles import Timed

FACILITY = {
    "Facility": {"name": "a ring"},
    "Mono": {"name": "Si(111)", "d_spacing": 3.1356},
    "Sample": {"name": "a sample"},
}
X, Y = (0.0, 2.0, 3), (10.0, 11.0, 2)
ENERGIES = (-10.0, 0.0, 5.0, 20.0)


class Stage:
    """Axes, and a counter that counts 100 y + 10 x + energy above 7000 eV, in whole numbers."""

    def __init__(self):
        self.x, self.y, self.energy = (SynAxis(name=name) for name in ("x", "y", "energy"))
        self.arm, self.sample = SynAxis(name="two_theta"), SynAxis(name="theta")
        for axis in (self.x, self.y, self.energy, self.arm, self.sample):
            axis.acceleration.put(0)
        self.counter = Timed("counter", lambda dwell_s: self.seen())
        self.beam = Timed("beam", lambda dwell_s: 1000)
        self.detectors = [self.counter, self.beam]

    def seen(self):
        x, y, energy = (axis.readback.get() for axis in (self.x, self.y, self.energy))
        return round(100 * y + 10 * x + max(energy - 7000.0, 0.0) + self.arm.readback.get())


def _powder(stage, **options):
    return powder_scan(
        stage.detectors, stage.arm, 28, 30, 0.5, wavelength=1.5406, time=0.01, **options
    )


def _energy_map(stage, **options):
    return xanes_map(
        stage.detectors, stage.energy, "Fe-K", stage.y, *Y, stage.x, *X, energies=ENERGIES,
        time=0.01, **options,
    )  # fmt: skip


PLANS = {
    "powder": _powder,
    "powder with monitor": lambda s: _powder(s, theta=s.sample, monitor="beam"),
    "mesh": lambda s: mesh_scan(s.detectors, s.y, *Y, s.x, *X, time=0.01),
    "mesh flying back": lambda s: mesh_scan(
        s.detectors, s.y, *Y, s.x, *X, snake=False, time=0.01
    ),
    "map at one energy": lambda s: fixed_energy_map(
        s.detectors, s.energy, 7130.0, s.y, *Y, s.x, *X, time=0.01
    ),
    "xanes map by pixel": _energy_map,
    "xanes map by energy": lambda s: _energy_map(s, order="energy"),
    "xanes map flying back": lambda s: _energy_map(s, snake=False),
    "grid_scan": lambda s: bp.grid_scan(
        s.detectors, s.energy, 7000, 7010, 2, s.y, *Y, s.x, *X, snake_axes=[s.x]
    ),
    "list_grid_scan": lambda s: bp.list_grid_scan(
        s.detectors, s.y, [10.0, 12.0, 11.0], s.x, [0.0, 5.0], snake_axes=[s.x]
    ),
    "line": lambda s: line_scan(s.detectors, s.x, *X, time=0.01),
    "spiral": lambda s: bp.spiral(s.detectors, s.x, s.y, 0, 0, 2, 2, 1, 3),
    "count": lambda s: count(s.detectors, 3, time=0.01),
    "baseline": lambda s: bpp.baseline_wrapper(
        bpp.monitor_during_wrapper(bp.scan(s.detectors, s.x, *X), [s.x.readback]), [s.y, s.energy]
    ),
    "nothing read": lambda s: bp.count(s.detectors, 0),
}  # fmt: skip


def documents_of(kind, **md):
    """The documents of a run of one of `PLANS`."""
    engine = RunEngine({}, context_managers=[])
    documents = []
    engine(PLANS[kind](Stage()), lambda *item: documents.append(item), **FACILITY, **md)
    return documents
