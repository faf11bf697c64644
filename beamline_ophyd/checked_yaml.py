"""YAML files that people write, read and checked by a model."""

from typing import Any, Protocol

import yaml
from pydantic import TypeAdapter, ValidationError

__all__ = ["read_checked"]


class _Text(Protocol):
    def read_text(self) -> str: ...


def read_checked(
    where: _Text, model: Any, *, called: str, needs: str, error: type[Exception]
) -> Any:
    """Read a YAML (or JSON) file as a model says.

    Parameters
    ----------
    where : path
        A file, or a resource of a package.
    model : type
        Anything that pydantic validates.
    called : str
        What an error calls the file, such as "proposal FILE".
    needs : str
        What an error says that the file has to have.
    error : type
        The exception that is raised.

    Returns
    -------
    object
        What the model makes of the file.
    """
    try:
        return TypeAdapter(model).validate_python(yaml.safe_load(where.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise error(f"{called} cannot be read: {cause}") from cause
    except ValidationError as cause:
        first = cause.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise error(f"{called}: {place}: {first['msg']}; {needs}") from cause
