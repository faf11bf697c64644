"""Settings of a session that stay: what its journal and its files are like.

A YAML file, by default ``settings.yml`` in the session's folder::

    journal:
      keep_days: 90
      keep_gb: 20
    files:
      repeats: entries
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
)

from .checked_yaml import read_checked
from .formats.definitions import check_definition
from .formats.measurement import mapped

__all__ = ["FileSettings", "JournalSettings", "Settings", "SettingsError", "read_settings"]

FILE_NAME = "settings.yml"
GIGABYTE = 10**9


class SettingsError(ValueError):
    """A settings file that cannot be used."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JournalSettings(_Model):
    """Where journals are, how long they stay and what they keep to themselves.

    As nothing is said, journals are in ``journal`` below the session's folder, hold every word,
    can be read by their owner only, and stay. With limits one goes that is older, or beyond what
    all may take of the disk, and whose run is whole in its file and, where there is a Tiled
    server, in Tiled; no other ever.
    """

    folder: Path | None = None
    keep_days: NonNegativeFloat | None = None
    keep_gb: NonNegativeFloat | None = None
    group_readable: bool = False
    leave_out: tuple[str, ...] = ()
    """Words of the start document that the journal does not have, such as ``Sample.name``."""

    def place(self, home: Path) -> Path:
        """Folder of the journals of a session whose folder is `home`."""
        return home / (self.folder or Path("journal")).expanduser()

    @property
    def limits(self) -> dict[str, Any]:
        """Options of :meth:`beamline_ophyd.callbacks.Journal.prune`."""
        size = None if self.keep_gb is None else round(self.keep_gb * GIGABYTE)
        return {"keep_days": self.keep_days, "keep_bytes": size}


def _definition(name: str) -> str:
    check_definition(name)
    return name


def _mapping(roles: dict[str, str]) -> dict[str, str]:
    mapped(roles)
    return roles


class FileSettings(_Model):
    """Options of :class:`beamline_ophyd.callbacks.NXxasWriter`."""

    template: str | None = None
    mode: Literal["w-", "w", "a"] | None = None
    compression: Annotated[int, Field(ge=0, le=9)] | None = None
    flush_interval: PositiveFloat | None = None
    definition: Annotated[str, AfterValidator(_definition)] | None = None
    mapping: Annotated[dict[str, str], AfterValidator(_mapping)] | None = None
    repeats: Literal["merged", "entries", "files"] | None = None
    external_links: bool | None = None
    join: bool | None = None


class Settings(_Model):
    """All settings of a session."""

    journal: JournalSettings = Field(default_factory=JournalSettings)
    files: FileSettings = Field(default_factory=FileSettings)


def read_settings(home: Path, file: str | Path | None = None) -> Settings:
    """Read the settings of a session; all defaults where there is no file.

    Parameters
    ----------
    home : Path
        The session's folder.
    file : path, optional
        A file elsewhere, which must be there, instead of ``settings.yml`` in it.

    Raises
    ------
    SettingsError
        For a file that cannot be read, or an option that does not exist or makes no sense.
    """
    where = home / FILE_NAME if file is None else Path(file).expanduser()
    if file is None and not where.exists():
        return Settings()
    groups = {"journal": JournalSettings, "files": FileSettings}
    needs = "; ".join(f"{name} has {', '.join(m.model_fields)}" for name, m in groups.items())
    return read_checked(
        where, Settings, called=f"settings {where}", needs=needs, error=SettingsError
    )
