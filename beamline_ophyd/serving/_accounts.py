"""The writer's and the reader's account in Tiled's authentication database."""

import asyncio
import hashlib
from collections.abc import Mapping

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from tiled.authn_database import orm
from tiled.authn_database.core import create_service
from tiled.utils import ensure_specified_sql_driver

from .folder import Keys

__all__ = ["SCOPES", "install_keys"]

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
