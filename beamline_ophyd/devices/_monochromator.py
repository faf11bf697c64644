"""The double-crystal monochromator."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from ._axis import Axis

__all__ = ["Monochromator"]


class Monochromator(Device):
    """A double-crystal monochromator: energy in eV, Bragg angle in degrees, pitch in urad.

    All are motors; the Bragg angle is the axis that moves, and the energy follows from it
    and the d-spacing by Bragg's law. The pitch turns the second crystal against the first.
    """

    energy = Cpt(Axis, "MONO:ENERGY", kind="hinted")
    bragg = Cpt(Axis, "MONO:BRAGG", labels={"baseline"})
    pitch = Cpt(Axis, "MONO:PITCH", labels={"baseline"})
    crystal = Cpt(EpicsSignal, "MONO:CRYSTAL", string=True, kind="config")
    d_spacing = Cpt(EpicsSignalRO, "MONO:DSPACING", kind="config")
