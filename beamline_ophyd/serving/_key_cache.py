"""Who a key belongs to, looked up once a second and not several times for each request.

Tiled asks its database of accounts for the scopes, the tags and the owner of a key, each time by
five queries. That is more than half of what a small request costs the server.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from tiled.authn_database import orm

__all__ = ["cached", "look_keys_up_once"]

HELD_S = 1.0
"""For which a key that is revoked may go on to open what it opened."""

Lookup = Callable[[AsyncSession, bytes], Awaitable[orm.APIKey | None]]


def look_keys_up_once() -> None:
    """Let this process's Tiled remember keys for a second; before it serves."""
    from tiled.server import authentication

    authentication.lookup_valid_api_key = cached(authentication.lookup_valid_api_key)


def cached(lookup: Lookup, held_s: float = HELD_S) -> Lookup:
    """Tiled's way to look a key up, which asks the database once in `held_s` seconds.

    What opens nothing is never remembered, and a key whose time is over opens nothing from then
    on. That a key was used is noted when it is looked up.

    Parameters
    ----------
    lookup : coroutine function
        Of a session of the database and the secret; returns the key with its owner loaded.
    held_s : float
        Seconds for which a key is remembered, also when it is revoked meanwhile.

    Returns
    -------
    coroutine function
        To be used instead. What it returns belongs to no session any more.
    """
    held: dict[bytes, tuple[float, orm.APIKey]] = {}

    async def look(db: AsyncSession, secret: bytes) -> orm.APIKey | None:
        digest, now = hashlib.sha256(secret).digest(), time.monotonic()
        until, key = held.get(digest, (0.0, None))
        if key is not None and now < until and not _expired(key):
            return key
        key = await lookup(db, secret)
        if key is None:
            held.pop(digest, None)
            return None
        row = update(orm.APIKey).where(orm.APIKey.hashed_secret == digest)
        await db.execute(row.values(latest_activity=datetime.now(UTC)))
        await db.commit()
        for old in [old for old, (due, _) in held.items() if due <= now]:
            del held[old]
        held[digest] = (now + held_s, key)
        return key

    return look


def _expired(key: orm.APIKey) -> bool:
    ends = key.expiration_time  # which SQLite gives back without its zone
    return ends is not None and ends.replace(tzinfo=UTC) < datetime.now(UTC)
