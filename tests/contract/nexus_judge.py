"""What larch makes of NeXus files; runs in the environment of the reference programs.

    .venv-reference/bin/python nexus_judge.py FILE...

Prints one JSON object a line and file: the entries that its class of NXxas files takes for
spectra, and the scans, with their columns, that Larix offers when it opens the file. Larix itself
needs a screen; it opens every file by open_xas_source, and asks of it what is asked here.
"""

import json
import sys

from larch.io import NXxasFile  # pyright: ignore[reportMissingImports]
from larch.io.xas_data_source import open_xas_source  # pyright: ignore[reportMissingImports]


def judge(path):
    source = open_xas_source(path)
    found = {}
    for name in source.get_sorted_scan_names():
        scan = source.get_scan(name)
        found[name] = {
            label: [float(x).hex() for x in values]
            for label, values in zip(scan.labels, scan.data, strict=True)
        }
    return {"NXxas": NXxasFile(path).xas_groups, "scans": found}


for file in sys.argv[1:]:
    print(json.dumps(judge(file)))  # noqa: T201
