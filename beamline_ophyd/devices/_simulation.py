"""Control of the simulation behind the device server."""

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

__all__ = ["Simulation"]


class Simulation(Device):
    """What only the simulated beamline has: its speed, its seed, its noise.

    That these PVs answer is how a session knows that its data are simulated.

    Attributes
    ----------
    mu_offset : EpicsSignalRO
        What ln(I0/It) of a measured spectrum on the holder has more than its file says: the
        one constant that stands for the unknown gains of the measurement.
    pitch_optimum : EpicsSignal
        Where in urad on its axis the second crystal is parallel to the first.
    bragg_slip : EpicsSignal
        Degrees that the true Bragg angle has beyond the axis's.
    thickness, concentration : EpicsSignal
        Of the sample in the beam and of its element, times those of its file.
    temperature : EpicsSignal
        Of the sample, in K.
    """

    mu_offset = Cpt(EpicsSignalRO, "SAMPLE:OFFSET", auto_monitor=False)
    speed = Cpt(EpicsSignal, "SIM:SPEED", kind="config")
    seed = Cpt(EpicsSignal, "SIM:SEED", kind="config")
    noise = Cpt(EpicsSignal, "SIM:NOISE", string=True, kind="config")
    pitch_optimum = Cpt(EpicsSignal, "SIM:PITCH:OPTIMUM", kind="omitted")
    bragg_slip = Cpt(EpicsSignal, "SIM:BRAGG:SLIP", kind="omitted")
    thickness = Cpt(EpicsSignal, "SAMPLE:THICKNESS", kind="config")
    concentration = Cpt(EpicsSignal, "SAMPLE:CONCENTRATION", kind="config")
    temperature = Cpt(EpicsSignal, "SAMPLE:TEMP", kind="config")
