"""A real device server for every test that wants one; runs as documents; measured spectra.

EPICS client libraries read their environment once, so it is set here, before any of them is loaded:
they look for PVs on the loopback ports of this run's servers and nowhere else.
"""

import logging
import os
import signal
from pathlib import Path

import epicscorelibs.path.pyepics  # noqa: F401  pyepics uses the library of the other clients
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from beamline_ophyd.simulator import DeviceServer, free_ports

SPEED = 200.0

# The same examples at every run; a machine that is busy for a moment fails none of them.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("fixed")

# In one range, so that none of them can be another.
_pva, _pva_udp, _pva_second, _pva_second_udp, _ca, _ca_second, _repeater = free_ports(
    7, adjacent=True
)
os.environ.update(
    EPICS_CA_ADDR_LIST=f"127.0.0.1:{_ca} 127.0.0.1:{_ca_second}",
    EPICS_CA_AUTO_ADDR_LIST="NO",
    EPICS_CA_SERVER_PORT=str(_ca),
    EPICS_CA_REPEATER_PORT=str(_repeater),
    EPICS_PVA_ADDR_LIST=f"127.0.0.1:{_pva_udp} 127.0.0.1:{_pva_second_udp}",
    EPICS_PVA_AUTO_ADDR_LIST="NO",
    EPICS_PVA_SERVER_PORT=str(_pva),
    EPICS_PVA_BROADCAST_PORT=str(_pva_udp),
)


@pytest.fixture(autouse=True)
def as_it_was():
    """Bring back what belongs to the whole process and a test may leave changed.

    The command line, run in this process, sets levels and filters of loggers, and a session takes
    Ctrl-C: neither is to decide what the next test sees.
    """
    loggers = {name: _state_of(logger) for name, logger in _loggers().items()}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    environment, folder = _environment(), Path.cwd()
    yield
    present = _loggers()
    for name, state in loggers.items():
        if _state_of(present[name]) != state:
            _bring_back(present[name], *state)
    for number, handler in handlers.items():
        if handler is not None:
            signal.signal(number, handler)
    for name in _environment().keys() - environment:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(folder)


def _environment():
    words = ("BEAMLINE_", "EPICS_", "TILED_")
    return {name: value for name, value in os.environ.items() if name.startswith(words)}


def _loggers():
    for name in ("beamline_ophyd", "bluesky", "ophyd", "tiled"):
        logging.getLogger(name)  # there before a test is the first to set it
    found = logging.root.manager.loggerDict.items()
    named = {name: logger for name, logger in found if isinstance(logger, logging.Logger)}
    return {"": logging.root, **named}


def _state_of(logger):
    lists = list(logger.handlers), list(logger.filters)
    return logger.level, logger.propagate, logger.disabled, *lists


def _bring_back(logger, level, propagate, disabled, handlers, filters):
    logger.setLevel(level)
    logger.propagate, logger.disabled = propagate, disabled
    logger.handlers[:], logger.filters[:] = handlers, filters


@pytest.fixture(scope="session")
def ioc():
    """The device server of this run, with prefix BL02:, its fixed seed and a high speed."""
    with DeviceServer(port=_ca, pva_port=_pva, seed=1, speed=SPEED) as server:
        yield server


@pytest.fixture
def start_ioc():
    """Start a second server for one test: start_ioc(prefix="B:", ...). Prefixes must differ."""
    started = []

    def start(**options):
        for server in started:
            server.stop()
        server = DeviceServer(port=_ca_second, pva_port=_pva_second, **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def door(ioc):
    """The way on which the running server is brought back; its channels are found only once."""
    from p4p.client.thread import Context

    from .pvs import SideDoor

    with Context("pva") as context:
        yield SideDoor(ioc.prefix, context)


@pytest.fixture
def bl(ioc, door):
    """The PVs of the running server, brought back afterwards to how a start leaves them."""
    from .pvs import Beamline

    beamline = Beamline(ioc.prefix)
    yield beamline
    beamline.get("SIM:SPEED")  # served in turn: after every put that nobody waited for
    beamline.close()
    door.reset(SPEED)


@pytest.fixture(scope="module")
def lent(ioc, door):
    """The running server for what a whole module uses, brought back when that is over."""
    yield ioc
    door.reset(SPEED)


@pytest.fixture
def pva(ioc):
    """PVAccess tells why a put is refused; pyepics drops the status of a put."""
    from p4p.client.thread import Context

    with Context("pva") as context:
        yield context


@pytest.fixture(scope="session")
def xafs_documents():
    """Makes the documents of an absorption scan: xafs_documents(points, repeats, ...)."""
    from .runs import make_xafs_documents

    return make_xafs_documents


@pytest.fixture(scope="session")
def reference_data():
    """Folder of the measured spectra."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BEAMLINE_REFERENCE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"the measured spectra are not at {folder}; set BEAMLINE_REFERENCE_DATA")
    return folder


@pytest.fixture(scope="session")
def measured_columns(reference_data):
    """Reads a measured spectrum: name of the file to role to values."""

    def read(name):
        lines = (reference_data / name).read_text().splitlines()
        names = {}
        for line in lines:
            if line.lower().startswith("# column."):
                number, rest = line.split(".", 1)[1].split(":", 1)
                names[rest.split()[0].lower()] = int(number) - 1
        table = np.array([line.split() for line in lines if line and line[0] != "#"], dtype=float)
        roles = ("energy", "i0", "itrans", "irefer")
        return {role: table[:, names[role]] for role in roles if role in names}

    return read


@pytest.fixture
def side(door):
    """The PVs of the running server by a way that other clients in this process do not share."""
    yield door
    door.reset(SPEED)
