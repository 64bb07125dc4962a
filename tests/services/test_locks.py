"""One turn of a conversation at a time, with a real Redis that is refused, silent, and back again."""

import asyncio
import time

import pytest
from rasa.core.lock_store import LockStore
from rasa.utils.endpoints import EndpointConfig

from addons import locks
from addons.locks import ConversationLocks
from tests.services.running import HOST, Redis


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_RETRY_SECONDS", 0.3)


async def overlapping(*stores: ConversationLocks, turns: int = 4, sender: str = "a-patient") -> int:
    """How many turns of one conversation ran at once at most, asked of these stores."""
    running = most = 0

    async def turn(store: ConversationLocks) -> None:
        nonlocal running, most
        async with store.lock(sender):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1

    await asyncio.gather(*(turn(store) for store in stores for _ in range(turns)))
    return most


def of(redis: Redis) -> ConversationLocks:
    created = LockStore.create(EndpointConfig(HOST, type="addons.locks.ConversationLocks", port=redis.port))
    assert isinstance(created, ConversationLocks)
    return created


async def test_two_copies_never_run_two_turns_of_one_conversation_at_once(redis: Redis) -> None:
    assert await overlapping(of(redis), of(redis)) == 1


async def test_two_conversations_do_not_wait_for_each_other(redis: Redis) -> None:
    store = of(redis)
    async with store.lock("one"):
        other = store.lock("two")
        await asyncio.wait_for(other.__aenter__(), 5)
        await other.__aexit__(None, None, None)


async def test_a_copy_that_died_holds_up_a_conversation_for_the_locks_lifetime_only(redis: Redis) -> None:
    began = time.monotonic()
    died = of(redis).lock("died", lock_lifetime=2)
    await died.__aenter__()
    async with of(redis).lock("died"):
        assert time.monotonic() - began >= 2


async def test_nothing_is_kept_of_conversations_that_are_over(redis: Redis) -> None:
    store = of(redis)
    await overlapping(store, sender="over")
    assert not store._here
    assert await store._redis.exists("turn:over") == 0


@pytest.mark.parametrize("how", ["killed", "silent"])
async def test_turns_go_on_in_order_without_redis_and_with_it_again(
    redis: Redis, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = of(redis)
    assert await overlapping(store) == 1
    if how == "killed":
        redis.kill()
    else:
        redis.hang()
    try:
        began = time.monotonic()
        assert await overlapping(store) == 1
        assert time.monotonic() - began < 8
        assert "The lock server does not answer" in caplog.text
        assert "a-patient" not in caplog.text
    finally:
        if how == "killed":
            redis.start()
        else:
            redis.go_on()
    await asyncio.sleep(0.4)
    assert await overlapping(store, of(redis)) == 1
