"""Gets per second and memory of the device server, beside EPICS base's softIoc in the same run.

    python -m tests.benchmarks.server [GETS]

Both serve on loopback and are asked by the same client. The softIoc has one record; it is the one
of epicscorelibs, inside Python, so that its memory has the interpreter's in it. Rows of JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from beamline_ophyd.simulator import DeviceServer, free_ports

from ..ca_wire import Client

START_S = 20.0
BATCH = 100
READY = "IOC Running"  # what it says last when it starts


@contextmanager
def soft_ioc():
    """The softIoc of epicscorelibs with one record: its port, PV and process id."""
    port = free_ports(1)[0]
    environment = {
        **os.environ,
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
    }
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "one.db"
        database.write_text('record(ai, "SOFT:VALUE") { field(VAL, "1") }\n')
        process = subprocess.Popen(
            [sys.executable, "-m", "epicscorelibs.ioc", "-d", str(database)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(START_S, process.kill)
        watchdog.start()
        try:
            assert process.stderr is not None
            if not any(READY in line for line in process.stderr):
                raise RuntimeError(f"softIoc did not start within {START_S:.0f} s")
            watchdog.cancel()
            yield port, "SOFT:VALUE", process.pid
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} tells no memory")


def measure(name, port, pv, pid, gets):
    client = Client(port, pv)
    begin = time.perf_counter()
    for _ in range(gets):
        client.get()
    one_by_one = gets / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for _ in range(gets // BATCH):
        client.ask(BATCH)
        for _ in range(BATCH):
            client.answer()
    batched = gets // BATCH * BATCH / (time.perf_counter() - begin)
    client.close()
    row = {"server": name, "gets_per_s": round(one_by_one), "gets_per_s_batched": round(batched)}
    print(json.dumps(row | {"resident_mb": round(resident_mb(pid), 1)}))  # noqa: T201


def main():
    gets = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with DeviceServer(prefix="BENCH:") as server:
        measure("beamline-ioc", server.ca_port, "BENCH:RING:CURRENT", server.pid, gets)
    with soft_ioc() as (port, pv, pid):
        measure("softIoc", port, pv, pid, gets)


if __name__ == "__main__":
    main()
