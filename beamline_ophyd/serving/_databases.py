"""Databases made ready at the first start of a server, by one process at a time."""

import asyncio
import contextlib
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from tiled.commandline._admin import initialize_database
from tiled.commandline._catalog import init
from tiled.config import Config
from tiled.utils import ensure_specified_sql_driver
from typer import Abort

from ._accounts import install_keys, spare_the_disk
from .errors import ServerError
from .folder import Keys

__all__ = ["make_ready"]

_REMOTE = "postgresql"
_KNOWN = ("sqlite", _REMOTE)
# Any number that nothing else locks in a database of accounts.
_LOCK = 8_146_297


def make_ready(config: Config, keys: Keys) -> None:
    """Make what is missing in the databases, and let the keys open the accounts.

    Parameters
    ----------
    config : tiled.config.Config
        Databases in files are created; those of PostgreSQL have to be there, and may be empty.
    keys : Keys
        The writer's and the reader's.

    Raises
    ------
    ServerError
        When PostgreSQL cannot be used.
    """
    accounts = None if config.database is None else config.database.uri

    def work() -> None:
        for tree in config.trees or ():
            uri = str((tree.args or {}).get("uri", ""))
            if uri.startswith(_KNOWN):
                init(uri, if_not_exists=True)
        if accounts is not None:
            if accounts.startswith(_KNOWN):
                with contextlib.suppress(Abort):  # it exists
                    initialize_database(accounts)
            install_keys(accounts, keys)
            if accounts.startswith("sqlite"):
                spare_the_disk(accounts)

    if accounts is not None and accounts.startswith(_REMOTE):
        asyncio.run(_one_at_a_time(ensure_specified_sql_driver(accounts), work))
    else:
        work()


async def _one_at_a_time(uri: str, work: Callable[[], None]) -> None:
    """Do something while no other server that starts over the same database does it."""
    engine = create_async_engine(uri)
    try:
        async with contextlib.AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(engine.connect())
                # Until the connection ends, however it does.
                await connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
            except Exception as error:  # the driver's own kinds, and SQLAlchemy's
                raise ServerError(
                    f"PostgreSQL cannot be used: {error}; see that it runs, that its databases "
                    f"exist (docs/examples/facility/databases.sql), and that PGHOST, PGUSER and "
                    f"PGPASSFILE or PGPASSWORD say how to reach it"
                ) from error
            await asyncio.to_thread(work)
    finally:
        await engine.dispose()
