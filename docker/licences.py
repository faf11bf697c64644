"""List what the images install, and under which licence: python docker/licences.py OUT."""

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

HEAD = """# Licences of the dependencies

What a plain installation and the images bring, at the locked versions, as each package says it.
Written by `make licences` from `docker/requirements.txt`.

| package | version | licence |
| --- | --- | --- |
"""


def licence(name: str) -> str | None:
    """What a package says of itself in its metadata; None where it is not installed."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return None
    named = [
        c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if "License ::" in c
    ]
    words = (
        about.get("License-Expression") or ", ".join(named) or about.get("License") or "see there"
    )
    return " ".join(words.split("\n")[0].split())[:80].replace("|", "/")


def main(out: str) -> None:
    """Write the table."""
    locked = Path(__file__).parents[1] / "docker" / "requirements.txt"
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ]+)", locked.read_text(), re.MULTILINE):
        versions.setdefault(name, []).append(version)
    rows = [
        f"| {name} | {', '.join(found)} | {words} |\n"
        for name, found in versions.items()
        if (words := licence(name)) is not None
    ]
    Path(out).write_text(HEAD + "".join(rows))


main(*sys.argv[1:])
