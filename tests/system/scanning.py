"""A process that scans: started by the tests, which kill it or its servers.

    python scanning.py FOLDER [--kill-ioc-at N] [--speed S] [--no-tiled] [--short]

Prints JSON lines on stdout: {"ready": {...}} before the scan, {"point": n} for every event,
and {"ended": {...}} after it, with the seconds since the server was killed.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from beamline_ophyd.serving import TiledServer
from beamline_ophyd.simulator import DeviceServer


def tell(**words):
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-ioc-at", type=int)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--no-tiled", action="store_true")
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()

    server = DeviceServer(seed=1, speed=options.speed).start()
    os.environ.update(server.environment)
    from beamline_ophyd.plans import xafs_scan
    from beamline_ophyd.session import start

    if options.no_tiled:
        # Nothing listens on the discard port of loopback.
        tiled, address = None, ("http://127.0.0.1:9", "00")
    else:
        tiled = TiledServer(options.folder / "tiled", files=options.folder / "files").start()
        address = (tiled.uri, tiled.keys.writer)
    session = start(
        server.prefix,
        folder=options.folder,
        files=options.folder / "files",
        tiled=address,
        progress=False,
        timeout=60,
    )
    session.RE(move(session, "fe_foil"))
    killed = []

    def follow(name, doc):
        if name == "event" and "mono_energy" in doc["data"]:
            tell(point=doc["seq_num"])
            if doc["seq_num"] == options.kill_ioc_at:
                server.kill()
                killed.append(time.monotonic())

    session.RE.subscribe(follow, "event")
    pids = {"ioc": server.pid, "tiled": tiled.pid if tiled else None, "keeper": session.keeper.pid}
    tell(ready=pids)
    error = None
    try:
        detectors = [session.i0, session.it, session.ir]
        grid = {"bounds": [-20, 30], "steps": [2], "times": [0.5]} if options.short else {}
        session.RE(xafs_scan(detectors, session.mono.energy, "Fe-K", **grid))
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    seconds = time.monotonic() - killed[0] if killed else None
    done = session.wait(60)
    files = {uid: str(path) for uid, path in session.files.items()}
    tell(ended={"error": error, "seconds": seconds, "done": done, "files": files})
    session.close(1.0)
    if tiled:
        tiled.stop()
    server.stop()


def move(session, place):
    from bluesky import plan_stubs as bps

    yield from bps.mv(session.stage, place)


if __name__ == "__main__":
    main()
