"""Map the absorption of a sample, line after line, every other one backwards.

Start the beamline first: `beamline ioc --speed 50`.
"""

import numpy as np
from bluesky import plan_stubs as bps

from beamline_ophyd import ScanData
from beamline_ophyd.plans import mesh_scan
from beamline_ophyd.session import start

SHAPE = (5, 9)  # lines, and points of a line

with start(report=False) as session:
    RE, mono, stage = session.RE, session.mono, session.stage

    RE(bps.mv(mono.energy, 7200.0))
    plan = mesh_scan(
        [session.i0, session.it], stage.y, -1000, 1000, SHAPE[0], stage.x, -2000, 2000, SHAPE[1],
        time=0.1, snake=True,
    )  # fmt: skip
    (uid,) = RE(plan)

    session.wait()
    table = ScanData.from_file(session.files[uid]).to_dataframe()
    ordered = table.sort_values(["stage_y", "stage_x"])
    absorbance = np.log(ordered["I0"] / ordered["It"]).to_numpy().reshape(SHAPE)
    for line in absorbance[::-1]:
        print(" ".join(f"{value:5.2f}" for value in line))
