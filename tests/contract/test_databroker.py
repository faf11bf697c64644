"""The same run through databroker, by which older programs find it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.serving.runs import RunUpload

pytestmark = pytest.mark.slow("a start of Tiled of its own")

CLIENT = Path(__file__).with_name("databroker_client.py")
UID = "6f2d9b1e-0000-4000-8000-00000000db02"
DEADLINE_S = 180.0


def test_a_run_is_the_same_through_databroker(tmp_path, xafs_documents):
    documents = xafs_documents(points=20, uid=UID)
    with (
        TiledServer(tmp_path / "tiled") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        upload = RunUpload(client.runs, batch_size=100)
        for item in documents:
            upload.put(*item)
        command = [sys.executable, str(CLIENT), server.uri, server.keys.reader, UID]
        said = subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
        found = json.loads(said.stdout)
        mu = client.runs[UID].mu().values.tolist()
    taken = [doc["data"] for name, doc in documents if name == "event"]
    keys = ("mono_energy", "I0", "It", "Ir")
    assert found == {
        "uid": UID,
        "exit_status": "success",
        "streams": ["primary"],
        "by_plan": [UID],
        "table": {key: [data[key] for data in taken] for key in keys},
        "mu": mu,
    }
