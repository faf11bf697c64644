"""Fluorescence and diffraction, counted by the scaler of the ion chambers."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO

from ._ion_chambers import IonChambers
from ._scaler import ScalerDetector

__all__ = ["Detectors", "FluorescenceDetector", "FluorescenceElement", "PointDetector"]


class FluorescenceElement(Device):
    """One element of a fluorescence detector, or the sum of all.

    Attributes
    ----------
    roi : EpicsSignalRO
        Pulses in the region of interest.
    input_rate, seen_rate : EpicsSignalRO
        Photons/s that arrive, and those that it sees: it is dead after each.
    dead_time : EpicsSignalRO
        Percent of the time in which it is dead.
    spectrum : EpicsSignalRO
        Pulses by channel, from 0 eV on.
    """

    roi = Cpt(EpicsSignalRO, "ROI")
    input_rate = Cpt(EpicsSignalRO, "ICR")
    seen_rate = Cpt(EpicsSignalRO, "OCR")
    dead_time = Cpt(EpicsSignalRO, "DEAD", kind="config")
    spectrum = Cpt(EpicsSignalRO, "MCA", kind="omitted")


class FluorescenceDetector(ScalerDetector):
    """An energy-resolving detector of four elements; the scaler counts its region of interest.

    Its reading is the counts in the region of interest, summed over the elements, with the rates
    that a correction for dead time needs: counts times ``input_rate / seen_rate``. The elements
    and the spectra are there to be looked at, and recorded when their kind says so.

    Attributes
    ----------
    counts : EpicsSignalRO
        Pulses of all elements in the region of interest.
    roi_low, roi_high : EpicsSignal
        The region of interest, in eV.
    total : FluorescenceElement
        All elements together.
    elements : tuple of FluorescenceElement
        Each of them.
    """

    input_rate = Cpt(EpicsSignalRO, "SUM:ICR")
    seen_rate = Cpt(EpicsSignalRO, "SUM:OCR")
    roi_low = Cpt(EpicsSignal, "ROI:LOW", kind="config")
    roi_high = Cpt(EpicsSignal, "ROI:HIGH", kind="config")
    channel_width = Cpt(EpicsSignalRO, "BIN", kind="config")
    total = Cpt(FluorescenceElement, "SUM:", kind="omitted")
    element1 = Cpt(FluorescenceElement, "E1:", kind="omitted")
    element2 = Cpt(FluorescenceElement, "E2:", kind="omitted")
    element3 = Cpt(FluorescenceElement, "E3:", kind="omitted")
    element4 = Cpt(FluorescenceElement, "E4:", kind="omitted")

    @property
    def elements(self) -> tuple[FluorescenceElement, ...]:
        """The elements, first to last."""
        return (self.element1, self.element2, self.element3, self.element4)

    def look_at(self, element: str, line: str = "Ka1", *, width_ev: float = 400.0) -> Any:
        """Centre the region of interest on a fluorescence line.

        Parameters
        ----------
        element : str
            Symbol, as ``"Fe"``.
        line : str
            Siegbahn name of the line, as ``"Ka1"`` or ``"La1"``.
        width_ev : float
            Width of the region in eV.

        Returns
        -------
        Status
            Done when both ends are set.

        Raises
        ------
        ValueError
            For an element or a line that there is not.
        """
        import xraydb  # a database that few sessions need

        try:
            energy = float(xraydb.xray_lines(element)[line].energy)
        except (KeyError, ValueError):
            raise ValueError(
                f"{self.name}: there is no line {line!r} of {element!r}; take one as 'Fe', 'Ka1'"
            ) from None
        low, high = energy - width_ev / 2, energy + width_ev / 2
        return self.roi_low.set(low) & self.roi_high.set(high)


class PointDetector(ScalerDetector):
    """A detector without further PVs on a channel of the scaler, as the diffractometer's."""


class Detectors(IonChambers):
    """The ion chambers with a fluorescence and a diffraction detector, on one scaler record.

    Attributes
    ----------
    ifluor : FluorescenceDetector
        Fluorescence, data key ``If``.
    diffracted : PointDetector
        On the arm of the diffractometer, data key ``Diff``.
    """

    ifluor = Cpt(FluorescenceDetector, "XRF:", channel="SCALER.S5", data_key="If")
    diffracted = Cpt(PointDetector, "DIFF:", channel="SCALER.S6", data_key="Diff")
