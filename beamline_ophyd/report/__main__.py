"""The page beside a file, made with low priority: ``python -m beamline_ophyd.report FILE``."""

import os
import sys
from pathlib import Path

from beamline_ophyd.data import ScanData

from ._page import write_report

if __name__ == "__main__":
    os.nice(10)
    file = Path(sys.argv[1])
    try:
        page = write_report(ScanData.from_file(file), file.with_suffix(".html"))
    except Exception as error:  # of whatever a file makes h5py, numpy or matplotlib raise
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(f"{page}\n")
