"""Measuring the rows of a sheet, one after the other."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bluesky.preprocessors import plan_mutator
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator, RequestStop, RunEngineControlException

from beamline_ophyd.grid import GridError
from beamline_ophyd.queue_log import DONE, QueueLog
from beamline_ophyd.sheet import Problem, Row, Sheet, read_sheet

from ._axes import UNKNOWN_SPEED_LIMIT_S, axis_limits, axis_speed
from ._checks import called, check_axis
from ._resuming import earlier_run
from ._steps import move
from .xafs import xafs_scan

__all__ = ["QueueError", "sample_queue"]

ACTING = frozenset({"stage", "open_run", "set", "trigger"})
"""Messages before which a scan has checked everything and done nothing."""


BY_THE_ROW = frozenset(
    ("edge", "bounds", "steps", "times", "regions", "repeats", "mode", "e0_shift", "settle_time")
) | frozenset(("detectors", "energy", "shutter", "roles", "resume", "md"))
"""Arguments of xafs_scan that are not to be given for all rows at once."""


class QueueError(RuntimeError):
    """Rows of a queue that failed while the others went on; the message names them."""


def sample_queue(
    sheet: str,
    detectors: Sequence[Readable],
    energy: Movable,
    *,
    stage: Movable | None = None,
    x: Movable | None = None,
    y: Movable | None = None,
    shutter: Movable | None = None,
    roles: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    presets: str | None = None,
    rows: Sequence[int] | None = None,
    again: bool = False,
    keep_going: bool = False,
    check_only: bool = False,
    journals: str | None = None,
    state: str | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[list[str]]:
    r"""Measure an absorption spectrum for every row of a sheet, in order.

    The whole sheet is checked before anything moves, by what the scans themselves check. What
    became of each row is kept beside the sheet, so that the same call goes on after an
    interruption: rows that are done are passed over.

    Parameters
    ----------
    sheet : str
        CSV or XLSX file with one measurement a row; :mod:`beamline_ophyd.sheet` has its columns.
    detectors : sequence of Readable
        Read in every scan; a row's mode tells which of them has the signal.
    energy : Movable
        The axis that takes photon energies in eV.
    stage : Movable, optional
        Takes the names of places.
    x, y : Movable, optional
        The axes of the stage; by default its `x` and `y`.
    shutter : Movable, optional
        Opened before each run and closed after it, whatever happens.
    roles : dict, optional
        As in :func:`xafs_scan`.
    options : dict, optional
        Further arguments of :func:`xafs_scan`, for every row: ``{"retakes": 1}``.
    presets : str, optional
        File of the presets that the sheet names.
    rows : sequence of int, optional
        Measure these only, by their numbers in the sheet, done or not.
    again : bool
        Measure also what is done, from the first row on.
    keep_going : bool
        Go on with the next row when one fails; by default the queue ends.
    check_only : bool
        Check and move nothing.
    journals : str, optional
        Folder of the runs' journals. A row whose run ended early then goes on at the first
        point that it lacks; without it, it is measured anew.
    state : str, optional
        File of what became of the rows; by default beside the sheet.
    md : dict, optional
        Metadata of every run. A run says its row under "queue", and what the row says of the
        sample under "Sample".

    Returns
    -------
    list of str
        Uids of the runs.

    Raises
    ------
    SheetError
        Before anything moves, with every row and column that is wrong.
    QueueError
        At the end, where rows failed and the queue went on.
    DeviceError
        As :func:`xafs_scan`.

    Examples
    --------
    >>> import tempfile
    >>> from beamline_ophyd.plans import sample_queue
    >>> from ophyd.sim import SynAxis, SynSignal
    >>> energy = SynAxis(name="energy")
    >>> i0, it = (SynSignal(func=lambda: 1.0, name=name) for name in ("i0", "it"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/foils.csv", "w") as file:
    ...         _ = file.write("sample,edge,regions\nFe foil,Fe-K,quick\nCu foil,Cu-K,quick\n")
    ...     plan = sample_queue(file.name, [i0, it], energy, options={"fixed_dwell": True})
    ...     runs = [m.kwargs["Sample"]["name"] for m in plan if m.command == "open_run"]
    >>> runs
    ['Fe foil', 'Cu foil']
    """
    x = getattr(stage, "x", None) if x is None else x
    y = getattr(stage, "y", None) if y is None else y
    axes = {name: axis for name, axis in (("x", x), ("y", y)) if axis is not None}
    for name, axis in axes.items():
        check_axis(name, axis, "give an axis of the sample stage")
    if fixed := sorted(set(options or {}) & BY_THE_ROW):
        raise ValueError(
            f"options has {', '.join(fixed)}, which the rows or the queue itself say; leave it out"
        )
    found = read_sheet(sheet, presets)
    log = QueueLog.beside(found.path) if state is None else QueueLog(state)
    todo = _wanted(found, log, rows, again)
    common = {"shutter": shutter, "roles": roles, **(options or {})}
    about_all = {"queue": {"sheet": found.path.name}, **(md or {})}

    def scan(row: Row, resume: str | None) -> MsgGenerator[str]:
        about = {
            **about_all,
            "Sample": {**about_all.get("Sample", {}), **row.about, "name": row.sample},
            "queue": {**about_all["queue"], "row": row.number, "key": row.key, "place": row.where},
            **({"comment": row.comment} if row.comment else {}),
        }
        said = {"repeats": row.repeats, "mode": row.mode, "e0_shift": row.e0_shift}
        said |= {"settle_time": row.settle_time, **row.region_options}
        return xafs_scan(detectors, energy, row.edge, **said, **common, resume=resume, md=about)

    problems = list(found.problems)
    for row in todo:
        column = "place"
        try:
            yield from _check_place(row, stage, axes)
            column = "mode"
            yield from _until_it_acts(scan(row, None))
        except ValueError as error:
            column = "regions" if isinstance(error, GridError) else column
            problems.append(Problem(row.number, column, str(error)))
    if problems:
        raise found.refused(problems)
    if check_only:
        return []
    uids: list[str] = []
    failed: list[str] = []
    with log.held():
        for row in todo:
            before = None if again or rows is not None else log.outcome(row)
            resume = None if before is None else _journal(journals, before.runs)
            if resume is not None and not earlier_run(resume).missing:
                log.ended(row, DONE)  # killed between its last point and the log's line
                continue
            runs: list[str] = []  # stays empty where the plan is only looked at
            try:
                yield from _go(row, stage, axes)
                yield Msg("checkpoint")  # where one Ctrl-C during the move takes effect
                yield from _noted(scan(row, resume), row, log, runs)
            except RequestStop:
                log.ended(row, "stopped")
                raise
            except (RunEngineControlException, GeneratorExit) as error:
                if runs:
                    log.ended(row, "aborted", str(error))
                raise
            except Exception as error:
                log.ended(row, "failed", str(error))
                if not keep_going:
                    raise
                failed.append(f"row {row.number} ({row.sample}): {error}")
            else:
                if runs:
                    log.ended(row, DONE)
            uids += runs
    if failed:
        raise QueueError(
            f"{len(failed)} of {len(todo)} rows of {found.path} failed; run the queue again for "
            "these\n  " + "\n  ".join(failed)
        )
    return uids


def _wanted(
    sheet: Sheet, log: QueueLog, numbers: Sequence[int] | None, again: bool
) -> tuple[Row, ...]:
    """The rows to measure, in the order of the sheet."""
    if numbers is None:
        done = {o.row for o in log.report(sheet).rows if o.status == DONE and not again}
        return tuple(row for row in sheet.rows if not row.skip and row.number not in done)
    known = {row.number for row in sheet.rows} | {p.row for p in sheet.problems}
    if unknown := sorted(set(numbers) - known):
        raise ValueError(
            f"rows has {', '.join(map(str, unknown))}; {sheet.path} has rows "
            f"{', '.join(map(str, sorted(known)))}, counted as a spreadsheet does"
        )
    return tuple(row for row in sheet.rows if row.number in numbers)


def _check_place(row: Row, stage: Any, axes: dict[str, Any]) -> MsgGenerator[None]:
    if row.place is not None:
        if stage is None:
            raise ValueError(f"{row.place!r} needs a stage that knows places; give x and y")
        check = getattr(stage, "check_value", None)
        checked = None if check is None else check(row.place)
        if inspect.iscoroutine(checked):  # of ophyd-async: not to be had without waiting
            checked.close()
        return
    given = {name: value for name in ("x", "y") if (value := getattr(row, name)) is not None}
    if not given and (stage is not None or axes):
        raise ValueError("empty; give the name of a place, or x and y")
    for name, value in given.items():
        if name not in axes:
            raise ValueError(f"{name} is {value:g}, but the queue got no axis {name}; pass {name}=")
        limits = yield from axis_limits(axes[name])
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise ValueError(
                f"{called(axes[name])} cannot go to {value:g}; its limits are {limits[0]:g} to "
                f"{limits[1]:g}"
            )


def _until_it_acts(plan: MsgGenerator[Any]) -> MsgGenerator[None]:
    """A plan's messages up to where it would begin to do something."""
    answer: Any = None
    try:
        while (msg := plan.send(answer)).command not in ACTING:
            answer = yield msg
    except StopIteration:
        pass
    finally:
        plan.close()


def _go(row: Row, stage: Any, axes: dict[str, Any]) -> MsgGenerator[None]:
    """Bring a row's sample into the beam."""
    if row.place is not None:
        yield from move(stage, row.place, (yield from _longest_way(axes)))
        return
    for name, axis in axes.items():
        target = getattr(row, name)
        if target is not None:
            yield from move(axis, target, (yield from _longest_way({name: axis})))


def _longest_way(axes: dict[str, Any]) -> MsgGenerator[float]:
    """Seconds within which the stage has gone from one end to the other."""
    longest = 0.0
    for axis in axes.values():
        limits = yield from axis_limits(axis)
        speed = yield from axis_speed(axis)
        longest = max(longest, speed.limit_s(None if limits is None else limits[1] - limits[0]))
    return longest or UNKNOWN_SPEED_LIMIT_S


def _noted(plan: MsgGenerator[Any], row: Row, log: QueueLog, runs: list[str]) -> MsgGenerator[None]:
    """A row's scan, whose run is written into the log when it opens."""

    def around(msg: Msg):
        if msg.command != "open_run":
            return None, None

        def open_run():
            uid = yield msg
            if uid is not None:
                runs.append(str(uid))
                log.began(row, str(uid))
            return uid

        return open_run(), None

    yield from plan_mutator(plan, around)


def _journal(folder: str | None, runs: Sequence[str]) -> str | None:
    """The journal of the last of some runs, where it is to be found."""
    if folder is None or not runs:
        return None
    return next(map(str, Path(folder).expanduser().glob(f"*{runs[-1]}*.jsonl")), None)
