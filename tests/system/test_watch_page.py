"""The page for people in the next room, in a real browser beside a real Tiled server."""

import httpx
import numpy as np
import pytest

from beamline_ophyd.callbacks import LiveReduction, WebView
from beamline_ophyd.edges import energy_to_k
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.simulator import free_ports

pytestmark = pytest.mark.slow("a browser")

ENERGY = energy_grid("Fe-K").energy_ev
NASTY = "<img src=x onerror=\"document.title='owned'\">"
DEADLINE_MS = 60_000


@pytest.fixture
def page(browser, served):
    """The page as a reader opens it: with the key in the address, once."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(DEADLINE_MS)
    opened = context.new_page()
    opened.goto(f"{served.uri}/api/v1/watch/?api_key={served.keys.reader}")
    yield opened
    context.close()


@pytest.fixture
def watched(served):
    view = WebView(served.uri, served.keys.writer)
    live = LiveReduction(view)
    yield live
    assert live.close(60)
    view.close()
    assert live.problems == []


@pytest.fixture
def scan(xafs_documents):
    k = energy_to_k(np.maximum(ENERGY, 7112.0), 7112.0)
    chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
    mu = 0.4 + 1.4 * (0.5 + np.arctan((ENERGY - 7112.0) * 1.6) / np.pi) * (1 + chi)
    i0 = np.full(len(ENERGY), 1e6)
    columns = {"energy": ENERGY, "i0": i0, "itrans": i0 * np.exp(-mu)}
    start = {"Sample": {"name": NASTY}, "num_points": len(ENERGY)}
    return xafs_documents(len(ENERGY), columns=columns, start=start)


def feed(live, documents):
    for name, doc in documents:
        live(name, doc)
    assert live.wait(60)


def test_the_page_follows_a_scan(page, watched, scan):
    feed(watched, scan[:150])
    page.get_by_text(f"148 of {len(ENERGY)} points").wait_for(timeout=DEADLINE_MS)
    assert not page.locator("#norm").is_hidden()
    feed(watched, scan[150:])
    page.get_by_text("— success").wait_for(timeout=DEADLINE_MS)
    assert page.get_by_text("edge step 1.").count() == 1
    assert "api_key" not in page.url
    drawn = page.evaluate(
        "() => Array.from(document.querySelectorAll('canvas')).map(c =>"
        " c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v))"
    )
    assert drawn == [True, True, True]


def test_the_page_is_told_the_numbers_of_the_state(served, watched, scan):
    feed(watched, scan)
    told = httpx.get(
        f"{served.uri}/api/v1/watch/state",
        headers={"Authorization": f"Apikey {served.keys.reader}"},
        trust_env=False,
    ).json()
    spectrum = watched.state.spectrum
    assert (told["points"], told["exit_status"]) == (len(ENERGY), "success")
    np.testing.assert_allclose(told["energy"], spectrum.energy, rtol=1e-7)
    np.testing.assert_allclose(told["norm"], spectrum.normalised.flat, rtol=1e-6)
    assert len(told["k"]) == len(told["chi"]) == len(spectrum.background.k)


def test_what_a_run_is_called_is_text(page, watched, scan):
    feed(watched, scan)
    page.get_by_text("— success").wait_for(timeout=DEADLINE_MS)
    assert page.locator("#title").inner_text() == f"{NASTY} Fe-K"
    assert page.locator("img").count() == 0
    assert page.title() == f"{NASTY} Fe-K"


def test_a_server_that_is_gone_is_said(page, watched, scan):
    feed(watched, scan)
    page.get_by_text("— success").wait_for(timeout=DEADLINE_MS)
    page.route("**/watch/state", lambda route: route.abort())
    page.get_by_text("the server does not answer").wait_for(timeout=DEADLINE_MS)
    page.unroute("**/watch/state")
    page.get_by_text("— success").wait_for(timeout=DEADLINE_MS)


def test_a_session_feeds_the_page(served, begin, bl, page):
    from beamline_ophyd.plans import xafs_scan

    session = begin(tiled=(served.uri, served.keys.writer))
    detectors, energy = [session.i0, session.it], session.mono.energy
    session.RE(
        xafs_scan(detectors, energy, "Fe-K", bounds=[-60, -20, 60], steps=[10, 4], times=[0.1, 0.1])
    )
    page.get_by_text("transmission: 25 of 25 points, success").wait_for(timeout=DEADLINE_MS)
    assert "Fe-K" in page.locator("#title").inner_text()


def test_only_a_reader_sees_it_and_only_the_writer_feeds_it(served):
    def ask(method, path, key, **options):
        headers = {"Authorization": f"Apikey {key}"} if key else {}
        address = f"{served.uri}/api/v1/watch/{path}"
        options = {"trust_env": False, "timeout": 60, **options}
        return httpx.request(method, address, headers=headers, **options)

    for path in ("", "state", "page.js"):
        assert ask("GET", path, None).status_code == 401
    for key in (None, served.keys.reader):
        assert ask("PUT", "state", key, json={}).status_code in (401, 403)
    writer = served.keys.writer
    assert ask("PUT", "state", writer, content=b"[" * 10).status_code == 422
    assert ask("PUT", "state", writer, json=[1]).status_code == 422
    assert ask("PUT", "state", writer, content=b" " * 4_000_001).status_code == 413
    assert ask("GET", "../secret", served.keys.reader).status_code == 404
    policy = ask("GET", "", served.keys.reader).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_server_that_is_away_costs_a_scan_nothing(scan, caplog):
    (port,) = free_ports(1)
    live = LiveReduction(WebView(f"http://127.0.0.1:{port}", "00"))
    feed(live, scan)
    assert live.problems == []
    assert caplog.text.count("does not show this scan") == 1
