"""Make NeXus, XDI and CSV files of a run that is kept: of its journal, its file or Tiled.

    python nexus_export.py RUN FOLDER

RUN is a journal (`FOLDER_OF_THE_SESSION/journal/UID.jsonl`), an NXxas file or an XDI file.
"""

import sys
from pathlib import Path

from beamline_ophyd import ScanData
from beamline_ophyd.formats.validate import validate_file

run, folder = Path(sys.argv[1]), Path(sys.argv[2])

scan = ScanData.from_file(run)
nexus = scan.to_nexus(folder / "spectrum.nxs")
assert validate_file(nexus) == [], "the file does not follow NXxas"
scan.to_xdi(folder / "spectrum.xdi")
scan.to_csv(folder / "spectrum.csv", merged=True)

again = ScanData.from_nexus(nexus)
print(f"{again.about.element} {again.about.edge} of {again.about.sample_name}: {nexus}")
