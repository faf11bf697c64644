import base64
import json
import re

import numpy as np
import pytest
from ophyd.sim import SynAxis

from beamline_ophyd import ScanData
from beamline_ophyd.callbacks import NXxasWriter, ReportWriter
from beamline_ophyd.edges import energy_to_k
from beamline_ophyd.grid import energy_grid
from beamline_ophyd.plans import align, mesh_scan, xanes_map
from beamline_ophyd.report import findings, report_html, write_report

ENERGY = energy_grid("Fe-K").energy_ev


def spectrum(documents, *, e0=7112.0, step=1.4, repeats=1, shift=0.0, spoil=None, **options):
    """A run over the iron edge; each sweep has its edge `shift` eV above that of the last."""
    rng = np.random.default_rng(5)
    rows = []
    for sweep in range(repeats):
        edge = e0 + shift * sweep
        k = energy_to_k(np.maximum(ENERGY, edge), edge)
        chi = 0.4 * np.sin(4.4 * k) * np.exp(-0.01 * k**2) * (1 - np.exp(-(k**2)))
        mu = 0.4 + step * (0.5 + np.arctan((ENERGY - edge) * 1.6) / np.pi) * (1 + chi)
        rows.append(mu + 3e-4 * rng.standard_normal(len(mu)))
    mu = np.concatenate(rows)
    if spoil is not None:
        spoil(mu)
    i0 = np.full(len(mu), 1e6)
    columns = {"energy": np.tile(ENERGY, repeats), "i0": i0, "itrans": i0 * np.exp(-mu)}
    columns["irefer"] = columns["itrans"] * np.exp(-(mu - 0.4) / step)
    return ScanData.from_documents(
        documents(len(ENERGY), repeats, columns=columns, ev_per_count=None, **options)
    )


def kinds(scan):
    return [finding.kind for finding in findings(scan)]


def test_a_good_run_has_no_finding(xafs_documents):
    assert kinds(spectrum(xafs_documents, repeats=2)) == []


def glitch(mu):
    mu[int(np.searchsorted(ENERGY, 7400.0))] += 0.05


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"spoil": glitch}, "glitches", r"at 7\d{3}\.\d eV\."),
        ({"e0": 7116.0}, "calibration", r"\+[34]\.\d+ eV from the scan's E0"),
        ({"step": 3.4}, "thickness", r"edge step is 3\.4"),
        ({"repeats": 3, "shift": 0.4}, "drift", r"moves by 0\.\d+ eV one way"),
        ({"exit_status": "fail", "reason": "it broke"}, "ended", r"\(fail\): it broke"),
        ({"exit_status": None}, "ended", "no stop document"),
        ({"taken": 300}, "missing", r"\d+ of \d+ planned points"),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(xafs_documents, options, kind, words):
    found = findings(spectrum(xafs_documents, **options))
    assert [finding.kind for finding in found] == [kind]
    assert re.search(words, found[0].text)


def test_bad_points_are_counted_by_what_was_wrong(xafs_documents):
    documents = xafs_documents(12)
    documents[0][1]["xafs"] |= {"quality_key": "quality"}
    documents[1][1]["data_keys"]["quality"] = {"dtype": "string", "shape": [], "source": "plan"}
    for name, doc in documents:
        if name == "event":
            doc["data"]["quality"] = "beam dip" if doc["seq_num"] in (3, 7) else ""
            doc["timestamps"]["quality"] = doc["time"]
    found = {f.kind: f.text for f in findings(ScanData.from_documents(documents))}
    assert "2 x beam dip" in found["bad points"]
    assert "2 of 12 planned points" in found["missing"]


def test_what_a_run_says_of_itself_is_text(xafs_documents):
    nasty = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    start = {"sample": {"name": nasty}, "comment": nasty, nasty: "key"}
    page = report_html(ScanData.from_documents(xafs_documents(start=start)))
    assert "<script" not in page
    assert "onerror=alert(1)&gt;" in page
    assert re.findall(r"<img[^>]* src=\"(?!data:image/svg\+xml;base64,)", page) == []


def test_the_page_shows_numbers_figures_and_metadata(xafs_documents, tmp_path):
    scan = spectrum(xafs_documents, start={"proposal": {"id": "2026-1"}})
    page = write_report(scan, tmp_path / "scan.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 2
    assert re.search(r"edge step</th><td>1\.[34]\d", page)
    assert "proposal.id</th><td>2026-1" in page
    assert scan.uid in page
    assert "Nothing asks for a second look" in page


def test_a_run_that_is_no_spectrum_has_a_page(xafs_documents):
    text = json.dumps(xafs_documents(contract=False)).replace("mono_energy", "sample_x")
    (_, start), (_, descriptor), *rest = json.loads(text)
    start["hints"] = {"dimensions": [[["sample_x"], "primary"]]}
    descriptor["data_keys"]["sample_x"]["units"] = "um"
    descriptor["hints"] = {"i0": {"fields": ["I0"]}}
    scan = ScanData.from_documents([("start", start), ("descriptor", descriptor), *rest])
    page = report_html(scan)
    assert scan.roles is None
    assert page.count("data:image/svg+xml;base64,") == 1


def drawn(scan):
    """The texts in the figure of a run that is no spectrum, and how many images it has."""
    (figure,) = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", report_html(scan))
    svg = base64.b64decode(figure).decode()
    # matplotlib draws letters as paths, with the text as a comment.
    return re.findall(r"<!-- (.*) -->", svg), svg.count("<image ")


@pytest.mark.parametrize("order", ["pixel", "energy"])
def test_a_map_is_an_image_of_each_detector(engine, detectors, energy, order):
    x, y = SynAxis(name="x"), SynAxis(name="y")
    in_ev = energy.describe()
    in_ev["energy"]["units"] = "eV"
    energy.describe = lambda: in_ev
    lines = (y, 0, 1, 2, x, 0, 2, 3)
    engine(mesh_scan(detectors, *lines))
    texts, images = drawn(ScanData.from_documents(engine.documents))
    assert {"i0", "it", "x", "y"} <= set(texts)
    assert "dwell_time" not in " ".join(texts)
    assert images == 4  # with the scales of their colours

    engine.documents.clear()
    map_of = xanes_map(detectors, energy, "Fe-K", *lines, energies=[-20, 0, 18], order=order)
    engine(map_of)
    for kept in (engine.documents, engine.documents[:-6]):  # whole, and with the last row missing
        texts, images = drawn(ScanData.from_documents(kept))
        assert {"i0, mean over energy", "it, mean over energy", "x", "y"} <= set(texts)
        assert images == 4


def test_what_a_run_has_found_is_on_its_page(engine, detectors):
    x = SynAxis(name="x")
    detectors[1].counting = lambda dwell_s: dwell_s * (3 if abs(x.position) > 4 else 1)
    engine(align(detectors, x, -10, 10, 41))
    page = report_html(ScanData.from_documents(engine.documents))
    assert "<h2>Result</h2>" in page
    assert "x: centre at " in page
    assert "i0, it" in page


def test_a_run_without_any_event_has_a_page(xafs_documents):
    assert "planned points" in report_html(ScanData.from_documents(xafs_documents(taken=0)))


@pytest.mark.slow("a process that loads matplotlib and draws a page")
def test_pages_are_made_beside_files_in_another_process(xafs_documents, tmp_path):
    reports = ReportWriter()
    writer = NXxasWriter(tmp_path, on_file=reports)
    documents = xafs_documents()
    for name, doc in documents:
        writer(name, doc)
    assert writer.wait(60)
    assert reports.wait(150), reports.problems
    (file,) = writer.files.values()
    assert reports.pages == {documents[0][1]["uid"]: file.with_suffix(".html")}
    assert "Fe foil" in file.with_suffix(".html").read_text()


def test_a_file_that_gives_no_page_is_a_problem_and_no_error(tmp_path):
    reports = ReportWriter()
    (tmp_path / "broken.nxs").write_bytes(b"no HDF5")
    reports("a1b2c3", tmp_path / "broken.nxs")
    assert reports.wait(150)
    (problem,) = reports.problems
    assert problem.where == "a1b2c3"
    assert "beamline report" in problem.message
