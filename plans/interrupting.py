"""What lets one Ctrl-C reach a running plan, always."""

import threading

from bluesky.utils import DefaultDuringTask

__all__ = ["InterruptibleTask"]

LOOK_EVERY_S = 0.1  # a keystroke that waits so long is not felt to wait


class InterruptibleTask(DefaultDuringTask):
    """What the main thread does while a plan runs: bluesky's own, but it notices Ctrl-C.

    Python runs the handler of a signal in the main thread, once that thread is awake. Where
    the system hands the signal to another thread, as it may, one that waits without an end
    sleeps on, and the Ctrl-C is lost until the plan is over. So the wait is cut in pieces.

    Examples
    --------
    >>> from bluesky import RunEngine
    >>> from beamline_ophyd.plans import InterruptibleTask
    >>> RE = RunEngine({}, during_task=InterruptibleTask())
    """

    def block(self, blocking_event: threading.Event) -> None:
        """Wait until the plan has ended or paused.

        Parameters
        ----------
        blocking_event : threading.Event
            Set by the RunEngine then.
        """
        super().block(_AwakeInBetween(blocking_event))


class _AwakeInBetween:
    """An event whose wait without an end is one of many short ones."""

    def __init__(self, event: threading.Event):
        self._event = event

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            return self._event.wait(timeout)
        while not self._event.wait(LOOK_EVERY_S):
            pass
        return True
