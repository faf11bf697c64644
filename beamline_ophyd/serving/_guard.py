"""Keep Tiled's adapters to the folders that they are meant for.

Tiled looks at the text of an asset's path only, so that ``..``, symlinks and HDF5 files that point
to other files lead out of its folders. Whoever may register a file, or put one into the folder of
files, could have any file read that the server can read.
"""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from fastapi import HTTPException
from tiled.adapters.sql import COLUMN_NAME_PATTERN, TABLE_NAME_PATTERN, is_safe_identifier
from tiled.catalog.adapter import STORAGE_ADAPTERS_BY_MIMETYPE
from tiled.mimetypes import RAGGED_SQL_MIMETYPE, TILED_SQL_TABLE_MIMETYPE
from tiled.storage import FileStorage, get_storage
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management
from tiled.structures.table import TableStructure
from tiled.utils import path_from_uri

__all__ = ["GuardedAdapters", "guard"]

HDF5 = "application/x-hdf5"

_SQL = (TILED_SQL_TABLE_MIMETYPE, RAGGED_SQL_MIMETYPE)
_REFUSED, _GONE, _UNREADABLE = 403, 410, 409

logger = logging.getLogger(__name__)


def guard(tree: Any) -> None:
    """Let a catalogue open what is in its folders and nothing else.

    In the server's process and not in its configuration, which is the user's and may be older.

    Parameters
    ----------
    tree : tiled.catalog.adapter.CatalogNodeAdapter
        Changed in place. A tree that is no catalogue is left alone: nobody can register in it.
    """
    context: Any = getattr(tree, "context", None)
    if hasattr(context, "adapters_by_mimetype"):
        context.adapters_by_mimetype = GuardedAdapters(context)


class GuardedAdapters(Mapping[str, type]):
    """A catalogue's adapters by mimetype, each of which looks at the assets before opening them.

    Served are

    - what Tiled itself wrote, from the writable storage;
    - regular HDF5 files in the readable storage that take nothing from another file;
    - files of other types there, if the configuration itself names an adapter for them.

    Everything else is refused with HTTP 403.

    Parameters
    ----------
    context : tiled.catalog.adapter.Context
        Of the catalogue, with its own adapters.
    """

    def __init__(self, context: Any) -> None:
        self._adapters: Any = context.adapters_by_mimetype
        self._named: frozenset[str] = frozenset(self._adapters.maps[0])
        self._writable: dict[str, Any] = context.writable_storage
        self._readable: dict[str, Any] = context.readable_storage

    def __getitem__(self, mimetype: str) -> type:
        adapter = self._adapters[mimetype]

        # Without Tiled's supports_lazy_assets, so that there is this one way to an adapter.
        class Guarded:
            @classmethod
            def from_catalog(
                cls, data_source: DataSource[Any], node: Any, /, **parameters: Any
            ) -> Any:
                self.check(mimetype, data_source)
                return adapter.from_catalog(data_source, node, **parameters)

            # By this the validation of runs opens the files of area detectors.
            @classmethod
            def from_uris(cls, *uris: str, **parameters: Any) -> Any:
                self.check(mimetype, _registered(mimetype, uris, parameters))
                return adapter.from_uris(*uris, **parameters)

        return Guarded

    def __iter__(self) -> Iterator[str]:
        return iter(self._adapters)

    def __len__(self) -> int:
        return len(self._adapters)

    def check(self, mimetype: str, source: DataSource[Any]) -> None:
        """Refuse a data source that leads out of the server's folders.

        Raises
        ------
        fastapi.HTTPException
            403 when it is refused, 410 when the file is gone, 409 when it cannot be read now.
        """
        for asset in self._assets(source):
            if mimetype == HDF5:
                _check_hdf5(self.regular_file(asset.data_uri), source.parameters)
            elif source.management == Management.external:
                if mimetype not in self._named:
                    _refuse(
                        f"a file of type {mimetype}",
                        f"only {HDF5} is served from the folder of files; whoever runs the server "
                        f"can name an adapter for it in the configuration (adapters_by_mimetype)",
                    )
                self.regular_file(asset.data_uri)
            # That it is Tiled's own is only the client's word so far.
            elif mimetype in _SQL:
                self._check_table(asset.data_uri, source)
            elif mimetype in STORAGE_ADAPTERS_BY_MIMETYPE:
                self._check_own(asset.data_uri)
            else:
                _refuse(f"data of type {mimetype}", "Tiled itself writes none")

    @staticmethod
    def _assets(source: DataSource[Any]) -> list[Asset]:
        if not source.assets:
            _refuse("a data source without a file", "register it with its file")
        return source.assets

    def file_of(self, source: DataSource[Any]) -> Path:
        """Return the path of the one file behind a data source, if it may be served.

        Raises
        ------
        fastapi.HTTPException
            As :meth:`check`.
        """
        self.check(str(source.mimetype), source)
        if source.management != Management.external or len(source.assets) != 1:
            _refuse("this node", "there is no file behind it that is its own")
        return self.regular_file(source.assets[0].data_uri)

    def regular_file(self, uri: str) -> Path:
        """Return the path of a regular file in the readable storage.

        Raises
        ------
        fastapi.HTTPException
            403 for anything else, 410 when it is gone.
        """
        path = _path(uri)
        own = set(self._writable)
        roots = [
            storage.path
            for key, storage in self._readable.items()
            if key not in own and isinstance(storage, FileStorage)
        ]
        real = Path(os.path.realpath(path))
        # The real path and no other, since a link could be laid to another place at any time.
        for root in roots:
            home = Path(os.path.realpath(root))
            if any(
                path.is_relative_to(base) and real == home / path.relative_to(base) != home
                for base in (root, home)
            ):
                break
        else:
            _refuse(
                path,
                f"it leads to {real}; only files that are themselves in "
                f"{' or '.join(map(str, roots)) or 'no folder at all'} are served, without links",
            )
        try:
            mode = real.lstat().st_mode
        except OSError as error:
            raise HTTPException(
                _GONE, f"{path} cannot be found ({error.strerror}); register the file anew"
            ) from error
        if not stat.S_ISREG(mode):
            _refuse(path, "it is no regular file, and only those are served")
        return real

    def _check_own(self, uri: str) -> None:
        if urlsplit(uri).scheme != "file":
            if self._storage(uri) is None:
                _refuse(uri, "it is not in the writable storage, where Tiled keeps its own data")
            return
        real = Path(os.path.realpath(_path(uri)))
        for storage in self._writable.values():
            if isinstance(storage, FileStorage):
                home = Path(os.path.realpath(storage.path))
                if real != home and real.is_relative_to(home):
                    return
        _refuse(uri, "it is not in the writable storage, where Tiled keeps its own data")

    def _check_table(self, uri: str, source: DataSource[Any]) -> None:
        if self._storage(uri) is None:
            _refuse(uri, "it is not the database in which Tiled keeps its own tables")
        # Tiled looks at these when it makes a table, and not when a client changes them later: they
        # go into its SQL as they are, and DuckDB reads a file when its path stands for a table.
        table = str(source.parameters.get("table_name"))
        is_safe_identifier(table, TABLE_NAME_PATTERN, allow_reserved_words=False)
        for column in _columns(source.structure):
            is_safe_identifier(column, COLUMN_NAME_PATTERN, allow_reserved_words=True)
        if not isinstance(source.parameters.get("dataset_id"), int):
            _refuse(f"the table {table}", "its dataset_id is no whole number")

    def _storage(self, uri: str) -> Any:
        try:
            found = get_storage(uri)
        except (KeyError, ValueError):
            return None
        return found if found in self._writable.values() else None


def _registered(
    mimetype: str, uris: Iterable[str], parameters: Mapping[str, Any]
) -> DataSource[Any]:
    return DataSource(
        structure_family=StructureFamily.container,
        structure=None,
        mimetype=mimetype,
        parameters=dict(parameters),
        management=Management.external,
        assets=[Asset(data_uri=uri, is_directory=False, parameter=None) for uri in uris],
    )


def _columns(structure: Any) -> Iterable[str]:
    if isinstance(structure, TableStructure):
        return [*structure.columns, *structure.arrow_schema_decoded.names]
    return structure.awkward_form.expected_from_buffers()


def _path(uri: str) -> Path:
    """Return the path that Tiled takes out of an address of a file."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        _refuse(uri, "only files of this machine are served, as file://localhost/...")
    path = path_from_uri(uri)
    # Unquoted as well, since not every adapter may take an address as it stands.
    if not path.is_absolute() or ".." in {*path.parts, *Path(unquote(str(path))).parts}:
        _refuse(uri, "its path has to be absolute and without `..`")
    return path


def _check_hdf5(path: Path, parameters: Mapping[str, Any]) -> None:
    from ._foreign import foreign_part  # h5py, for which a start need not wait

    try:
        part = foreign_part(
            path,
            swmr=bool(parameters.get("swmr", False)),
            locking=parameters.get("locking"),
        )
    except (OSError, RuntimeError) as error:
        raise HTTPException(
            _UNREADABLE,
            f"{path} cannot be read as an HDF5 file now ({error}); it has to be whole, and closed "
            f"by its writer",
        ) from error
    if part is not None:
        _refuse(
            path,
            f"{part}; only files that hold all their data themselves are served: copy what is "
            f"linked into it",
        )


def _refuse(what: object, why: str) -> NoReturn:
    message = f"{what} is not served: {why}"
    logger.warning("%s", message)
    raise HTTPException(_REFUSED, message)
