"""What xafs_scan costs a point beside a bare list_scan with the same devices in memory.

python tests/benchmarks/scan_overhead.py [ROUNDS]
"""

import sys
import time
from statistics import median

from bluesky import RunEngine
from bluesky.plans import list_scan
from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.sim import SynAxis
from ophyd.status import Status

from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import xafs_scan

GRID = {"bounds": [-200, -30, 15, "14k"], "steps": [10, 0.5, "0.05k"], "times": [0.5, 0.5, 1.0]}


class Detector(Device):
    """Counts at once."""

    preset_time = Cpt(Signal, value=0.0, kind="omitted")
    counts = Cpt(Signal, value=1.0, kind="hinted")

    def __init__(self, name):
        super().__init__("", name=name)
        self.counts.name = name

    def trigger(self):
        """Count for no time."""
        self.counts.put(1.0)
        status = Status(self)
        status.set_finished()
        return status


def main():
    """Compare medians of several rounds, taken in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    engine = RunEngine({}, context_managers=[])
    energy = SynAxis(name="energy")
    detectors = [Detector("i0"), Detector("it")]
    energies = energy_grid("Fe-K", **GRID).energy_ev.tolist()
    took = {"list_scan": [], "xafs_scan": []}
    for _ in range(rounds):
        for name, plan in (
            ("list_scan", list_scan(detectors, energy, energies)),
            ("xafs_scan", xafs_scan(detectors, energy, "Fe-K", **GRID)),
        ):
            began = time.perf_counter(), time.process_time()
            engine(plan)
            ended = time.perf_counter(), time.process_time()
            took[name].append(
                [1e3 * (b - a) / len(energies) for a, b in zip(began, ended, strict=True)]
            )
    sys.stdout.write(f"{len(energies)} points, ms a point (median of {rounds} rounds)\n")
    for name, rows in took.items():
        clock, cpu = (median(column) for column in zip(*rows, strict=True))
        sys.stdout.write(f"{name}: {clock:.2f} by the clock, {cpu:.2f} of the CPU\n")


if __name__ == "__main__":
    main()
