"""The folder a Tiled server keeps everything in: catalogue, tables, arrays, files and keys."""

import contextlib
import fcntl
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ServerError

__all__ = ["DataFolder", "Keys", "default_folder"]

FOLDER_VARIABLE = "BEAMLINE_TILED_FOLDER"
FILES_VARIABLE = "BEAMLINE_FILES_FOLDER"

# Tiled reads paths back out of URIs without unquoting them, so these would cut a path short.
_UNSAFE_IN_URI = "?#$\\"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
# Four bytes more than the usual 32, because Tiled stores the first four in clear to find the key.
_KEY_BYTES = 36

_SERVER_YAML = """\
# The Tiled server of a beamline. Edit freely: this file is written once and then left alone.
# Paths refer to the data folder, so that it can be moved; `beamline tiled` sets both variables.
# Authentication is in the second file of this folder, which nobody else may read.
catalog:
  uri: "sqlite:///${BEAMLINE_TILED_FOLDER}/catalog.db"   # a facility: docs/examples/facility
  writable_storage:                                      # where Tiled puts what runs contain
    - "${BEAMLINE_TILED_FOLDER}/arrays"
    - "duckdb:///${BEAMLINE_TILED_FOLDER}/tables.duckdb"
  readable_storage:                                      # the NXxas files, and nothing else
    - "${BEAMLINE_FILES_FOLDER}"

# Points of a running scan reach subscribers through this; several server processes need redis://.
streaming_cache:
  uri: memory

# Off, because Tiled's raw-asset route serves every path that a registered asset names. `beamline
# tiled` adds a route for the files of a run: /api/v1/download/UID/nxs, and xdi, csv or report.
expose_raw_assets: false

media_types:
  BlueskyRun:
    application/json-seq: bluesky_tiled_plugins.exporters:json_seq_exporter

routers:
  - bluesky_tiled_plugins.routers.validator:router

metrics:
  prometheus: false
"""

_AUTHENTICATION_YAML = """\
# Private. Nobody can log in with a password (the list is empty); the writer's and the reader's key,
# in the files beside this folder, belong to service accounts in authentication.db.
authentication:
  allow_anonymous_access: false
  providers:
    - provider: keys_only
      authenticator: tiled.authenticators:DictionaryAuthenticator
      args:
        users_to_passwords: {{}}
  secret_keys:
    - "{secret}"
database:
  uri: "sqlite:///${{BEAMLINE_TILED_FOLDER}}/authentication.db"
"""


def default_folder() -> Path:
    """Return the data folder used when none is named.

    Returns
    -------
    pathlib.Path
        The value of the environment variable BEAMLINE_TILED_FOLDER, else ``beamline-ophyd/tiled``
        in the user's data folder (XDG_DATA_HOME, by default ``~/.local/share``).
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    data_home = Path(os.environ.get("XDG_DATA_HOME", "")).expanduser()
    if not data_home.is_absolute():  # which XDG's specification says to ignore
        data_home = Path("~/.local/share").expanduser()
    return data_home / "beamline-ophyd" / "tiled"


@dataclass(frozen=True)
class Keys:
    """The two API keys of a server; neither shows in a repr."""

    writer: str = field(repr=False)
    reader: str = field(repr=False)


@dataclass(frozen=True)
class DataFolder:
    """Where things are in a server's data folder, and how the folder is made.

    Parameters
    ----------
    root : pathlib.Path
        The data folder; made with mode 0700 when missing.
    files : pathlib.Path, optional
        The folder of NXxas files that the server may read. By default ``root/files``.
    name : str
        Of one server among several over the same folder: each has its own log, lock and state,
        while keys, configuration and arrays are common to them. Empty for a server alone.
    """

    root: Path
    files: Path
    name: str = ""

    @classmethod
    def at(
        cls,
        root: str | Path | None = None,
        files: str | Path | None = None,
        name: str | None = None,
    ) -> "DataFolder":
        """Return the paths for a data folder, resolved; nothing is made.

        The folder of a session will do too: its server's is ``tiled`` in it.

        Raises
        ------
        ServerError
            For a name that cannot be part of a file's name.
        """
        if name and not _NAME.fullmatch(name):
            raise ServerError(
                f"a server cannot be called {name!r}; allowed are up to 40 letters, digits, - and _"
            )
        base = Path(root).expanduser().resolve() if root is not None else default_folder().resolve()
        if (base / "tiled").is_dir() and not (base / "config").is_dir():
            base = base / "tiled"
        nexus = Path(files).expanduser().resolve() if files is not None else base / "files"
        return cls(base, nexus, name or "")

    @property
    def config(self) -> Path:
        """Folder of configuration files, to be given to ``tiled serve config``."""
        return self.root / "config"

    @property
    def authentication(self) -> Path:
        """The private one of the configuration files."""
        return self.config / "20-authentication.yml"

    @property
    def arrays(self) -> Path:
        """Folder in which Tiled stores arrays."""
        return self.root / "arrays"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._own("log")

    @property
    def lock(self) -> Path:
        """Locked by the process that serves this folder."""
        return self._own("lock")

    @property
    def state(self) -> Path:
        """What the server that runs says about itself, as JSON."""
        return self._own("json")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the configuration refers to."""
        return {FOLDER_VARIABLE: str(self.root), FILES_VARIABLE: str(self.files)}

    def prepare(self, *, embedded: bool = True) -> Keys:
        """Make whatever is missing and return the keys.

        Parameters
        ----------
        embedded : bool
            Whether to write the configuration of a server with everything in this folder; not
            wanted by one that has another.

        Raises
        ------
        ServerError
            When the folder cannot be made or written, when the folder of files would expose the
            data folder, or when somebody else can read the writer's key.
        """
        self._check_paths()
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.files.mkdir(parents=True, exist_ok=True)
            for folder in (self.config, self.arrays):
                folder.mkdir(mode=0o700, exist_ok=True)
            if embedded:
                _write_once(self.config / "10-server.yml", _SERVER_YAML)
            private = self.authentication
            _write_once(private, _AUTHENTICATION_YAML.format(secret=secrets.token_hex(32)))
            for role in ("writer", "reader"):
                _write_once(self._key_file(role), secrets.token_hex(_KEY_BYTES) + "\n")
        except OSError as error:
            raise ServerError(
                f"Tiled's data folder {self.root} cannot be used: {error.strerror or error} "
                f"({error.filename or self.root}); choose a folder that you can write"
            ) from error
        for path in (private, self._key_file("writer")):
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise ServerError(
                    f"{path} has mode {mode:04o}, so that others can read it; "
                    f"allowed is 0600: chmod 600 {path}"
                )
        return Keys(writer=self.key("writer"), reader=self.key("reader"))

    def key(self, role: str) -> str:
        """Read one key, ``role`` being "writer" or "reader"."""
        path = self._key_file(role)
        try:
            key = path.read_text(encoding="ascii").strip()
            if len(bytes.fromhex(key)) < _KEY_BYTES:
                raise ValueError("too short")
        except FileNotFoundError as error:
            raise ServerError(
                f"no {role}'s key in {self.root}: no Tiled server has been started there yet; "
                f"start one with `beamline tiled`, or name another folder"
            ) from error
        except OSError as error:
            raise ServerError(
                f"the {role}'s key {path} cannot be read ({error.strerror}); "
                f"ask who runs the server, or give a key in TILED_API_KEY"
            ) from error
        except ValueError as error:
            raise ServerError(
                f"{path} holds no key ({2 * _KEY_BYTES} hexadecimal digits); delete it and restart "
                f"the server, which makes a new one"
            ) from error
        return key

    def running(self) -> dict[str, Any] | None:
        """Return what the running server wrote about itself: "uri", "pid" and "files".

        None when no server runs, also when one was killed and could not take its words back.
        """
        return self.announced() if self._locked() else None

    def announced(self) -> dict[str, Any] | None:
        """Return what the last server wrote about itself, whether or not it still runs."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) and "uri" in state else None

    def _locked(self) -> bool:
        """Whether a server holds the folder, as far as one may ask."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # somebody else's, who need not let us look
        try:
            # Shared, by which a server that starts just now can tell a look from a server.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _own(self, suffix: str) -> Path:
        return self.root / f"server{'-' if self.name else ''}{self.name}.{suffix}"

    def _key_file(self, role: str) -> Path:
        return self.root / f"{role}.key"

    def _check_paths(self) -> None:
        for path in (self.root, self.files):
            if bad := set(_UNSAFE_IN_URI).intersection(str(path)):
                raise ServerError(
                    f"the path {path} contains {' '.join(sorted(bad))}, which Tiled's addresses "
                    f"cannot hold; choose a folder without {' '.join(_UNSAFE_IN_URI)} in its path"
                )
        if self.root.is_relative_to(self.files):
            raise ServerError(
                f"the folder of files {self.files} contains the data folder {self.root}, whose "
                f"keys would be readable; choose a folder of files outside it, or below it"
            )
        private = (self.config, self.arrays)
        if any(self.files.is_relative_to(path) for path in private):
            raise ServerError(
                f"the folder of files {self.files} is one of Tiled's own; "
                f"choose another, such as {self.root / 'files'}"
            )


def _write_once(path: Path, text: str) -> None:
    """Create a private file unless it exists; complete or not at all, also against a rival."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
