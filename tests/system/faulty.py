"""Scans in processes of their own, to be hurt: one server that has everything loaded, and forks.

Reads a JSON line for each scan: {"folder": ..., "points": n, "fault": name or null}; its journal
goes to FOLDER/journal, its files to FOLDER/files. Prints JSON lines: {"pid": ...}, {"point": n} for
every event, {"ended": {...}}, {"dead": how it ended}.
"""

import ctypes
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
from bluesky import RunEngine
from bluesky import plans as bp
from ophyd import Signal
from ophyd.sim import SynAxis

from beamline_ophyd.callbacks import Journal, NXxasWriter, XDIWriter

DEADLINE_S = 60.0
MAPPING = {"energy": "energy", "i0": "i0", "itrans": "itrans"}
BREAKS_AT, MENDS_AT = 0.3, 0.7
"""Shares of the scan between which a fault lasts."""


def tell(**words):
    os.write(1, json.dumps(words).encode() + b"\n")


def obey_permissions():
    """Give up root's right to read and write everywhere, which no user has."""
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(head, sets):
        raise OSError(ctypes.get_errno(), "capget")
    overrides = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    for number in range(2):
        sets[number] &= ~overrides
    if libc.capset(head, sets):
        raise OSError(ctypes.get_errno(), "capset")


def ballast(folder):
    """Fill a file system to its last byte."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass


BREAK = {
    "removed": lambda files: shutil.rmtree(files),
    "permission": lambda files: files.chmod(0o500),
    "full": lambda files: ballast(files),
}
MEND = {
    "removed": lambda files: files.mkdir(),
    "permission": lambda files: files.chmod(0o700),
    "full": lambda files: (files / "ballast").unlink(),
}


def scan(folder, points, fault, mend):
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    if fault == "permission":
        obey_permissions()
    journal = Journal(folder / "journal")
    writers = [
        NXxasWriter(files, journal=journal, mapping=MAPPING, template="run", flush_interval=0.1),
        XDIWriter(files, journal=journal, mapping=MAPPING, template="run"),
    ]
    energy = SynAxis(name="energy")
    signals = [Signal(name=name, value=2.0) for name in ("i0", "itrans")]
    engine = RunEngine({})
    for callback in (journal, *writers):
        engine.subscribe(callback)

    def follow(name, doc):
        number = doc["seq_num"]
        if fault and number == int(BREAKS_AT * points):
            BREAK[fault](files)
        if fault and mend and number == int(MENDS_AT * points):
            MEND[fault](files)
        tell(point=number)

    engine.subscribe(follow, "event")
    grid = np.linspace(7000.0, 7500.0, points).tolist()
    md = {"Element": {"symbol": "Fe", "edge": "K"}, "Mono": {"d_spacing": 3.1356}}
    engine(bp.list_scan(signals, energy, grid, md=md))
    written = [writer.wait(DEADLINE_S) for writer in writers]
    problems = [str(p) for keeper in (journal, *writers) for p in keeper.problems]
    tell(ended={"written": written, "problems": problems})
    for writer in writers:
        writer.close(1.0)


def main():
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 0
            try:
                scan(
                    Path(wanted["folder"]),
                    wanted["points"],
                    wanted.get("fault"),
                    wanted.get("mend", True),
                )
            except BaseException:
                traceback.print_exc()
                status = 1
            os._exit(status)
        tell(pid=child)
        tell(dead=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
