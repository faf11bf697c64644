"""What an earlier run has measured, so that another can continue it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.nexus_read import read_run
from beamline_ophyd.formats.run import Run, builder_from
from beamline_ophyd.metadata import CONTRACT_KEY, XAFSContract

__all__ = ["Earlier", "as_ranges", "continued", "earlier_run", "run_summary"]

EXAMPLE = "journal/<uid>.jsonl"


@dataclass(frozen=True)
class Earlier:
    """A run that another continues: its contract, and the numbers of the points it lacks."""

    uid: str
    contract: XAFSContract
    missing: tuple[int, ...]


def run_summary(source: str | Path) -> dict[str, Any]:
    """What of a run is needed to continue it, as plain JSON.

    Parameters
    ----------
    source : path
        The run's journal, or its NXxas file; the run may have ended in any way, or not at all.

    Returns
    -------
    dict
        ``uid``; ``missing``, half-open ranges of the numbers of the points that are not
        measured or bad; and ``xafs``, the contract of the start document.

    Raises
    ------
    ValueError
        For a run that is no absorption scan of a plan with the contract.
    OSError
        When the file cannot be read.
    """
    earlier = earlier_run(source)
    return {
        "uid": earlier.uid,
        "missing": [list(r) for r in as_ranges(earlier.missing)],
        CONTRACT_KEY: earlier.contract.model_dump(mode="json"),
    }


def earlier_run(source: Any) -> Earlier:
    """The run behind what a user gives as `resume`: a summary, a journal or a file."""
    if isinstance(source, Mapping):
        return _from_summary(source)
    if not isinstance(source, str | Path):
        raise ValueError(
            f"resume is {source!r}; give the path of a journal or of a file, or a run's summary"
        )
    path = Path(source)
    if not path.is_file():
        raise ValueError(
            f"resume is {str(source)!r}, which is no file; give a run's journal such as "
            f"{EXAMPLE!r}, its NXxas file or its summary"
        )
    if path.suffix == ".jsonl":
        run = builder_from(read_journal(path), report=lambda _: None).snapshot()
    else:
        run, _ = read_run(path)
    contract = run.start.get(CONTRACT_KEY)
    if contract is None:
        raise ValueError(
            f"{path} holds a run of {run.start.get('plan_name', 'an unknown plan')}, not of "
            "xafs_scan; only that can be continued"
        )
    contract = XAFSContract.model_validate(contract)
    return Earlier(run.uid, contract, _missing(contract, _good(run, contract)))


def continued(contract: XAFSContract, earlier: Earlier) -> tuple[XAFSContract, tuple[int, ...]]:
    """The contract of a run that continues another, and the numbers of its points."""
    before = earlier.contract
    for what, this, that in (
        ("grid", contract.grid, before.grid),
        ("mode", contract.mode, before.mode),
        ("roles", contract.roles.model_dump(), before.roles.model_dump()),
        ("e0_shift", contract.e0_shift_ev, before.e0_shift_ev),
    ):
        if this != that:
            raise ValueError(
                f"the run {earlier.uid} to be continued has another {what}: {that}, now {this}; "
                "give the same, or start a new scan without resume"
            )
    total = contract.points_per_sweep * before.repeats
    more = range(total, contract.points_per_sweep * max(before.repeats, contract.repeats))
    wanted = (*earlier.missing, *more)
    if not wanted:
        raise ValueError(
            f"the run {earlier.uid} lacks no point; leave out resume, or give more repeats than "
            f"its {before.repeats}"
        )
    changes = {
        "repeats": max(before.repeats, contract.repeats),
        "first_point": wanted[0],
        "points": as_ranges(wanted),
        "continues": earlier.uid,
    }
    return contract.model_copy(update=changes), wanted


def as_ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of rising numbers.

    >>> as_ranges([3, 4, 5, 9])
    ((3, 6), (9, 10))
    """
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


def _from_summary(summary: Mapping[str, Any]) -> Earlier:
    try:
        contract = XAFSContract.model_validate(summary[CONTRACT_KEY])
        missing = tuple(n for first, last in summary["missing"] for n in range(first, last))
        return Earlier(str(summary["uid"]), contract, missing)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise ValueError(
            f"resume is a summary that is not understood ({type(error).__name__}: {error}); give "
            "what run_summary returns"
        ) from error


def _missing(contract: XAFSContract, good: set[int]) -> tuple[int, ...]:
    total = contract.points_per_sweep * contract.repeats
    planned: Sequence[tuple[int, int]] = contract.points or ((contract.first_point, total),)
    return tuple(n for first, last in planned for n in range(first, last) if n not in good)


def _good(run: Run, contract: XAFSContract) -> set[int]:
    """Numbers of the points with a good event."""
    stream = run.streams.get("primary")
    if stream is None:
        return set()
    if contract.point_key is None:
        numbers = (contract.first_point + stream.seq_num - 1).tolist()
    else:
        numbers = stream.columns[contract.point_key].tolist()
    if contract.quality_key is None:
        return {int(n) for n in numbers}
    quality = stream.columns[contract.quality_key].tolist()
    return {int(n) for n, words in zip(numbers, quality, strict=True) if not words}
