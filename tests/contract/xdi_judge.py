"""What libxdifile and larch make of XDI files; runs in the environment of the reference programs.

    .venv-reference/bin/python xdi_judge.py FILE...

Prints one JSON object a line and file: what the C library says of the required, the recommended
and every single item, and the arrays that larch's reader gives.
"""

import ctypes
import json
import sys

from larch.io.xdi import XDIFileStruct, get_xdilib, read_xdi  # pyright: ignore[reportMissingImports]


def judge(path):
    library = get_xdilib()
    found = XDIFileStruct()
    pointer = ctypes.pointer(found)
    status = library.XDI_readfile(path.encode(), pointer)
    said = {"status": status, "message": (found.error_message or b"").decode()}
    if status < 0:
        return said
    said["required"] = library.XDI_required_metadata(pointer)
    said["recommended"] = library.XDI_recommended_metadata(pointer)
    said["items"] = {}
    for family, key, value in zip(
        strings(found.meta_families, found.nmetadata),
        strings(found.meta_keywords, found.nmetadata),
        strings(found.meta_values, found.nmetadata),
        strict=True,
    ):
        wrong = library.XDI_validate_item(pointer, family, key, value)
        said["items"][f"{family.decode()}.{key.decode()}"] = [wrong, value.decode()]
    group = read_xdi(path)
    said["labels"] = list(group.array_labels)
    said["arrays"] = {
        label: [x.hex() for x in map(float, getattr(group, label))] for label in group.array_labels
    }
    said["comments"] = found.comments.decode()
    return said


def strings(address, count):
    return list((ctypes.c_char_p * count).from_address(address)) if count else []


for file in sys.argv[1:]:
    print(json.dumps(judge(file)))  # noqa: T201
