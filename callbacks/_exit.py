"""What callbacks still do when the interpreter ends, in the order in which they need each other."""

import atexit
import logging
import multiprocessing
import os
import time
import weakref
from enum import IntEnum
from multiprocessing.util import Finalize
from typing import Protocol

__all__ = ["EXIT_DEADLINE_S", "Turn", "at_exit"]

EXIT_DEADLINE_S = 10.0
"""Longest time for which all callbacks together hold up the end of the interpreter."""

_FIRST = 100  # of multiprocessing's own, which have 0 to 15

logger = logging.getLogger(__name__)


class Turn(IntEnum):
    """Who comes when: a writer fills gaps from the journal, and Tiled is told of its files."""

    JOURNAL = 0
    WRITER = 1
    PUBLISHER = 2
    THREAD = 3


class Leaver(Protocol):
    """Something with work left when the interpreter ends."""

    def leave(self, timeout: float) -> object:
        """Finish within `timeout` seconds what can be finished."""


_leavers: dict[Turn, "weakref.WeakSet[Leaver]"] = {turn: weakref.WeakSet() for turn in Turn}


def at_exit(leaver: Leaver, turn: Turn) -> None:
    """Have ``leaver.leave(seconds_left)`` called at the end of the interpreter, if it still lives.

    Not in a forked child: files, threads and connections belong to the parent.
    """
    _leavers[turn].add(leaver)
    # What is registered last comes first: h5py, loaded by now, writes nothing after its own turn.
    atexit.unregister(_leave_all)
    atexit.register(_leave_all)
    # A process of multiprocessing, such as the worker of bluesky-queueserver, ends without atexit.
    if multiprocessing.parent_process() is not None:
        Finalize(None, _leave_all, exitpriority=_FIRST)


def _leave_all() -> None:
    deadline = time.monotonic() + EXIT_DEADLINE_S
    for turn in Turn:
        for leaver in list(_leavers[turn]):
            try:
                leaver.leave(max(0.0, deadline - time.monotonic()))
            except Exception:  # the others still have their turn
                logger.exception("%s did not end well", type(leaver).__name__)


def _forget_parents() -> None:
    for leavers in _leavers.values():
        leavers.clear()


os.register_at_fork(after_in_child=_forget_parents)
