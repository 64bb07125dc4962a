"""The conversation store on a real PostgreSQL that is refused, killed, silent, slow, and back again."""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg2.extensions
import pytest
import sqlalchemy as sa
from rasa.shared.core.events import UserUttered

from addons import conversations
from addons.conversations import ConversationStore, ConversationsUnavailable
from tests.services.running import HOST, Postgres, Proxy, free_port
from tests.test_conversations import DOMAIN, PATIENT, texts, turn

# The longest a turn may take while the database is silent: one call that waits, and what goes round it.
SILENT_LIMIT_SECONDS = 3 * conversations.TIME_LIMIT_SECONDS + 1
_names = itertools.count()


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(conversations, "RETRY_SECONDS", 0.1)
    yield
    psycopg2.extensions.set_wait_callback(None)


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The name of an empty database."""
    name = f"conversations_{next(_names)}"
    postgres.create(name)
    return name


def open_store(port: int, database: str, folder: Path) -> ConversationStore:
    return ConversationStore(
        DOMAIN, dialect="postgresql", host=HOST, port=port, db=database, username="assistant", journal=str(folder / "journal")
    )


@pytest.fixture
async def store(proxy: Proxy, database: str, tmp_path: Path) -> AsyncIterator[ConversationStore]:
    opened = open_store(proxy.port, database, tmp_path)
    yield opened
    opened.close()


def stored(postgres: Postgres, database: str, query: str = "select count(*) from events where type_name = 'user'") -> Any:
    """What another client of the database sees."""
    found = postgres.ask(database, query)
    return found[0][0] if len(found) == 1 and len(found[0]) == 1 else found


async def back_again(store: ConversationStore) -> None:
    async def wait() -> None:
        while store._down or store._journal:
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), 30)


async def said(store: ConversationStore) -> list[str]:
    return [text for text in texts(await store.history(PATIENT)) if not text.startswith("about")]


async def test_what_is_stored_is_what_the_other_database_would_store(
    store: ConversationStore, postgres: Postgres, database: str
) -> None:
    for number in range(12):
        await turn(store, f"a\0b \ud83d 😀 {number}", slots={"concern": "scars"} if number == 0 else None)
    assert len((await store.export(PATIENT))["events"]) == 3 + 1 + 12 * 4
    assert texts(await store.history(PATIENT, 2))[0] == "ab � 😀 11"
    assert (await store.retrieve(PATIENT)).get_slot("concern") == "scars"
    # Every row is JSON to the database too: analysts cast it.
    assert stored(postgres, database, "select count(*) from events where data::jsonb is null") == 0


async def test_the_indexes_are_there_and_used_for_a_turn(store: ConversationStore, postgres: Postgres, database: str) -> None:
    names = {row[0] for row in stored(postgres, database, "select indexname from pg_indexes where tablename = 'events'")}
    assert {"ix_events_sender_id_id", "ix_events_sender_id_type_name_timestamp", "ix_events_state"} <= names


@pytest.mark.parametrize("sender", ["\ud800", "a\0b", "x" * 300])
async def test_a_malformed_sender_id_ends_nothing(store: ConversationStore, sender: str) -> None:
    await turn(store, "one", sender)
    assert list(await store.keys()) == []


async def test_a_refused_database_loses_no_turn_and_repeats_none(
    store: ConversationStore, proxy: Proxy, postgres: Postgres, database: str
) -> None:
    await turn(store, "before", slots={"concern": "scars"})
    postgres.kill()
    proxy.cut()
    try:
        for number in range(3):
            assert (await turn(store, f"during {number}")).get_slot("concern") == "scars"
        assert not await store.ready()
    finally:
        postgres.start()
    await back_again(store)
    await turn(store, "after")
    assert await said(store) == ["before", "during 0", "during 1", "during 2", "after"]
    assert stored(postgres, database) == 5


async def test_a_silent_database_delays_one_turn_and_no_other_user(store: ConversationStore, proxy: Proxy) -> None:
    await turn(store, "before")
    proxy.silent = True
    began = time.monotonic()
    slow = asyncio.create_task(turn(store, "during"))
    longest = 0.0
    while not slow.done():
        tick = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - tick)
    assert time.monotonic() - began < SILENT_LIMIT_SECONDS
    assert longest < 0.5, "other users waited"
    began = time.monotonic()
    await turn(store, "during again")
    assert time.monotonic() - began < 1, "once it is known to be down, nobody waits for it"
    proxy.silent = False
    proxy.cut()
    await back_again(store)
    assert await said(store) == ["before", "during", "during again"]


async def test_a_database_stopped_in_its_tracks_loses_nothing(
    store: ConversationStore, postgres: Postgres, database: str
) -> None:
    await turn(store, "before")
    postgres.hang()
    try:
        began = time.monotonic()
        await turn(store, "during")
        assert time.monotonic() - began < SILENT_LIMIT_SECONDS
    finally:
        postgres.go_on()
    await back_again(store)
    assert await said(store) == ["before", "during"]
    assert stored(postgres, database) == 2


async def test_a_commit_whose_answer_is_lost_is_not_written_twice(
    store: ConversationStore, proxy: Proxy, postgres: Postgres, database: str
) -> None:
    await turn(store, "before")
    tracker = await store.retrieve(PATIENT)
    tracker.update(UserUttered("in doubt"))
    assert store._purging is not None
    await store._purging  # it commits too
    proxy.silent_after = b"COMMIT"
    await store.save(tracker)
    assert len(store._journal) == 1, "the answer to the commit was not lost"
    assert stored(postgres, database) == 2, "the commit did not arrive"
    proxy.silent = False
    proxy.cut()
    await back_again(store)
    assert stored(postgres, database) == 2


async def test_a_database_killed_in_the_middle_of_a_turn_keeps_the_turn(
    store: ConversationStore, proxy: Proxy, postgres: Postgres, database: str
) -> None:
    await turn(store, "before")
    tracker = await store.retrieve(PATIENT)
    tracker.update(UserUttered("in the middle"))
    postgres.kill()
    try:
        await store.save(tracker)
    finally:
        postgres.start()
    await back_again(store)
    assert await said(store) == ["before", "in the middle"]
    assert stored(postgres, database) == 2


async def test_a_slow_database_makes_turns_slow_and_loses_nothing(store: ConversationStore, proxy: Proxy) -> None:
    await turn(store, "before")
    proxy.delay = 0.3
    began = time.monotonic()
    await turn(store, "slow")
    assert time.monotonic() - began > 0.3
    proxy.delay = 0.0
    assert await said(store) == ["before", "slow"]
    assert not store._journal


async def test_a_statement_that_runs_too_long_is_stopped_by_the_database(store: ConversationStore, postgres: Postgres) -> None:
    with pytest.raises(ConversationsUnavailable):
        await store._in_database(lambda connection: connection.execute(sa.text("select pg_sleep(30)")))
    query = "select count(*) from pg_stat_activity where query like '%pg_sleep(30)' and state = 'active'"
    for _ in range(50):
        if stored(postgres, "postgres", query) == 0:
            break
        await asyncio.sleep(0.1)
    assert stored(postgres, "postgres", query) == 0
    await back_again(store)


async def test_a_database_that_is_down_or_silent_at_start_fails_the_start(proxy: Proxy, database: str, tmp_path: Path) -> None:
    with pytest.raises(ConversationsUnavailable, match="refused"):
        open_store(free_port(), database, tmp_path)
    with socket.create_server((HOST, 0)) as listener, pytest.raises(ConversationsUnavailable, match="no answer"):
        open_store(listener.getsockname()[1], database, tmp_path)
    with pytest.raises(ConversationsUnavailable, match="does not exist"):
        open_store(proxy.port, "nowhere", tmp_path)


async def test_two_replicas_that_start_together_make_the_tables_once(proxy: Proxy, database: str, tmp_path: Path) -> None:
    stores = await asyncio.gather(*(asyncio.to_thread(open_store, proxy.port, database, tmp_path) for _ in range(4)))
    await turn(stores[0], "one")
    await turn(stores[3], "two")
    assert await said(stores[1]) == ["one", "two"]
    for opened in stores:
        opened.close()


async def test_a_conversation_can_be_erased_exported_and_purged_there_too(
    store: ConversationStore, postgres: Postgres, database: str
) -> None:
    await turn(store, "one")
    await turn(store, "erase it", slots={"erase_requested": True})
    await turn(store, "two", "someone-else")
    assert (await store.export("someone-else"))["events"][-1]["name"] == "action_listen"
    assert await store.purge(0) == (1, 7)
    assert stored(postgres, database, "select count(*) from events") == 0
    assert [row[0] for row in stored(postgres, database, "select what from audit order by id")] == ["erase", "export", "purge"]
