"""Names of the files of runs, from a template and the start document."""

import datetime as dt
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.measurement import read_metadata
from beamline_ophyd.formats.names import safe_file_name

__all__ = ["DEFAULT_TEMPLATE", "FileNames"]

DEFAULT_TEMPLATE = "{scan_id}_{title}_{uid8}"

FIELDS = ("date", "edge", "element", "plan_name", "sample", "scan_id", "time", "title", "uid",
          "uid8")  # fmt: skip


class FileNames:
    """Makes file names by a template with the fields listed in `FIELDS`.

    ``title`` is sample, element and edge as far as known, else the plan's name. ``/`` in
    the template makes subfolders; in a value it does not. ``scan_id`` is a number, of five
    digits unless the template has a format for it; the others are text.

    Raises
    ------
    ValueError
        For a template with an unknown field, or that cannot be filled in.
    """

    def __init__(self, template: str = DEFAULT_TEMPLATE, suffix: str = ".nxs") -> None:
        allowed = f"allowed are {', '.join('{' + f + '}' for f in FIELDS)}"
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"file name template {template!r}: {error}; {allowed}") from error
        fields = [field for _, field, _, _ in parts if field is not None]
        unknown = [field for field in fields if field not in FIELDS]
        if unknown or not template.strip("/. "):
            raise ValueError(
                f"file name template {template!r}: {', '.join(map(repr, unknown)) or 'it'} is "
                f"no field; {allowed}"
            )
        if ".." in template.split("/") or template.startswith("/"):
            raise ValueError(
                f"file name template {template!r} leaves the folder; give the folder itself"
            )
        self._template = template.removesuffix(suffix)
        self._suffix = suffix
        self._fields = frozenset(fields)
        try:
            self.path({"uid": "6f2d9b1e-0000", "scan_id": 7, "time": 0.0})
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise ValueError(
                f"file name template {template!r} cannot be filled in: {error}; {allowed}, "
                "of which {scan_id} is a number and the others are text"
            ) from error

    def path(self, start: Mapping[str, Any]) -> Path:
        """Relative path of a run's file."""
        values = self._values(start)
        parts = self._template.format_map(values).split("/")
        return Path(*[safe_file_name(part) for part in parts[:-1]]) / (
            safe_file_name(parts[-1]) + self._suffix
        )

    def path_if_known(self, md: Mapping[str, Any]) -> Path | None:
        """The path, if metadata settle it before the run has a uid, a number and a time."""
        later = {"uid", "uid8", "scan_id", "date", "time"} - set(md)
        return None if self._fields & later else self.path(md)

    def _values(self, start: Mapping[str, Any]) -> dict[str, Any]:
        about = read_metadata(start)[0]
        uid = str(start.get("uid", "unknown"))
        seconds = start.get("time")
        known = isinstance(seconds, (int, float))
        when = dt.datetime.fromtimestamp(seconds).astimezone() if known else None
        number = start.get("scan_id")
        plan = str(start.get("plan_name") or "run")
        title = [p for p in (about.sample_name, about.element, about.edge) if p]
        values = {
            "date": f"{when:%Y-%m-%d}" if when else "undated",
            "time": f"{when:%H%M%S}" if when else "untimed",
            "edge": about.edge or "",
            "element": about.element or "",
            "plan_name": plan,
            "sample": about.sample_name or "",
            "title": "_".join(title) or plan,
            "uid": uid,
            "uid8": uid[:8],
        }
        names: dict[str, Any] = {k: v and safe_file_name(v) for k, v in values.items()}
        return names | {"scan_id": _ScanId(number if isinstance(number, int) else 0)}


class _ScanId(int):
    """A number of five digits, so that names sort, unless a template says otherwise."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec or "05d")
