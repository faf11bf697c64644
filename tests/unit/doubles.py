"""Devices in memory for the tests of plans, which take any that follow the bluesky protocols."""

from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.sim import SynAxis
from ophyd.status import Status


def returned_by(engine, plan):
    """What a plan returns, after an engine has carried it out."""
    returned = []

    def keep():
        returned.append((yield from plan))

    engine(keep())
    return returned[0]


def took_s(engine):
    """How long a run took, by its documents and in whole seconds."""
    times = {name: doc["time"] for name, doc in engine.documents if name in ("start", "stop")}
    return f"{times['stop'] - times['start']:.0f} s"


def done(device=None):
    """A status that has ended."""
    status = Status(device)
    status.set_finished()
    return status


class Timed(Device):
    """A detector with a dwell time, whose counts are that time, or what `counting` makes of it."""

    preset_time = Cpt(Signal, value=0.0, kind="omitted")
    counts = Cpt(Signal, value=0.0, kind="hinted")
    gain = Cpt(Signal, value=1.0, kind="config")

    def __init__(self, name, counting=lambda dwell_s: dwell_s):
        super().__init__("", name=name)
        self.counts.name = name
        self.counting = counting
        self.triggers = 0

    def trigger(self):
        self.triggers += 1
        self.counts.put(self.counting(self.preset_time.get()))
        return done(self)


class Stuck(SynAxis):
    """A fast axis that never arrives."""

    def __init__(self, name="slow"):
        super().__init__(name=name)
        self.velocity.put(1e9)
        self.acceleration.put(0)

    def set(self, value):
        return Status(self)


class Gate(Signal):
    """A shutter that remembers its commands."""

    def __init__(self, name="gate"):
        super().__init__(name=name, value="close")
        self.history = []

    def set(self, value, **kwargs):
        self.history.append(value)
        return super().set(value, **kwargs)
