"""A run as one table, for programs that want columns: CSV, parquet, pandas, xarray."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .journal import dumps
from .measurement import read_metadata
from .nexus_parts import DISTRIBUTION, program_version
from .run import Run
from .spectrum import Spectrum
from .units import in_one_unit
from .xdi_dictionary import item_text, safe_word

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["Table", "events_table", "spectrum_table"]


@dataclass(frozen=True)
class Table:
    """Columns of one length with their units, and what is known of the run.

    Attributes
    ----------
    index : str
        Name of the first index of every column.
    columns : mapping
        Name to values; the first one is that which the others are plotted against.
    units : mapping
        Name to unit, empty for a pure number and for text.
    start, stop : mapping
        Documents of the run; an unfinished one has an empty stop document.
    """

    index: str
    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    start: Mapping[str, Any] = field(default_factory=dict)
    stop: Mapping[str, Any] = field(default_factory=dict)

    def csv(self) -> str:
        """Text with one line of names and one a row, after lines of metadata behind ``#``.

        Floats come back to the last bit. Arrays stand in their cell as JSON. For pandas:
        ``read_csv(path, comment="#")``.
        """
        out = io.StringIO()
        for line in self._csv_header():
            out.write(f"# {line}\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*map(_cells, self.columns.values()), strict=True))
        return out.getvalue()

    def _csv_header(self) -> list[str]:
        lines = [f"{DISTRIBUTION} {program_version()}, run {self.start.get('uid', 'unknown')}"]
        for family, items in read_metadata(self.start)[0].families.items():
            for key, value in items.items():
                if text := item_text(family, str(key), value):
                    lines.append(f"{family}.{safe_word(str(key))}: {text}")
        lines += [f"unit of {name}: {unit}" for name, unit in self.units.items() if unit]
        return [*lines, f"start: {dumps(self.start)}", f"stop: {dumps(self.stop)}"]

    def dataframe(self) -> "pandas.DataFrame":
        """As pandas has it; units and documents are in ``attrs``."""
        import pandas

        frame = pandas.DataFrame({name: _flat(values) for name, values in self.columns.items()})
        frame.attrs = {"units": dict(self.units), "start": dict(self.start)}
        frame.attrs["stop"] = dict(self.stop)
        return frame

    def dataset(self) -> "xarray.Dataset":
        """As xarray has it; units are ``attrs`` of the variables, documents JSON of the set."""
        import xarray

        variables = {}
        for name, values in self.columns.items():
            others = [f"{name}_dim_{n}" for n in range(1, values.ndim)]
            attrs = {"units": self.units[name]} if self.units.get(name) else {}
            variables[name] = ((self.index, *others), values, attrs)
        coordinates = {n: variables.pop(n) for n in (self.index, *_EVENT) if n in variables}
        attrs = {"uid": str(self.start.get("uid", "")), "start": dumps(self.start)}
        return xarray.Dataset(variables, coordinates, attrs | {"stop": dumps(self.stop)})

    def parquet(self) -> bytes:
        """As a parquet file; units are metadata of the fields, documents of the schema."""
        import pyarrow
        import pyarrow.parquet

        arrays, fields = [], []
        for name, values in self.columns.items():
            arrays.append(_arrow(values, pyarrow))
            unit = self.units.get(name) or ""
            fields.append(pyarrow.field(name, arrays[-1].type, metadata={"units": unit}))
        metadata = {"start": dumps(self.start), "stop": dumps(self.stop)}
        schema = pyarrow.schema(fields, metadata=metadata)
        out = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.table(arrays, schema=schema), out)
        return out.getvalue().to_pybytes()


_EVENT = ("seq_num", "time")


def events_table(run: Run, stream: str = "primary") -> Table:
    """Every event of a stream, each column in one unit, with its number and time.

    Raises
    ------
    ValueError
        When the run has no such stream; names those that it has.
    """
    found = in_one_unit(run).streams.get(stream)
    if found is None:
        have = ", ".join(run.streams) or "none"
        raise ValueError(f"run {run.uid} has no stream {stream!r}; it has {have}")
    columns = {"seq_num": found.seq_num, "time": found.time}
    units = {"seq_num": "", "time": "s"}
    for key, values in found.columns.items():
        name = f"{key}_value" if key in columns else key
        columns[name], units[name] = values, found.units(key) or ""
    return Table("event", columns, units, run.start, run.stop or {})


def spectrum_table(run: Run, spectrum: Spectrum, units: Mapping[str, str]) -> Table:
    """The merged spectrum: energy, channels by their roles, mu(E) with errors.

    Channels are as they were read; what is dark current in them, and is not in mu(E), has
    columns of its own where it is known.

    Parameters
    ----------
    units : mapping
        Role to the unit of its readings.
    """
    columns = {"energy": spectrum.energy_ev, **spectrum.channels}
    found = {"energy": "eV", **{role: units.get(role, "") for role in spectrum.channels}}
    for role, values in spectrum.dark.items():
        columns[f"{role}_dark"], found[f"{role}_dark"] = values, units.get(role, "")
    if spectrum.dwell_s is not None:
        columns["dwell"], found["dwell"] = spectrum.dwell_s, "s"
    columns["readings"] = spectrum.merged
    for channel in spectrum.available:
        mu, errors = spectrum.mu(channel)
        columns[f"mu_{channel}"] = mu
        if errors is not None:
            columns[f"mu_{channel}_errors"] = errors
    found |= {name: "" for name in columns if name not in found}
    return Table("energy", columns, found, run.start, run.stop or {})


def _cells(values: np.ndarray) -> list[Any]:
    if values.ndim > 1:
        return [dumps(row.tolist()) for row in values]
    return values.tolist()


def _flat(values: np.ndarray) -> Any:
    return list(values) if values.ndim > 1 else values


def _arrow(values: np.ndarray, pyarrow: Any) -> Any:
    """An arrow array of any number of dimensions, as lists of fixed size."""
    found = pyarrow.array(np.ascontiguousarray(values).reshape(-1))
    for size in values.shape[:0:-1]:
        found = pyarrow.FixedSizeListArray.from_arrays(found, size)
    return found
