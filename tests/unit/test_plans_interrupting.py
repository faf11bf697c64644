"""A Ctrl-C that the system hands to another thread than the main one."""

import signal
import threading

import pytest
from bluesky import RunEngine, RunEngineInterrupted
from bluesky import plan_stubs as bps

from beamline_ophyd.plans import InterruptibleTask


def checkpoints(begun, over):
    while not over.is_set():
        yield from bps.checkpoint()
        begun.set()
        yield from bps.sleep(0.01)


@pytest.fixture
def press():
    """Run a plan with a thread that gets the signal, waits, and then lets the plan end."""
    begun, over = threading.Event(), threading.Event()

    def sleeper(limit_s):
        begun.wait(60)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        over.wait(limit_s)
        over.set()

    def run(engine, limit_s):
        thread = threading.Thread(target=sleeper, args=(limit_s,))
        thread.start()
        try:
            engine(checkpoints(begun, over))
        finally:
            over.set()
            thread.join(60)

    return run


def test_a_plan_pauses_whichever_thread_the_system_gives_the_signal(press):
    engine = RunEngine({}, during_task=InterruptibleTask())
    with pytest.raises(RunEngineInterrupted):
        press(engine, limit_s=60)
    assert engine.state == "paused"
    engine.halt()


def test_bluesky_alone_does_not_notice_it(press):
    """When this fails, bluesky has learnt it and the class can go."""
    press(RunEngine({}), limit_s=1)  # the plan ends by itself, unpaused
