import pytest
from bluesky import RunEngine
from ophyd.sim import SynAxis

from beamline_ophyd.plans import _steps

from .doubles import Gate, Timed


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(_steps, "MARGIN_S", 0.2)


@pytest.fixture
def engine():
    run_engine = RunEngine({}, context_managers=[])
    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, doc)))
    run_engine.documents = documents
    return run_engine


@pytest.fixture
def energy():
    return SynAxis(name="energy")


@pytest.fixture
def detectors():
    return [Timed("i0"), Timed("it")]


@pytest.fixture
def gate():
    return Gate()
