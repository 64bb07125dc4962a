"""One turn of a conversation at a time, across several copies of the assistant, by way of Redis.

Needed only when messages of one conversation may reach different copies; one copy needs no lock store at all. Rasa's own Redis
lock is not atomic, stops the whole server while Redis hangs, and answers nothing when Redis is down. With this one, a Redis that
does not answer costs one second once, and turns go on with the lock of this process alone.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from rasa.core.lock_store import LockStore
from rasa.utils.endpoints import EndpointConfig
from redis import asyncio as redis_client
from redis.exceptions import RedisError

from addons.configuration import ROOT, ConfigurationError

ENDPOINTS = ROOT / "endpoints.yml"
LIFETIME_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.05
_TIME_LIMIT_SECONDS = 1.0
_RETRY_SECONDS = 5.0
# Only who holds the lock may release it: by then it may be somebody else's.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

logger = logging.getLogger(__name__)


class ConversationLocks(LockStore):
    """The lock store for endpoints.yml: `lock_store: {type: addons.locks.ConversationLocks, url: host, port: 6379}`."""

    def __init__(self, endpoint_config: EndpointConfig) -> None:
        """Say where Redis is; nothing is connected yet.

        Args:
            endpoint_config: the `lock_store` block: `url` (the host), and as needed `port`, `db`, `username`, `password`
                (`${REDIS_PASSWORD}`, never in the file), `ssl`.

        Raises:
            ConfigurationError: a setting that does not exist.
        """
        settings = endpoint_config.kwargs
        unknown = set(settings) - {"port", "db", "username", "password", "ssl"}
        if unknown:
            raise ConfigurationError(ENDPOINTS, f"`lock_store` has no setting {', '.join(sorted(unknown))}.")
        self._redis: Any = redis_client.Redis(
            host=endpoint_config.url or "localhost",
            port=int(settings.get("port", 6379)),
            db=int(settings.get("db", 0)),
            username=settings.get("username"),
            password=settings.get("password"),
            ssl=settings.get("ssl", False),
            socket_timeout=_TIME_LIMIT_SECONDS,
            socket_connect_timeout=_TIME_LIMIT_SECONDS,
        )
        self._here: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}
        self._ask_again_at = 0.0

    @contextlib.asynccontextmanager
    async def lock(  # Rasa uses nothing of the ticket it is given
        self, conversation_id: str, lock_lifetime: float = LIFETIME_SECONDS, wait_time_in_seconds: float = _LOOK_AGAIN_SECONDS
    ) -> AsyncIterator[None]:
        """Wait until no other turn of the conversation runs, here or in another copy.

        Args:
            conversation_id: whose turn it is.
            lock_lifetime: seconds after which another copy may go on, if this one died.
            wait_time_in_seconds: between looks whether it is free.
        """
        here = self._here.setdefault(conversation_id, asyncio.Lock())
        self._users[conversation_id] = self._users.get(conversation_id, 0) + 1
        try:
            async with here:
                held = await self._take(conversation_id, lock_lifetime)
                try:
                    yield
                finally:
                    if held:
                        await self._ask(self._redis.eval(_RELEASE, 1, _name(conversation_id), held))
        finally:
            self._users[conversation_id] -= 1
            if not self._users[conversation_id]:
                del self._users[conversation_id], self._here[conversation_id]

    async def _take(self, conversation_id: str, lifetime: float) -> str | None:
        """Take the lock in Redis.

        Returns:
            What it is held by; None when Redis does not answer.
        """
        holder = uuid.uuid4().hex
        until = time.monotonic() + lifetime
        while time.monotonic() < until:
            taken = await self._ask(self._redis.set(_name(conversation_id), holder, nx=True, px=int(lifetime * 1000)))
            if taken is _SILENT:
                return None
            if taken:
                return holder
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return None

    async def _ask(self, command: Any) -> Any:
        """Send a command, unless Redis did not answer a moment ago.

        Returns:
            The answer, or `_SILENT`.
        """
        if time.monotonic() < self._ask_again_at:
            command.close()
            return _SILENT
        try:
            return await asyncio.wait_for(command, _TIME_LIMIT_SECONDS)
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            self._ask_again_at = time.monotonic() + _RETRY_SECONDS
            logger.error(
                "The lock server does not answer (%s): turns are in order within this process only.", type(error).__name__
            )
            return _SILENT


_SILENT = object()


def _name(conversation_id: str) -> str:
    return f"turn:{conversation_id}"
