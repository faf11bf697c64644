"""Let one request at a time into Tiled's embedded database of tables.

Tiled opens a DuckDB file by one connection that all its threads share, transactions and all. A
client that reads a run while its points come in would end the transaction that puts one there:
"No active transaction, cannot commit", an HTTP 500 for either.
"""

from typing import Any

from sqlalchemy.pool import QueuePool
from tiled.storage import SQLStorage, get_storage

__all__ = ["take_turns"]

# Longer than any request takes, so that a crowd waits and is served.
_WAIT_S = 60.0


def take_turns(tree: Any) -> None:
    """Make the requests to a catalogue's embedded tables wait for each other.

    Parameters
    ----------
    tree : tiled.catalog.adapter.CatalogNodeAdapter
        Before it is served. Nothing is done where the tables are on a database server, or where
        the tree is no catalogue.
    """
    context: Any = getattr(tree, "context", None)
    for storage in getattr(context, "writable_storage", {}).values():
        if isinstance(storage, SQLStorage) and storage.dialect == "duckdb":
            _one_at_a_time(get_storage(storage.uri))


def _one_at_a_time(storage: Any) -> None:
    # Where Tiled's cached property finds its pool, and disposes of it at the end.
    storage.__dict__["_connection_pool"] = QueuePool(
        lambda: storage._adbc_connection.adbc_clone(),
        pool_size=1,
        max_overflow=0,
        timeout=_WAIT_S,
    )
