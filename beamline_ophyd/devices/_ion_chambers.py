"""Ion chambers that count together on one scaler record."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import DerivedSignal, EpicsSignalRO

from beamline_ophyd.metadata import ev_per_count_key

from ._scaler import Scaler, ScalerDetector

__all__ = ["IonChamber", "IonChambers"]


class SaturationRate(DerivedSignal):
    """Counts/s of a V/F converter whose amplifier is at the end of its output."""

    def __init__(self, vf: EpicsSignalRO, volts: float, **kwargs: Any):
        self._volts = volts
        super().__init__(vf, write_access=False, **kwargs)

    def inverse(self, value: float) -> float:
        """From the Hz/V of the converter."""
        return self._volts * value


class IonChamber(ScalerDetector):
    """One chamber of :class:`IonChambers`; its data key is its name.

    Attributes
    ----------
    saturation_rate : SaturationRate or None
        Counts/s from which on the chamber is saturated, for plans; None where no PV tells what
        its V/F converter makes of a volt.
    saturation_v : float
        Output of the amplifier, in V, from which on a reading is not to be believed: a little
        below the 5 V at which an SR570 ends.
    """

    gas = Cpt(EpicsSignalRO, "GAS", string=True, kind="config")
    length = Cpt(EpicsSignalRO, "LENGTH", kind="config")
    gain = Cpt(EpicsSignalRO, "GAIN", kind="config")
    vf = Cpt(EpicsSignalRO, "VF", kind="config")
    ev_per_count = Cpt(EpicsSignalRO, "EV_PER_COUNT", kind="config")

    saturation_rate: SaturationRate | None = None
    saturation_v = 4.95

    def __init__(self, prefix: str = "", **kwargs: Any):
        super().__init__(prefix, **kwargs)
        if self.vf is not None:
            name = f"{self.name}_saturation_rate"
            self.saturation_rate = SaturationRate(self.vf, self.saturation_v, name=name)

    def rename(self, name: str) -> None:
        """Give the chamber and its data keys a name of their own."""
        super().rename(name)
        if self.saturation_rate is not None:
            self.saturation_rate.name = f"{name}_saturation_rate"
        if self.ev_per_count is not None:
            self.ev_per_count.name = ev_per_count_key(name)


class IonChambers(Scaler):
    """I0, It and Ir on one scaler record.

    Attributes
    ----------
    i0, it, ir : IonChamber
        Incident, transmitted and reference intensity, data keys ``I0``, ``It`` and ``Ir``.
    preset_time : EpicsSignal
        Count time in s.
    time_margin : float
        Seconds granted to every count beyond twice its preset time.
    """

    i0 = Cpt(IonChamber, "DET:I0:", channel="SCALER.S2", data_key="I0")
    it = Cpt(IonChamber, "DET:IT:", channel="SCALER.S3", data_key="It")
    ir = Cpt(IonChamber, "DET:IR:", channel="SCALER.S4", data_key="Ir")
