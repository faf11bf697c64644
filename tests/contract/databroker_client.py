"""Reads a run through databroker: ``databroker_client.py URI KEY UID``; what it finds, as JSON.

A process of its own: databroker changes for its whole process what Tiled's client opens runs as.
"""

import json
import sys

from databroker.v1 import Broker

from beamline_ophyd import ScanData
from beamline_ophyd.serving import connect

uri, key, uid = sys.argv[1:]
with connect(uri, key) as client:
    broker = Broker(client.runs)
    header = broker[uid]
    table = header.table()
    again = ScanData.from_documents((name, dict(doc)) for name, doc in header.documents())
    found = {
        "uid": header.start["uid"],
        "exit_status": header.stop["exit_status"],
        "streams": header.stream_names,
        "by_plan": [one.start["uid"] for one in broker(plan_name="xafs_scan")],
        "table": {column: list(table[column]) for column in ("mono_energy", "I0", "It", "Ir")},
        "mu": again.mu()[0].tolist(),
    }
sys.stdout.write(json.dumps(found))
