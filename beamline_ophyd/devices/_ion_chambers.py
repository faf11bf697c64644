"""Ion chambers that count together on one scaler record."""

from ophyd import Component as Cpt
from ophyd import EpicsSignalRO

from beamline_ophyd.metadata import ev_per_count_key

from ._scaler import Scaler, ScalerDetector

__all__ = ["IonChamber", "IonChambers"]


class IonChamber(ScalerDetector):
    """One chamber of :class:`IonChambers`; its data key is its name."""

    gas = Cpt(EpicsSignalRO, "GAS", string=True, kind="config")
    length = Cpt(EpicsSignalRO, "LENGTH", kind="config")
    gain = Cpt(EpicsSignalRO, "GAIN", kind="config")
    ev_per_count = Cpt(EpicsSignalRO, "EV_PER_COUNT", kind="config")

    def rename(self, name: str) -> None:
        """Give the chamber and its data keys a name of their own."""
        super().rename(name)
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
