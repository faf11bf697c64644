"""A Ctrl-C that the system hands to another thread than the main one."""

import signal
import threading

import pytest
from bluesky import RunEngine, RunEngineInterrupted
from bluesky import plan_stubs as bps

from beamline_ophyd.plans import InterruptibleTask

DEADLINE_S = 60


def checkpoints(begun, over):
    while not over.is_set():
        yield from bps.checkpoint()
        begun.set()
        yield from bps.sleep(0.01)


@pytest.fixture
def press():
    """Run a plan with a thread that gets the signal, waits, and then lets the plan end."""
    begun, over = threading.Event(), threading.Event()

    def sleeper():
        begun.wait(DEADLINE_S)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        over.wait(DEADLINE_S)
        over.set()

    def run(engine):
        thread = threading.Thread(target=sleeper)
        thread.start()
        try:
            engine(checkpoints(begun, over))
        finally:
            over.set()
            thread.join(DEADLINE_S)

    return run


def test_a_plan_pauses_whichever_thread_the_system_gives_the_signal(press):
    engine = RunEngine({}, during_task=InterruptibleTask())
    with pytest.raises(RunEngineInterrupted):
        press(engine)
    assert engine.state == "paused"
    engine.halt()
