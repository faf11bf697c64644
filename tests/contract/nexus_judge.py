"""What larch makes of NeXus files; runs in the environment of the reference programs.

    .venv-reference/bin/python nexus_judge.py FILE...

Prints one JSON object a line and file: the scans that it finds, with their columns.
"""

import json
import sys

from larch.io.xas_data_source import open_xas_source  # pyright: ignore[reportMissingImports]


def judge(path):
    source = open_xas_source(path)
    found = {}
    for name in source.get_scan_names():
        scan = source.get_scan(name)
        found[name] = {
            label: [float(x).hex() for x in values]
            for label, values in zip(scan.labels, scan.data, strict=True)
        }
    return found


for file in sys.argv[1:]:
    print(json.dumps(judge(file)))  # noqa: T201
