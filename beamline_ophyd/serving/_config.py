"""What a server is configured to be: its own file in the data folder, or a facility's."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from tiled.config import Config
from tiled.utils import parse, prepend_to_sys_path

from .errors import ServerError
from .folder import DataFolder

__all__ = ["check_shareable", "read_config"]

_UNSET = re.compile(r"\$\{?(\w+)\}?")
_EMBEDDED = ("sqlite", "duckdb")


def read_config(folder: DataFolder, file: Path | None) -> Config:
    """Read the configuration of a server.

    Parameters
    ----------
    folder : DataFolder
        Prepared.
    file : pathlib.Path, optional
        Used instead of what the folder has, but for who may do what: that is in the folder's own
        private file, of which this one replaces the sections that it has itself.

    Raises
    ------
    ServerError
        When it cannot be read, names a variable that is not set, or is not valid. The message
        holds no value, since one may be a password.
    """
    if file is None:
        files = sorted(p for p in folder.config.iterdir() if p.suffix in (".yml", ".yaml"))
    else:
        files = [folder.authentication, file]
    sections: dict[str, Any] = {}
    for path in files:
        new = _sections(path)
        if twice := [] if file else sorted(sections.keys() & new.keys()):
            raise ServerError(
                f"the configuration in {folder.config} is not valid: {', '.join(twice)} in "
                f"{path.name} is in another file too; leave it in one of them"
            )
        sections |= new
    where = file or folder.config
    remedy = "correct it" if file else "correct it, or move it away and a new one is written"
    try:
        with prepend_to_sys_path(where if where.is_dir() else where.parent):
            return Config.model_validate(sections)
    except ValidationError as error:
        wrong = "; ".join(_told(each) for each in error.errors(include_input=False))
    except Exception as error:
        wrong = f"{error}"
    raise ServerError(f"the configuration in {where} is not valid: {wrong}; {remedy}")


def check_shareable(config: Config, folder: DataFolder) -> None:
    """Refuse what belongs to one process where several share it.

    Raises
    ------
    ServerError
        Names all that is embedded.
    """
    if embedded := list(_embedded(config)):
        raise ServerError(
            f"the server {folder.name} would share {folder.root} with others, but its "
            f"configuration keeps {', '.join(embedded)} in one process; name PostgreSQL and Redis "
            f"there, as docs/examples/facility/tiled.yml does, or start one server without a name"
        )


def _sections(path: Path) -> dict[str, Any]:
    try:
        found = parse(path)
    except yaml.MarkedYAMLError as error:  # which would quote the file itself
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        wrong = f"{error.problem}{line}"
        raise ServerError(f"the configuration {path} cannot be read: {wrong}") from error
    except (OSError, ValueError) as error:
        raise ServerError(f"the configuration {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ServerError(f"the configuration {path} is not valid: it has no sections")
    # What is still there after the variables have been put in.
    if missing := sorted({name for text in _texts(found) for name in _UNSET.findall(text)}):
        raise ServerError(
            f"the configuration {path} names {', '.join(missing)}, which the environment does not "
            f"have; set it, or write the value there"
        )
    return found


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for value in found.values():
            yield from _texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value)


def _told(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _embedded(config: Config) -> Iterator[str]:
    for tree in config.trees or ():
        arguments = tree.args or {}
        if _is_embedded(arguments.get("uri")):
            yield "the catalogue"
        if any(_is_embedded(place) for place in arguments.get("writable_storage") or ()):
            yield "tables"
    if config.database is None or _is_embedded(config.database.uri):
        yield "the accounts"
    if config.streaming_cache is None or (config.streaming_cache.uri or "").startswith("memory"):
        yield "the stream of running scans"


def _is_embedded(uri: Any) -> bool:
    return str(uri or "").startswith(_EMBEDDED)
