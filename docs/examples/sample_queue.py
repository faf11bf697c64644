"""Measure the samples of a sheet, one after the other, and tell how each ended.

Start the beamline first: `beamline ioc --speed 50`. The same from the command line is
`beamline queue foils.csv`, see ../how-to/run-a-queue.md.
"""

import tempfile
from pathlib import Path

from beamline_ophyd.plans import sample_queue
from beamline_ophyd.queue_log import QueueLog
from beamline_ophyd.session import start
from beamline_ophyd.sheet import read_sheet

SHEET = """\
sample,place,edge,regions,comment
iron foil,fe_foil,Fe-K,look,
copper foil,cu_foil,Cu-K,look,the thin one
"""
PRESETS = "look: {bounds: [-30, -10, 20], steps: [5, 2], times: [0.1, 0.1]}\n"

folder = Path(tempfile.mkdtemp())  # yours is where the sheet is
sheet, presets = folder / "foils.csv", folder / "presets.yaml"
sheet.write_text(SHEET)
presets.write_text(PRESETS)

with start(report=False, suspend=True) as session:
    plan = sample_queue(
        str(sheet),
        [session.i0, session.it],
        session.mono.energy,
        stage=session.stage,
        presets=str(presets),
        journals=str(session.journal.folder),
    )
    session.RE(plan)

print(QueueLog.beside(sheet).report(read_sheet(sheet, presets)))
