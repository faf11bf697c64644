"""A run as Tiled's client opens it: a spectrum, and still a Bluesky run; and followed live."""

import gc
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bluesky_tiled_plugins.clients.bluesky_run import BlueskyRun

from beamline_ophyd import ScanData
from beamline_ophyd.analysis import xafs
from beamline_ophyd.callbacks import Journal, NXxasWriter, TiledPublisher
from beamline_ophyd.serving import ServerError, TiledServer, connect, live
from beamline_ophyd.serving.runs import RunUpload
from beamline_ophyd.simulator import free_ports

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def documents(xafs_documents):
    return xafs_documents(points=101, repeats=2, uid="spectrum-of-iron")


@pytest.fixture(scope="module")
def run(served, reader, documents, tmp_path_factory):
    """A finished run with its file, as a reader opens it."""
    journal = Journal(tmp_path_factory.mktemp("journal"))
    publisher = TiledPublisher(served.uri, served.keys.writer, journal=journal)
    files = NXxasWriter(served.folder.files, on_file=publisher.register_file)
    for item in documents:
        for callback in (journal, files, publisher):
            callback(*item)
    assert files.close(DEADLINE_S)
    assert publisher.close(DEADLINE_S)
    journal.close()
    return reader.runs["spectrum-of-iron"]


def test_it_still_is_a_bluesky_run(run, documents):
    assert isinstance(run, BlueskyRun)
    assert type(run).__name__ == "XAFSRun"
    assert repr(run).startswith("<XAFSRun Fe-K of 'Fe foil' transmission scan_id=7 uid='spectrum'")
    assert len(run.primary.read()["I0"]) == 202
    assert run.start["uid"] == "spectrum-of-iron"
    assert [name for name, _ in run.documents()].count("event") == 202


def test_mu_is_the_one_of_the_documents(run, documents):
    energy, (mu, errors) = (d := ScanData.from_documents(documents)).energy, d.mu()
    found = run.mu()
    assert found.dims == ("energy",)
    assert found["energy"].attrs["units"] == "eV"
    np.testing.assert_array_equal(found["energy"], energy)
    np.testing.assert_array_equal(found, mu)
    np.testing.assert_array_equal(found["errors"], errors)
    np.testing.assert_array_equal(run.mu("reference"), d.mu("reference")[0])


def test_normalized_and_chi_are_those_of_the_analysis(run, documents):
    data = ScanData.from_documents(documents)
    mu, errors = data.mu()
    e0 = xafs.find_e0(data.energy, mu, near=7112.0)
    edge = xafs.pre_edge(data.energy, mu, e0, mu_errors=errors)
    found = run.normalized()
    np.testing.assert_array_equal(found, edge.norm)
    np.testing.assert_array_equal(found["errors"], edge.norm_errors)
    np.testing.assert_array_equal(run.normalized(flat=True), edge.flat)
    assert (found.attrs["e0"], found.attrs["edge_step"]) == (e0, edge.edge_step)
    assert found.attrs["element"] == "Fe"
    assert run.normalized(e0=7110.0).attrs["e0"] == 7110.0
    background = xafs.autobk(data.energy, mu, normalised=edge, mu_errors=errors, rbkg=1.2)
    chi = run.chi(rbkg=1.2)
    np.testing.assert_array_equal(chi["k"], background.k)
    np.testing.assert_array_equal(chi, background.chi)


def test_its_file_is_at_hand(run):
    np.testing.assert_array_equal(run.nexus()["entry/data/intensity"].read(), run.mu())


@pytest.mark.parametrize(
    ("what", "label"),
    [("mu", "(E)"), ("normalized", "normalized"), ("chi", "chi")],
)
def test_a_plot_shows_the_numbers(run, what, label):
    from matplotlib.figure import Figure

    axes = run.plot(what, axes=Figure().subplots())
    (line,) = axes.lines
    spectrum = getattr(run, what)()
    (dimension,) = spectrum.dims
    weight = spectrum[dimension].values ** 2 if what == "chi" else 1.0
    np.testing.assert_array_equal(line.get_xdata(), spectrum[dimension])
    np.testing.assert_array_equal(line.get_ydata(), weight * spectrum.values)
    assert label in axes.get_ylabel()
    assert len(axes.collections) == 1  # the band of one standard deviation


def test_what_cannot_be_plotted_is_refused(run):
    with pytest.raises(ValueError, match="what is 'xanes'; give 'mu', 'normalized' or 'chi'"):
        run.plot("xanes")


def test_a_run_that_goes_on_and_then_ends(writer, reader, xafs_documents):
    documents = xafs_documents(points=60, uid="spectrum-that-grows")
    upload = RunUpload(writer.runs, batch_size=1)
    for item in documents[:40]:
        upload.put(*item)
    run = reader.runs["spectrum-that-grows"]
    assert "(goes on)" in repr(run)
    assert len(run.mu()) == 38
    assert run.scan_data().metadata["stop"] is None
    with pytest.raises(LookupError, match="it comes when the run has ended"):
        run.nexus()
    for item in documents[40:]:
        upload.put(*item)
    assert len(run.mu()) == 60


def test_a_run_that_continues_another_has_the_points_of_both(
    writer, reader, xafs_documents, caplog
):
    whole = xafs_documents(points=50, uid="continued-0")
    first = xafs_documents(points=50, uid="continued-1", taken=30, exit_status="abort")
    second = xafs_documents(points=50, uid="continued-2")
    start = second[0][1]
    start["xafs"] = {**start["xafs"], "first_point": 30, "continues": "continued-1"}
    rest = [second[0], second[1], *second[32:]]
    for number, event in enumerate(rest[2:-1], start=1):
        event[1]["seq_num"] = number
    upload = RunUpload(writer.runs, batch_size=100)
    for item in rest:
        upload.put(*item)
    assert len(reader.runs["continued-2"].mu()) == 20
    assert "continues run continued-1, of which" in caplog.text
    upload = RunUpload(writer.runs, batch_size=100)
    for item in first:
        upload.put(*item)
    run = reader.runs["continued-2"]
    np.testing.assert_array_equal(run.mu(), ScanData.from_documents(whole).mu()[0])


@pytest.mark.slow("three readers that never pause")
def test_reading_while_points_come_in_hurts_neither(writer, reader, xafs_documents):
    documents = xafs_documents(points=40, uid="read-while-written")
    upload = RunUpload(writer.runs, batch_size=1)
    for item in documents[:3]:
        upload.put(*item)
    table = reader.root["runs/read-while-written/primary/internal"]
    written = threading.Event()

    def read():
        counts = []
        while not written.is_set():
            counts.append(len(table.read_partition(0)))
        return counts

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for item in documents[3:]:
                upload.put(*item)
        finally:
            written.set()
        for each in readers:
            assert (counts := each.result(DEADLINE_S)) == sorted(counts)
    # No request failed and was sent again, which would show here as points that come twice.
    assert len(table.read_partition(0)) == 40
    assert not reader.runs["read-while-written"].metadata.get("notes")


# live(run)


@pytest.fixture
def quiet():
    """Fails when a subscription's thread is left, or ended by an exception of its own."""
    yield
    gc.collect()
    left = [t.name for t in threading.enumerate() if t.name == "tiled live"]
    assert left == []


def values(points):
    return [point["data"]["It"] for point in points]


def taken(documents):
    return [doc["data"]["It"] for name, doc in documents if name == "event"]


def test_a_finished_run_gives_all_its_points(run, documents, quiet):
    points = list(live(run))
    assert values(points) == taken(documents)
    events = [doc for name, doc in documents if name == "event"]
    for point, event in zip(points, events, strict=True):
        assert point == {key: event[key] for key in ("seq_num", "time", "data", "timestamps")}


def test_points_come_one_by_one_from_the_first_to_the_stop(writer, reader, xafs_documents, quiet):
    documents = xafs_documents(points=30, uid="followed")
    upload = RunUpload(writer.runs, batch_size=1)
    for item in documents[:12]:  # joined after ten points
        upload.put(*item)
    points = live(reader.runs["followed"])
    found = [next(points) for _ in range(10)]
    for item in documents[12:-1]:
        upload.put(*item)
        found.append(next(points))  # each before the next is taken
    assert values(found) == taken(documents)
    upload.put(*documents[-1])
    assert list(points) == []


def test_following_begins_before_the_first_point(writer, reader, xafs_documents, quiet):
    documents = xafs_documents(points=5, uid="followed-early")
    upload = RunUpload(writer.runs, batch_size=1)
    upload.put(*documents[0])
    run = reader.runs["followed-early"]
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: values(live(run)))
        for item in documents[1:]:
            upload.put(*item)
        assert found.result(DEADLINE_S) == taken(documents)


def test_a_loop_may_be_left_early(writer, reader, xafs_documents, quiet):
    documents = xafs_documents(points=30, uid="followed-a-while")
    upload = RunUpload(writer.runs, batch_size=1)
    for item in documents[:20]:
        upload.put(*item)
    for point in live(reader.runs["followed-a-while"]):
        if point["seq_num"] == 3:
            break
    points = live(reader.runs["followed-a-while"])
    next(points)
    points.close()
    # Nobody is hurt by it, and the run goes on.
    for item in documents[20:]:
        upload.put(*item)
    assert values(live(reader.runs["followed-a-while"])) == taken(documents)


@pytest.mark.slow("two starts of Tiled of its own")
def test_a_server_that_dies_and_returns_loses_no_point(tmp_path, xafs_documents, caplog, quiet):
    documents = xafs_documents(points=20, uid="followed-through")
    (port,) = free_ports(1)  # which no client gets while the server is away
    server = TiledServer(tmp_path / "tiled", port=port).start()
    journal = Journal(tmp_path / "journal")
    publisher = TiledPublisher(
        server.uri, server.keys.writer, journal=journal, batch_size=1, first_pause_s=0.2
    )

    def put(items):
        for item in items:
            journal(*item)
            publisher(*item)

    put(documents[:10])
    assert publisher.wait(DEADLINE_S)
    with connect(server.uri, server.keys.reader) as client:
        points = live(client.runs["followed-through"])
        found = [next(points) for _ in range(8)]
        os.kill(server.pid, signal.SIGKILL)
        server.wait(DEADLINE_S)
        put(documents[10:-1])
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(lambda: list(points))
            with TiledServer(tmp_path / "tiled", port=port):
                put(documents[-1:])
                assert publisher.wait(DEADLINE_S)
                found += rest.result(DEADLINE_S)
                # The client knows its way about the server that has taken the place of the first.
                assert list(client.search(element="Fe")) == ["followed-through"]
                assert len(client.runs["followed-through"].mu()) == 20
    assert values(found) == taken(documents)
    assert caplog.text.count("waiting for it") == caplog.text.count("can be used again") - 1 == 1
    publisher.close()
    journal.close()


@pytest.mark.slow("a start of Tiled of its own")
def test_a_server_that_stays_away_is_an_error(tmp_path, xafs_documents, quiet):
    with (
        TiledServer(tmp_path / "tiled") as server,
        connect(server.uri, server.keys.writer) as client,
    ):
        upload = RunUpload(client.runs, batch_size=1)
        for item in xafs_documents(points=5, uid="followed-in-vain")[:-1]:
            upload.put(*item)
        points = live(client.runs["followed-in-vain"], patience_s=0.5)
        for _ in range(5):
            next(points)
        os.kill(server.pid, signal.SIGKILL)
        server.wait(DEADLINE_S)
        with pytest.raises(ServerError, match="followed-in-vain cannot be followed any more"):
            next(points)
