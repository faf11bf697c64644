"""One spectrum from all sweeps of a run, and of the runs that it continues."""

from collections.abc import Callable, Sequence

import numpy as np

from beamline_ophyd.metadata import COUNT_UNITS, ev_per_count_key

from .dark import dark_of
from .measurement import EV, Measurement, signal_role
from .points import points_of
from .run import Run, Stream, configuration_of
from .spectrum import Spectrum
from .units import in_one_unit

__all__ = ["merge", "sweep_numbers"]


def sweep_numbers(run: Run, what: Measurement, earlier: Sequence[Run] = ()) -> list[int]:
    """Numbers of the sweeps that have good events, from 0."""
    if what.contract is None:
        return [0]
    numbers = points_of((*earlier, run), what.contract).number
    return np.unique(numbers // what.contract.points_per_sweep).tolist()


def merge(
    run: Run,
    what: Measurement,
    earlier: Sequence[Run] = (),
    *,
    arrays: bool = False,
    sweep: int | None = None,
) -> Spectrum:
    """One spectrum from all sweeps of a run, joined with the runs that it continues.

    Of each point its last good event counts, see
    :class:`beamline_ophyd.metadata.XAFSContract`. Readings at the same place of the grid are
    then summed before mu is taken, so that each sweep has the weight of its photons; all of
    them are averaged if any channel is not in counts, since a ratio of a sum and a mean would
    depend on the sweeps. A reading without a finite energy, I0 or signal is left out where
    another sweep has one. Dark currents that the runs tell are kept beside the readings.

    Parameters
    ----------
    earlier : sequence of Run
        The runs that this one continues, from the earliest to the latest.
    arrays : bool
        Whether to merge the arrays of detectors too.
    sweep : int, optional
        Number of a sweep, from 0: its points only.
    """
    runs = tuple(in_one_unit(one, like=run) for one in (*earlier, run))
    points = points_of(runs, what.contract)
    if sweep is not None and what.contract is not None:
        points = points.where(points.number // what.contract.points_per_sweep == sweep)
    parts = [(r, s) for r in runs if (s := r.streams.get("primary")) is not None]
    if not parts:
        return _empty(what)
    lengths = [len(r.streams["primary"]) if "primary" in r.streams else 0 for r in runs]
    rows = np.cumsum([0, *lengths])[points.run] + points.row

    def column(read: Callable[[Run, Stream], np.ndarray]) -> np.ndarray:
        return np.concatenate([read(*part) for part in parts])[rows]

    keys = what.roles.channels
    channels = {role: column(lambda _, s, k=key: _numbers(s, k)) for role, key in keys.items()}
    net = dict(channels)
    energy = column(lambda r, s: _energy(r, s, what.roles.energy))
    wanted = [energy, *(channels[role] for role in ("i0", signal_role(what.mode)))]
    sums = _Sums(points.index, np.all([np.isfinite(values) for values in wanted], axis=0))
    whole = {r for r, key in keys.items() if all(_is_counts(*part, key) for part in parts)}
    all_counts = len(whole) == len(keys)
    dwell = what.roles.dwell
    times = None if dwell is None else column(lambda _, s: _numbers(s, dwell))
    dark, dark_errors = {}, {}
    for role, key in keys.items():
        found = [_dark(*part, key, dwell) for part in parts]
        if any(values.any() or errors.any() for values, errors in found):
            taken, error = (np.concatenate(column)[rows] for column in zip(*found, strict=True))
            dark[role] = sums.take(taken, mean=not all_counts)
            # One and the same error in all sweeps: it adds up as the dark current does.
            dark_errors[role] = sums.take(error, mean=not all_counts)
            net[role] = channels[role] - taken
    photons = {}
    for role in whole:  # an energy per count says nothing of a current or a rate
        ev_per_count = column(lambda r, s, k=keys[role]: _ev_per_count(r, s, k))
        if np.isfinite(ev_per_count).any():
            with np.errstate(divide="ignore", invalid="ignore"):
                photons[role] = sums.take(net[role] * ev_per_count / energy, mean=False)
    return Spectrum(
        energy_ev=sums.take(energy, mean=True),
        channels={role: sums.take(v, mean=not all_counts) for role, v in channels.items()},
        photons=photons,
        dwell_s=None if times is None else sums.take(times, mean=False),
        merged=np.maximum(sums.used, 1),
        index=sums.index,
        whole=frozenset(whole),
        averaged=not all_counts,
        dark=dark,
        dark_errors=dark_errors,
        arrays=_arrays(parts, rows, sums, mean=not all_counts) if arrays else {},
    )


class _Sums:
    """Sums and means of readings at the same place; a single reading is taken as it is."""

    def __init__(self, index: np.ndarray, usable: np.ndarray) -> None:
        self.index, first, group = np.unique(index, return_index=True, return_inverse=True)
        self._group, self._usable = group, usable
        self.used = np.bincount(group[usable], minlength=len(first))
        self._single = first.copy()
        chosen = np.flatnonzero(usable)[::-1]
        self._single[group[chosen]] = chosen
        self._several = self.used > 1

    def take(self, values: np.ndarray, *, mean: bool) -> np.ndarray:
        single = values[self._single]
        if not self._several.any():
            return single
        total = np.zeros(single.shape, dtype=np.float64 if mean else values.dtype)
        np.add.at(total, self._group[self._usable], values[self._usable])
        others = tuple(range(1, values.ndim))
        if mean:
            total = total / np.expand_dims(np.maximum(self.used, 1), others)
        return np.where(np.expand_dims(self._several, others), total, single)


def _arrays(
    parts: Sequence[tuple[Run, Stream]], rows: np.ndarray, sums: _Sums, *, mean: bool
) -> dict[str, np.ndarray]:
    """Arrays of each point merged as its readings are, of data keys that all runs have alike."""
    columns = [stream.columns for _, stream in parts]
    found = {}
    for key in parts[-1][1].arrays:
        shapes = {c[key].shape[1:] if key in c else None for c in columns}
        if len(shapes) == 1:
            values = np.concatenate([c[key] for c in columns])
            found[key] = sums.take(values[rows], mean=mean)
    return found


def _dark(run: Run, stream: Stream, key: str, dwell: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Dark current in each reading, and its standard deviation; 0 where it is not known."""
    found = dark_of(run, key)
    if found is None or (found.is_rate and dwell is None):
        return np.zeros(len(stream)), np.zeros(len(stream))
    dwell_s = np.zeros(len(stream)) if dwell is None else _numbers(stream, dwell)
    return found.readings(dwell_s), found.errors(dwell_s)


def _numbers(stream: Stream, key: str) -> np.ndarray:
    values = stream.columns.get(key)
    if values is None or values.ndim != 1 or values.dtype.kind not in "biuf":
        return np.full(len(stream), np.nan)
    return values


def _energy(run: Run, stream: Stream, key: str) -> np.ndarray:
    """Energies in eV, also where their unit changes between descriptors."""
    values = _numbers(stream, key).astype(np.float64, copy=False)
    factors = [EV.get((units or "eV").lower(), 1.0) for units in run.units(stream.name, key)]
    if all(factor == 1.0 for factor in factors):
        return values
    return values * np.array(factors)[stream.descriptor]


def _is_counts(run: Run, stream: Stream, key: str) -> bool:
    return all((units or "").lower() in COUNT_UNITS for units in run.units(stream.name, key))


def _ev_per_count(run: Run, stream: Stream, key: str) -> np.ndarray:
    """Deposited energy per count at each row: the gain may change between descriptors."""
    per_descriptor = np.full(len(run.descriptors), np.nan)
    for number, descriptor in enumerate(run.descriptors):
        for values, _ in configuration_of(descriptor).values():
            value = values.get(ev_per_count_key(key))
            if isinstance(value, (int, float)) and np.isfinite(value) and value > 0:
                per_descriptor[number] = value
    return per_descriptor[stream.descriptor]


def _empty(what: Measurement) -> Spectrum:
    nothing = np.empty(0)
    dwell = nothing if what.roles.dwell else None
    channels = dict.fromkeys(what.roles.channels, nothing)
    whole_numbers = np.empty(0, dtype=np.int64)
    return Spectrum(nothing, channels, {}, dwell, whole_numbers, whole_numbers)
