"""Pythons of other environments, with programs that do not go together with the project's own."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_of(folder: str, variable: str, what: str, target: str) -> Path:
    """Python of the environment that `make TARGET` makes, or that a variable names.

    Without it a test is skipped; where CI_STRICT is set, as in `.ci/run`, it fails.
    """
    python = Path(os.environ.get(variable, ROOT / folder / "bin" / "python"))
    if not python.is_file():
        reason = f"{what} not installed at {python}; `make {target}` makes their environment"
        if os.environ.get("CI_STRICT"):
            pytest.fail(reason)
        pytest.skip(reason)
    return python


def system_program(name: str) -> str:
    """Path of a program of the system; without it as in :func:`python_of`."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed; `make setup-system` installs it (Debian, root)"
        if os.environ.get("CI_STRICT"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def reference_python() -> Path:
    """Python with larch and rexafs."""
    return python_of(
        ".venv-reference", "BEAMLINE_REFERENCE_PYTHON", "larch and rexafs are", "reference"
    )


def apstools_python() -> Path:
    """Python with apstools."""
    return python_of(".venv-apstools", "BEAMLINE_APSTOOLS_PYTHON", "apstools is", "apstools")
