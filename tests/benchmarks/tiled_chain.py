"""What the whole chain into Tiled costs an event, when a point can be seen, and how search grows.

    python -m tests.benchmarks.tiled_chain [--points N] [--rounds N] [--runs N]

The chain (journal, NXxas file, Tiled) beside bluesky's TiledWriter at batches of 1, 10 and 10000,
in turn with the RunEngine alone, all in one run. A second client, a process of its own, follows
with `live` and notes when it sees each point. Then a catalogue is filled by bulk insertion, and
searched.
"""

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median

from bluesky import RunEngine
from bluesky.plans import scan
from bluesky_tiled_plugins import TiledWriter
from ophyd.sim import SynAxis, SynSignal

from beamline_ophyd.callbacks import Journal, NXxasWriter, TiledPublisher
from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.serving.runs import RunUpload

from ..runs import make_xafs_documents

FOLLOW = """
import json, sys, time
from beamline_ophyd.serving import connect, live
uri, key = sys.stdin.readline().split()
client = connect(uri, key)
list(client.runs)
print("ready", flush=True)
run = client.runs[sys.stdin.readline().strip()]
late = [time.time() - point["time"] for point in live(run)]
print(json.dumps(late), flush=True)
"""


@contextlib.contextmanager
def follower(server):
    """A second client; given the uid of a run, it tells how late it saw each point."""
    with subprocess.Popen(
        [sys.executable, "-c", FOLLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{server.uri} {server.keys.reader}\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process


def measured(callbacks, points, process=None):
    """Milliseconds an event, and how late each was seen, in s."""
    engine = RunEngine({}, context_managers=[])
    motor = SynAxis(name="motor")
    detectors = [SynSignal(name=f"d{n}", func=lambda: 1.0) for n in range(7)]
    for callback in callbacks:
        engine.subscribe(callback)
    begun, uids = [], []

    def note(name, doc):
        if name == "start":
            uids.append(doc["uid"])
        if name == "descriptor":
            begun.append(time.perf_counter())
            if process is not None:
                process.stdin.write(uids[0] + "\n")
                process.stdin.flush()

    ended = []
    engine.subscribe(note)
    engine.subscribe(lambda name, doc: ended.append(time.perf_counter()), "event")
    engine(scan(detectors, motor, 0.0, 1.0, points))
    return 1e3 * (ended[-1] - begun[0]) / points


def contenders(folder, server, client):
    """Name to a function that makes the callbacks, and one that ends them."""

    def chain():
        journal = Journal(folder / "journal")
        publisher = TiledPublisher(server.uri, server.keys.writer, journal=journal)
        files = NXxasWriter(server.folder.files, journal=journal, on_file=publisher.register_file)
        publisher.wait(30)  # connected, as in a session before its first scan

        def end():
            files.close(60)
            publisher.close(60)
            journal.close()

        return [journal, files, publisher], end

    def writer(batch):
        return lambda: ([TiledWriter(client.runs, batch_size=batch)], lambda: None)

    return {
        "journal, NXxas file and Tiled": chain,
        **{f"TiledWriter, batches of {n}": writer(n) for n in (1, 10, 10_000)},
    }


def chain_table(folder, points, rounds):
    """Rows of the table of what an event costs."""
    yield "| callbacks | an event takes longer by, ms | share | last seen after, s |"
    yield "| --- | ---: | ---: | ---: |"
    with (
        TiledServer(folder / "tiled") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        for name, make in contenders(folder, server, client).items():
            alone, together, late = [], [], []
            for _ in range(rounds):
                alone.append(measured([], points))
                callbacks, end = make()
                with follower(server) as process:
                    together.append(measured(callbacks, points, process))
                    end()
                    late += json.loads(process.stdout.readline())
            pairs = list(zip(alone, together, strict=True))
            added = median(b - a for a, b in pairs)
            share = median(b / a - 1 for a, b in pairs)
            yield f"| {name} | {added:.2f} | {share:+.0%} | {max(late):.2f} |"


def fill(catalogue, uid, runs):
    """Insert copies of a run, each with a uid, a time and an element of its own, into SQLite."""
    with contextlib.closing(sqlite3.connect(catalogue)) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(nodes)")]
        row = dict(
            zip(
                names,
                db.execute(f"SELECT {', '.join(names)} FROM nodes WHERE key = ?", [uid]).fetchone(),
                strict=True,
            )
        )
        (first,) = db.execute("SELECT max(id) + 1 FROM nodes").fetchone()
        elements = ["Fe", "Cu", "Ni", "Zn"]
        for number in range(runs):
            metadata = json.loads(row["metadata"])
            key = str(uuid.UUID(int=number))
            metadata["start"] |= {"uid": key, "time": 1.7e9 + 600 * number, "scan_id": number}
            metadata["measured"]["element"] = elements[number % 4]
            new = {**row, "id": first + number, "key": key, "metadata": json.dumps(metadata)}
            db.execute(
                f"INSERT INTO nodes ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [new[name] for name in names],
            )


def timed(act):
    """Median of five times, in ms."""
    act()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        act()
        times.append(1e3 * (time.perf_counter() - began))
    return median(times)


def looked_up(client, uid):
    """Milliseconds to open the last run, to open one by its uid, and to search."""
    return [
        timed(lambda: client.runs[-1].start),
        timed(lambda: client.runs[uid].start),
        timed(lambda: client.search(element="Fe", since=1.7e9)[-1].start),
    ]


def scale_table(folder, sizes):
    """Rows of the table of how opening and searching grow."""
    yield "| runs | open the last, ms | by uid, ms | search element and since, ms | start, s | MB |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    server = TiledServer(folder / "many")
    with server, connect(server.uri, server.keys.writer) as client:
        upload = RunUpload(client.runs, batch_size=100)
        for item in make_xafs_documents(points=10, uid="the-first"):
            upload.put(*item)
    for size in sizes:
        catalogue = server.folder.root / "catalog.db"
        with contextlib.closing(sqlite3.connect(catalogue)) as db, db:
            db.execute("PRAGMA foreign_keys = ON")  # or the tree would keep what is gone
            db.execute("DELETE FROM nodes WHERE key LIKE '00000000-%'")
        fill(catalogue, "the-first", size - 1)
        began = time.perf_counter()
        with server, connect(server.uri, server.keys.reader) as client:
            start = time.perf_counter() - began
            uid = str(uuid.UUID(int=size // 2))
            cells = looked_up(client, uid)
        mb = catalogue.stat().st_size / 1e6
        yield f"| {size} | {' | '.join(f'{ms:.0f}' for ms in cells)} | {start:.1f} | {mb:.1f} |"


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rows in (
            chain_table(Path(folder), options.points, options.rounds),
            scale_table(Path(folder), options.runs),
        ):
            for row in rows:
                sys.stdout.write(row + "\n")
                sys.stdout.flush()
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
