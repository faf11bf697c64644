"""Tell what each package takes in an environment, and who asks for it; largest first.

docker run --rm -i --entrypoint python beamline-python - <docker/sizes.py
"""

import re
import sys
from collections import defaultdict
from importlib.metadata import distributions
from pathlib import Path

SMALLEST_MB = 5.0


def canonical(name: str) -> str:
    """A package's name as requirements are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print the table as Markdown."""
    sizes: dict[str, float] = {}
    asked: dict[str, set[str]] = defaultdict(set)
    for package in distributions():
        name = canonical(package.metadata["Name"])
        files = [Path(str(package.locate_file(file))) for file in package.files or ()]
        sizes[name] = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
        for needed in package.requires or ():
            if "extra ==" not in needed or name == "tiled":
                asked[canonical(re.split(r"[^\w.-]", needed, maxsplit=1)[0])].add(name)
    rows = sorted(((size, name) for name, size in sizes.items()), reverse=True)
    shown = [row for row in rows if row[0] >= SMALLEST_MB]
    out = ["| package | MB | asked for by |", "| --- | ---: | --- |"]
    for size, name in shown:
        askers = {"beamline-ophyd"} & asked[name] or sorted(asked[name])[:3]
        out.append(f"| {name} | {size:.0f} | {', '.join(askers)} |")
    rest = sum(size for size, _ in rows) - sum(size for size, _ in shown)
    out.append(f"| {len(rows) - len(shown)} smaller ones | {rest:.0f} | |")
    out.append(f"| **all** | **{sum(sizes.values()):.0f}** | |")
    sys.stdout.write("\n".join(out) + "\n")


main()
