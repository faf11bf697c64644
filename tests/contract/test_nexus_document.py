"""docs/nexus_format.md: its examples run, and the tests that it names are there."""

import re
from pathlib import Path

import numpy as np
import pytest

from beamline_ophyd import ScanData

from ..documentation import DOCS, code_blocks

ROOT = Path(__file__).parents[2]
TEXT = (DOCS / "nexus_format.md").read_text()
EXAMPLES = [text for _, text in code_blocks("nexus_format.md", "python")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1])
def test_example_runs_and_opens_the_file(example, xafs_documents, tmp_path):
    data = ScanData.from_documents(xafs_documents())
    found = {"path": str(data.to_nexus(tmp_path / "a.nxs"))}
    exec(example, found)
    if "mu = " not in example:  # it opens no file
        return
    np.testing.assert_array_equal(found["energy"], data.energy)
    np.testing.assert_array_equal(found["mu"], data.mu()[0])


def test_every_row_of_the_comparison_names_a_test():
    table = TEXT.partition("## Beside other writers")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows) > 10
    for row in rows:
        name = row.strip("| ").rpartition("|")[2].strip()
        assert f"def {name}(" in written, row


def test_tree_has_what_is_written(xafs_documents, tmp_path):
    import h5py

    path = ScanData.from_documents(xafs_documents(start={"user": "Ann"})).to_nexus(
        tmp_path / "a.nxs"
    )
    tree = TEXT.partition("## The tree")[2].partition("```")[2].partition("```")[0]
    named = re.findall(r"^    ([a-z_]+)(?= |,|$)", tree, re.MULTILINE)
    with h5py.File(path) as file:
        shown = set(file["entry"])
    optional = {"baseline", "earlier_runs"}
    assert set(named) - optional <= shown
    assert len(named) > 15
