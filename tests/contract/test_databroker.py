"""The same run through databroker, by which older programs find it."""

import numpy as np
import pytest
from databroker.v1 import Broker

from beamline_ophyd import ScanData
from beamline_ophyd.serving import TiledServer, connect
from beamline_ophyd.serving.runs import RunUpload

pytestmark = pytest.mark.slow("a start of Tiled of its own")

UID = "6f2d9b1e-0000-4000-8000-00000000db02"


def test_a_run_is_the_same_through_databroker(tmp_path, xafs_documents):
    documents = xafs_documents(points=20, uid=UID)
    with (
        TiledServer(tmp_path / "tiled") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        upload = RunUpload(client.runs, batch_size=100)
        for item in documents:
            upload.put(*item)
        broker = Broker(client.runs)
        header = broker[UID]
        assert header.start["uid"] == UID
        assert header.stop["exit_status"] == "success"
        assert header.stream_names == ["primary"]
        assert [h.start["uid"] for h in broker(plan_name="xafs_scan")] == [UID]
        taken = [doc["data"] for name, doc in documents if name == "event"]
        table = header.table()
        for key in ("mono_energy", "I0", "It", "Ir"):
            np.testing.assert_array_equal(table[key], [data[key] for data in taken])
        again = ScanData.from_documents((name, dict(doc)) for name, doc in header.documents())
        np.testing.assert_array_equal(again.mu()[0], client.runs[UID].mu())
