"""Run the device server under valgrind's memcheck, move and count, and report what it finds.

    python -m tests.benchmarks.valgrind [CYCLES]

Fails for invalid or uninitialised memory, and for blocks that are definitely lost.
"""

import os
import select
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from beamline_ophyd.simulator import DeviceServer, executable

START_S = 120.0
END_S = 120.0
OPTIONS = "--leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite"


def main():
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed; apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "memcheck.log"
        program = Path(folder) / "server"
        program.write_text(
            f'#!/bin/sh\nexec valgrind {OPTIONS} --log-file={log} {executable()} "$@"\n'
        )
        program.chmod(0o755)
        server = DeviceServer(
            prefix="GRIND:", speed=100.0, executable_path=program, deadline_s=START_S
        )
        with server:
            os.environ.update(server.environment)
            from ..pvs import Beamline  # which loads the client, that reads its environment once
            from .soak import cycle

            beamline = Beamline("GRIND:")
            for number in range(cycles):
                cycle(beamline, number)
            beamline.close()
            process = os.pidfd_open(server.pid)
            os.kill(server.pid, signal.SIGTERM)
            ended, _, _ = select.select([process], [], [], END_S)
            if not ended:
                sys.exit(f"valgrind did not end within {END_S:.0f} s; it said {log.read_text()}")
            report = log.read_text()
    print(report)  # noqa: T201
    if "ERROR SUMMARY: 0 errors" not in report:
        sys.exit(1)


if __name__ == "__main__":
    main()
