import pytest
from bluesky import RunEngine
from ophyd.sim import SynAxis

from beamline_ophyd.plans import _steps

from .doubles import Gate, Timed


@pytest.fixture
def impatient(monkeypatch):
    """Plans that give up after a second, which a device that is well never needs."""
    monkeypatch.setattr(_steps, "MARGIN_S", 1.0)


@pytest.fixture
def engine():
    run_engine = RunEngine({}, context_managers=[])
    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, doc)))
    run_engine.documents = documents
    yield run_engine
    run_engine.loop.call_soon_threadsafe(run_engine.loop.stop)


@pytest.fixture
def energy():
    return SynAxis(name="energy")


@pytest.fixture
def detectors():
    return [Timed("i0"), Timed("it")]


@pytest.fixture
def gate():
    return Gate()
