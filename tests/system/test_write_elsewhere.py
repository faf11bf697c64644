"""Documents over 0MQ to a second process, which writes the files."""

import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bluesky.callbacks.zmq import Publisher

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file
from beamline_ophyd.simulator import free_ports

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "write_elsewhere.py"
DEADLINE_S = 60


@pytest.fixture
def proxy():
    """Bluesky's proxy, as people run it: the ports to send to and to listen to."""
    ports = free_ports(2)
    # What bluesky-0MQ-proxy does, which listens on all addresses of the machine.
    code = "import sys; from bluesky.callbacks.zmq import Proxy; Proxy(*sys.argv[1:]).start()"
    command = [sys.executable, "-c", code, *(f"127.0.0.1:{port}" for port in ports)]
    with subprocess.Popen(command) as process:
        yield ports
        # It forwards in C, where a signal to another thread does not wake it; it holds nothing.
        process.kill()


@pytest.mark.timeout(5 * DEADLINE_S)
@pytest.mark.slow("a second process that loads bluesky")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_process_writes_the_file_of_a_run(proxy, tmp_path, xafs_documents, number):
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, f"127.0.0.1:{proxy[1]}", tmp_path],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = queue.Queue()

    def listen():
        assert process.stderr is not None
        for line in process.stderr:
            if " write_elsewhere: " in line:
                said.put(line)

    listener = threading.Thread(target=listen)
    listener.start()
    publisher = Publisher(f"127.0.0.1:{proxy[0]}")
    try:
        assert "listening" in said.get(timeout=DEADLINE_S)
        # 0MQ joins when it likes: runs of a point are sent until one is heard.
        for attempt in range(DEADLINE_S):
            for item in xafs_documents(points=1, uid=f"is-anybody-there-{attempt}"):
                publisher(*item)
            try:
                assert "run is-anybody-there-" in said.get(timeout=1)
                break
            except queue.Empty:
                continue
        documents = xafs_documents(points=30, uid="written-elsewhere")
        for item in documents:
            publisher(*item)
        while "run written-elsewhere is in" not in (line := said.get(timeout=DEADLINE_S)):
            assert "is-anybody-there" in line
        path = Path(line.split(" is in ")[1].strip())
        assert validate_file(path) == []
        assert ScanData.from_nexus(path) == ScanData.from_documents(documents)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        listener.join()
        publisher.close()
