"""The offset of an axis, as motors of ophyd and ophyd-async and other positioners have it."""

from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from . import _steps
from ._checks import called
from ._reading import read_number, tell
from ._steps import DeviceError, move

__all__ = ["Offset"]


class Offset:
    """What an axis adds to its dial position, changed without a motion.

    Parameters
    ----------
    axis : Movable
        With a signal ``user_offset`` or ``offset``, or a method ``set_current_position``.

    Raises
    ------
    ValueError
        For an axis that has neither.
    """

    def __init__(self, axis: Any):
        self.axis = axis
        self._signal = None
        self._before: float | None = None
        for attribute in ("user_offset", "offset"):
            signal = getattr(axis, attribute, None)
            if isinstance(signal, Movable) and isinstance(signal, Readable):
                self._signal = signal
                return
        if not hasattr(axis, "set_current_position"):
            raise ValueError(
                f"{called(axis)} has neither user_offset, offset nor set_current_position, so it "
                "cannot be corrected; give another axis as bragg=, or what corrects it as correct="
            )

    def change(self, by: float) -> MsgGenerator[None]:
        """Make the axis read more by this, where it stands.

        Raises
        ------
        DeviceError
            When the axis does not take it.
        """
        source = self.axis if self._signal is None else self._signal
        self._before = yield from read_number(source)
        if self._before is None:  # nobody carries out the messages
            return
        yield from self._set(self._before + by)
        after = yield from read_number(source)
        if after is None or abs(after - self._before - by) > 0.01 * abs(by) + 1e-9:
            yield from self.undo()
            raise DeviceError(
                f"{called(source)} is {after} after {self._before + by:g} was put; does the axis "
                "allow its offset to be changed?"
            )

    def undo(self) -> MsgGenerator[None]:
        """Bring the offset back to what it was."""
        if self._before is not None:
            yield from self._set(self._before)

    def _set(self, value: float) -> MsgGenerator[None]:
        if self._signal is None:
            yield from tell(self.axis, "set_current_position", value)
        else:
            yield from move(self._signal, value, _steps.MARGIN_S)
