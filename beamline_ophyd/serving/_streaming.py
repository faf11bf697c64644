"""Tiled's streaming cache in a Redis that may be away: what is measured is kept all the same.

Tiled tells Redis of every node and every batch of points before it stores them, and fails where
Redis does: a scan could not be stored, though the database that stores it is well. Those who follow
a run lose nothing by not being told: they look at the run itself when they have heard nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import RedisError
from tiled.server.streaming import RedisStreamingDatastore, register_datastore

__all__ = ["AWAY", "do_without_redis"]

AWAY = (RedisError, OSError, TimeoutError)
"""What a Redis that cannot be used raises; one that is full or refuses the password as well."""

# redis-py tries again for longer than a writer waits for an answer.
_PATIENCE_S = 2.0
_LOOK_AGAIN_S = 5.0

logger = logging.getLogger(__name__)


def do_without_redis() -> None:
    """Let Tiled take what it is given while its Redis is away; before it is configured."""
    register_datastore("redis")(_DispensableRedis)


class _DispensableRedis:
    """Tiled's use of Redis, left alone for a while after it has failed."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._redis: Any = RedisStreamingDatastore(settings)
        self.client: Any = self._redis.client
        self._away = False
        self._look_again = 0.0

    async def incr_seq(self, node_id: str) -> int:
        """The number of the next message; 0 where there will be none."""
        return await self._tried(self._redis.incr_seq, node_id) or 0

    async def set(
        self, node_id: str, sequence: int, metadata: Any, payload: bytes | None = None
    ) -> None:
        """Tell a message to those who follow."""
        if sequence:
            await self._tried(self._redis.set, node_id, sequence, metadata, payload)

    async def get(self, key: str, *fields: str) -> Any:
        """What was told, for one who follows."""
        found = await self._redis.get(key, *fields)
        self._note_back()
        return found

    async def close(self, node_id: str) -> None:
        """Tell those who follow that no more will come."""
        await self._tried(self._redis.close, node_id)

    def make_ws_handler(
        self, websocket: Any, formatter: Any, uri: Any, node_id: Any, schema: Any
    ) -> Any:
        """Return what follows a node for one client, and sends it away when Redis goes."""
        handler = self._redis.make_ws_handler(websocket, formatter, uri, node_id, schema)

        async def patient(*arguments: Any, **options: Any) -> None:
            try:
                await handler(*arguments, **options)
            except AWAY as error:
                self._note(error)
                # Tiled's client comes again at once, each time with a new key.
                await asyncio.sleep(_LOOK_AGAIN_S)
                await websocket.close(1012, "Redis cannot be used")

        return patient

    async def _tried(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if time.monotonic() < self._look_again:
            return None
        try:
            answer = await asyncio.wait_for(call(*arguments), _PATIENCE_S)
        except AWAY as error:
            self._look_again = time.monotonic() + _LOOK_AGAIN_S
            self._note(error)
            return None
        self._note_back()
        return answer

    def _note(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            logger.warning(
                "Redis cannot be used (%s): what is measured is kept, and those who follow a run "
                "see it some seconds later; see to the Redis that streaming_cache names",
                str(error) or type(error).__name__,
            )

    def _note_back(self) -> None:
        if self._away:
            self._away = False
            logger.warning("Redis can be used again")
