"""What compression, chunks and flushes cost and gain: behind the writer's defaults.

    python -m tests.benchmarks.storage [ROUNDS]

`make bench-storage` runs it, in half a minute. Times are of the processor, so that other work on
the machine changes them little; medians of some rounds.
"""

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from beamline_ophyd.callbacks._live_file import LiveFile
from beamline_ophyd.callbacks._output import Style
from beamline_ophyd.formats import tree

from ..runs import make_xafs_documents, of

POINTS, CHANNELS = 500, 4096
LEVELS = (0, 1, 4, 9)
CHUNKS_KB = (16, 64, 256, 1024)
FROM_KB = (4, 16, 64, 256)
INTERVALS_S = (0.1, 0.25, 0.5, 1.0, 2.0)
POINTS_PER_S = 10


def spectrum():
    """A long absorption spectrum: some twenty columns of floats."""
    return make_xafs_documents(points=2000)


def fluorescence():
    """A spectrum of a fluorescence detector at each point: counts, most of them few."""
    documents = make_xafs_documents(points=POINTS)
    about = {"source": "x", "dtype": "array", "shape": [CHANNELS], "units": "counts"}
    (descriptor,) = of(documents, "descriptor")
    descriptor["data_keys"]["mca"] = {**about, "dtype_numpy": "<u4", "object_name": "mca"}
    chance = np.random.default_rng(1)
    lines = 2 + 3000 * np.exp(-(((np.arange(CHANNELS) - 1280) / 30) ** 2))
    for event in of(documents, "event"):
        event["data"]["mca"] = chance.poisson(lines).astype(np.uint32)
        event["timestamps"]["mca"] = event["time"]
    return documents


def whole(documents, folder, level=4):
    """Processor time of taking and writing a whole run, of reading it, and its size."""
    path = folder / "run.nxs"
    began = time.process_time()
    live = LiveFile(folder, Path(path.name), Style.checked("w", level, "NXxas", None))
    for item in documents:
        live.add(*item)
    live.finish()
    written = time.process_time()
    with h5py.File(path) as file:
        file.visititems(read_whole)
        one = next(iter(of(documents, "event")[0]["data"]))
        read = time.process_time()
        for row in range(0, len(file[f"entry/bluesky/streams/primary/data/{one}"]), 50):
            for data in file["entry/bluesky/streams/primary/data"].values():
                data[row]
    rows = time.process_time()
    return written - began, read - written, rows - read, path.stat().st_size


def read_whole(name, node):
    """Read a node; what is returned is None, for anything else ends the visit."""
    if isinstance(node, h5py.Dataset):
        node[()]


def growing(documents, folder, interval_s):
    """Processor time and bytes of the flushes of a run, each a second of the run."""
    live = LiveFile(folder, Path("run.nxs"), Style.checked("w", 4, "NXxas", None))
    events = list(documents[:-1])
    every = max(1, round(interval_s * POINTS_PER_S))
    took, written = [], []
    for number, item in enumerate(events):
        live.add(*item)
        if number % every == every - 1:
            began = time.process_time()
            written.append(live.save())
            took.append(time.process_time() - began)
    live.finish()
    flushes = min(1 / interval_s, POINTS_PER_S)
    return statistics.mean(took) * flushes, statistics.mean(written) * flushes


def median_of(rounds, measure, documents, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(documents, Path(folder), *arguments) for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*found, strict=True)]


def tables(rounds):
    runs = {"spectrum, 2000 points": spectrum(), "500 points with 4096 channels": fluorescence()}
    head = "| run | {} | written, ms | read, ms | every 50th row, ms | file, MB |"
    rule = "| --- | ---: | ---: | ---: | ---: | ---: |"
    sweeps = (
        ("gzip level", LEVELS, None, 1),
        ("chunk, kB", CHUNKS_KB, "CHUNK_BYTES", 1024),
        ("chunked and compressed from, kB", FROM_KB, "COMPRESS_FROM_BYTES", 1024),
    )
    for title, values, constant, factor in sweeps:
        yield head.format(title)
        yield rule
        for (name, documents), value in itertools.product(runs.items(), values):
            level, kept = 4, getattr(tree, constant) if constant else None
            if constant is None:
                level = value
            else:
                setattr(tree, constant, value * factor)
            try:
                *took, size = median_of(rounds, whole, documents, level)
            finally:
                if constant is not None:
                    setattr(tree, constant, kept)
            cells = " | ".join(f"{1e3 * seconds:.0f}" for seconds in took)
            yield f"| {name} | {value} | {cells} | {size / 1e6:.2f} |"
        yield ""
    yield f"| run, {POINTS_PER_S} points a second | flush, s | of a core | kB/s |"
    yield "| --- | ---: | ---: | ---: |"
    for (name, documents), interval in itertools.product(runs.items(), INTERVALS_S):
        share, rate = median_of(1, growing, documents[:502], interval)
        yield f"| {name} | {interval} | {share:.1%} | {rate / 1e3:.0f} |"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for line in tables(rounds):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
