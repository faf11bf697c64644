"""A queue in front of the beamline: bluesky-queueserver with a real Redis opens the profile."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bluesky_queueserver import ReceiveSystemInfo
from bluesky_queueserver.manager.comms import zmq_single_request

from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.simulator import free_ports

from ..services import redis_server

pytestmark = [
    pytest.mark.slow("Redis, RE Manager, its worker and Tiled"),
    pytest.mark.timeout(900),
]

STARTUP = Path(__file__).parents[2] / "docs" / "examples" / "profile" / "startup"
DEADLINE_S = 180.0


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as port:
        yield port


class Manager:
    """RE Manager, as a program that speaks to it by 0MQ sees it."""

    def __init__(self, control, info):
        self.address = f"tcp://127.0.0.1:{control}"
        self._told = ReceiveSystemInfo(zmq_subscribe_addr=f"tcp://127.0.0.1:{info}")
        self._told.subscribe()

    def ask(self, method, **parameters):
        answer, error = zmq_single_request(
            method, parameters, zmq_server_address=self.address, timeout=60_000
        )
        assert not error, error
        assert answer.get("success", True), answer
        return answer

    def until(self, wanted):
        """The first status that is as wanted, of those that the manager tells by itself.

        Where it says nothing for a second it is asked, since a word of 0MQ may be lost.
        """
        deadline, status = time.monotonic() + DEADLINE_S, None
        while time.monotonic() < deadline:
            try:
                status = self._told.recv(timeout=1000)["msg"].get("status")
            except TimeoutError:
                status, _ = zmq_single_request("status", zmq_server_address=self.address)
            if status and wanted(status):
                return status
        raise AssertionError(f"not as wanted within {DEADLINE_S} s: {status}")


@pytest.fixture
def manager(redis, bl, tmp_path):
    """RE Manager over the facility's profile, with data in the test's folder."""
    startup = tmp_path / "startup"
    shutil.copytree(STARTUP, startup)
    control, info = free_ports(2)
    command = [
        str(Path(sys.executable).with_name("start-re-manager")),
        *("--startup-dir", str(startup), "--keep-re"),
        *("--redis-addr", f"127.0.0.1:{redis}"),
        *("--zmq-control-addr", f"tcp://127.0.0.1:{control}"),
        *("--zmq-info-addr", f"tcp://127.0.0.1:{info}", "--zmq-publish-console", "ON"),
    ]
    log = tmp_path / "manager.log"
    environment = {**os.environ, "BEAMLINE_FOLDER": str(tmp_path / "data")}
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        manager = Manager(control, info)
        manager.until(lambda status: status["manager_state"] == "idle")
        yield manager
        manager.ask("manager_stop", option="safe_off")
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait(60)
        sys.stdout.write(log.read_text()[-5000:])  # which pytest shows of a test that failed


def whole(client, uid):
    """The run, once Tiled has its end; a worker that is closed does not wait for that for long."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(KeyError):
            if client.runs[uid].metadata.get("stop"):
                return client.runs[uid]
    raise AssertionError(f"run {uid} is not in Tiled, whole, within {DEADLINE_S} s")


def test_a_scan_is_queued_run_and_read_back_from_tiled(manager, tmp_path):
    with TiledServer(tmp_path / "data" / "tiled") as server:
        before = manager.ask("status")["plans_allowed_uid"]
        manager.ask("environment_open")
        manager.until(lambda s: s["manager_state"] == "idle" and s["plans_allowed_uid"] != before)
        plans = manager.ask("plans_allowed", user_group="primary")["plans_allowed"]
        assert {"xafs_scan", "xanes_of_all_edges"} <= set(plans)
        scan = {
            "item_type": "plan",
            "name": "xafs_scan",
            "args": [["i0", "it"], "mono.energy", "Fe-K"],
            "kwargs": {
                "bounds": [-20, 0, 30],
                "steps": [5, 2],
                "times": [0.2, 0.2],
                "md": {"sample_name": "from the queue"},
            },
        }
        manager.ask("queue_item_add", item=scan, user="test", user_group="primary")
        manager.ask("queue_start")
        manager.until(lambda s: s["items_in_history"] == 1 and s["manager_state"] == "idle")
        (done,) = manager.ask("history_get")["items"]
        assert done["result"]["exit_status"] == "completed", done
        (uid,) = done["result"]["run_uids"]
        with connect(server.uri, server.keys.reader) as client:
            run = whole(client, uid)
            manager.ask("environment_close")
            manager.until(
                lambda s: not s["worker_environment_exists"] and s["manager_state"] == "idle"
            )
            assert run.start["sample_name"] == "from the queue"
            assert len(run.mu()) == 20
            (found,) = client.search(sample="from the queue")
            assert found == uid
    assert len(list((tmp_path / "data/tiled/files").glob("*.nxs"))) == 1
