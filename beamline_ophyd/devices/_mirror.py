"""The mirror that rejects harmonics."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal

__all__ = ["HarmonicMirror"]


class HarmonicMirror(Device):
    """A mirror that absorbs what the monochromator passes of its third order.

    Attributes
    ----------
    state : EpicsSignal
        ``"In"`` or ``"Out"`` of the beam.
    """

    state = Cpt(EpicsSignal, "MIRROR:IN", string=True, kind="config")
