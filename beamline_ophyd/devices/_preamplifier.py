"""A current amplifier, as the SR570 support of synApps serves it."""

from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal
from ophyd.signal import AttributeSignal
from ophyd.status import StatusBase

__all__ = ["Preamplifier"]

NUMBERS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
UNITS = {"pA/V": 1e-12, "nA/V": 1e-9, "uA/V": 1e-6, "mA/V": 1e-3}


class Gain(AttributeSignal):
    """The gain, with its unit."""

    def describe(self) -> Any:
        """Describe the reading, with its unit."""
        description = super().describe()
        description[self.name]["units"] = "V/A"
        return description


class Preamplifier(Device):
    """A Stanford Research SR570: ``set(1e8)`` makes 10 nA a volt.

    Attributes
    ----------
    gains : tuple of float
        What it can be set to, in V/A, rising: 1e3 (1 mA/V) to 1e12 (1 pA/V) in steps 1-2-5.
    gain : Signal
        Present gain in V/A; its data key is the device's name.
    """

    # Put with completion: a readback "20" of an enumeration passes for the state of that number.
    sens_num = Cpt(EpicsSignal, "sens_num", string=True, put_complete=True, kind="config")
    sens_unit = Cpt(EpicsSignal, "sens_unit", string=True, put_complete=True, kind="config")
    gain = Cpt(Gain, attr="position", kind="hinted", write_access=False)

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.gain.name = name
        # The instrument has 1 mA/V and nothing beyond it.
        settings = [(n, u) for u in UNITS for n in NUMBERS if u != "mA/V" or n == 1]
        self._settings = {_gain(n, u): (str(n), u) for n, u in reversed(settings)}
        self.gains = tuple(self._settings)

    @property
    def position(self) -> float:
        """Present gain in V/A."""
        return _gain(int(str(self.sens_num.get())), str(self.sens_unit.get()).strip())

    def set(self, gain: float) -> StatusBase:
        """Choose a gain.

        Parameters
        ----------
        gain : float
            In V/A, one of ``gains``, to a thousandth.

        Raises
        ------
        ValueError
            For another number.
        """
        number, unit = self._setting(gain)
        return self.sens_num.set(number) & self.sens_unit.set(unit)

    def check_value(self, value: float, **_: Any) -> None:
        """Refuse what is none of its gains."""
        self._setting(value)

    def _setting(self, gain: float) -> tuple[str, str]:
        nearest = min(self.gains, key=lambda known: abs(known - gain))
        if abs(gain - nearest) > 1e-3 * nearest:
            raise ValueError(
                f"{self.name} has no gain of {gain:g} V/A; the nearest is {nearest:g} V/A"
            )
        return self._settings[nearest]


def _gain(number: int, unit: str) -> float:
    return float(f"{1 / (number * UNITS[unit]):.6g}")
