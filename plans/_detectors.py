"""What detectors know about themselves: when they saturate, what a count stands for."""

from collections.abc import Mapping, Sequence

from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from beamline_ophyd.metadata import ev_per_count_key

from ._checks import fields, is_number, number
from ._reading import read_config, read_value

__all__ = ["ev_per_count", "saturation_rates"]


def saturation_rates(
    detectors: Sequence[Readable], given: Mapping[str, float] | None
) -> MsgGenerator[dict[str, float]]:
    """Counts/s from which on channels are saturated, by data key."""
    if unknown := set(given or {}) - {key for detector in detectors for key in fields(detector)}:
        raise ValueError(
            f"saturation has {', '.join(sorted(unknown))}; the detectors give "
            f"{', '.join(key for detector in detectors for key in fields(detector))}"
        )
    rates: dict[str, float] = {}
    for detector in detectors:
        known = getattr(detector, "saturation_rate", None)
        if isinstance(known, Readable):
            known = yield from read_value(known)
        if is_number(known) and known > 0:
            rates |= dict.fromkeys(fields(detector), float(known))
    for key, rate in (given or {}).items():
        rates[key] = number(f"saturation of {key}", rate, "counts/s", lowest=0)
    return rates


def ev_per_count(detectors: Sequence[Readable]) -> MsgGenerator[dict[str, float]]:
    """Deposited energy per count in eV, by data key, where a detector knows it."""
    found: dict[str, float] = {}
    for detector in detectors:
        configuration = yield from read_config(detector)
        for key in fields(detector):
            value = configuration.get(ev_per_count_key(key))
            if is_number(value) and float(value) > 0:
                found[key] = float(value)
    return found
