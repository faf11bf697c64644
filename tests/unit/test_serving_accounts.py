"""The keys that open the writer's and the reader's account."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tiled.authn_database.core import lookup_valid_api_key
from tiled.commandline._admin import initialize_database
from tiled.utils import ensure_specified_sql_driver

from beamline_ophyd.serving import Keys
from beamline_ophyd.serving._accounts import install_keys

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
