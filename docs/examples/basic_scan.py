"""Count where everything is, and read back what was measured.

Start the beamline first: `beamline ioc --speed 50`.
"""

from bluesky import plan_stubs as bps

from beamline_ophyd import ScanData
from beamline_ophyd.plans import count
from beamline_ophyd.session import start

with start(report=False) as session:
    RE, mono, stage = session.RE, session.mono, session.stage

    RE(bps.mv(stage, "fe_foil", mono.energy, 7200.0))
    (uid,) = RE(count([session.i0, session.it, session.ir], 5, time=0.2))

    session.wait()
    table = ScanData.from_file(session.files[uid]).to_dataframe()
    print(table[["I0", "It", "Ir"]])
