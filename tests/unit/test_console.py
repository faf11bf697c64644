"""Errors as a person sees them in IPython: one line where one line says it."""

import logging

import pytest
from bluesky import RunEngine
from bluesky.utils import RequestAbort
from IPython.core.interactiveshell import InteractiveShell
from ophyd.sim import SynAxis, SynSignal
from traitlets.config import Config

from beamline_ophyd.console import load_ipython_extension, tell_errors_briefly
from beamline_ophyd.plans import xafs_scan


@pytest.fixture
def shell(monkeypatch):
    monkeypatch.setattr(logging.getLogger("bluesky"), "filters", [])  # programs leave theirs
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("colors", "nocolor")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def at_the_beamline(shell):
    engine = RunEngine({})
    i0, it = (SynSignal(func=lambda: 1.0, name=name) for name in ("i0", "it"))
    shell.push({"RE": engine, "i0": i0, "it": it, "energy": SynAxis(name="energy")})
    shell.push({"xafs_scan": xafs_scan})
    yield shell
    engine.loop.call_soon_threadsafe(engine.loop.stop)


def test_a_misspelt_edge_is_told_in_a_line(at_the_beamline, capsys, caplog):
    load_ipython_extension(at_the_beamline)
    at_the_beamline.run_cell('RE(xafs_scan([i0, it], energy, "Fe-Q", fixed_dwell=True))')
    told = capsys.readouterr().out
    assert "GridError: edge 'Fe-Q' is not understood; write it like 'Fe-K'" in told
    assert "Traceback" not in told
    assert len(told.splitlines()) < 5
    assert [record.exc_info for record in caplog.records if record.msg == "Run aborted"] == [None]
    at_the_beamline.run_line_magic("tb", "")
    assert "edges.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    "code", ["1 / 0", "energie", "xafs_scan([i0, it], energy)", "def f():\n    f.x\nf()"]
)
def test_an_error_of_ones_own_keeps_its_place(at_the_beamline, code, capsys):
    load_ipython_extension(at_the_beamline)
    at_the_beamline.run_cell(code)
    told = capsys.readouterr().out
    assert "Traceback" in told
    assert code.splitlines()[-1] in told


def test_an_abort_asked_for_has_no_traceback_to_show(at_the_beamline, caplog):
    load_ipython_extension(at_the_beamline)
    logger = logging.getLogger("bluesky")
    try:
        raise RequestAbort
    except RequestAbort:
        logger.exception("Run aborted")
    logger.warning("No open traces left to close!")
    logger.warning("anything else")
    assert [record.msg for record in caplog.records] == ["anything else"]


def test_the_session_does_it_wherever_ipython_runs(at_the_beamline, capsys):
    tell_errors_briefly()
    at_the_beamline.run_cell("RE(xafs_scan([], energy, 'Fe-K'))")
    assert "Traceback" not in capsys.readouterr().out
