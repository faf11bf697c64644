"""Damaged files read in a process of their own, which they may take with them.

HDF5 trusts what it reads: a single wrong byte can end the process that opens the file with a
segmentation fault, or keep it busy for ever, and no ``except`` helps.
"""

import json
import math
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from .journal import dumps, loads
from .problems import Problem, ReadError
from .run import Document, Run, RunBuilder
from .salvage import Salvage, salvage
from .validate import validate_file

__all__ = ["salvage_files", "validate_files"]

LEAST_S, S_PER_MEGABYTE = 5.0, 20.0
"""Time of the processor for a file, whose reading takes a hundredth of it where it is whole."""


def validate_files(paths: Sequence[str | Path], *, application: bool = True) -> list[list[Problem]]:
    """What is wrong with files that may be damaged in any way.

    Parameters
    ----------
    paths : sequence of path
    application : bool
        As for :func:`~beamline_ophyd.formats.validate.validate_file`.

    Returns
    -------
    list of list of Problem
        One list a file.
    """
    return [
        [Problem(str(path), answer)]
        if isinstance(answer, str)
        else [Problem(*words) for words in json.loads(answer)]
        for path, answer in _answers("definition" if application else "structure", paths)
    ]


def salvage_files(paths: Sequence[str | Path]) -> list[list[Salvage] | ReadError]:
    """What damaged files still hold, see :func:`~beamline_ophyd.formats.salvage.salvage`.

    Returns
    -------
    list
        For each file its runs, as a list of Salvage, or the ReadError that tells why it gives
        nothing.
    """
    found: list[list[Salvage] | ReadError] = []
    for path, answer in _answers("salvage", paths):
        if isinstance(answer, str):
            found.append(ReadError(f"{path} {answer}"))
            continue
        said = loads(answer)
        if "error" in said:
            found.append(ReadError(said["error"]))
            continue
        found.append(
            [
                Salvage(
                    _run(one["documents"]),
                    tuple(one["lost"]),
                    tuple(map(_run, one["earlier"])),
                    one["sweep"],
                    one["definition"],
                    one["mapping"],
                )
                for one in said["runs"]
            ]
        )
    return found


def _run(documents: Iterable[Document]) -> Run:
    builder = RunBuilder()
    for name, doc in documents:
        builder.add(name, doc)
    return builder.snapshot()


def _answers(task: str, paths: Sequence[str | Path]) -> list[tuple[str | Path, bytes | str]]:
    """For each path a line of JSON, or in words what became of the process that read it."""
    found: list[bytes | str] = []
    while len(found) < len(paths):
        rest = [str(Path(path).absolute()) for path in paths[len(found) :]]
        done = subprocess.run(
            [sys.executable, "-m", __name__, task, *rest], capture_output=True, check=False
        )
        found += done.stdout.rpartition(b"\n")[0].splitlines()
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            found.append(f"is damaged so that HDF5 itself fails over it ({name})")
        elif done.returncode:
            raise RuntimeError(f"no {task} of {rest}: {done.stderr.decode(errors='replace')}")
    return list(zip(paths, found, strict=True))


def _validated(path: str, *, application: bool) -> str:
    problems = validate_file(path, application=application)
    return json.dumps([(problem.where, problem.message) for problem in problems])


def _salvaged(path: str) -> str:
    try:
        # Values in a code that they are not in show only when the documents are made.
        runs = [
            {
                "documents": list(one.run.documents()),
                "lost": one.lost,
                "earlier": [list(run.documents()) for run in one.earlier],
                "sweep": one.sweep,
                "definition": one.definition,
                "mapping": one.mapping,
            }
            for one in salvage(path)
        ]
        return dumps({"runs": runs})
    except Exception as error:  # h5py raises all kinds on damaged files
        return dumps({"error": str(error)})


_TASKS = {
    "definition": lambda path: _validated(path, application=True),
    "structure": lambda path: _validated(path, application=False),
    "salvage": _salvaged,
}


def _limit_time(path: str) -> None:
    """Have the system end this process if it takes far longer than a whole file of that size."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    megabytes = Path(path).stat().st_size / 1e6 if Path(path).exists() else 0.0
    allowed_s = used.ru_utime + used.ru_stime + LEAST_S + S_PER_MEGABYTE * megabytes
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or allowed_s < most:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(allowed_s), most))


def _work(task: str, paths: Iterable[str]) -> None:
    for path in paths:
        _limit_time(path)
        sys.stdout.write(_TASKS[task](path) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2:])
