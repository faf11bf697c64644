"""Programs of other people that tests need: some in environments of their own."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[1]


def python_of(folder: str, variable: str, what: str, target: str) -> Path:
    """Python of the environment that `make TARGET` makes, or that a variable names.

    Without it a test is skipped or fails, see :func:`lacking`.
    """
    python = Path(os.environ.get(variable, ROOT / folder / "bin" / "python"))
    if not python.is_file():
        lacking(f"{what} not installed at {python}; `make {target}` makes their environment")
    return python


def system_program(name: str) -> str:
    """Path of a program of the system; without it as in :func:`python_of`."""
    if (found := shutil.which(name)) is None:
        lacking(f"{name} is not installed; `make setup-system` installs it (Debian, root)")
    return found


def postgresql_program(name: str) -> str:
    """Path of a program of the PostgreSQL server, which Debian keeps out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version_of)
    return str(found[-1]) if found else system_program(name)


def _version_of(program: Path) -> float:
    return float(program.parents[1].name)


def lacking(reason: str) -> NoReturn:
    """Skip a test that needs what is not installed; where CI_STRICT is set, it fails."""
    if os.environ.get("CI_STRICT"):
        pytest.fail(reason)
    pytest.skip(reason)


def reference_python() -> Path:
    """Python with larch and rexafs."""
    return python_of(
        ".venv-reference", "BEAMLINE_REFERENCE_PYTHON", "larch and rexafs are", "reference"
    )


def apstools_python() -> Path:
    """Python with apstools."""
    return python_of(".venv-apstools", "BEAMLINE_APSTOOLS_PYTHON", "apstools is", "apstools")
