"""Tiled's tables of points: what its two kinds of databases need to serve them well.

Embedded (DuckDB): Tiled opens the file by one connection that all its threads share, transactions
and all. A client that reads a run while its points come in would end the transaction that puts one
there: "No active transaction, cannot commit", an HTTP 500 for either. So one request at a time.

PostgreSQL: Tiled names no order for the rows of a table, and all runs with the same columns are
in one. It reads a large one by several processes, or from the middle on where another client reads
already, and a spectrum could come back with its points shuffled. So the points are asked for in
the order in which they were measured.
"""

from collections import ChainMap
from typing import Any

from sqlalchemy.pool import QueuePool
from tiled.adapters.sql import SQLAdapter
from tiled.mimetypes import TILED_SQL_TABLE_MIMETYPE
from tiled.storage import SQLStorage, get_storage
from tiled.structures.data_source import DataSource

__all__ = ["mend_tables"]

# Longer than any request takes, so that a crowd waits and is served.
_WAIT_S = 60.0
# A point that was interrupted is measured again under the same number.
_ORDER = ("seq_num", "time")


def mend_tables(tree: Any) -> None:
    """Let a catalogue serve its tables whole and in order.

    Parameters
    ----------
    tree : tiled.catalog.adapter.CatalogNodeAdapter
        Before it is served. Nothing is done where the tree is no catalogue.
    """
    context: Any = getattr(tree, "context", None)
    for storage in getattr(context, "writable_storage", {}).values():
        if not isinstance(storage, SQLStorage):
            continue
        if storage.dialect == "duckdb":
            _one_at_a_time(get_storage(storage.uri))
        elif storage.dialect == "postgresql":
            named, *others = context.adapters_by_mimetype.maps
            own = {TILED_SQL_TABLE_MIMETYPE: _InOrder}
            context.adapters_by_mimetype = ChainMap(named, own, *others)


def _one_at_a_time(storage: Any) -> None:
    # Where Tiled's cached property finds its pool, and disposes of it at the end.
    storage.__dict__["_connection_pool"] = QueuePool(
        lambda: storage._adbc_connection.adbc_clone(),
        pool_size=1,
        max_overflow=0,
        timeout=_WAIT_S,
    )


class _InOrder(SQLAdapter):
    """A table whose rows come in the order of the points that they are."""

    @classmethod
    def from_catalog(cls, data_source: DataSource[Any], node: Any, /, **options: Any) -> Any:
        table = super().from_catalog(data_source, node, **options)
        if not table.order_by_args:
            columns = table.structure().columns
            table.order_by_args = [
                {"column": name, "direction": "asc"} for name in _ORDER if name in columns
            ]
        return table
