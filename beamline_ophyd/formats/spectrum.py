"""Absorption from the columns of a run: roles, merge of sweeps, mu(E) with errors."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.metadata import COUNT_UNITS, Roles, RunMetadata, ev_per_count_key, infer_roles

from .run import Run, Stream, configuration_of

__all__ = [
    "CHANNEL_ROLES",
    "MAPPING_EXAMPLE",
    "Measurement",
    "Spectrum",
    "measurement",
    "merge",
    "read_metadata",
]

CHANNEL_ROLES = {
    "transmission": ("i0", "itrans"),
    "fluorescence": ("ifluor", "i0"),
    "electron yield": ("ifluor", "i0"),
    "reference": ("itrans", "irefer"),
}
"""Numerator and denominator of each absorption channel: ln(a/b), or a/b for yields."""

MAPPING_EXAMPLE = '{"energy": "mono_energy", "i0": "I0", "itrans": "It"}'

_EV = {"ev": 1.0, "kev": 1000.0}


@dataclass(frozen=True)
class Measurement:
    """What a run measured: which data keys play which part, in which mode.

    Attributes
    ----------
    points : int or None
        Points of one sweep; None for a run without contract, whose every event is a
        point of its own.
    source : {"contract", "mapping", "hints"}
    """

    roles: Roles
    mode: str
    points: int | None
    source: str


@dataclass(frozen=True)
class Spectrum:
    """One absorption spectrum, merged from all sweeps of a run.

    Attributes
    ----------
    energy_ev : ndarray
        Mean of the readings at each point.
    channels : mapping
        Role to merged reading: sums where all channels are counts, else means of all.
    photons : mapping
        Role to the number of photons behind the merged reading; only of channels whose
        deposited energy per count is known.
    dwell_s : ndarray or None
        Total dwell time at each point.
    merged : ndarray of int
        Number of readings that each point merges.
    whole : frozenset of str
        Roles of the channels that count whole pulses.
    averaged : bool
        Whether the merged readings are means, not sums.
    """

    energy_ev: np.ndarray
    channels: Mapping[str, np.ndarray]
    photons: Mapping[str, np.ndarray]
    dwell_s: np.ndarray | None
    merged: np.ndarray
    whole: frozenset[str] = frozenset()
    averaged: bool = False

    def mu(self, channel: str = "transmission") -> tuple[np.ndarray, np.ndarray | None]:
        """Absorption of one channel, and its standard deviation from counting statistics.

        ``ln(I0/It)`` in transmission, ``ln(It/Ir)`` of the reference, ``If/I0`` of a
        yield. With N photons in a channel the variance of its logarithm is 1/N. Where whole
        pulses are counted, c of them, the one begun before the gate opened and the one
        unfinished when it closed add 1/12 each to the variance of c: 1 / (6 c^2). The sum
        over both channels is sigma^2(mu) of a logarithm, and times mu^2 that of a ratio.

        Returns
        -------
        mu, sigma : ndarray, ndarray or None
            nan where a reading is missing, a logarithm has no value, or what is divided by
            is not positive; sigma is None where the photon numbers are not known.
        """
        a, b = self._pair(channel)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Two dark readings below 0 would have a ratio like any other.
            ratio = np.where(self.channels[b] > 0, self.channels[a] / self.channels[b], np.nan)
            is_log = channel in ("transmission", "reference")
            mu = np.log(ratio) if is_log else ratio
            mu = np.where(np.isfinite(mu), mu, np.nan)
            if a not in self.photons or b not in self.photons:
                return mu, None
            sigma = np.sqrt(self._relative_variance(a) + self._relative_variance(b))
        return mu, np.where(np.isnan(mu), np.nan, sigma if is_log else np.abs(mu) * sigma)

    def _relative_variance(self, role: str) -> np.ndarray:
        """Variance of the logarithm of a reading; nan where nothing was counted."""
        variance = 1.0 / np.where(self.photons[role] > 0, self.photons[role], np.nan)
        if role in self.whole:
            counts = self.channels[role] * (self.merged if self.averaged else 1)
            variance = variance + self.merged / (6.0 * counts**2)
        return variance

    def _pair(self, channel: str) -> tuple[str, str]:
        if channel not in CHANNEL_ROLES:
            raise ValueError(f"channel is {channel!r}; give one of {', '.join(CHANNEL_ROLES)}")
        missing = [role for role in CHANNEL_ROLES[channel] if role not in self.channels]
        if missing:
            have = ", ".join(self.channels) or "none"
            raise ValueError(
                f"{channel} needs {' and '.join(missing)}, which this run does not have (it has "
                f"{have}); choose another channel or say which data key it is with a mapping "
                f"such as {MAPPING_EXAMPLE}"
            )
        return CHANNEL_ROLES[channel]

    @property
    def available(self) -> tuple[str, ...]:
        """Absorption channels that the run measured."""
        return tuple(
            channel
            for channel, roles in CHANNEL_ROLES.items()
            if channel != "electron yield" and all(role in self.channels for role in roles)
        )


def read_metadata(start: Mapping[str, Any]) -> tuple[RunMetadata, str]:
    """Metadata of a start document, and what could not be understood of it."""
    with contextlib.suppress(Exception):
        return RunMetadata.from_start(start), ""
    # One word that cannot be understood costs only itself.
    understood: dict[str, Any] = {}
    trouble = []
    for key, value in start.items():
        try:
            RunMetadata.from_start({key: value})
        except Exception as error:  # values of all kinds, which raise of all kinds
            trouble.append(f"{key!r} of the start document is not understood: {error}")
        else:
            understood[key] = value
    return RunMetadata.from_start(understood), "; ".join(trouble)


def measurement(run: Run, mapping: Mapping[str, Any] | None = None) -> Measurement | None:
    """What a run measured: by its contract, else by `mapping`, else by its hints.

    Parameters
    ----------
    mapping : mapping, optional
        Role to data key, and ``mode`` if it is not transmission.

    Returns
    -------
    Measurement or None
        None for a run that is no absorption spectrum.
    """
    contract = read_metadata(run.start)[0].xafs
    stream = run.streams.get("primary")
    known = None if stream is None else set(stream.data_keys) | set(stream.columns)
    points = None
    if contract is not None:
        roles, mode, source = contract.roles, contract.mode, "contract"
        points = contract.points_per_sweep
    elif mapping is not None:
        given = dict(mapping)
        mode, source = given.pop("mode", None), "mapping"
        roles = Roles(**given)
    else:
        energy = None if stream is None else _hinted_energy(run, stream)
        if energy is None or known is None:
            return None
        roles, mode, source = infer_roles(sorted(known), energy=energy), None, "hints"
    if known is not None:
        if roles.energy not in known:
            return None
        absent = {r: None for r in (*roles.channels, "dwell") if getattr(roles, r) not in known}
        roles = roles.model_copy(update=absent)
    if mode is None:
        mode = "fluorescence" if roles.ifluor and not roles.itrans else "transmission"
    if not roles.i0 or getattr(roles, signal_role(mode)) is None:
        return None
    return Measurement(roles, mode, points, source)


def signal_role(mode: str) -> str:
    """Role of the channel that a mode measures beside I0."""
    return "itrans" if mode == "transmission" else "ifluor"


def merge(run: Run, what: Measurement) -> Spectrum:
    """One spectrum from all sweeps of a run.

    Readings at the same point of the grid are summed before mu is taken, so that each
    sweep has the weight of its photons; all of them are averaged if any channel is not in
    counts, since a ratio of a sum and a mean would depend on the sweeps. A reading
    without a finite energy, I0 or signal is left out where there is another; an event
    that repeats the sequence number of an earlier one replaces it.
    """
    stream = run.streams.get("primary")
    if stream is None:
        return _empty(what)
    rows, point = _rows(stream, what.points)
    column = {role: _numbers(stream, key) for role, key in what.roles.channels.items()}
    energy = _energy(stream, what.roles.energy)
    wanted = [energy, *(column[r] for r in ("i0", signal_role(what.mode)))]
    usable = np.all([np.isfinite(values[rows]) for values in wanted], axis=0)
    sums = _Sums(rows, point, usable)
    photons = {}
    for role, key in what.roles.channels.items():
        if not _is_counts(stream, key):
            continue  # an energy per count says nothing of a current or a rate
        if (ev_per_count := _ev_per_count(run, stream, key)) is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                photons[role] = sums.take(column[role] * ev_per_count / energy, mean=False)
    all_counts = all(_is_counts(stream, key) for key in what.roles.channels.values())
    return Spectrum(
        energy_ev=sums.take(energy, mean=True),
        channels={role: sums.take(v, mean=not all_counts) for role, v in column.items()},
        photons=photons,
        dwell_s=_dwell(stream, what.roles, sums),
        merged=np.maximum(sums.used, 1),
        whole=frozenset(r for r, key in what.roles.channels.items() if _is_counts(stream, key)),
        averaged=not all_counts,
    )


class _Sums:
    """Sums and means of rows at the same point; a single row is taken as it is."""

    def __init__(self, rows: np.ndarray, point: np.ndarray, usable: np.ndarray) -> None:
        _, first, group = np.unique(point, return_index=True, return_inverse=True)
        self._rows, self._group, self._usable = rows, group, usable
        self.used = np.bincount(group[usable], minlength=len(first))
        best = first.copy()
        chosen = np.flatnonzero(usable)[::-1]
        best[group[chosen]] = chosen
        self._single = rows[best]
        self._several = self.used > 1

    def take(self, values: np.ndarray, *, mean: bool) -> np.ndarray:
        single = values[self._single]
        if not self._several.any():
            return single
        total = np.zeros(len(single), dtype=np.float64 if mean else values.dtype)
        np.add.at(total, self._group[self._usable], values[self._rows[self._usable]])
        if mean:
            total = total / np.maximum(self.used, 1)
        return np.where(self._several, total, single)


def _rows(stream: Stream, points: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows that count, and the grid point of each; of one sequence number the last row."""
    backwards = stream.seq_num[::-1]
    _, last = np.unique(backwards, return_index=True)
    rows = len(backwards) - 1 - last
    position = stream.seq_num[rows] - 1
    return rows, position if points is None else position % points


def _numbers(stream: Stream, key: str) -> np.ndarray:
    values = stream.columns.get(key)
    if values is None or values.ndim != 1 or values.dtype.kind not in "biuf":
        return np.full(len(stream), np.nan)
    return values


def _energy(stream: Stream, key: str) -> np.ndarray:
    values = _numbers(stream, key).astype(np.float64, copy=False)
    factor = _EV.get((stream.units(key) or "eV").lower(), 1.0)
    return values if factor == 1.0 else values * factor


def _dwell(stream: Stream, roles: Roles, sums: _Sums) -> np.ndarray | None:
    return None if roles.dwell is None else sums.take(_numbers(stream, roles.dwell), mean=False)


def _is_counts(stream: Stream, key: str) -> bool:
    return (stream.units(key) or "").lower() in COUNT_UNITS


def _ev_per_count(run: Run, stream: Stream, key: str) -> np.ndarray | None:
    """Deposited energy per count at each row: the gain may change between descriptors."""
    per_descriptor = np.full(len(run.descriptors), np.nan)
    for number, descriptor in enumerate(run.descriptors):
        for values, _ in configuration_of(descriptor).values():
            value = values.get(ev_per_count_key(key))
            if isinstance(value, (int, float)) and np.isfinite(value) and value > 0:
                per_descriptor[number] = value
    if np.isnan(per_descriptor).all():
        return None
    return per_descriptor[stream.descriptor]


def _hinted_energy(run: Run, stream: Stream) -> str | None:
    for key in run.dimensions(stream.name):
        if key in stream.data_keys and (
            (stream.units(key) or "").lower() in _EV or "energy" in key.lower()
        ):
            return key
    return None


def _empty(what: Measurement) -> Spectrum:
    nothing = np.empty(0)
    dwell = nothing if what.roles.dwell else None
    channels = dict.fromkeys(what.roles.channels, nothing)
    return Spectrum(nothing, channels, {}, dwell, np.empty(0, dtype=np.int64))
