"""The keys that open the writer's and the reader's account."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tiled.authn_database.core import lookup_valid_api_key
from tiled.commandline._admin import initialize_database
from tiled.utils import ensure_specified_sql_driver

from beamline_ophyd.serving import Keys
from beamline_ophyd.serving._accounts import install_keys, spare_the_disk

A, B, C = ("0a" * 36, "0b" * 36, "0c" * 36)


@pytest.fixture
def database(tmp_path):
    uri = f"sqlite:///{tmp_path}/authentication.db"
    initialize_database(uri)
    return uri


def roles(uri, *keys):
    """Which role each key opens."""

    async def look():
        engine = create_async_engine(ensure_specified_sql_driver(uri))
        try:
            async with AsyncSession(engine) as db:
                found = [await lookup_valid_api_key(db, bytes.fromhex(key)) for key in keys]
                return [key and [role.name for role in key.principal.roles] for key in found]
        finally:
            await engine.dispose()

    return asyncio.run(look())


def waits_for_the_disk(path):
    """How SQLite keeps what Tiled's own way to a database writes."""

    async def ask():
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        try:
            async with engine.connect() as db:
                asked = [await db.execute(text(f"PRAGMA {name}")) for name in PRAGMAS]
                return [answer.scalar() for answer in asked]
        finally:
            await engine.dispose()

    return asyncio.run(ask())


PRAGMAS = ("journal_mode", "synchronous")
FULL, NORMAL = 2, 1


def test_the_use_of_a_key_is_noted_without_waiting_for_the_disk(database, tmp_path):
    path, other = tmp_path / "authentication.db", tmp_path / "catalog.db"
    assert waits_for_the_disk(path) == ["delete", FULL]
    spare_the_disk(database)
    assert waits_for_the_disk(path) == ["wal", NORMAL]
    assert waits_for_the_disk(other) == ["delete", FULL]


WRITER, READER = ["beamline-writer"], ["beamline-reader"]


def test_each_key_opens_its_own_account(database):
    for _ in range(2):
        install_keys(database, Keys(writer=A, reader=B))
        assert roles(database, A, B, C) == [WRITER, READER, None]


def test_a_replaced_key_opens_nothing(database):
    install_keys(database, Keys(writer=A, reader=B))
    install_keys(database, Keys(writer=C, reader=B))
    assert roles(database, A, B, C) == [None, READER, WRITER]


def test_keys_that_change_places(database):
    install_keys(database, Keys(writer=A, reader=B))
    install_keys(database, Keys(writer=B, reader=A))
    assert roles(database, A, B) == [READER, WRITER]
