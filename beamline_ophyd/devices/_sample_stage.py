"""The sample stage and the holder on it."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignalRO
from ophyd.status import StatusBase

from ._axis import Axis

__all__ = ["SampleStage"]


class SampleStage(Device):
    """Sample stage with a holder of named samples.

    Attributes
    ----------
    x, y, z : Axis
        Stage position in um; x and y bring the holder's places into the beam.
    theta : Axis
        Rotation in degrees: 0 where the beam comes along the sample's normal.
    sample : EpicsSignalRO
        Name of what is in the beam.
    """

    x = Cpt(Axis, "SAMPLE:X")
    y = Cpt(Axis, "SAMPLE:Y")
    z = Cpt(Axis, "SAMPLE:Z")
    theta = Cpt(Axis, "SAMPLE:THETA")
    sample = Cpt(EpicsSignalRO, "SAMPLE:NAME", string=True, auto_monitor=False)
    place_names = Cpt(EpicsSignalRO, "SAMPLE:PLACES", kind="omitted", auto_monitor=False)
    place_x = Cpt(EpicsSignalRO, "SAMPLE:PLACES:X", kind="omitted", auto_monitor=False)
    place_y = Cpt(EpicsSignalRO, "SAMPLE:PLACES:Y", kind="omitted", auto_monitor=False)

    @property
    def places(self) -> dict[str, tuple[float, float]]:
        """Where the holder has its samples: name to (x, y) in um."""
        names = [str(name) for name in self.place_names.get()]
        return {
            name: (float(x), float(y))
            for name, x, y in zip(names, self.place_x.get(), self.place_y.get(), strict=False)
        }

    def set(self, place: str) -> StatusBase:
        """Bring a sample into the beam by its name.

        Raises
        ------
        ValueError
            When the holder has no such sample; the message lists what it has.
        """
        x, y = self._find(place)
        return self.x.set(x) & self.y.set(y)

    @property
    def position(self) -> str:
        """Name of the sample in the beam."""
        return str(self.sample.get())

    def stop(self, *, success: bool = False) -> None:
        """Stop all axes."""
        for axis in (self.x, self.y, self.z, self.theta):
            if axis is not None:  # a stage need not have all
                axis.stop(success=success)

    def check_value(self, value: Any, **_: Any) -> None:
        """Refuse a name that the holder does not have."""
        self._find(value)

    def _find(self, place: str) -> tuple[float, float]:
        places = self.places
        if place not in places:
            raise ValueError(
                f"{self.name} has no sample {place!r}; the holder has {', '.join(sorted(places))}"
            )
        return places[place]
