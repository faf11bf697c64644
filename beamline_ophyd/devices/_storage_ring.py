"""The source."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO

__all__ = ["StorageRing"]


class StorageRing(Device):
    """The storage ring: its current in mA."""

    current = Cpt(EpicsSignalRO, "RING:CURRENT", kind="hinted")
