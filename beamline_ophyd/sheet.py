"""A sheet of measurements, one a row, as people keep them in a spreadsheet.

CSV (separated by commas, semicolons or tabs) or XLSX; the first row has the names of the columns:

===============  ==============================================================================
sample           Name of the sample; needed.
edge             "Fe-K", or E0 in eV; needed.
place            Where it sits, by the name that the sample stage knows.
x, y             Where it sits, in the units of the stage; instead of a place.
regions          Name of a preset, see :mod:`beamline_ophyd.presets`; "exafs" where it is empty.
repeats          Sweeps; 1.
mode             "transmission", "fluorescence" or "electron yield"; what the detectors can do.
e0_shift         eV that the monochromator reads above the true energy; 0.
settle_time      Seconds to wait at each energy; 0.
comment          Goes into the run's metadata.
skip             "yes" leaves the row out.
sample.ITEM      Goes into the run's Sample family, such as ``sample.formula``.
===============  ==============================================================================

Empty rows, and rows whose first cell begins with ``#``, are passed over.
"""

import csv
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .edges import absorption_edge
from .grid import EnergyGrid, energy_grid
from .presets import load_presets

__all__ = ["Problem", "Row", "Sheet", "SheetError", "read_sheet"]

MODES = ("transmission", "fluorescence", "electron yield")
SAMPLE_ITEM = "sample."
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a row: its number as a spreadsheet shows it, the column, the words."""

    row: int
    column: str
    words: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.words}"


class SheetError(ValueError):
    """A sheet that cannot be measured; says every row and column that is wrong.

    Attributes
    ----------
    problems : tuple of Problem
        Empty where the sheet as a whole cannot be read.
    """

    def __init__(self, message: str, problems: Sequence[Problem] = ()):
        self.problems = tuple(problems)
        super().__init__("\n  ".join([message, *map(str, self.problems)]))


@dataclass(frozen=True)
class Row:
    """One measurement of a sheet; the fields are its columns.

    Attributes
    ----------
    number : int
        Number of the row as a spreadsheet shows it.
    key : str
        The same for the same measurement, wherever its row stands in the sheet.
    about : mapping
        Items of the Sample family.
    grid : EnergyGrid
        What edge and regions make.
    region_options : mapping
        The preset's bounds, steps and times, or its regions.
    """

    number: int
    key: str
    sample: str
    edge: str | float
    place: str | None
    x: float | None
    y: float | None
    regions: str
    repeats: int
    mode: str | None
    e0_shift: float
    settle_time: float
    comment: str
    skip: bool
    about: Mapping[str, str]
    grid: EnergyGrid = field(repr=False)
    region_options: Mapping[str, Any] = field(repr=False)

    @property
    def where(self) -> str:
        """The row's place in words."""
        if self.place is not None:
            return self.place
        given = (("x", self.x), ("y", self.y))
        return ", ".join(f"{name} {value:g}" for name, value in given if value is not None)


@dataclass(frozen=True)
class Sheet:
    """The rows of a sheet that are right, and what is wrong with the others."""

    path: Path
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()

    def refused(self, problems: Sequence[Problem]) -> SheetError:
        """The error that says these problems."""
        n = len(problems)
        words = f"{self.path} has {n} problem{'s' * (n > 1)}; nothing has moved"
        return SheetError(words, sorted(problems, key=lambda p: p.row))


def read_sheet(path: str | Path, presets: str | Path | None = None) -> Sheet:
    """Read a sheet whole; a row that is wrong keeps no other from being read.

    Parameters
    ----------
    path : path
        A CSV or XLSX file; XLSX needs the extra ``xlsx`` of this package.
    presets : path, optional
        The file of presets that the column "regions" names.

    Returns
    -------
    Sheet
        With every problem of every row. Whether a beamline can measure the rows is not
        looked at here.

    Raises
    ------
    SheetError
        When the file cannot be read, has no rows, or has columns that are not known.
    PresetError
        For a file of presets that is not right.
    """
    path = Path(path).expanduser()
    lines = iter(_cells(path))
    _, header = next(lines, (0, ()))
    columns = _columns(path, header)
    known = load_presets(presets)
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: Counter[str] = Counter()
    for number, cells in lines:
        row, wrong = _row(number, columns, cells, known, seen)
        problems += wrong
        if row is not None:
            rows.append(row)
    if not rows and not problems:
        raise SheetError(f"{path} has no rows below its header; write one for each measurement")
    return Sheet(path, tuple(rows), tuple(problems))


def _cells(path: Path) -> Iterator[tuple[int, Sequence[Any]]]:
    """Numbers and cells of the rows that say something."""
    try:
        table = _xlsx(path) if path.suffix.lower() in (".xlsx", ".xlsm") else _csv(path)
        for number, cells in enumerate(table, start=1):
            cells = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
            said = [cell for cell in cells if cell not in ("", None)]
            if said and not str(cells[0] or "").startswith("#"):
                yield number, cells
    except UnicodeDecodeError as error:
        raise SheetError(f"{path} is no text in UTF-8 ({error.reason}); save it as such") from error
    except (OSError, csv.Error) as error:
        raise SheetError(f"{path} cannot be read: {error}; give a CSV or XLSX file") from error


def _csv(path: Path) -> Iterator[list[str]]:
    text = path.read_text(encoding="utf-8-sig")
    lines = (line.strip(" \t,;") for line in text.splitlines())
    header = next((line for line in lines if line and not line.startswith("#")), "")
    delimiter = max(DELIMITERS, key=header.count)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _xlsx(path: Path) -> Iterator[Sequence[Any]]:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise SheetError(
            f"{path} needs openpyxl; install beamline-ophyd[xlsx], or save the sheet as CSV"
        ) from error
    from zipfile import BadZipFile

    try:
        # Values, where a cell has a formula.
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, ValueError) as error:
        raise SheetError(f"{path} is no XLSX file ({error}); save it anew, or as CSV") from error
    try:
        read = getattr(book.active, "iter_rows", None)
        if read is None:
            raise SheetError(f"{path} has no sheet of cells in front; bring one to the front")
        yield from read(values_only=True)
    finally:
        book.close()


def _columns(path: Path, header: Sequence[Any]) -> list[str]:
    names = [str(cell or "").lower().replace(" ", "_") for cell in header]
    while names and not names[-1]:
        names.pop()
    unknown = [n or "(empty)" for n in names if n not in PARSERS and not _item(n)]
    if unknown:
        raise SheetError(
            f"{path} has the columns {', '.join(unknown)}; it may have {', '.join(PARSERS)} and "
            "sample.ITEM"
        )
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise SheetError(f"{path} has more than one column {', '.join(twice)}; keep one of each")
    if missing := [name for name in ("sample", "edge") if name not in names]:
        raise SheetError(f"{path} has no column {' and no column '.join(missing)}; add it")
    return names


def _item(column: str) -> str:
    """Item of the Sample family that a column stands for."""
    item = column.removeprefix(SAMPLE_ITEM) if column.startswith(SAMPLE_ITEM) else ""
    return "" if item == "name" else item


def _row(
    number: int,
    columns: Sequence[str],
    cells: Sequence[Any],
    presets: Mapping[str, Mapping[str, Any]],
    seen: Counter[str],
) -> tuple[Row | None, list[Problem]]:
    """A row, or None, and all that is wrong with it."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []

    def wrong(column: str, words: object) -> None:
        problems.append(Problem(number, column, str(words)))

    if any(cell not in ("", None) for cell in cells[len(columns) :]):
        wrong(columns[-1], "the row has more cells than the header; put text with commas in quotes")
    given = dict(zip(columns, cells, strict=False))
    for column, parse in PARSERS.items():
        cell = given.get(column)
        try:
            values[column] = parse("" if cell is None else cell)
        except ValueError as error:
            wrong(column, error)
    about = {
        item: str(cell)
        for column, cell in given.items()
        if (item := _item(column)) and cell not in ("", None)
    }
    coordinates = [c for c in ("x", "y") if c in columns and c in values]
    missing = [c for c in coordinates if values[c] is None]
    if values["place"] and len(missing) < len(coordinates):
        wrong("place", "a place is given, and x or y too; keep one of them")
    elif missing and len(missing) < len(coordinates):
        wrong(missing[0], "empty, while the other coordinate is given; give both")
    regions: str = values["regions"]
    if regions not in presets:
        wrong("regions", f"there is no preset {regions!r}; there are {', '.join(sorted(presets))}")
    grid = None
    if regions in presets and "edge" in values:
        try:
            grid = energy_grid(values["edge"], **presets[regions])
        except ValueError as error:
            wrong("regions", error)
    if problems or grid is None:
        return None, problems
    key = _key(values, presets[regions])
    seen[key] += 1
    made = Row(
        number=number, key=f"{key}-{seen[key]}", about=about, grid=grid,
        region_options=presets[regions], **values,
    )  # fmt: skip
    return made, problems


def _key(values: Mapping[str, Any], regions: Mapping[str, Any]) -> str:
    """A digest of what is measured; words about it, and whether it is skipped, are no part."""
    measured = {name: values[name] for name in PARSERS if name not in ("comment", "skip")}
    measured["regions"] = dict(regions)
    return hashlib.sha256(json.dumps(measured, sort_keys=True).encode()).hexdigest()[:16]


def _text(cell: Any) -> str:
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)


def _sample(cell: Any) -> str:
    if cell == "":
        raise ValueError("empty; give the sample's name")
    return _text(cell)


def _edge(cell: Any) -> str | float:
    if cell == "":
        raise ValueError("empty; write it like Fe-K or Pb-L3, or give E0 in eV")
    try:
        edge: str | float = float(cell)
    except (TypeError, ValueError):
        edge = str(cell)
    absorption_edge(edge)
    return edge


def _number(cell: Any) -> float | None:
    if cell == "":
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{cell!s} is no number; write it like 12.5") from None
    if not math.isfinite(value):
        raise ValueError(f"{cell!s} is not finite; write it like 12.5")
    return value


def _seconds(cell: Any) -> float:
    value = _number(cell) or 0.0
    if value < 0:
        raise ValueError(f"{value:g} is below 0; give seconds")
    return value


def _repeats(cell: Any) -> int:
    value = 1.0 if cell == "" else _number(cell)
    if value is None or value < 1 or not value.is_integer():
        raise ValueError(f"{cell!s} is no whole number of sweeps, 1 or more")
    return int(value)


def _mode(cell: Any) -> str | None:
    mode = str(cell).lower()
    if mode and mode not in MODES:
        raise ValueError(f"{cell!s} is no mode; give one of {', '.join(MODES)}, or leave it empty")
    return mode or None


def _yes(cell: Any) -> bool:
    words = {"": False, "no": False, "false": False, "0": False}
    words |= {"yes": True, "true": True, "1": True, "x": True}
    if (word := _text(cell).lower()) not in words:
        raise ValueError(f"{cell!s} is neither yes nor no")
    return words[word]


PARSERS: dict[str, Callable[[Any], Any]] = {
    "sample": _sample,
    "edge": _edge,
    "place": lambda cell: _text(cell) or None,
    "x": _number,
    "y": _number,
    "regions": lambda cell: _text(cell) or "exafs",
    "repeats": _repeats,
    "mode": _mode,
    "e0_shift": lambda cell: _number(cell) or 0.0,
    "settle_time": _seconds,
    "comment": _text,
    "skip": _yes,
}
"""The columns, and what makes a value of a cell; an empty cell is the empty string."""
