"""Writers side by side: what each costs a scan, how fast it is in bulk, memory, size of files.

    python writers.py [--apstools PYTHON] [--out FILE.md] [--only scan xafs bulk visibility]

`make bench-writers` runs it. Each contender works in a process of its own, see contender.py;
apstools in an environment of its own, because it needs databroker below 2. Scans without and with a
writer take turns, so that what else the machine does falls on both.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import h5py

HERE = Path(__file__).parent
DEADLINE_S = 3600
APSTOOLS = "apstools NXWriter"
BARE = "h5py append"
ALL_BY_HAND = "h5py append, all"
SCANS = (
    "JSONLinesWriter",
    "h5py append",
    "h5py append, flushed",
    "Journal",
    "NXxasWriter",
    "Journal + NXxasWriter",
    APSTOOLS,
)
BULK = ("JSONLinesWriter", BARE, ALL_BY_HAND, "Journal", "NXxasWriter", "XDIWriter", APSTOOLS)
OWN = ("JSONLinesWriter", "Journal", "NXxasWriter", "Journal + NXxasWriter")
VISIBLE = ("h5py append, flushed", "NXxasWriter", "Journal + NXxasWriter")
POLL_S = 0.02
ROUNDS = 3
PARTS = ("scan", "xafs", "bulk", "visibility")


def start(case, name, folder, apstools):
    python = apstools if name == APSTOOLS else sys.executable
    return subprocess.Popen(
        [str(python), str(HERE / "contender.py"), case, name, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def measure(case, name, apstools):
    with tempfile.TemporaryDirectory() as folder:
        process = start(case, name, folder, apstools)
        out, errors = process.communicate(timeout=DEADLINE_S)
    if process.returncode:
        raise RuntimeError(f"{case} {name}: {errors[-2000:]}")
    return json.loads(out)


def visibility(name, apstools):
    """Longest time, in s, for which an event was not yet to be seen in the file."""
    with tempfile.TemporaryDirectory() as folder:
        process = start("visibility", name, folder, apstools)
        looks = []
        while not ended(process, POLL_S):
            began = time.time()
            rows = visible_rows(Path(folder))
            if rows is not None:
                looks.append((began, rows))
        out, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"visibility {name}: {errors[-2000:]}")
    times = json.loads(out)["times"]
    late = [when - times[rows] for when, rows in looks if rows < len(times) and when > times[rows]]
    return max(late, default=0.0)


def ended(process, within_s):
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def visible_rows(folder):
    for path in folder.iterdir():
        try:
            with h5py.File(path, "r", locking=False) as file:
                for place in ("entry/bluesky/streams/primary/seq_num", "energy"):
                    if place in file:
                        return file[place].shape[0]
        except OSError:  # between two states of a plain file, or just renamed
            continue
    return None


def scan_table(names, apstools, case="scan"):
    yield (
        "| writer | an event takes longer by, ms | share | of the processor, ms | share "
        "| memory, MB | file, kB |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in names:
        found = measure(case, name, apstools)
        seconds = found["seconds"]
        row = f"| {name} |"
        for kind in range(2):
            pairs = [
                (a[kind], b[kind]) for a, b in zip(seconds["without"], seconds["with"], strict=True)
            ]
            added = statistics.median(b - a for a, b in pairs)
            share = statistics.median(b / a - 1 for a, b in pairs)
            row += f" {added:.2f} | {share:+.1%} |"
        yield f"{row} {found['mb']:.1f} | {found['bytes'] / 1e3:.0f} |"


def bulk_table(names, apstools):
    yield (
        "| writer | events: points/s | memory, MB | pages: points/s | memory, MB | files, MB "
        "| pages: share of bare h5py |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in names:
        row, size = f"| {name} |", 0
        for case in ("events", "pages"):
            found = bulk(case, name, apstools)
            size = found["bytes"] if found else size
            held = measure(f"{case} memory", name, apstools)["mb"] if found else 0
            row += f" {found['rate']:.0f} | {held:.0f} |" if found else " fails | |"
        # Side by side, so that whatever else the machine does falls on both.
        shares = [
            mine["rate"] / bare["rate"]
            for _ in range(ROUNDS)
            if (mine := bulk("pages", name, apstools)) and (bare := bulk("pages", BARE, apstools))
        ]
        share = f"{statistics.median(shares):.2f}" if shares else ""
        yield f"{row} {size / 1e6:.1f} | {share} |"


def bulk(case, name, apstools):
    """What one writer did in bulk; None where it failed, or is not made for it."""
    if name == ALL_BY_HAND and case == "events":
        return None
    try:
        found = measure(case, name, apstools)
    except RuntimeError:
        return None
    return {"rate": 200_000 / found["seconds"], "bytes": found["bytes"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--apstools", type=Path, help="Python of an environment with apstools.")
    parser.add_argument("--out", type=Path, help="Also write the tables here.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="Parts of it.")
    options = parser.parse_args()
    absent = set() if options.apstools and options.apstools.exists() else {APSTOOLS}
    if absent:
        say("SKIP apstools: `make bench-writers` makes its environment")
    lines = [
        f"{platform.machine()}, Python {platform.python_version()}, bluesky "
        f"{version('bluesky')}, h5py {version('h5py')}, HDF5 {h5py.version.hdf5_version}",
        "",
    ]
    for part, title, rows in (
        (
            "scan",
            "A scan of 1000 points and 8 columns under the RunEngine",
            scan_table([n for n in SCANS if n not in absent], options.apstools),
        ),
        (
            "xafs",
            "The same with xafs_scan, whose points cost the RunEngine a third",
            scan_table(OWN, options.apstools, "xafs_scan"),
        ),
        (
            "bulk",
            "100 spectra of 2000 points and 8 columns, as fast as the writer takes them",
            bulk_table([n for n in BULK if n not in absent], options.apstools),
        ),
        (
            "visibility",
            "Longest time until an event can be read in the file, in the scan above",
            (f"| {name} | {visibility(name, options.apstools):.2f} s |" for name in VISIBLE),
        ),
    ):
        if part not in options.only:
            continue
        lines += [f"### {title}", ""]
        say(lines[-2])
        if part == "visibility":
            lines += ["| writer | until it can be read |", "| --- | ---: |"]
        for row in rows:
            lines.append(row)
            say(row)
        lines.append("")
    if options.out:
        options.out.write_text("\n".join(lines))


def say(text):
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
