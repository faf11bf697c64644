"""Simulated hours at a high speed factor: does the server leak or drift?

    python -m tests.benchmarks.soak [HOURS [SPEED]]

Moves and counts without end, with the same noiseless count at begin and end. Prints a row of
JSON an hour, and fails when memory, threads or open files grow, or when that count changes.
"""

import json
import os
import sys
import time
from pathlib import Path

from beamline_ophyd.simulator import DeviceServer

from .server import resident_mb

ALLOWED_MB = 2.0
WARM_UP = 0.1  # of all hours: the time in which buffers reach their size


def main():
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    speed = float(sys.argv[2]) if len(sys.argv) > 2 else 1000.0
    with DeviceServer(prefix="SOAK:", speed=speed) as server:
        os.environ.update(server.environment)
        from ..pvs import Beamline  # which loads the client, that reads its environment once

        soak(Beamline("SOAK:"), server.pid, hours, speed)


def soak(beamline, pid, hours, speed):
    before = reference(beamline)
    begin = time.monotonic()
    told, rows, cycles = 0, [], 0
    while (passed := (time.monotonic() - begin) * speed / 3600) < hours:
        cycle(beamline, cycles)
        cycles += 1
        if passed >= told:
            told += min(1.0, hours / 20)
            rows.append({"hour": round(passed, 1), "cycles": cycles} | resources(pid))
            print(json.dumps(rows[-1]), flush=True)  # noqa: T201
    after = reference(beamline)
    end = {"hour": hours, "cycles": cycles} | resources(pid)
    print(json.dumps(end | {"before": before, "after": after}))  # noqa: T201
    warm = next(row for row in rows if row["hour"] >= WARM_UP * hours)
    grown = [key for key in ("threads", "files") if end[key] > warm[key]]
    if end["resident_mb"] > warm["resident_mb"] + ALLOWED_MB:
        grown.append("resident_mb")
    if grown or before != after:
        sys.exit(f"soak: grown {grown}; the same count gave {before} and then {after}")


def cycle(beamline, number):
    """A point of a scan, another sample now and then, and the shutter."""
    beamline.put("MONO:ENERGY", 7000.0 + number % 500)
    beamline.put("SAMPLE:X", float(number % 7) * 100)
    beamline.put("SCALER.TP", 0.5)
    beamline.put("SCALER.CNT", 1)
    if number % 20 == 0:
        beamline.put("SHUTTER:CMD", 0)
        beamline.put("SHUTTER:CMD", 1)


def reference(beamline):
    """Where the axes are after a return, and what is counted there without noise."""
    beamline.put("SHUTTER:CMD", 1)
    beamline.put("SIM:NOISE", 0)
    beamline.put("SIM:RING", 1)
    for name, value in (("MONO:ENERGY", 7112.0), ("SAMPLE:X", 0.0), ("SCALER.TP", 1.0)):
        beamline.put(name, value)
    beamline.put("SCALER.CNT", 1)
    current = beamline.get("RING:CURRENT")  # of the end of the count; before, of the last tick
    counts = [round(beamline.get(f"SCALER.S{channel}") / current, 1) for channel in (2, 3, 4)]
    beamline.put("SIM:NOISE", 1)
    beamline.put("SIM:RING", 0)
    return {
        "energy": round(beamline.get("MONO:ENERGY.RBV"), 4),
        "x": beamline.get("SAMPLE:X.RBV"),
        "counts_per_ma": counts,
    }


def resources(pid):
    return {
        "resident_mb": round(resident_mb(pid), 2),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


if __name__ == "__main__":
    main()
