"""A real Tiled server, a real RunEngine, and what goes wrong between them."""

import http.client
import json
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import httpx
import numpy as np
import pytest
from bluesky import RunEngine
from event_model import compose_run
from ophyd.sim import SynAxis, SynGauss

from beamline_ophyd.callbacks import Journal, TiledPublisher
from beamline_ophyd.serving import DataFolder, ServerError, TiledServer, connect
from beamline_ophyd.serving.runs import ReplayError, is_complete, replay
from beamline_ophyd.simulator import free_ports

from ..processes import end

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One server for all tests that leave it alive."""
    with TiledServer(tmp_path_factory.mktemp("tiled data")) as server:
        yield server


@pytest.fixture
def mortal(tmp_path):
    """Start servers over one folder, and stop what is left of them."""
    started = []

    def start(port=None):
        # Of the system's own choice a port may go to a client while the server is away.
        port = free_ports(1)[0] if port is None else port
        started.append(TiledServer(tmp_path / "tiled", port=port).start())
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def publish(journal):
    """Make publishers that end with the test."""
    made = []

    def make(*target, **options):
        options.setdefault("journal", journal)
        options.setdefault("first_pause_s", 0.2)
        options.setdefault("timeout_s", 30.0)  # a server that is busy is not away
        made.append(TiledPublisher(*target, **options))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(0.1)
    assert not [t for t in threading.enumerate() if t.name == "tiled publisher"]


@pytest.fixture
def engine(journal):
    """A RunEngine with the journal and the given callbacks."""

    def make(*callbacks):
        RE = RunEngine({"operator": "nobody"})
        RE.subscribe(journal)
        for callback in callbacks:
            RE.subscribe(callback)
        return RE

    return make


@pytest.fixture
def motor():
    return SynAxis(name="motor", value=0)


@pytest.fixture
def detector(motor):
    return SynGauss("detector", motor, "motor", center=0, Imax=1000, sigma=1)


def port_of(server):
    return urlsplit(server.uri).port


def kill(server):
    os.kill(server.pid, signal.SIGKILL)
    server.wait(DEADLINE_S)


@pytest.fixture
def warned():
    """Set when the publisher has warned of something."""
    happened = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record):
            happened.set()

    handler = Handler(logging.WARNING)
    logger = logging.getLogger("beamline_ophyd.callbacks.tiled")
    logger.addHandler(handler)
    yield happened
    logger.removeHandler(handler)


def warnings_of(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "beamline_ophyd.callbacks.tiled" and record.levelno >= logging.WARNING
    ]


def table(client, uid):
    """The rows of a run's primary stream, as Tiled holds them now."""
    return client.root["runs", uid, "primary", "internal"].read()


def count(client, uid):
    """Points of a run that a client can read now."""
    try:
        return len(table(client, uid))
    except KeyError:
        return 0


def events_in(journal, uid):
    lines = [json.loads(line) for line in journal.path(uid).read_text().splitlines()]
    return [line["doc"] for line in lines if line["name"] == "event"]


# Reading back


def test_run_and_file_come_back(served, publish, engine, detector, motor):
    publisher = publish(served.uri, served.keys.writer)
    RE = engine(publisher)
    md = {"numpy": np.float64(2.5), "array": np.arange(3), "sample": {"name": "Fe foil"}}
    (uid,) = RE(bp.scan([detector], motor, -1, 1, 21), **md)
    path = served.folder.files / "scan.nxs"
    with h5py.File(path, "w") as file:
        file["entry/data/intensity"] = np.linspace(0.0, 1.0, 21)
        file["entry"].attrs["NX_class"] = "NXentry"
    publisher.register_file(uid, path)
    assert publisher.wait(DEADLINE_S)
    assert publisher.problems == []
    assert publisher.published == publisher.registered == (uid,)

    with connect(served.uri, served.keys.reader) as client:
        run = client.runs[uid]
        data = run["primary"].read()
        np.testing.assert_array_equal(data["motor"], np.linspace(-1, 1, 21))
        np.testing.assert_allclose(data["detector"], 1000 * np.exp(-(data["motor"] ** 2) / 2))
        start = run.metadata["start"]
        assert start["numpy"] == 2.5
        assert start["array"] == [0, 1, 2]
        assert start["operator"] == "nobody"
        assert run.metadata["stop"]["num_events"] == {"primary": 21}
        names = [name for name, _ in run.documents()]
        assert names.count("event") == 21
        assert names[-1] == "stop"
        node = client.files[uid]
        assert node.metadata["run_uid"] == uid
        assert [spec.name for spec in node.specs] == ["NXxas"]
        np.testing.assert_array_equal(
            node["entry/data/intensity"].read(), np.linspace(0.0, 1.0, 21)
        )


def test_xafs_runs_are_marked_for_clients_that_know_them(served, publish, engine, detector):
    publisher = publish(served.uri, served.keys.writer)
    RE = engine(publisher)
    contract = {"version": 1, "mode": "transmission"}
    (uid,) = RE(bp.count([detector]), xafs=contract)
    assert publisher.wait(DEADLINE_S)
    with connect(served.uri, served.keys.reader) as client:
        run = client.runs[uid]
        assert [spec.name for spec in run.specs] == ["XAFSRun", "BlueskyRun"]
        assert run.metadata["start"]["xafs"] == contract
        assert type(run).__name__ == "XAFSRun"


def test_each_point_can_be_read_before_the_next_is_taken(served, publish, engine, detector, motor):
    publisher = publish(served.uri, served.keys.writer)
    assert publisher.wait(DEADLINE_S)
    RE = engine(publisher)
    visible = []

    with connect(served.uri, served.keys.reader) as client:

        def plan():
            nonlocal uid
            uid = yield from bps.open_run()
            for taken in range(1, 6):
                yield from bps.mv(motor, taken)
                yield from bps.trigger_and_read([detector, motor])
                # No later document comes that could push it out: it goes by its age.
                end = time.monotonic() + DEADLINE_S
                while count(client, uid) < taken and time.monotonic() < end:
                    pass
                visible.append(count(client, uid))
            assert "stop" not in client.runs[uid].metadata
            yield from bps.close_run()

        uid = None
        RE(plan())
        assert visible == [1, 2, 3, 4, 5]
        assert publisher.wait(DEADLINE_S)
        assert client.runs[uid].metadata["stop"]["exit_status"] == "success"


def test_the_reader_can_follow_a_run_point_by_point(served, publish, engine, detector, motor):
    from bluesky_tiled_plugins.streaming import subscribe_to_streams

    publisher = publish(served.uri, served.keys.writer, batch_age_s=0.05)
    RE = engine(publisher)
    seen = []
    enough = threading.Event()

    def take(update):
        seen.extend(update.data()["motor"])
        if len(seen) == 3:
            enough.set()

    with connect(served.uri, served.keys.reader) as client:
        subscription = subscribe_to_streams(
            client.runs,
            take,
            streams={"primary": None},
            metadata_filter=lambda start: start.get("to_be_followed"),
        )
        with subscription:

            def plan():
                yield from bps.open_run({"to_be_followed": True})
                for value in (1.0, 2.0, 3.0):
                    yield from bps.mv(motor, value)
                    yield from bps.trigger_and_read([detector, motor])
                assert enough.wait(DEADLINE_S)  # before the run is closed
                yield from bps.close_run()

            RE(plan())
    assert seen == [1.0, 2.0, 3.0]


# What documents may hold

ODD_ROWS = [
    # Column types as descriptors declare them; values as devices deliver them.
    ("number", [], [0, 2.5, np.int64(3), True], [0.0, 2.5, 3.0, 1.0]),
    ("number", [], [None, 1.5, float("inf"), 2], [np.nan, 1.5, np.inf, 2.0]),
    ("integer", [], [1, np.int32(2), 3, 4], [1, 2, 3, 4]),
    ("integer", [], [1, 2.5, 3, None], [1.0, 2.5, 3.0, np.nan]),
    ("string", [], ["a", "µ", "", "much longer text"], ["a", "µ", "", "much longer text"]),
    ("boolean", [], [True, np.bool_(False), True, False], [True, False, True, False]),
    ("array", [2], [[1, 2], np.array([1.5, 2]), (3, 4), [5, 6]], [[1, 2], [1.5, 2], [3, 4], [5, 6]]),  # noqa: E501
    ("array", [2, 2], [np.eye(2)] * 4, [np.eye(2).tolist()] * 4),
    ("array", [20], [np.arange(20.0)] * 4, [np.arange(20.0).tolist()] * 4),
]  # fmt: skip


def test_odd_values_are_kept_whatever_the_batches(served, publish, journal):
    publisher = publish(served.uri, served.keys.writer, batch_size=1)
    run = compose_run()
    keys = {
        f"column_{i}": {"source": "test", "dtype": dtype, "shape": shape}
        for i, (dtype, shape, *_) in enumerate(ODD_ROWS)
    }
    bundle = run.compose_descriptor(name="primary", data_keys=keys)
    documents = [("start", run.start_doc), ("descriptor", bundle.descriptor_doc)]
    for point in range(4):
        values = {f"column_{i}": row[2][point] for i, row in enumerate(ODD_ROWS)}
        stamps = dict.fromkeys(values, 1.5)
        event = bundle.compose_event(data=values, timestamps=stamps, validate=False)
        documents.append(("event", event))
    documents.append(("stop", run.compose_stop()))
    for name, doc in documents:
        journal(name, doc)
        publisher(name, doc)
    assert publisher.wait(DEADLINE_S)
    assert publisher.problems == []
    uid = run.start_doc["uid"]
    with connect(served.uri, served.keys.reader) as client:
        stream = client.runs[uid]["primary"]
        for i, (*_, expected) in enumerate(ODD_ROWS):
            found = np.asarray(stream[f"column_{i}"].read())
            assert len(found) == 4
            if found.dtype.kind in "US":
                assert found.tolist() == expected
            else:
                found = np.array(found.tolist(), dtype=float)
                np.testing.assert_array_equal(found, np.array(expected, dtype=float))


def test_a_run_without_points_and_one_that_fails(served, publish, engine, detector, motor):
    publisher = publish(served.uri, served.keys.writer)
    RE = engine(publisher)
    uids = []
    RE.subscribe(lambda name, doc: uids.append(doc["uid"]), "start")

    def empty():
        yield from bps.open_run()
        yield from bps.close_run()

    @bpp.run_decorator()
    def failing():
        yield from bps.trigger_and_read([detector, motor])
        raise RuntimeError("the beam is gone")

    RE(empty())
    with pytest.raises(RuntimeError, match="the beam is gone"):
        RE(failing())
    assert publisher.wait(DEADLINE_S)
    assert publisher.published == tuple(uids)
    with connect(served.uri, served.keys.reader) as client:
        assert list(client.runs[uids[0]]) == []
        stop = client.runs[uids[1]].metadata["stop"]
        assert stop["exit_status"] == "fail"
        assert "the beam is gone" in stop["reason"]
        assert count(client, uids[1]) == 1


def test_interleaved_runs_keep_apart(served, publish, engine, detector, motor):
    publisher = publish(served.uri, served.keys.writer)
    RE = engine(publisher)

    def plan():
        for key in ("a", "b"):
            yield from bpp.set_run_key_wrapper(bps.open_run({"name": key}), key)
        for value in range(3):
            yield from bps.mv(motor, value)
            for key in ("a", "b")[: 1 + (value > 0)]:
                reading = bps.trigger_and_read([detector, motor])
                yield from bpp.set_run_key_wrapper(reading, key)
        for key in ("b", "a"):
            yield from bpp.set_run_key_wrapper(bps.close_run(), key)

    uids = RE(plan())
    assert publisher.wait(DEADLINE_S)
    assert set(publisher.published) == set(uids)
    with connect(served.uri, served.keys.reader) as client:
        found = {
            client.runs[uid].metadata["start"]["name"]: client.runs[uid]["primary"]["motor"].read()
            for uid in uids
        }
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"].tolist() == [1, 2]


def counting_run(points):
    """Documents of a run that counts from 0."""
    run = compose_run()
    keys = {"x": {"source": "test", "dtype": "integer", "shape": []}}
    bundle = run.compose_descriptor(name="primary", data_keys=keys)
    events = [bundle.compose_event(data={"x": i}, timestamps={"x": 0.0}) for i in range(points)]
    return [
        ("start", run.start_doc),
        ("descriptor", bundle.descriptor_doc),
        *(("event", event) for event in events),
        ("stop", run.compose_stop()),
    ]


def test_points_that_did_not_fit_into_memory_come_from_the_journal(served, publish, journal):
    publisher = publish(served.uri, served.keys.writer, capacity=3)
    assert publisher.wait(DEADLINE_S)
    documents = counting_run(300)
    uid = documents[0][1]["uid"]
    for name, doc in documents:
        journal(name, doc)
        publisher(name, doc)
    assert publisher.wait(DEADLINE_S)
    assert any("queue is full" in problem.message for problem in publisher.problems)
    assert publisher.published == (uid,)
    with connect(served.uri, served.keys.reader) as client:
        found = client.runs[uid]["primary"]["x"].read()
    assert found.tolist() == list(range(300))


# A server that is not there


def scan_seconds(RE, detector, motor, points, **md):
    began = time.monotonic()
    (uid,) = RE(bp.scan([detector], motor, -1, 1, points), **md)
    return uid, time.monotonic() - began


@pytest.mark.slow("several starts of Tiled")
def test_server_killed_and_back_in_mid_run(
    mortal, publish, engine, journal, detector, motor, caplog
):
    server = mortal()
    port = port_of(server)
    _, alone_s = scan_seconds(engine(), detector, motor, 200)
    publisher = publish(server.uri, server.keys.writer)
    assert publisher.wait(DEADLINE_S)
    RE = engine(publisher)
    restarted = threading.Event()

    def restart():
        mortal(port)
        restarted.set()

    helper = threading.Thread(target=restart)

    def disturb(name, doc):
        if doc["seq_num"] == 50:
            kill(server)
        if doc["seq_num"] == 100:
            helper.start()
        if doc["seq_num"] == 150:
            assert restarted.wait(DEADLINE_S)

    RE.subscribe(disturb, "event")
    began = time.monotonic()
    uid, _ = scan_seconds(RE, detector, motor, 200)
    helper.join(DEADLINE_S)
    assert publisher.wait(DEADLINE_S)
    assert publisher.published == (uid,)
    with connect(server.folder.running()["uri"], server.keys.reader) as client:
        data = table(client, uid)
        assert data["seq_num"].tolist() == list(range(1, 201))
        expected = [event["data"]["detector"] for event in events_in(journal, uid)]
        assert data["detector"].tolist() == expected
        assert client.runs[uid].metadata["stop"]["num_events"] == {"primary": 200}
    told = warnings_of(caplog)
    assert len(told) == 2
    assert "cannot be used" in told[0]
    assert "the scan goes on" in told[0].lower()
    assert "again" in told[1]
    assert time.monotonic() - began < alone_s + 20.0


@pytest.mark.slow("several starts of Tiled")
def test_a_run_goes_on_at_its_pace_while_the_server_is_dead(
    mortal, publish, engine, detector, motor, caplog
):
    server = mortal()
    port = port_of(server)
    publisher = publish(server.uri, server.keys.writer)
    assert publisher.wait(DEADLINE_S)
    _, alone_s = scan_seconds(engine(), detector, motor, 300)
    RE = engine(publisher)
    RE.subscribe(lambda name, doc: kill(server) if doc["seq_num"] == 20 else None, "event")
    uid, seconds = scan_seconds(RE, detector, motor, 300)
    assert seconds < 2 * alone_s + 1.0
    assert not publisher.wait(0.5)
    assert publisher.away
    again = mortal(port)
    assert publisher.wait(DEADLINE_S)
    assert publisher.published == (uid,)
    assert not publisher.away
    with connect(again.uri, again.keys.reader) as client:
        assert count(client, uid) == 300
    assert len(warnings_of(caplog)) == 2


def test_a_server_that_was_never_there(
    served, publish, engine, journal, detector, motor, caplog, warned
):
    with socket.socket() as reserved:  # bound, but nobody listens
        reserved.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        publisher = publish(uri, "00ff")
        RE = engine(publisher)
        uid, _ = scan_seconds(RE, detector, motor, 30)
        publisher.register_file(uid, Path("/nowhere/scan.nxs"))
        assert warned.wait(DEADLINE_S)
        assert not publisher.wait(0.3)
        assert not publisher.close(0.1)
    assert len(warnings_of(caplog)) == 1
    text = "\n".join(map(str, publisher.problems))
    assert uri in text
    assert f"beamline replay {journal.path(uid)}" in text
    assert "/nowhere/scan.nxs" in text
    # and the way out that it names works, once and again
    with connect(served.uri, served.keys.writer) as client:
        assert replay(journal.path(uid), client) == [uid]
        made = client.runs[uid]["primary"].uri, count(client, uid)
        assert replay(journal.path(uid), client) == [uid]
        assert (client.runs[uid]["primary"].uri, count(client, uid)) == made
        assert replay(journal.path(uid), client, force=True) == [uid]
        assert count(client, uid) == 30


def test_a_server_that_takes_requests_and_never_answers(
    publish, engine, detector, motor, caplog, warned
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        _, alone_s = scan_seconds(engine(), detector, motor, 50)
        patient = publish(uri, "00ff", timeout_s=DEADLINE_S)
        scan_seconds(engine(patient), detector, motor, 50)
        assert not patient.away  # it waits for its first answer still, and the scan has not
        publisher = publish(uri, "00ff", timeout_s=0.3)
        _, seconds = scan_seconds(engine(publisher), detector, motor, 50)
        assert seconds < 2 * alone_s + 1.0
        assert warned.wait(DEADLINE_S)
        assert not publisher.wait(0.5)
        assert len(warnings_of(caplog)) == 1


@pytest.mark.slow("a start of Tiled of its own")
def test_a_server_without_room_is_told_and_made_good_later(
    mortal, publish, engine, journal, detector, motor
):
    server = mortal()
    publisher = publish(server.uri, server.keys.writer)
    assert publisher.wait(DEADLINE_S)
    room = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    RE = engine(publisher)

    def fill_disk(name, doc):
        if doc["seq_num"] == 20:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, room[1]))

    RE.subscribe(fill_disk, "event")
    uid, _ = scan_seconds(RE, detector, motor, 60)
    assert publisher.wait(DEADLINE_S)  # it has been given up
    assert publisher.published == ()
    told = [problem.message for problem in publisher.problems if problem.where == uid]
    assert len(told) == 1
    assert f"beamline replay {journal.path(uid)}" in told[0]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, room)
    with connect(server.uri, server.keys.writer) as client:
        assert not is_complete(client.root, uid)
        assert replay(journal.path(uid), client) == [uid]
        assert count(client, uid) == 60


@pytest.mark.parametrize("wrong", ["unknown", "reader"])
def test_a_key_that_does_not_open_is_named_and_costs_nothing(
    served, publish, engine, journal, detector, motor, caplog, warned, wrong
):
    key = served.keys.reader if wrong == "reader" else "ab" * 36
    publisher = publish(served.uri, key)
    uid, _ = scan_seconds(engine(publisher), detector, motor, 30)
    assert warned.wait(DEADLINE_S)
    assert not publisher.wait(0.5)
    told = warnings_of(caplog)
    assert len(told) == 1
    assert "refuses the key" in told[0]
    assert key not in "\n".join(record.getMessage() for record in caplog.records)
    assert len(events_in(journal, uid)) == 30
    with connect(served.uri, served.keys.reader) as client, pytest.raises(KeyError):
        client.runs[uid]


def test_without_a_journal_a_gap_is_told_and_not_passed_for_a_whole_run(served, publish):
    publisher = publish(served.uri, served.keys.writer, journal=None, capacity=3)
    assert publisher.wait(DEADLINE_S)
    documents = counting_run(300)
    for name, doc in documents:
        publisher(name, doc)
    uid = documents[0][1]["uid"]
    assert publisher.wait(DEADLINE_S)
    assert publisher.published == ()
    told = [problem.message for problem in publisher.problems if problem.where == uid]
    assert len(told) == 2
    assert "queue is full" in told[0]
    assert "not complete in Tiled" in told[1]
    with connect(served.uri, served.keys.reader) as client:
        assert not is_complete(client.root, uid)


SCAN_AND_LEAVE = """
import sys, time
from event_model import compose_run
from beamline_ophyd.callbacks import Journal, TiledPublisher

journal = Journal(sys.argv[1])
publisher = TiledPublisher(sys.argv[2], sys.stdin.readline().strip(), journal=journal)
while not publisher.wait(1.0) and not publisher.away:
    pass  # as before a scan: Tiled's client is loaded, which may take longer than leaving may
run = compose_run()
keys = {"x": {"source": "test", "dtype": "number", "shape": []}}
bundle = run.compose_descriptor(name="primary", data_keys=keys)
documents = [("start", run.start_doc), ("descriptor", bundle.descriptor_doc)]
documents += [
    ("event", bundle.compose_event(data={"x": i}, timestamps={"x": 0.0})) for i in range(50)
]
for name, doc in (*documents, ("stop", run.compose_stop())):
    journal(name, doc)
    publisher(name, doc)
print(run.start_doc["uid"], time.monotonic())
"""


@pytest.mark.slow("a start of Tiled of its own")
@pytest.mark.parametrize("there", [True, False])
def test_the_end_of_the_interpreter(served, tmp_path, there):
    uri = served.uri if there else "http://127.0.0.1:1"
    result = subprocess.run(
        [sys.executable, "-c", SCAN_AND_LEAVE, str(tmp_path), uri],
        input=f"{served.keys.writer}\n",
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE_S,
    )
    assert result.returncode == 0, result.stderr
    uid, left_at = result.stdout.split()
    leaving_s = time.monotonic() - float(left_at)
    with connect(served.uri, served.keys.reader) as client:
        if there:
            assert result.stderr == ""
            assert is_complete(client.root, uid)
            assert count(client, uid) == 50
        else:
            assert f"beamline replay {tmp_path / uid}.jsonl" in result.stderr
            assert leaving_s < 15.0


def test_half_a_journal_is_replaced_when_it_is_whole(served, journal, tmp_path):
    *documents, stop = counting_run(10)
    uid = documents[0][1]["uid"]
    for name, doc in documents:
        journal(name, doc)
    half = journal.path(uid).read_bytes()
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(half + b'{"name": "event", "do')  # as after a SIGKILL
    nothing = tmp_path / "nothing.jsonl"
    nothing.touch()
    with connect(served.uri, served.keys.writer) as client:
        assert replay(cut, client) == [uid]
        assert count(client, uid) == 10
        assert not is_complete(client.root, uid)

        journal(*stop)
        assert replay(journal.path(uid), client) == [uid]
        assert count(client, uid) == 10
        assert is_complete(client.root, uid)

        with pytest.raises(ReplayError, match="no start document"):
            replay(nothing, client)


# Who may do what


def ask(server, path, key=None, method="GET", body=None):
    """Status of one request, made without Tiled's client."""
    address = urlsplit(server.uri)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=DEADLINE_S)
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Apikey {key}"
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def known(served, tmp_path_factory):
    """A run and a file to try keys on: their uid."""
    run = compose_run()
    uid = run.start_doc["uid"]
    journal = Journal(tmp_path_factory.mktemp("known"))
    journal("start", run.start_doc)
    journal("stop", run.compose_stop())
    path = served.folder.files / "known.nxs"
    with h5py.File(path, "w") as file:
        file["entry/x"] = [1.0, 2.0]
    publisher = TiledPublisher(served.uri, served.keys.writer)
    with connect(served.uri, served.keys.writer) as client:
        replay(journal.path(uid), client)
    publisher.register_file(uid, path)
    assert publisher.wait(DEADLINE_S)
    assert publisher.close(DEADLINE_S)
    return uid


@pytest.mark.parametrize("key", [None, "ab" * 36, "not hexadecimal"])
@pytest.mark.parametrize("kind", ["metadata", "search", "asset/bytes", "array/full", "validate"])
def test_nothing_without_a_valid_key(served, known, key, kind):
    tail = "/entry/x" if kind == "array/full" else "?id=1"
    status, body = ask(served, f"/api/v1/{kind}/files/{known}{tail}", key)
    assert status == 401
    assert b"1.0" not in body


def test_the_reader_reads_and_changes_nothing(served, known):
    key = served.keys.reader
    assert ask(served, f"/api/v1/array/full/files/{known}/entry/x?format=json", key) == (
        200,
        b"[1.0,2.0]",
    )
    container = json.dumps(
        {"structure_family": "container", "metadata": {}, "data_sources": [], "specs": []}
    )
    for path in ("/api/v1/metadata/runs", "/api/v1/metadata/"):
        assert ask(served, path, key, "POST", container)[0] == 401
    assert ask(served, "/api/v1/register/files", key, "POST", container)[0] == 401
    patch = json.dumps({"content-type": "application/merge-patch+json", "metadata": {"a": 1}})
    assert ask(served, f"/api/v1/metadata/runs/{known}", key, "PATCH", patch)[0] == 401
    for path in (f"runs/{known}", f"files/{known}", "runs"):
        query = "?recursive=true&external_only=false"
        assert ask(served, f"/api/v1/metadata/{path}{query}", key, "DELETE")[0] == 401
    # A key that the reader makes for somebody else cannot do more than the reader's own.
    for scopes in (["write:data"], ["register"], ["admin:apikeys"]):
        wish = json.dumps({"scopes": scopes, "expires_in": 60})
        assert ask(served, "/api/v1/auth/apikey", key, "POST", wish)[0] == 403
    assert ask(served, "/api/v1/auth/principal", key)[0] == 401


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_raw_assets_are_off_for_everybody(served, known, role):
    key = getattr(served.keys, role)
    for kind in ("bytes", "manifest"):
        status, body = ask(served, f"/api/v1/asset/{kind}/files/{known}?id=1", key)
        assert status == 403, body
        assert b"raw assets" in body


def test_only_the_folder_of_files_is_served(served, publish, tmp_path):
    outside = tmp_path / "secret.nxs"
    with h5py.File(outside, "w") as file:
        file["secret"] = [42.0]
    publisher = publish(served.uri, served.keys.writer, first_pause_s=0.05)
    publisher.register_file("outside", outside)
    assert publisher.wait(DEADLINE_S)
    assert publisher.registered == ()
    (problem,) = publisher.problems
    assert problem.where == "outside"
    assert str(outside) in problem.message
    assert "folder of files" in problem.message
    with connect(served.uri, served.keys.reader) as client:
        assert "outside" not in client.files


def test_keys_stay_private(served, known):
    keys = (served.keys.writer, served.keys.reader)
    process = Path(f"/proc/{served.pid}")
    said = served.folder.log.read_text() + repr(served) + repr(served.keys)
    said += (process / "cmdline").read_text() + (process / "environ").read_text()
    said += served.folder.state.read_text()
    for path in served.folder.config.iterdir():
        said += path.read_text()
    assert not any(key in said for key in keys)
    own = [path for path in served.folder.root.rglob("*") if path.is_file()]
    names = {path.name for path in own if path.parent == served.folder.root}
    assert {"writer.key", "reader.key", "server.log", "catalog.db", "authentication.db"} <= names
    public = [path for path in own if path.stat().st_mode & 0o077]
    assert {path.parent for path in public} <= {served.folder.files}


def test_nobody_can_log_in_with_a_password(served):
    form = "grant_type=password&username={}&password={}"
    for name, password in (("", ""), ("admin", "admin"), ("beamline-writer", "")):
        answer = httpx.post(
            f"{served.uri}/api/v1/auth/provider/keys_only/token",
            content=form.format(name, password),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            trust_env=False,
            timeout=DEADLINE_S,
        )
        assert answer.status_code in (401, 422)
        assert "access_token" not in answer.text


@pytest.mark.slow("a start of Tiled of its own")
def test_the_environment_cannot_open_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("TILED_EXPOSE_RAW_ASSETS", "true")
    monkeypatch.setenv("TILED_ALLOW_ANONYMOUS_ACCESS", "true")
    monkeypatch.setenv("TILED_SINGLE_USER_API_KEY", "known")
    with TiledServer(tmp_path / "tiled") as server:
        assert ask(server, "/api/v1/metadata/")[0] == 401
        assert ask(server, "/api/v1/metadata/", "known")[0] == 401
        about = json.loads(ask(server, "/api/v1/")[1])
        assert about["authentication"]["required"]


# The server's process


@pytest.mark.slow("several starts of Tiled")
def test_a_second_start_keeps_what_is_there_and_forgets_deleted_keys(mortal):
    server = mortal()
    assert (
        httpx.get(f"{server.uri}/healthz", trust_env=False, timeout=DEADLINE_S).status_code == 200
    )
    uid = "a run that was kept"
    with connect(folder=server.folder.root, write=True) as client:
        client.runs.create_container(uid, metadata={"start": {"uid": uid}})
    pid = server.pid
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert server.folder.running() is None
    with pytest.raises(ServerError, match="no Tiled server runs"):
        connect(folder=server.folder.root)

    old = server.keys
    (server.folder.root / "reader.key").unlink()
    again = mortal()
    assert again.keys.writer == old.writer
    assert again.keys.reader != old.reader
    assert ask(again, "/api/v1/metadata/runs", old.reader)[0] == 401
    with connect(folder=again.folder.root) as client:
        assert client.runs[uid].metadata["start"]["uid"] == uid


@pytest.mark.slow("starts Tiled twice")
def test_a_killed_server_is_not_believed_to_run(mortal):
    first = mortal()
    folder = first.folder
    assert folder.running() == {
        "uri": first.uri,
        "pid": first.pid,
        "files": str(folder.files),
    }
    kill(first)
    assert folder.state.exists()
    assert folder.running() is None
    with pytest.raises(ServerError, match="no Tiled server runs"):
        connect(folder=folder.root)
    again = mortal()
    assert folder.running()["pid"] == again.pid


@pytest.mark.slow("starts Tiled once more")
def test_the_folder_of_files_is_found_by_the_data_folder(tmp_path):
    with TiledServer(tmp_path / "tiled", files=tmp_path / "elsewhere"):
        state = DataFolder.at(tmp_path / "tiled").running()
    assert state is not None
    assert state["files"] == str(tmp_path / "elsewhere")


def test_one_server_to_a_folder(served):
    with pytest.raises(ServerError, match="already served") as caught:
        TiledServer(served.folder.root).start()
    assert served.uri in str(caught.value)
    assert ask(served, "/healthz")[0] == 200


def test_a_taken_port_is_named(served, tmp_path):
    port = port_of(served)
    with pytest.raises(ServerError, match=rf"cannot listen on 127.0.0.1 port {port}"):
        TiledServer(tmp_path / "tiled", port=port).start()


@pytest.mark.slow("a start of Tiled of its own")
def test_a_broken_configuration_is_named(tmp_path):
    server = TiledServer(tmp_path / "tiled")
    server.folder.prepare()
    (server.folder.config / "10-server.yml").write_text("nonsense: true\n")
    with pytest.raises(ServerError, match=r"configuration in .* is not valid"):
        server.start()
    assert server.pid is None


def test_a_server_that_never_gets_ready_is_ended(tmp_path):
    server = TiledServer(tmp_path / "tiled", timeout=0.01)
    with pytest.raises(ServerError, match=r"did not start within"):
        server.start()
    assert server.pid is None


@pytest.mark.slow("a start of Tiled of its own")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_until_a_signal(tmp_path, foreground, number):
    process, said = foreground(tmp_path / "tiled")
    assert (
        httpx.get(f"{said['uri']}/healthz", trust_env=False, timeout=DEADLINE_S).status_code == 200
    )
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(said["pid"], 0)


@pytest.mark.slow("a start of Tiled of its own")
def test_the_server_ends_with_a_killed_parent(tmp_path, foreground, ended):
    process, said = foreground(tmp_path / "tiled")
    handle = said["pid"]
    process.kill()
    process.wait(DEADLINE_S)
    assert ended(handle)


@pytest.mark.slow("a start of Tiled of its own")
def test_in_the_foreground_a_dead_server_is_an_error(tmp_path, foreground):
    process, said = foreground(tmp_path / "tiled")
    os.kill(said["pid"], signal.SIGKILL)
    assert process.wait(DEADLINE_S) == 1
    assert "ended by itself" in process.stderr.read()


FOREGROUND = """
import json, sys
from beamline_ophyd.serving import DataFolder, ServerError, serve_forever

def ready(server):
    print(json.dumps({"uri": server.uri, "pid": server.pid}), flush=True)

try:
    serve_forever(sys.argv[1], port=0, on_ready=ready)
except ServerError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def foreground():
    """Run serve_forever in a process of its own; returns the process and what it said."""
    processes = []

    def start(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", FOREGROUND, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in processes:
        end(process)
        process.communicate(timeout=DEADLINE_S)
