"""The axes that follow the photon energy: the monochromator, and what moves along with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ._axes import Speed, axis_limits, axis_speed
from ._checks import called, check_axis, is_number, number
from ._reading import read_number
from ._steps import move, move_together

__all__ = ["EnergyAxes", "Follower", "followers_of"]


@dataclass(frozen=True)
class Follower:
    """A device that is moved along with the energy, and where it belongs.

    Its position is ``scale * E + offset`` of the true photon energy E in eV, or comes from a
    table of energies and positions by linear interpolation.
    """

    device: Any
    scale: float = 1.0
    offset: float = 0.0
    table: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def at(self, energy_ev: float) -> float:
        """Position at a photon energy in eV."""
        if self.table is not None:
            return float(np.interp(energy_ev, *self.table))
        return self.scale * energy_ev + self.offset

    def check(self, lowest_ev: float, highest_ev: float) -> MsgGenerator[None]:
        """Refuse a range of energies that the table or the device's limits do not cover."""
        if self.table is not None:
            first, last = self.table[0][0], self.table[0][-1]
            if lowest_ev < first or highest_ev > last:
                raise ValueError(
                    f"the table of {self.device.name} goes from {first:.1f} to {last:.1f} eV, the "
                    f"scan from {lowest_ev:.1f} to {highest_ev:.1f} eV; give a longer table"
                )
        limits = yield from axis_limits(self.device)
        if limits is None:
            return
        inner = self.table[0] if self.table is not None else ()
        bends = [e for e in inner if lowest_ev < e < highest_ev]
        for energy in (lowest_ev, *bends, highest_ev):
            if not limits[0] <= self.at(energy) <= limits[1]:
                raise ValueError(
                    f"{self.device.name} would go to {self.at(energy):.6g} at {energy:.1f} eV, "
                    f"outside its limits {limits[0]:g} to {limits[1]:g}; change along_at or the "
                    "grid"
                )


def followers_of(
    along: Sequence[Movable] | None, along_at: Mapping[str, Mapping[str, Any]] | None
) -> list[Follower]:
    """Devices and where they belong, from what a user gives, all checked."""
    devices: list[Any] = list(along or ())
    for device in devices:
        check_axis("along", device, "give devices that take a position, such as an undulator's")
    places = dict(along_at or {})
    if unknown := set(places) - {device.name for device in devices}:
        raise ValueError(
            f"along_at has {', '.join(sorted(unknown))}; along has "
            f"{', '.join(called(d) for d in devices) or 'no device'}"
        )
    return [_follower(device, dict(places.get(device.name, {}))) for device in devices]


def _follower(device: Any, place: dict[str, Any]) -> Follower:
    who = f"along_at of {device.name}"
    if unknown := set(place) - {"scale", "offset", "energies", "positions"}:
        raise ValueError(
            f"{who} has {', '.join(sorted(unknown))}; it takes scale and offset, or energies and "
            "positions"
        )
    if not {"energies", "positions"} & set(place):
        scale = number(f"{who}: scale", place.get("scale", 1.0), "position units per eV")
        return Follower(device, scale, number(f"{who}: offset", place.get("offset", 0.0), "units"))
    energies, positions = list(place.get("energies", ())), list(place.get("positions", ()))
    if len(place) != 2 or len(energies) != len(positions) or len(energies) < 2:
        raise ValueError(
            f"{who} has {len(energies)} energies and {len(positions)} positions; give as many of "
            "both, two or more, and no scale or offset"
        )
    if not all(map(is_number, [*energies, *positions])) or not (np.diff(energies) > 0).all():
        raise ValueError(f"{who}: energies and positions are numbers, the energies rising, in eV")
    return Follower(device, table=(tuple(map(float, energies)), tuple(map(float, positions))))


class EnergyAxes:
    """Takes all axes to a photon energy together, each within the limit of its own speed.

    Parameters
    ----------
    energy : Movable
        Takes photon energies in eV.
    e0_shift : float
        What it reads above the true energy, in eV; the followers go by the true energy.
    followers : sequence of Follower
    """

    def __init__(self, energy: Movable, e0_shift: float, followers: Sequence[Follower]):
        self._axes = [Follower(energy, offset=e0_shift), *followers]
        self._speeds: list[Speed] = []
        self._positions: list[float | None] = []

    @property
    def devices(self) -> list[Any]:
        """The energy axis first."""
        return [axis.device for axis in self._axes]

    def find_speeds(self) -> MsgGenerator[None]:
        """Ask each axis how fast it is."""
        for axis in self._axes:
            self._speeds += [(yield from axis_speed(axis.device))]

    def find_positions(self) -> MsgGenerator[None]:
        """Ask each axis where it is; the distance to the first point follows from it."""
        self._positions = []
        for axis in self._axes:
            position = None
            if isinstance(axis.device, Readable):
                position = yield from read_number(axis.device)
            self._positions += [position]

    def go(self, energy_ev: float) -> MsgGenerator[None]:
        """Go to a true photon energy in eV, and wait until all axes are there."""
        targets = []
        for number_, axis in enumerate(self._axes):
            target, position = axis.at(energy_ev), self._positions[number_]
            distance = None if position is None else target - position
            targets.append((axis.device, target, self._speeds[number_].limit_s(distance)))
            self._positions[number_] = target
        if len(targets) == 1:
            yield from move(*targets[0])
        else:
            yield from move_together(targets)
