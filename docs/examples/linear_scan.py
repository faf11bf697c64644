"""Scan a line across the sample at one energy, and go to the middle of what absorbs.

Start the beamline first: `beamline ioc --speed 50`.
"""

import numpy as np
from bluesky import plan_stubs as bps

from beamline_ophyd import ScanData
from beamline_ophyd.plans import line_scan
from beamline_ophyd.session import start

with start(report=False) as session:
    RE, mono, stage = session.RE, session.mono, session.stage

    RE(bps.mv(stage, "fe_foil", mono.energy, 7200.0))
    x = stage.x.position
    plan = line_scan([session.i0, session.it], stage.x, x - 2000, x + 2000, 21, time=0.1)
    (uid,) = RE(plan)

    session.wait()
    table = ScanData.from_file(session.files[uid]).to_dataframe()
    absorbance = np.log(table["I0"] / table["It"])
    inside = absorbance > (absorbance.min() + absorbance.max()) / 2
    middle = float(table["stage_x"][inside].mean())
    RE(bps.mv(stage.x, middle))
    print(f"the sample is at x = {middle:.0f} um")
