"""The table of features in docs/plans.md: every yes of ours names tests, and they exist."""

import re

import pytest

from beamline_ophyd import plans

from ..documentation import DOCS

PAGE = (DOCS / "plans.md").read_text()
ROOT = DOCS.parent


def table_rows():
    lines = PAGE.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| what | here |"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def named_tests(text):
    """(file, name or None) of each test that a text names; "::name" is in the file before."""
    found, file = [], ""
    for named in re.findall(r"`((?:tests/[\w/]+\.py)?(?:::\w+)?)`", text):
        path, _, name = named.partition("::")
        file = path or file
        if file:
            found.append((file, name or None))
    return found


ROWS = table_rows()


def test_the_table_has_a_row_for_each_feature_and_a_column_for_each_system():
    assert len(ROWS) > 30
    assert {len(row) for row in ROWS} == {8}
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert all(cell for row in ROWS for cell in row)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_yes_of_ours_names_its_tests(row):
    ours = row[1]
    if ours == "no":
        return
    assert ours.startswith("yes: `tests/"), ours
    named = named_tests(ours)
    assert named
    for file, name in named:
        source = (ROOT / file).read_text()
        wanted = r"^def test_" if name is None else rf"^def {name}\("
        assert re.search(wanted, source, re.MULTILINE), f"{file} has no {name or 'test'}"


def test_the_api_page_has_every_plan():
    page = (DOCS / "reference/api/plans.md").read_text()
    listed = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(plans.__all__)
