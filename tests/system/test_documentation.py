"""What the documentation tells people to type works."""

import pytest

from ..documentation import DOCS, code_blocks, run_page

ON_THE_BEAMLINE = {"tutorials/first-plan.md"}
# Tests of their own: test_first_session.py, contract/test_nexus_document.py, test_facility.py.
OF_THEIR_OWN = {
    "tutorials/first-session.md",
    "nexus_format.md",
    "how-to/grow-past-one-machine.md",
}
PAGES = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md") if code_blocks(p, "python")}


@pytest.mark.parametrize("page", sorted(PAGES - ON_THE_BEAMLINE - OF_THEIR_OWN))
def test_page_without_a_beamline(page):
    run_page(page)


@pytest.mark.slow("runs every scan of the page, and starts Tiled")
@pytest.mark.parametrize("page", sorted(ON_THE_BEAMLINE))
def test_page_on_the_beamline(page, bl, tmp_path, monkeypatch):
    monkeypatch.setenv("BEAMLINE_TILED_FOLDER", str(tmp_path / "tiled"))
    names = run_page(page)
    assert abs(names["e0"] - 7112.0) < 2.0
