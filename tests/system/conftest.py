"""Processes of the system tests, each with a deadline and none left behind."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from beamline_ophyd.serving import TiledServer, connect

from ..processes import DEADLINE_S, end


class Scanning:
    """The process of scanning.py, and what it tells."""

    def __init__(self, folder, *arguments):
        self.folder = Path(folder)
        script = Path(__file__).with_name("scanning.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(folder), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        self._watchdog = threading.Timer(DEADLINE_S, self.process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def _drain(self):
        assert self.process.stderr is not None
        self._errors.extend(self.process.stderr)

    @property
    def stderr(self):
        return "".join(self._errors)

    def until(self, key, value=None):
        """The next line that says `key`, and `value` where one is given."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if key in said and (value is None or said[key] == value):
                return said[key]
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        raise AssertionError(f"the scanning process ended before {key}: {self.stderr}")

    def close(self):
        self._watchdog.cancel()
        end(self.process)
        self._reader.join(DEADLINE_S)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One Tiled server for all tests of a module that leave it alive."""
    place = tmp_path_factory.mktemp("served")
    with TiledServer(place / "tiled", files=place / "files") as server:
        yield server


@pytest.fixture(scope="module")
def writer(served):
    """A client with the writer's key."""
    with connect(served.uri, served.keys.writer) as client:
        yield client


@pytest.fixture(scope="module")
def reader(served):
    """A client with the reader's key."""
    with connect(served.uri, served.keys.reader) as client:
        yield client


@pytest.fixture
def scanning(tmp_path):
    """Start scanning.py in a folder of its own: scanning(*arguments)."""
    started = []

    def run(*arguments):
        started.append(Scanning(tmp_path, *arguments))
        return started[-1]

    yield run
    for process in started:
        process.close()


@pytest.fixture
def ended():
    """Wait until a process that is no child of ours is gone: ended(pid)."""

    def wait(pid):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        import select

        readable, _, _ = select.select([handle], [], [], DEADLINE_S)
        os.close(handle)
        return bool(readable)

    return wait


@pytest.fixture
def beamline():
    """Run the command line to its end: beamline("demo", "--json", ...)."""
    program = Path(sys.executable).with_name("beamline")

    def run(*arguments, **options):
        return subprocess.run(
            [str(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            **options,
        )

    return run


@pytest.fixture
def begin(side, tmp_path):
    """Start a session in the test's folder: begin(**options); no pages unless asked for."""
    from beamline_ophyd.session import start

    started = []

    def run(**options):
        options = {"progress": False, "report": False, "timeout": 60, **options}
        started.append(start(side.prefix, folder=tmp_path, **options))
        return started[-1]

    yield run
    for session in started:
        session.close()
        session.release()


@pytest.fixture(scope="module")  # while it lives, no other event loop runs in this thread
def browser():
    """A headless browser, which reaches nothing but loopback."""
    from playwright.sync_api import sync_playwright

    from ..environments import system_program

    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-quic",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--no-first-run",
    ]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=system_program("chromium"),
            args=quiet,
            timeout=120_000,
            chromium_sandbox=os.geteuid() != 0,
        )
        yield started
        started.close()
