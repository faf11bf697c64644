"""What a person sees of the server in a real browser, without a screen."""

import h5py
import pytest

from beamline_ophyd.serving.files import register_file
from beamline_ophyd.serving.runs import RunUpload

pytestmark = pytest.mark.slow("a browser")

DEADLINE_MS = 60_000

REPORT = """<!doctype html>
<html><head><title>mu(E) of Fe foil</title><style>h1 { color: rgb(1, 2, 3) }</style></head>
<body><h1>Fe foil</h1>
<img id="figure" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">
<img id="spy" src="/api/v1/?stolen" onerror="document.title = 'script ran'">
<script>document.title = "script ran"</script>
</body></html>
"""


@pytest.fixture(scope="module")
def runs(writer, served, xafs_documents):
    uids = [f"page-run-{number}" for number in range(3)]
    for uid in uids:
        upload = RunUpload(writer.runs, batch_size=100)
        for item in xafs_documents(points=30, uid=uid):
            upload.put(*item)
    with h5py.File(served.folder.files / "page.nxs", "w") as file:
        file["entry/data/intensity"] = [1.0, 2.0]
    (served.folder.files / "page.html").write_text(REPORT)
    register_file(writer.root, uids[1], served.folder.files / "page.nxs")
    return uids


@pytest.fixture
def page(browser, served):
    """A page of a browser that has opened the server with the reader's key."""
    context = browser.new_context(viewport={"width": 1100, "height": 640})
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto(f"{served.uri}/?api_key={served.keys.reader}")
    yield page
    context.close()


def test_the_page_lists_the_runs_and_shows_a_table(page, served, runs):
    page.goto(f"{served.uri}/ui/browse/runs")
    for uid in runs:
        page.get_by_text(uid, exact=True).wait_for()
    page.get_by_text(runs[1], exact=True).click()
    page.get_by_text("primary", exact=True).click()
    page.get_by_text("internal", exact=True).click()
    page.get_by_text("mono_energy").wait_for()
    assert page.url.endswith(f"/ui/browse/runs/{runs[1]}/primary/internal")


def test_the_page_tells_what_a_run_measured(page, served, runs):
    page.goto(f"{served.uri}/ui/browse/runs/{runs[0]}")
    page.get_by_role("tab", name="Metadata").click()
    page.get_by_text("Fe foil").first.wait_for()
    page.get_by_text("xafs_scan").first.wait_for()


def test_a_stranger_sees_no_run(browser, served, runs):
    context = browser.new_context()
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    with page.expect_response(lambda answer: "/metadata/runs" in answer.url) as answer:
        page.goto(f"{served.uri}/ui/browse/runs")
    assert answer.value.status == 401
    assert page.get_by_text(runs[0]).count() == 0
    context.close()


def test_the_page_of_a_run_shows_figures_and_runs_nothing(page, served, runs):
    fetched = []
    page.on("response", lambda answer: fetched.append(answer.url))
    answer = page.goto(f"{served.uri}/api/v1/download/{runs[1]}/report")
    assert answer.status == 200
    assert page.title() == "mu(E) of Fe foil"  # and not "script ran"
    assert page.locator("#figure").evaluate("image => image.naturalWidth") == 1
    colour = page.locator("h1").evaluate("heading => getComputedStyle(heading).color")
    assert colour == "rgb(1, 2, 3)"
    assert fetched == [answer.url]
