"""Something to plot for runs that no application definition covers."""

from collections.abc import Mapping
from typing import Any

from .nexus_parts import shown_column, unique_names
from .run import Run, Stream
from .tree import Group

__all__ = ["hinted_keys", "plain_data"]


def plain_data(run: Run, entry: str) -> Group | None:
    """NXdata of any run: detectors that its hints name against the axes that it scanned.

    Parameters
    ----------
    entry : str
        Name of the entry that holds the collection ``bluesky``, to whose columns it links.

    Returns
    -------
    Group or None
        None where there is no number to plot.
    """
    stream = next((s for n, s in run.streams.items() if n == "primary"), None)
    if stream is None:
        others = [s for n, s in run.streams.items() if n != "baseline"]
        stream = others[0] if others else None
    if stream is None:
        return None
    numeric = stream.scalars
    axes = [key for key in _scanned(run, stream) if key in numeric]
    hinted = [key for key in hinted_keys(run, stream) if key in numeric and key not in axes]
    signals = hinted or [key for key in numeric if key not in axes]
    if not signals:
        return None
    where = f"/{entry}/bluesky/streams/{unique_names(run.streams)[stream.name]}"
    names = unique_names(stream.columns)
    items = {
        names[key]: shown_column(stream, key, f"{where}/data/{names[key]}")
        for key in (*axes, *signals)
    }
    attrs: dict[str, Any] = {"signal": names[signals[0]]}
    if len(signals) > 1:
        attrs["auxiliary_signals"] = [names[key] for key in signals[1:]]
    if axes:
        attrs["axes"] = [names[axes[0]]]
        attrs |= {f"{names[key]}_indices": 0 for key in axes}
    return Group("NXdata", items, attrs)


def _scanned(run: Run, stream: Stream) -> list[str]:
    fields = [key for keys in run.dimensions(stream.name) for key in keys]
    motors = run.start.get("motors")
    named = motors if isinstance(motors, (list, tuple)) else ()
    return [*fields, *(str(m) for m in named if str(m) not in fields)]


def hinted_keys(run: Run, stream: Stream) -> list[str]:
    """Data keys that the devices of a stream hint at as worth plotting."""
    found = []
    for descriptor in run.descriptors:
        if descriptor.get("name") == stream.name:
            hints = descriptor.get("hints")
            for hint in hints.values() if isinstance(hints, Mapping) else ():
                fields = hint.get("fields") if isinstance(hint, Mapping) else None
                named = fields if isinstance(fields, (list, tuple)) else ()
                found += [key for key in named if key not in found]
    return found
