"""What the whole chain of callbacks costs an event, and when a point can be seen elsewhere.

    python -m tests.benchmarks.tiled_chain [--points N N] [--rounds N] [--beamline-points N]
                                           [--own-core]

The chain of a session (journal, NXxas file, Tiled, live reduction with its page) in turn with the
RunEngine alone: at the simulated beamline, and over devices in memory that take no time, there
beside the same callbacks on threads of the scan's interpreter, and bluesky's TiledWriter at batches
of 1, 10 and 10000. A second client, which has followed one scan before, is told of each run by
Tiled, follows it with `live` and notes when it sees each point.

The clock of the wall is what a scan feels, and shakes with the machine's other work: so one row
is that of the RunEngine alone beside a stranger, a process that computes as much as Tiled's server
and the second client do and has nothing to do with the scan. With --own-core the scan has the first
core for itself, as where the server is on another machine. The time of the CPU is counted for the
callbacks alone: on the RunEngine's thread and on their own. A second table tells it of each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bluesky import RunEngine
from bluesky_tiled_plugins import TiledWriter

from beamline_ophyd.callbacks import (
    Journal,
    Keeper,
    LiveReduction,
    NXxasWriter,
    TiledPublisher,
    WebView,
)
from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.simulator import DeviceServer

CALLING = "on the RunEngine's thread"
OWN_THREADS = ("keeper", "keeper news", "NXxas writer", "tiled publisher", "live reduction")
WAIT_S = 60.0

STRANGER = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while signal.sigwait({signal.SIGALRM}):
    until = time.perf_counter() + 0.004
    while time.perf_counter() < until:
        {str(n): n for n in range(100)}
"""

FOLLOW = """
import json, queue, sys, time
from beamline_ophyd.serving import connect, live
uri, key = sys.stdin.readline().split()
client = connect(uri, key)
begun = queue.SimpleQueue()
def note(update):
    begun.put(update.key)
runs = client.runs.subscribe()
runs.child_created.add_callback(note)
runs.start_in_thread()
print("ready", flush=True)
for line in sys.stdin:
    while begun.get(timeout=60) != line.strip():
        pass
    late = [time.time() - point["time"] for point in live(client.runs[line.strip()])]
    print(json.dumps(late), flush=True)
"""


class Follower:
    """A second client; given the uid of a run, it tells how late it saw each point."""

    def __init__(self, server):
        self._process = subprocess.Popen(
            [sys.executable, "-c", FOLLOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.follow(f"{server.uri} {server.keys.reader}")
        self._process.stdout.readline()

    def follow(self, uid):
        """Have it follow the run that begins."""
        self._process.stdin.write(uid + "\n")
        self._process.stdin.flush()

    def late(self):
        """Seconds after its time at which it saw each point."""
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End it."""
        self._process.communicate(timeout=WAIT_S)


@dataclass(frozen=True)
class Cost:
    """Milliseconds an event: by the clock, and of the CPU for the callbacks by thread."""

    clock: float
    cpu: Mapping[str, float]

    @property
    def callbacks_cpu(self):
        """On all threads together."""
        return sum(self.cpu.values())


class Meter:
    """Times one scan and its callbacks, from the first descriptor to the last event."""

    def __init__(self, callbacks, settle, follower=None):
        self._callbacks, self._settle, self._follower = callbacks, settle, follower
        self._inside = 0.0
        self._events = 0
        self._uid = ""

    def run(self, engine, scan):
        """Measure one scan."""
        tokens = [engine.subscribe(self._before)]
        tokens += [engine.subscribe(self._timed(callback)) for callback in self._callbacks]
        tokens.append(engine.subscribe(self._after))
        engine(scan.plan(), **scan.md)
        for token in tokens:
            engine.unsubscribe(token)
        (began, cpu_before), (ended, cpu) = self._begun, self._ended
        each = 1e3 / self._events
        used = {name: each * (spent - cpu_before.get(name, 0.0)) for name, spent in cpu.items()}
        return Cost(each * (ended - began), used)

    def _timed(self, callback):
        def timed(name, doc):
            began = time.thread_time()
            callback(name, doc)
            self._inside += time.thread_time() - began

        return timed

    def _cpu(self):
        own = {
            thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            for thread in threading.enumerate()
            if thread.name in OWN_THREADS and thread.ident is not None
        }
        return {CALLING: self._inside, **own}

    def _before(self, name, doc):
        if name == "start":
            self._uid = doc["uid"]
        elif name == "stop":
            self._settle()  # what is still on its way belongs to the events so far
            self._ended = (self._last, self._cpu())

    def _after(self, name, doc):
        if name == "descriptor" and doc["name"] == "primary":
            self._begun = (time.perf_counter(), self._cpu())
            if self._follower is not None:
                self._follower.follow(self._uid)
        elif name == "event":
            self._events += 1
            self._last = time.perf_counter()


def session_chain(folder, server):
    """The callbacks of a session: what they are, one that waits for them, one that ends them."""
    journal = Journal(folder / "journal")
    tiled = (server.uri, server.keys.writer, None)
    keeper = Keeper(server.folder.files, journal=journal, tiled=tiled, live=True)
    keeper.wait(WAIT_S)  # connected, as in a session before its first scan

    def end():
        keeper.close(WAIT_S)
        journal.close()
        none_of([*journal.problems, *keeper.problems])

    return [journal], lambda: keeper.wait(WAIT_S), end


def thread_chain(folder, server):
    """The same callbacks on threads of the scan's interpreter."""
    journal = Journal(folder / "journal")
    publisher = TiledPublisher(server.uri, server.keys.writer, journal=journal)
    files = NXxasWriter(server.folder.files, journal=journal, on_file=publisher.register_file)
    page = WebView(server.uri, server.keys.writer)
    reduction = LiveReduction(page)
    publisher.wait(WAIT_S)

    def settle():
        for callback in (files, publisher, reduction):
            callback.wait(WAIT_S)

    def end():
        for callback in (files, publisher, reduction):
            callback.close(WAIT_S)
        page.close()
        journal.close()
        none_of(part.problems for part in (journal, files, publisher, reduction))

    return [journal, files, publisher, reduction], settle, end


def none_of(problems):
    """End for a problem, with which times mean nothing."""
    if trouble := [problem for problem in problems if problem]:
        raise SystemExit(f"the chain had problems, so its times mean nothing: {trouble}")


def contenders(folder, server, client):
    """Name to a function that makes callbacks, one that waits for them, and one that ends them."""

    def writer(batch):
        return lambda: ([TiledWriter(client.runs, batch_size=batch)], nothing, nothing)

    return {
        "the whole chain": lambda: session_chain(folder, server),
        "the same on threads": lambda: thread_chain(folder, server),
        **{f"TiledWriter, batches of {n}": writer(n) for n in (1, 10, 10_000)},
        "none, beside a stranger": stranger,
    }


def nothing():
    """What there is to wait for, and to end, of callbacks that do all at once."""


def stranger():
    """No callback, and a process that computes 40 % of the time."""
    process = subprocess.Popen([sys.executable, "-c", STRANGER])

    def end():
        process.kill()
        process.wait(WAIT_S)

    return [], nothing, end


def row(engine, scan, follower, name, make, rounds):
    """A line of the table, and what was spent where; the RunEngine alone and with callbacks."""
    alone, together, late = [], [], []
    for _ in range(rounds):
        alone.append(Meter([], nothing).run(engine, scan))
        callbacks, settle, end = make()
        follows = follower if callbacks else None
        together.append(Meter(callbacks, settle, follows).run(engine, scan))
        end()
        late += follows.late() if follows else []
    clock = median(cost.clock for cost in alone)
    added = median(b.clock - a.clock for a, b in zip(alone, together, strict=True))
    own = median(cost.callbacks_cpu for cost in together)
    seen = f"{sorted(late)[int(0.95 * len(late))]:.2f}, {max(late):.2f}" if late else ""
    cells = [scan.name, name, f"{clock:.2f}", f"{added:+.2f}", f"{added / clock:+.0%}"]
    cells += [f"{own:.2f}", f"{own / clock:.0%}", seen]
    spent = {part: median(cost.cpu[part] for cost in together) for part in together[0].cpu}
    return line(*cells), [line(scan.name, name, part, f"{ms:.3f}") for part, ms in spent.items()]


def line(*cells):
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def chain_table(folder, options):
    """Rows of the table of what an event costs."""
    yield (
        "| scan | callbacks | RunEngine alone, ms | longer by, ms | share | "
        "CPU of the callbacks, ms | share of the time alone | 95 %, all seen after, s |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    with (
        DeviceServer() as devices,
        TiledServer(folder / "tiled") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        os.environ.update(devices.environment)
        from .chain_scans import at_the_beamline, in_memory  # EPICS reads the environment once

        engine = RunEngine({}, context_managers=[])
        known = contenders(folder, server, client)
        chain, threads, *_ = known
        follower = Follower(server)
        row(engine, in_memory(20), follower, chain, known[chain], 1)
        memory, *longer = [in_memory(points) for points in options.points]
        rows = [(memory, name, options.rounds) for name in known]
        rows += [(scan, name, options.rounds) for scan in longer for name in (chain, threads)]
        if options.beamline_points:
            scan = at_the_beamline(devices.prefix, options.beamline_points)
            rows.insert(0, (scan, chain, options.beamline_rounds))
        parts = []
        for scan, name, rounds in rows:
            found, spent = row(engine, scan, follower, name, known[name], rounds)
            parts += spent if name in (chain, threads) else []
            yield found
        follower.close()
    yield ""
    yield line("scan", "callbacks", "part", "CPU of an event, ms")
    yield line("---", "---", "---", "---:")
    yield from parts


def keep_a_core():
    """Keep every process that is started from now on off the first core, and this one on it."""
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    start = subprocess.Popen.__init__

    def start_elsewhere(self, *args, **options):
        start(self, *args, preexec_fn=lambda: os.sched_setaffinity(0, others), **options)

    subprocess.Popen.__init__ = start_elsewhere


def main():
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--points", type=int, nargs="+", default=[300, 1000], help="of scans in memory"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of a scan in memory")
    parser.add_argument("--beamline-points", type=int, default=100, help="0 to leave it out")
    parser.add_argument("--beamline-rounds", type=int, default=2)
    parser.add_argument("--own-core", action="store_true", help="for the scan, of two or more")
    options = parser.parse_args()
    if options.own_core:
        keep_a_core()
    with tempfile.TemporaryDirectory() as folder:
        for text in chain_table(Path(folder), options):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
