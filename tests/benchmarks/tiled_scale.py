"""Opening, searching and putting in, beside a plain Tiled with the stock client, as runs pile up.

    python -m tests.benchmarks.tiled_scale [--runs N ...]

Plain is `tiled serve config` over SQLite and DuckDB, filled by bluesky's TiledWriter and asked
through Tiled's own client. Both get the same runs: some with points, each by its own way in, and
copies of the first one's row in the catalogue by bulk insertion. Times are those of a client in
this process; beside the second of each pair stands its ratio to the first.
"""

import argparse
import contextlib
import json
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from bluesky_tiled_plugins import TiledWriter
from tiled.client import from_uri
from tiled.queries import Key
from tiled.structures.core import Spec

from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.serving.runs import RunUpload
from beamline_ophyd.simulator import free_ports

from ..runs import make_xafs_documents

FIRST, POINTS = "the-first", 300
PUT_IN = 10
SINCE = 1.7e9
ELEMENTS = ("Fe", "Cu", "Ni", "Zn")
START_S = 300.0
TILED = str(Path(sys.executable).with_name("tiled"))

PLAIN = """
authentication:
  single_user_api_key: "{key}"
trees:
  - path: /
    tree: catalog
    args:
      uri: "sqlite:///{folder}/catalog.db"
      writable_storage: ["file://localhost{folder}/arrays", "duckdb:///{folder}/tables.duckdb"]
uvicorn:
  host: 127.0.0.1
  port: {port}
  log_level: error
"""


class Plain:
    """Tiled as it comes."""

    name = "plain Tiled"

    def __init__(self, folder):
        self._folder = folder
        folder.mkdir()
        self.catalogue = folder / "catalog.db"
        self._key = secrets.token_hex(16)
        (self._port,) = free_ports(1)
        init = [TILED, "catalog", "init", f"sqlite:///{self.catalogue}"]
        subprocess.run(init, check=True, capture_output=True)
        self._config = folder / "config.yml"
        self._config.write_text(
            PLAIN.format(folder=folder, key=self._key, port=self._port), encoding="utf-8"
        )

    @contextlib.contextmanager
    def running(self):
        """Serve, and give the container of runs."""
        command = [TILED, "serve", "config", str(self._config)]
        with (self._folder / "log").open("ab") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            uri = f"http://127.0.0.1:{self._port}"
            self._await(uri, server)
            root: Any = from_uri(uri, api_key=self._key)
            if "runs" not in root:
                root.create_container("runs", specs=[Spec("CatalogOfBlueskyRuns", "3.0")])
            yield root["runs"]
            root.context.close()
        finally:
            server.terminate()
            server.wait()

    def _await(self, uri, server):
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{uri}/healthz", trust_env=False).raise_for_status()
                return
            if server.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(encoding="utf-8")
                raise SystemExit(f"plain Tiled did not start within {START_S} s: {said}")

    def put(self, runs, documents):
        """Put one run in."""
        writer = TiledWriter(runs)
        for name, doc in documents:
            writer(name, doc)

    def search(self, runs):
        """Runs of iron."""
        found = runs.search(Key("start.Element.symbol") == "Fe")
        return found.search(Key("start.time") >= SINCE)


class Ours:
    """The server and the client of this project."""

    name = "this project's"

    def __init__(self, folder):
        self._server = TiledServer(folder, timeout=START_S)
        self.catalogue = self._server.folder.root / "catalog.db"

    @contextlib.contextmanager
    def running(self):
        """Serve, and give the container of runs."""
        with (
            self._server as server,
            connect(server.uri, server.keys.writer) as self._client,
        ):
            yield self._client.runs

    def put(self, runs, documents):
        """Put one run in."""
        upload = RunUpload(runs, batch_size=10_000)
        for name, doc in documents:
            upload.put(name, doc)

    def search(self, runs):
        """Runs of iron."""
        return self._client.search(element="Fe", since=SINCE)


def fill(catalogue, runs):
    """Insert copies of the first run, each with a uid, a time and an element of its own."""
    with contextlib.closing(sqlite3.connect(catalogue)) as db, db:
        db.execute("PRAGMA foreign_keys = ON")  # or the tree would keep what is gone
        db.execute("DELETE FROM nodes WHERE key LIKE '00000000-%'")
        names = [column[1] for column in db.execute("PRAGMA table_info(nodes)")]
        query = f"SELECT {', '.join(names)} FROM nodes WHERE key = ?"
        row = dict(zip(names, db.execute(query, [FIRST]).fetchone(), strict=True))
        (first,) = db.execute("SELECT max(id) + 1 FROM nodes").fetchone()
        insert = f"INSERT INTO nodes ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        for number in range(runs):
            metadata = json.loads(row["metadata"])
            key, element = str(uuid.UUID(int=number)), ELEMENTS[number % len(ELEMENTS)]
            start = metadata["start"]
            start |= {"uid": key, "time": SINCE + 600 * number, "scan_id": number}
            start["Element"]["symbol"] = element
            if "measured" in metadata:
                metadata["measured"]["element"] = element
            new = {**row, "id": first + number, "key": key, "metadata": json.dumps(metadata)}
            db.execute(insert, [new[name] for name in names])


def timed(act):
    """Median of five times, in ms."""
    act()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        act()
        times.append(1e3 * (time.perf_counter() - began))
    return median(times)


def documents_of(uid):
    """A spectrum, whose points take no part in the search."""
    return make_xafs_documents(points=POINTS, uid=uid)


def prepare(place):
    """Put in the first run, and some more; ms that one takes."""
    with place.running() as runs:
        place.put(runs, documents_of(FIRST))
        began = time.perf_counter()
        for number in range(PUT_IN):
            place.put(runs, documents_of(f"put-in-{number}"))
        return 1e3 * (time.perf_counter() - began) / PUT_IN


def looked_up(place, size):
    """Milliseconds to open the last run, one by its uid, to search, to read points, to start."""
    began = time.perf_counter()
    with place.running() as runs:
        start = 1e3 * (time.perf_counter() - began)
        uid = str(uuid.UUID(int=size // 2))
        assert place.search(runs)[-1].start["Element"]["symbol"] == "Fe"
        return [
            timed(lambda: runs[-1].start),
            timed(lambda: runs[uid].start),
            timed(lambda: place.search(runs)[-1].start),
            timed(lambda: runs[FIRST]["primary"].read()),
            start,
        ]


def scale_table(folder, sizes):
    """Rows of the table of how opening and searching grow."""
    yield (
        "| runs | server and client | open the last, ms | by uid, ms | search, ms | "
        f"read {POINTS} points, ms | start, ms | put one in, ms | catalogue, MB |"
    )
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    places = [Plain(folder / "plain"), Ours(folder / "ours")]
    put_in = [prepare(place) for place in places]
    for size in sizes:
        beside: list[float] = []
        for place, put in zip(places, put_in, strict=True):
            fill(place.catalogue, size - 1 - PUT_IN)
            times = [*looked_up(place, size), put]
            mb = place.catalogue.stat().st_size / 1e6
            cells = [f"{ms:.0f}" for ms in times]
            if beside:
                ratios = (ms / other for ms, other in zip(times, beside, strict=True))
                cells = [f"{cell} ({ratio:.2f})" for cell, ratio in zip(cells, ratios, strict=True)]
            beside = times
            yield f"| {size} | {place.name} | {' | '.join(cells)} | {mb:.1f} |"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in scale_table(Path(folder), options.runs):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
