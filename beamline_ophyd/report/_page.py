"""The page of a run: made from a template in which every value is text."""

import base64
import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, Template

from beamline_ophyd.analysis.xafs import SoFar, reduce_so_far
from beamline_ophyd.data import ScanData
from beamline_ophyd.edges import GridError, absorption_edge
from beamline_ophyd.formats.hdf5 import replace_file
from beamline_ophyd.formats.run import Stream
from beamline_ophyd.metadata import RESULT_STREAM

from ._figures import plain_figure, readings_figure, spectrum_figure
from ._findings import findings

__all__ = ["report_html", "write_report"]

# Of a start document: shown elsewhere, or a plan's notes for programs.
NOT_SHOWN = frozenset({"uid", "time", "xafs", "powder", "hints", "versions", "plan_args",
                       "plan_pattern_args"})  # fmt: skip


@dataclass(frozen=True)
class _Figure:
    title: str
    address: str


@dataclass(frozen=True)
class _Table:
    title: str
    rows: list[tuple[str, str]]


def write_report(scan: ScanData, path: str | Path) -> Path:
    """Write the page of a run; an earlier one there is replaced in one step.

    Raises
    ------
    OSError
        When the page cannot be written.
    """
    replace_file(Path(path), report_html(scan).encode())
    return Path(path)


def report_html(scan: ScanData) -> str:
    """The page of a run: figures, numbers, findings and metadata.

    Returns
    -------
    str
        HTML that runs no script and fetches nothing; its figures are in it.
    """
    spectrum = reduce_so_far(scan)
    return _template().render(
        title=_title(scan),
        under=" · ".join(_under(scan)),
        findings=findings(scan, spectrum),
        figures=list(_figures(scan, spectrum)),
        tables=[t for t in _tables(scan, spectrum) if t.rows],
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    text = files("beamline_ophyd.report").joinpath("page.html").read_text()
    return Environment(autoescape=True).from_string(text)


def _title(scan: ScanData) -> str:
    about = scan.about
    edge = "-".join(word for word in (about.element, about.edge) if word)
    what = " ".join(word for word in (about.sample_name, edge) if word)
    number = scan.run.start.get("scan_id")
    name = what or str(scan.run.start.get("plan_name") or "run")
    return name if number is None else f"{number}: {name}"


def _under(scan: ScanData) -> Iterator[str]:
    if (began := _moment(scan.run.start.get("time"))) is not None:
        yield began.strftime("%Y-%m-%d %H:%M:%S %z")
    if scan.mode:
        yield scan.mode
    if not scan.about.is_experimental:
        yield "simulated"
    yield scan.uid


def _figures(scan: ScanData, spectrum: SoFar | None) -> Iterator[_Figure]:
    if spectrum is not None:
        yield _Figure("Spectrum", _address(spectrum_figure(spectrum, str(scan.mode))))
        yield _Figure("Readings", _address(readings_figure(scan)))
    elif (svg := plain_figure(scan)) is not None:
        yield _Figure("Readings", _address(svg))


def _address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _tables(scan: ScanData, spectrum: SoFar | None) -> Iterator[_Table]:
    if spectrum is not None:
        yield _Table("Numbers", list(_numbers(scan, spectrum)))
    result = scan.run.streams.get(RESULT_STREAM)
    if result is not None and len(result):
        yield _Table("Result", list(_readings(result)))
    yield _Table("Run", list(_run(scan)))
    start = {key: value for key, value in scan.run.start.items() if key not in NOT_SHOWN}
    yield _Table("Metadata", list(_flat(start)))
    baseline = scan.run.streams.get("baseline")
    if baseline is not None and len(baseline):
        yield _Table("Before and after the run", list(_readings(baseline)))


def _readings(stream: Stream) -> Iterator[tuple[str, str]]:
    for key, column in stream.columns.items():
        yield _with_unit(key, stream.units(key)), _values(column)


def _numbers(scan: ScanData, spectrum: SoFar) -> Iterator[tuple[str, str]]:
    yield "points", str(len(spectrum.energy))
    yield "energies", f"{spectrum.energy[0]:.2f} to {spectrum.energy[-1]:.2f} eV"
    if spectrum.mu_errors is not None and np.isfinite(spectrum.mu_errors).any():
        yield "median standard deviation of mu", f"{np.nanmedian(spectrum.mu_errors):.2e}"
    about = scan.about
    with contextlib.suppress(GridError):
        tabulated = absorption_edge(f"{about.element}-{about.edge}")[2]
        yield "tabulated edge", f"{tabulated:.1f} eV"
    if (normal := spectrum.normalised) is not None:
        error = normal.edge_step_error
        yield "E0 (steepest point)", f"{normal.e0:.2f} eV"
        yield "edge step", f"{normal.edge_step:.4f}" + ("" if error is None else f" ± {error:.1e}")
    if (background := spectrum.background) is not None:
        yield "chi(k) up to", f"{background.k[-1]:.2f} 1/Å"
    if np.isfinite(spectrum.noise):
        yield "noise of k² chi from k = 3 on", f"{spectrum.noise:.2e} 1/Å²"
    if (transform := spectrum.transform) is not None:
        shell = (transform.r > 1.0) & (transform.r < 4.0)
        peak = transform.r[shell][np.argmax(transform.chir_mag[shell])]
        yield "highest peak of |chi(R)|, not phase corrected", f"{peak:.2f} Å"


def _run(scan: ScanData) -> Iterator[tuple[str, str]]:
    start, stop = scan.run.start, scan.run.stop
    yield "uid", scan.uid
    if (began := _moment(start.get("time"))) is not None:
        yield "began", began.isoformat(sep=" ", timespec="seconds")
    if stop is not None:
        if (ended := _moment(stop.get("time"))) is not None:
            yield "ended", ended.isoformat(sep=" ", timespec="seconds")
        yield "exit status", " ".join(str(stop.get(key, "")) for key in ("exit_status", "reason"))
    yield "events", ", ".join(f"{name} {len(s)}" for name, s in scan.run.streams.items()) or "none"
    if scan.earlier:
        yield "continues", ", ".join(run.uid for run in scan.earlier)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            listed = isinstance(value, list | tuple) and not any(
                isinstance(item, list | tuple | Mapping) for item in value
            )
            yield name, ", ".join(map(str, value)) if listed else str(value)


def _with_unit(key: str, unit: str | None) -> str:
    return f"{key} ({unit})" if unit else key


def _values(column: np.ndarray) -> str:
    if column.ndim != 1:
        return f"{len(column)} arrays of shape {column.shape[1:]}"
    if column.dtype.kind == "f":
        return ", ".join(f"{value:.6g}" for value in column)
    return ", ".join(map(str, column))


def _moment(when: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(float(when), dt.UTC).astimezone()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
