"""Two Tiled servers behind one address, over a real PostgreSQL and a real Redis."""

import contextlib
import dataclasses
import os
import queue
import secrets
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import h5py
import httpx
import pyarrow
import pytest
from bluesky import RunEngine
from bluesky.plans import list_scan
from bluesky_tiled_plugins.streaming import subscribe_to_streams
from ophyd.sim import SynAxis, SynSignal
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management
from tiled.structures.table import TableStructure

from beamline_ophyd.callbacks import Journal, NXxasWriter, TiledPublisher
from beamline_ophyd.serving import ServerError, TiledServer, connect, live
from beamline_ophyd.serving.files import register_file
from beamline_ophyd.simulator import free_ports

from ..documentation import run_page
from ..environments import postgresql_program
from ..services import haproxy, postgresql, redis_server
from .hostile import SECRET, change_source, get, register

pytestmark = [
    pytest.mark.slow("PostgreSQL, Redis, haproxy and two starts of Tiled"),
    pytest.mark.timeout(900),
]

FACILITY = Path(__file__).parents[2] / "docs" / "examples" / "facility"
DEADLINE_S = 120.0


class Facility:
    """Two servers and the address in front of them."""

    def __init__(self, place):
        self.place = place
        self.passwords: list[str] = []
        self.redis, self.redis_port = contextlib.ExitStack(), 0
        self.redis_password = secrets.token_hex(16)
        *ports, port = free_ports(3)
        ports = dict(zip("ab", ports, strict=True))
        self.servers = {name: self.server(name, port) for name, port in ports.items()}
        self.addresses = {
            "BEAMLINE_ADDRESS": f"127.0.0.1:{port}",
            **{f"BEAMLINE_TILED_{n.upper()}": f"127.0.0.1:{p}" for n, p in ports.items()},
        }
        self.uri = f"http://127.0.0.1:{port}"

    def server(self, name, port=0, config=FACILITY / "tiled.yml"):
        return TiledServer(
            self.place / "tiled",
            files=self.place / "files",
            config=config,
            name=name,
            port=port,
            timeout=DEADLINE_S,
        )

    @property
    def a(self):
        return self.servers["a"]

    @property
    def b(self):
        return self.servers["b"]

    @property
    def keys(self):
        return self.a.keys

    def start_redis(self):
        settings = {"password": self.redis_password, "port": self.redis_port}
        self.redis_port = self.redis.enter_context(redis_server(self.place, **settings))

    @contextlib.contextmanager
    def without_redis(self):
        """It ends, and comes back with nothing of what it had."""
        self.redis.close()
        try:
            yield
        finally:
            self.start_redis()

    def start(self):
        """Both at once, as after a power failure: the first start makes all tables."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(TiledServer.start, self.servers.values()))

    def stop(self):
        for server in self.servers.values():
            server.stop()

    def read(self, address=None):
        return connect(address or self.uri, self.keys.reader)


def psql(environment, *arguments, **options):
    subprocess.run(
        [
            postgresql_program("psql"),
            "-qX",
            "--dbname=postgres",
            "--set=ON_ERROR_STOP=1",
            *arguments,
        ],
        env={**os.environ, **environment},
        check=True,
        timeout=DEADLINE_S,
        **options,
    )


@pytest.fixture(scope="module")
def facility(tmp_path_factory):
    place = tmp_path_factory.mktemp("facility")
    database_password = secrets.token_hex(16)
    facility = Facility(place)
    with contextlib.ExitStack() as stack:
        admin = stack.enter_context(postgresql())
        psql(admin, f"--file={FACILITY / 'databases.sql'}")
        word = f"ALTER ROLE beamline PASSWORD '{database_password}'"
        psql(admin, input=word, text=True)
        stack.callback(facility.redis.close)
        facility.start_redis()
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            **admin,
            "PGUSER": "beamline",
            "PGPASSWORD": database_password,
            "BEAMLINE_REDIS": f"redis://:{facility.redis_password}@127.0.0.1:{facility.redis_port}/0",
        }.items():
            environment.setenv(name, value)
        facility.passwords += [database_password, facility.redis_password]
        stack.callback(facility.stop)
        facility.start()
        stack.enter_context(haproxy(FACILITY / "haproxy.cfg", **facility.addresses))
        yield facility


@pytest.fixture
def publish(tmp_path):
    """A journal and a publisher to an address, which end with the test."""
    with contextlib.ExitStack() as stack:

        def start(facility, address):
            journal = Journal(tmp_path / "journal")
            publisher = TiledPublisher(
                address,
                facility.keys.writer,
                journal=journal,
                batch_age_s=0.05,
                first_pause_s=0.2,
            )
            stack.callback(publisher.close, 1.0)
            return journal, publisher

        yield start


class Follower:
    """`live` on a thread of its own."""

    def __init__(self, facility, address, uid):
        self.points: queue.Queue[dict] = queue.Queue()
        self.seen: list[int] = []
        self._thread = threading.Thread(
            target=self._follow, args=(facility, address, uid), daemon=True
        )
        self._thread.start()

    def _follow(self, facility, address, uid):
        with facility.read(address) as client:
            for point in live(client.runs[uid]):
                self.points.put(point)

    def until(self, number):
        """Every point up to a number, in order."""
        while not self.seen or self.seen[-1] != number:
            self.seen.append(self.points.get(timeout=DEADLINE_S)["seq_num"])
        assert self.seen == list(range(1, number + 1))

    def join(self):
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self.points.empty()


def test_what_is_written_through_one_is_followed_through_the_other(
    facility, publish, xafs_documents, tmp_path
):
    documents = xafs_documents(points=8)
    uid = documents[0][1]["uid"]
    journal, publisher = publish(facility, facility.a.uri)
    nexus = NXxasWriter(facility.a.folder.files, on_file=publisher.register_file, journal=journal)
    streamed: queue.Queue[list[float]] = queue.Queue()
    with facility.read(facility.b.uri) as client:
        subscription = subscribe_to_streams(
            client.runs,
            lambda update: streamed.put(list(update.data()["mono_energy"])),
            streams={"primary": None},
            metadata_filter=lambda start: start["uid"] == uid,
        )
        with subscription:
            follower = None
            for name, doc in documents:
                for callback in (journal, nexus, publisher):
                    callback(name, doc)
                if name == "descriptor":
                    assert publisher.wait(DEADLINE_S)
                    follower = Follower(facility, facility.b.uri, uid)
                elif name == "event":  # is seen by both before there is another
                    assert follower is not None
                    follower.until(doc["seq_num"])
                    assert streamed.get(timeout=DEADLINE_S) == [doc["data"]["mono_energy"]]
            assert follower is not None
            follower.join()
        assert nexus.wait(DEADLINE_S)
        assert publisher.wait(DEADLINE_S)
        assert publisher.problems == []
        energy = [doc["data"]["mono_energy"] for name, doc in documents if name == "event"]
        assert client.runs[uid].primary.read()["mono_energy"].to_numpy().tolist() == energy
        assert len(client.runs[uid].mu()) == 8

    with facility.read() as client:
        saved = client.download(uid, to=tmp_path)
        assert saved.read_bytes() == nexus.files[uid].read_bytes()
        (found,) = client.search(element="Fe", sample="Fe foil")
        assert found == uid
        intensity = client.files[uid, "entry", "data", "intensity"].read()
        with h5py.File(saved) as file:
            assert intensity.tolist() == list(file["entry/data/intensity"])


def test_a_server_that_is_killed_in_mid_scan_is_not_missed(facility, publish, caplog):
    journal, publisher = publish(facility, facility.uri)
    engine = RunEngine({}, context_managers=[])
    for callback in (journal, publisher):
        engine.subscribe(callback)
    followers: list[Follower] = []
    points, killed_at = 30, 10

    def follow(name, doc):
        number = doc["seq_num"]
        if number == 1:
            assert publisher.wait(DEADLINE_S)
            # Two, since the proxy spreads them: one is on the server that goes.
            uid = engine.md["uid"]
            followers.extend(Follower(facility, facility.uri, uid) for _ in range(2))
        if number in (killed_at, points):
            for follower in followers:
                follower.until(number)
        if number == killed_at:
            os.kill(facility.a.pid, signal.SIGKILL)

    engine.subscribe(lambda _, doc: engine.md.update(uid=doc["uid"]), "start")
    engine.subscribe(follow, "event")
    motor = SynAxis(name="motor")
    counter = SynSignal(name="counter", func=lambda: 2.0 * motor.position)
    port = urlsplit(facility.a.uri).port
    places = [0.5 * n for n in range(points)]
    engine(list_scan([counter], motor, places))
    uid = engine.md["uid"]
    try:
        assert publisher.wait(DEADLINE_S)
        assert publisher.published == (uid,)
        assert not publisher.away
        for follower in followers:
            follower.join()
        with facility.read(facility.b.uri) as client:
            assert client.runs[uid].primary.read()["motor"].to_numpy().tolist() == places
    finally:
        facility.a.stop()
        facility.servers["a"] = facility.server("a", port).start()
    with facility.read(facility.a.uri) as client:
        assert client.runs[uid].metadata["stop"]["exit_status"] == "success"
        assert client.runs[uid].primary.read()["counter"].to_numpy().tolist() == [
            2 * place for place in places
        ]


def said(server, word):
    return server.folder.log.read_text().count(word)


def test_without_redis_a_scan_is_kept_and_followed(facility, publish, xafs_documents):
    """As `docs/how-to/grow-past-one-machine.md` says."""
    documents = xafs_documents(points=12, uid="without-redis")
    journal, publisher = publish(facility, facility.a.uri)
    with facility.read(facility.b.uri) as reader, contextlib.ExitStack() as outage:
        follower = None
        for name, doc in documents:
            journal(name, doc)
            publisher(name, doc)
            number = doc.get("seq_num")
            if number == 1:
                assert publisher.wait(DEADLINE_S)
                follower = Follower(facility, facility.b.uri, "without-redis")
            if number in (4, 8, 12):
                assert follower is not None
                follower.until(number)
            if number == 4:
                outage.enter_context(facility.without_redis())
            if number == 8:
                # They came from the database, and the newest state is missed in words.
                assert len(reader.runs["without-redis"].primary.read()["time"]) == 8
                answer = get(facility.b, "watch/state")
                assert answer.status_code == 503
                assert "Redis, which has the newest state, is away" in answer.text
                outage.close()
        assert publisher.wait(DEADLINE_S)
        assert publisher.problems == []
        assert publisher.published == ("without-redis",)
        assert follower is not None
        follower.join()
        energy = [doc["data"]["mono_energy"] for name, doc in documents if name == "event"]
        read = reader.runs["without-redis"].primary.read()["mono_energy"]
        assert read.to_numpy().tolist() == energy
    assert said(facility.a, "Redis cannot be used") == 1
    deadline = time.monotonic() + DEADLINE_S
    with connect(facility.a.uri, facility.keys.writer) as client:
        rows = pyarrow.table({"x": [1.0]})
        table = client.files.create_appendable_table(schema=rows.schema, key="after redis")
        while not said(facility.a, "Redis can be used again"):
            assert time.monotonic() < deadline
            table.append_partition(0, rows)
    assert said(facility.a, "Traceback") == 0


def test_files_are_moved_as_the_page_says(facility, xafs_documents, tmp_path, monkeypatch):
    documents = xafs_documents(points=5, uid="moved-here")
    moved = facility.a.folder.files / "moved"
    moved.mkdir()
    nexus = NXxasWriter(moved)
    for name, doc in documents:
        nexus(name, doc)
    assert nexus.wait(DEADLINE_S)
    (tmp_path / "files").symlink_to(moved)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEAMLINE_TILED_URI", facility.uri)
    monkeypatch.setenv("TILED_API_KEY", facility.keys.writer)
    run_page("how-to/grow-past-one-machine.md")
    with facility.read() as client:
        found = client.download("moved-here", to=tmp_path)
    assert found.read_bytes() == nexus.files["moved-here"].read_bytes()


def test_points_come_in_their_order_whatever_the_database_does(facility):
    rows = pyarrow.table({"seq_num": [3, 1, 2], "time": [3.0, 1.0, 2.0], "x": [0.3, 0.1, 0.2]})
    with connect(facility.uri, facility.keys.writer) as client:
        table = client.files.create_appendable_table(schema=rows.schema, key="in order")
        table.append_partition(0, rows)
        for read in (table.read, lambda: table.read_partition(0)):
            assert read()["x"].tolist() == [0.1, 0.2, 0.3]


def test_the_watch_page_of_every_server_shows_the_newest_state(facility):
    for number, (to, at) in enumerate([(facility.a, facility.b), (facility.b, facility.a)]):
        answer = httpx.put(
            f"{to.uri}/api/v1/watch/state",
            json={"number": number},
            headers={"Authorization": f"Apikey {facility.keys.writer}"},
            trust_env=False,
            timeout=DEADLINE_S,
        )
        assert answer.status_code == 204
        assert get(at, "watch/state").json() == {"number": number}


def test_nothing_leads_out_of_the_folder_of_files(facility):
    server = facility.b
    outside = facility.place / "outside.h5"
    files = server.folder.files
    linked, whole = files / "linked.nxs", files / "whole.nxs"
    for path in (outside, whole):
        with h5py.File(path, "w") as file:
            file["x"] = [SECRET]
    with h5py.File(linked, "w") as file:
        file["x"] = h5py.ExternalLink(str(outside), "/x")
    symlink = files / "symlink.nxs"
    symlink.symlink_to(outside)
    paths = {
        "dots": f"{files}/../{outside.name}",
        "absolute": str(outside),
        "symlink": str(symlink),
        "linked": str(linked),
    }
    with connect(server.uri, server.keys.writer) as client:
        for key, path in paths.items():
            register(client, key, path, None)
            for what in (f"array/full/files/{key}/x?format=json", f"download/{key}/nxs"):
                answer = get(server, what)
                assert answer.status_code == 403, (key, what)
                assert str(SECRET) not in answer.text
        register_file(client.root, "whole", whole)
    assert get(server, "download/whole/nxs").content == whole.read_bytes()
    for key in ("00ff" * 18, "not hexadecimal"):
        assert get(server, "download/whole/nxs", key).status_code == 401
    for kind in ("bytes", "manifest"):
        assert "raw assets" in get(server, f"asset/{kind}/files/whole", id=1).text


@pytest.mark.parametrize("other", ["pg_roles", "pg_read_file('/etc/hostname')"])
def test_a_table_leads_to_no_other(facility, other):
    rows = pyarrow.table({"rolname": ["x"]})
    with connect(facility.uri, facility.keys.writer) as client:
        table = client.files.create_appendable_table(schema=rows.schema, key=other[:7])
        table.append_partition(0, rows)
        assert get(facility, f"table/full/files/{other[:7]}").status_code == 200
        (source,) = table.data_sources()
    changed = dataclasses.asdict(source)
    changed["parameters"]["table_name"] = other
    assert change_source(facility, f"files/{other[:7]}", changed).status_code == 200
    answer = get(facility, f"table/full/files/{other[:7]}", format="text/csv")
    assert answer.status_code >= 400
    assert "beamline" not in answer.text


def test_no_table_leads_to_the_accounts(facility):
    asset = Asset(
        data_uri="postgresql:///beamline_accounts",
        is_directory=False,
        parameter="data_uri",
        num=None,
    )
    source = DataSource(
        structure_family=StructureFamily.table,
        structure=TableStructure.from_schema(pyarrow.schema({"first_eight": pyarrow.string()})),
        mimetype="application/x-tiled-sql-table",
        parameters={"table_name": "api_keys", "dataset_id": 1},
        management=Management.external,
        assets=[asset],
    )
    key = "accounts"
    with connect(facility.uri, facility.keys.writer) as client:
        client.files.new(StructureFamily.table, [source], key=key, metadata={}, specs=[])
    answer = get(facility, f"table/full/files/{key}", format="text/csv")
    assert answer.status_code == 403, answer.text
    assert facility.keys.reader[:8] not in answer.text


def test_passwords_and_keys_stay_where_they_are(facility):
    folder = facility.a.folder.root
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"]
    said = "".join(path.read_text() for path in files)
    for server in facility.servers.values():
        said += Path(f"/proc/{server.pid}/cmdline").read_text() + repr(server)
    secret = [*facility.passwords, facility.keys.writer, facility.keys.reader]
    assert not [each for each in secret if each in said]
    private = [path for path in folder.rglob("*") if path.stat().st_mode & 0o077]
    assert private == []


def test_a_name_is_taken_once(facility):
    with pytest.raises(ServerError, match="already served"):
        facility.server("a").start()
