"""The hang of ophyd's positioners: forced, and absent from the project's; the issue text for it."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ophyd import EpicsMotor
from ophyd.status import WaitTimeoutError

from beamline_ophyd.devices import Axis

DEADLINE_S = 60.0
ISSUE = Path(__file__).parents[2] / "docs" / "explanation" / "ophyd-done-moving.md"


@pytest.fixture
def second_move(connected):
    """Make two moves, the second begun while the first one is being ended: second_move(cls)."""

    def move(cls):
        motor = connected(cls, "SAMPLE:X", name="x")
        arrived = threading.Semaphore(0)
        motor.subscribe(lambda **_: arrived.release(), event_type=motor.SUB_DONE, run=False)
        begun = []

        def next_move(_):
            # As in a RunEngine: a callback of the status wakes another thread, which goes on. That
            # this one waits for it is the interleaving that otherwise takes luck.
            engine = threading.Thread(target=lambda: begun.append(motor.set(20.0)))
            engine.start()
            engine.join(DEADLINE_S)

        motor.set(10.0).add_callback(next_move)
        for _ in range(2):
            assert arrived.acquire(timeout=DEADLINE_S), "the motor did not stop"
        assert motor.position == 20.0
        return begun[0]

    return move


def test_the_class_of_ophyd_loses_the_end_of_the_second_move(second_move):
    """When this fails, ophyd is mended: decision 3 and the issue text have served."""
    status = second_move(EpicsMotor)
    with pytest.raises(WaitTimeoutError):
        status.wait(0.5)


def test_the_class_of_the_project_ends_the_second_move(second_move):
    status = second_move(Axis)
    status.wait(DEADLINE_S)
    assert status.success


def scripts():
    return re.findall(r"```python\n(.*?)```", ISSUE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("change", "said"), [("", "False"), ("proposed", "True")])
def test_the_issue_says_what_is_so(change, said):
    reproduce, proposed = scripts()
    if change:
        lines = [f"    {line}" if line else line for line in proposed.splitlines()]
        anchor = "    def arrive(self):"
        assert anchor in reproduce
        reproduce = reproduce.replace(anchor, "\n".join([*lines, "", anchor]))
    result = subprocess.run(
        [sys.executable, "-c", reproduce], capture_output=True, text=True, timeout=180, check=True
    )
    assert result.stdout == f"the second move has ended: {said}\n"
