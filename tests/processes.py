"""Child processes that no test leaves behind, and for which none waits without end."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DEADLINE_S", "child", "end"]

DEADLINE_S = 180.0
"""For a process that loads everything, on a machine that is slow and busy."""


@contextlib.contextmanager
def child(
    command: Sequence[str | Path], *, deadline_s: float = DEADLINE_S, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    """Run a program as subprocess.Popen does; it is killed at the deadline and after the block.

    Whoever reads what it says comes to the end of that when it is killed.
    """
    with subprocess.Popen([str(word) for word in command], **options) as process:
        watchdog = threading.Timer(deadline_s, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that holds nothing, by the one signal that it cannot put off."""
    process.kill()
    process.wait(DEADLINE_S)
