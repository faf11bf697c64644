"""The writer's and the reader's account in Tiled's authentication database."""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import delete, event, or_, select, update
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tiled.authn_database import orm
from tiled.authn_database.core import create_service
from tiled.utils import ensure_specified_sql_driver

from .folder import Keys

__all__ = ["SCOPES", "install_keys", "spare_the_disk"]

_MINT = ["create:apikeys", "revoke:apikeys"]  # a live subscription mints a short-lived key
_READ = ["read:metadata", "read:data"]

SCOPES: Mapping[str, list[str]] = {
    "beamline-writer": [
        *_READ,
        "write:metadata",
        "write:data",
        "create:node",
        "register",
        "delete:node",
        "delete:revision",
        *_MINT,
    ],
    "beamline-reader": [*_READ, *_MINT],
}

_NOTE = "made by beamline tiled"


def install_keys(uri: str, keys: Keys) -> None:
    """Make the accounts and let exactly these two keys open them.

    When a key is another than at the call before, everything that opened its account stops
    working: the old key, and all keys that were made with it.

    Parameters
    ----------
    uri : str
        The authentication database, initialised.
    keys : Keys
        The keys to install.
    """
    asyncio.run(_install(uri, {"beamline-writer": keys.writer, "beamline-reader": keys.reader}))


def spare_the_disk(uri: str) -> None:
    """Let no request of this process wait until the disk holds when its key was used.

    Tiled notes that at every request, and SQLite as it comes waits for the disk to keep each note,
    which takes longer than most requests. What a power failure may take away now are the last of
    these notes, and keys that were minted or revoked in the seconds before.

    Parameters
    ----------
    uri : str
        The authentication database, in SQLite.
    """
    path = Path(str(make_url(uri).database)).resolve()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")  # which the file keeps, unlike the next

    def relax(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA database_list")
        if (name := cursor.fetchone()[2]) and Path(name) == path:
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    event.listen(Engine, "connect", relax)


async def _install(uri: str, keys: Mapping[str, str]) -> None:
    engine = create_async_engine(ensure_specified_sql_driver(uri))
    try:
        async with AsyncSession(engine, expire_on_commit=False) as db:
            for role, key in keys.items():
                await _install_one(db, role, bytes.fromhex(key))
            await db.commit()
    finally:
        await engine.dispose()


async def _install_one(db: AsyncSession, role_name: str, secret: bytes) -> None:
    role = (await db.execute(select(orm.Role).filter_by(name=role_name))).scalar()
    if role is None:
        role = orm.Role(name=role_name, description=_NOTE, scopes=list(SCOPES[role_name]))
        db.add(role)
        await db.flush()
    else:
        scopes = {"scopes": list(SCOPES[role_name])}
        await db.execute(update(orm.Role).where(orm.Role.id == role.id).values(scopes))

    service = (
        (
            await db.execute(
                select(orm.Principal)
                .join(orm.Principal.roles)
                .where(orm.Role.id == role.id, orm.Principal.type == "service")
                .order_by(orm.Principal.id)
            )
        )
        .scalars()
        .first()
    )
    if service is None:
        service = await create_service(db, role_name)

    digest = hashlib.sha256(secret).digest()
    key = await db.execute(
        select(orm.APIKey).where(
            orm.APIKey.principal_id == service.id, orm.APIKey.hashed_secret == digest
        )
    )
    if key.scalar() is None:
        # All of them: whoever had the key before may have made more with it, which never expire.
        # The digest is somebody else's when the two key files have changed places.
        old = or_(orm.APIKey.principal_id == service.id, orm.APIKey.hashed_secret == digest)
        await db.execute(delete(orm.APIKey).where(old))
        db.add(
            orm.APIKey(
                principal_id=service.id,
                first_eight=secret.hex()[:8],
                hashed_secret=digest,
                scopes=["inherit"],
                note=_NOTE,
            )
        )
