"""A key is looked up once a second, and opens nothing that it should not."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tiled.authn_database import orm
from tiled.authn_database.core import lookup_valid_api_key
from tiled.commandline._admin import initialize_database
from tiled.utils import ensure_specified_sql_driver

from beamline_ophyd.serving import Keys
from beamline_ophyd.serving._accounts import install_keys
from beamline_ophyd.serving._key_cache import cached

WRITER, READER, STRANGE = ("0a" * 36, "0b" * 36, "0c" * 36)
LONG_S = 60.0


@contextlib.asynccontextmanager
async def accounts(path):
    """A way to open sessions of a real database of accounts, and what they asked of it."""
    engine = create_async_engine(ensure_specified_sql_driver(f"sqlite:///{path}"))
    asked = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(connection, cursor, statement, *_):
        asked.append(statement.split()[0])

    try:
        yield lambda: AsyncSession(engine, autoflush=False, expire_on_commit=False), asked
    finally:
        await engine.dispose()


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "authentication.db"
    initialize_database(f"sqlite:///{path}")
    install_keys(f"sqlite:///{path}", Keys(writer=WRITER, reader=READER))
    return path


async def opens(look, session, key):
    """The roles that a key opens, in a session of its own as for each part of a request."""
    async with session() as db:
        found = await look(db, bytes.fromhex(key))
    return found and [role.name for role in found.principal.roles]


def test_a_key_is_looked_up_once(database):
    async def check():
        look = cached(lookup_valid_api_key, LONG_S)
        async with accounts(database) as (session, asked):
            assert await opens(look, session, WRITER) == ["beamline-writer"]
            assert await opens(look, session, READER) == ["beamline-reader"]
            assert "SELECT" in asked
            asked.clear()
            for _ in range(3):
                assert await opens(look, session, WRITER) == ["beamline-writer"]
                assert await opens(look, session, READER) == ["beamline-reader"]
            assert asked == []

    asyncio.run(check())


def test_a_key_that_opens_nothing_is_not_remembered(database):
    async def check():
        look = cached(lookup_valid_api_key, LONG_S)
        async with accounts(database) as (session, _):
            assert await opens(look, session, STRANGE) is None
            await asyncio.to_thread(
                install_keys, f"sqlite:///{database}", Keys(writer=STRANGE, reader=READER)
            )
            assert await opens(look, session, STRANGE) == ["beamline-writer"]

    asyncio.run(check())


def test_a_revoked_key_opens_nothing_when_it_is_looked_up_again(database):
    async def check():
        at_once, later = (cached(lookup_valid_api_key, held) for held in (0.0, LONG_S))
        async with accounts(database) as (session, _):
            for look in (at_once, later):
                assert await opens(look, session, WRITER) == ["beamline-writer"]
            async with session() as db:
                await db.execute(delete(orm.APIKey).where(orm.APIKey.first_eight == WRITER[:8]))
                await db.commit()
            assert await opens(at_once, session, WRITER) is None
            assert await opens(later, session, WRITER) == ["beamline-writer"]

    asyncio.run(check())


def test_a_remembered_key_opens_nothing_when_its_time_is_over(database):
    async def check():
        look = cached(lookup_valid_api_key, LONG_S)
        async with accounts(database) as (session, _):
            ends = datetime.now(UTC) + timedelta(seconds=0.5)
            async with session() as db:
                await db.execute(
                    update(orm.APIKey)
                    .where(orm.APIKey.first_eight == READER[:8])
                    .values(expiration_time=ends)
                )
                await db.commit()
            until = time.monotonic() + LONG_S
            while await opens(look, session, READER) is not None:
                assert time.monotonic() < until
            assert datetime.now(UTC) >= ends

    asyncio.run(check())


def test_the_use_of_a_key_is_noted(database):
    async def check():
        before = datetime.now(UTC)
        async with accounts(database) as (session, _):
            await opens(cached(lookup_valid_api_key), session, WRITER)
            async with session() as db:
                columns = select(orm.APIKey.first_eight, orm.APIKey.latest_activity)
                used = dict((await db.execute(columns)).tuples().all())
        assert used[READER[:8]] is None
        assert used[WRITER[:8]].replace(tzinfo=UTC) >= before

    asyncio.run(check())
