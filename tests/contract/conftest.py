"""Devices of other people's classes on the server of this run."""

import time

import pytest

from beamline_ophyd.devices import disconnect

DEADLINE_S = 60.0


@pytest.fixture
def connected(side):
    """Make a stock ophyd device on the server: connected(cls, "SAMPLE:X", name="x")."""
    made = []

    def make(cls, suffix, options):
        made.append(cls(side.prefix + suffix, **options))
        return made[-1]

    def connect(cls, suffix, **options):
        end = time.monotonic() + DEADLINE_S
        device = make(cls, suffix, options)
        while True:
            try:
                device.wait_for_connection(timeout=min(5.0, max(0.1, end - time.monotonic())))
                return device
            except TimeoutError:
                if time.monotonic() >= end:
                    raise
                # On a machine that is busy ophyd may lose the first value of a signal, for which
                # a device waits until there is a second; a motor at rest has none.
                if all(walk.item.connected for walk in device.walk_signals()):
                    device = make(cls, suffix, options)

    yield connect
    disconnect(*made)
