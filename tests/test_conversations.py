"""Conversations are kept, found again, bounded in cost, and removed for good when asked."""

import asyncio
import json
import resource
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rasa.core.agent import Agent
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import FailSafeTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    BotUttered,
    ConversationPaused,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from addons import conversations
from addons.configuration import ROOT, ConfigurationError
from addons.conversations import Conversation, ConversationStore, ConversationsUnavailable, UnusableSender
from addons.journal import Entry, Journal

DOMAIN = Domain.from_file(str(ROOT / "domain.yml"))
PATIENT = "a-patient"


class FailingBroker(EventBroker):
    """An event broker that is not there."""

    def publish(self, event: dict[str, Any]) -> None:
        raise ConnectionError(f"not published: {event}")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ConversationStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def open_store(folder: Path, **settings: Any) -> ConversationStore:
    return ConversationStore(DOMAIN, db=str(folder / "conversations.db"), journal=str(folder / "journal"), **settings)


async def turn(
    store: ConversationStore, text: str, sender: str = PATIENT, slots: dict[str, Any] | None = None, intent: str = "faq_pain"
) -> Conversation:
    """One turn as Rasa stores it."""
    tracker = await store.retrieve(sender)
    if not tracker.events:
        tracker.update_with_events(
            [ActionExecuted("action_session_start"), SessionStarted(), ActionExecuted("action_listen")], None
        )
    events = [UserUttered(text, {"name": intent}, [], {"intent": {"name": intent}, "text": text})]
    events += [SlotSet(name, value) for name, value in (slots or {}).items()]
    events += [ActionExecuted("utter_faq_pain"), BotUttered(f"about {text}"), ActionExecuted("action_listen")]
    tracker.update_with_events(events, None)
    await store.save(tracker)
    return tracker


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events]


async def test_a_conversation_is_found_again_after_a_restart(store: ConversationStore, tmp_path: Path) -> None:
    await turn(store, "one")
    store.close()
    again = open_store(tmp_path)
    await turn(again, "two")
    assert texts(await again.history(PATIENT)) == ["one", "about one", "two", "about two"]
    again.close()


async def test_each_event_is_stored_once_however_long_the_conversation(store: ConversationStore) -> None:
    for number in range(12):
        await turn(store, str(number))
    exported = (await store.export(PATIENT))["events"]
    assert len(exported) == 3 + 12 * 4
    assert texts(await store.history(PATIENT, 3)) == ["about 10", "11", "about 11"]


async def test_only_the_last_turns_are_read_and_slots_of_the_time_before_are_kept(store: ConversationStore) -> None:
    await turn(store, "first", slots={"concern": "scars", "country": "Spain"})
    await turn(store, "second", slots={"country": None})
    for number in range(20):
        await turn(store, str(number))
    tracker = await store.retrieve(PATIENT)
    assert len([event for event in tracker.events if isinstance(event, UserUttered)]) == conversations.CONTEXT_TURNS
    assert tracker.get_slot("concern") == "scars"
    assert tracker.get_slot("country") is None
    assert tracker.copy().current_slot_values() == tracker.current_slot_values()


async def test_what_is_remembered_is_what_the_database_would_give(store: ConversationStore, tmp_path: Path) -> None:
    other = open_store(tmp_path)
    await turn(store, "first", slots={"concern": "scars", "country": "Spain"})
    for number in range(12):
        tracker = await turn(store, str(number), slots={"country": f"{number}"} if number % 5 == 0 else None)
        tracker.update(ConversationPaused() if number == 3 else SlotSet("concern", str(number)))
        await store.save(tracker)
        remembered, read = await store.retrieve(PATIENT), await other.retrieve(PATIENT)
        assert [event.as_dict() for event in remembered.events] == [event.as_dict() for event in read.events]
    other.close()


async def test_what_another_process_wrote_is_not_missed(store: ConversationStore, tmp_path: Path) -> None:
    other = open_store(tmp_path)
    await turn(store, "here")
    await turn(other, "there", slots={"country": "Spain"})
    tracker = await store.retrieve(PATIENT)
    assert tracker.latest_message is not None
    assert tracker.latest_message.text == "there"
    assert tracker.get_slot("country") == "Spain"
    await other.erase(PATIENT)
    assert not (await store.retrieve(PATIENT)).events
    other.close()


async def test_a_new_session_starts_without_the_slots_of_the_old_one(store: ConversationStore) -> None:
    await turn(store, "first", slots={"concern": "scars"})
    tracker = await store.retrieve(PATIENT)
    tracker.update_with_events([SessionStarted(), ActionExecuted("action_listen")], None)
    await store.save(tracker)
    for number in range(10):
        await turn(store, str(number))
    assert (await store.retrieve(PATIENT)).get_slot("concern") is None


async def test_a_paused_conversation_stays_paused(store: ConversationStore) -> None:
    tracker = await turn(store, "first")
    tracker.update(ConversationPaused())
    await store.save(tracker)
    for number in range(10):
        await turn(store, str(number))
    assert (await store.retrieve(PATIENT)).is_paused()


async def test_a_copy_is_what_a_replay_of_every_event_would_give(store: ConversationStore) -> None:
    tracker = await turn(store, "first", slots={"concern": "fat"})
    copied, replayed = tracker.copy(), DialogueStateTracker.copy(tracker)
    assert copied.current_state() == replayed.current_state()
    assert list(copied.events) == list(replayed.events)
    copied.update(SlotSet("concern", "scars"))
    assert tracker.get_slot("concern") == "fat"
    assert len(copied.events) == len(tracker.events) + 1


@pytest.mark.parametrize("sender", ["\ud800", "a\0b", "", "x" * 129, "a b", "{'a': 1}", "../../etc", "né"])
async def test_a_malformed_sender_id_ends_nothing_and_stores_nothing(store: ConversationStore, sender: str) -> None:
    await turn(store, "one", sender)
    assert (await store.retrieve(sender)).events == type((await store.retrieve(sender)).events)()
    assert list(await store.keys()) == []
    for refused in (store.history, store.erase, store.export):
        with pytest.raises(UnusableSender):
            await refused(sender)


async def test_the_wrapper_rasa_puts_around_the_store_never_falls_back_to_its_memory(store: ConversationStore) -> None:
    wrapped: FailSafeTrackerStore = Agent(tracker_store=store, domain=DOMAIN).tracker_store
    tracker = await wrapped.get_or_create_tracker("\ud800", append_action_listen=False)
    tracker.update(UserUttered("one"))
    await wrapped.save(tracker)
    assert wrapped._fallback_tracker_store is None


async def test_an_event_broker_that_fails_loses_its_copy_and_not_the_turn(
    store: ConversationStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.event_broker = FailingBroker()
    await turn(store, "does it hurt")
    assert texts(await store.history(PATIENT)) == ["does it hurt", "about does it hurt"]
    assert "The event broker did not take its copy of a turn" in caplog.text
    assert "hurt" not in caplog.text


async def test_text_no_database_can_hold_is_cleaned(store: ConversationStore) -> None:
    await turn(store, "a\0b \ud83d 😀", slots={"concern": "\ud800"})
    assert texts(await store.history(PATIENT))[0] == "ab � 😀"
    tracker = await store.retrieve(PATIENT)
    tracker.update(UserUttered("x", metadata={"nan": float("nan"), "odd": {1, 2}, "list": ["\0"]}))
    await store.save(tracker)
    metadata = (await store.history(PATIENT))[-1]["metadata"]
    assert metadata["nan"] is None
    assert metadata["list"] == [""]


async def test_a_row_that_cannot_be_read_does_not_take_the_conversation_with_it(store: ConversationStore, tmp_path: Path) -> None:
    await turn(store, "one")
    with sqlite3.connect(tmp_path / "conversations.db") as connection:
        for data in ("{", "[1]", '{"event": "nonsense"}', '{"event": "slot"}'):
            connection.execute("insert into events (sender_id, type_name, data) values (?, 'user', ?)", (PATIENT, data))
    await turn(store, "two")
    assert "two" in [event.text for event in (await store.retrieve(PATIENT)).events if isinstance(event, UserUttered)]


async def test_a_conversation_that_asked_for_it_is_erased_instead_of_stored(store: ConversationStore, tmp_path: Path) -> None:
    await turn(store, "my secret")
    await turn(store, "erase it", slots={"erase_requested": True})
    assert await store.history(PATIENT) == []
    assert list(await store.keys()) == []
    assert not (await store.retrieve(PATIENT)).events
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith("-wal"))
    assert b"my secret" not in files


async def test_erasing_counts_the_events_and_leaves_an_audit_line_without_content(
    store: ConversationStore, tmp_path: Path
) -> None:
    await turn(store, "one")
    await turn(store, "two", "someone-else")
    assert await store.erase(PATIENT) == 7
    assert await store.erase(PATIENT) == 0
    assert texts(await store.history("someone-else")) == ["two", "about two"]
    with sqlite3.connect(tmp_path / "conversations.db") as connection:
        lines = connection.execute("select what, conversations, events from audit").fetchall()
    assert lines == [("erase", 1, 7), ("erase", 1, 0)]


async def test_only_whole_idle_conversations_are_purged(store: ConversationStore, tmp_path: Path) -> None:
    await turn(store, "old")
    await turn(store, "new", "someone-else")
    with sqlite3.connect(tmp_path / "conversations.db") as connection:
        connection.execute("update conversations set updated = ? where sender_id = ?", (time.time() - 31 * 86400, PATIENT))
    assert await store.purge(30) == (1, 7)
    assert list(await store.keys()) == ["someone-else"]


async def test_idle_conversations_are_purged_without_any_command(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await turn(store, "old")
    assert store._purging is not None
    await store._purging
    with sqlite3.connect(tmp_path / "conversations.db") as connection:
        connection.execute("update conversations set updated = 1")
    store._purged_at = 0
    await turn(store, "new", "someone-else")
    await store._purging
    assert list(await store.keys()) == ["someone-else"]
    store.close()


async def test_feedback_is_in_the_history_and_not_in_the_tracker(store: ConversationStore) -> None:
    await turn(store, "one")
    await store.record(PATIENT, {"event": "feedback", "reply": "1.0", "value": "up"})
    await turn(store, "two")
    assert [event["event"] for event in await store.history(PATIENT)] == ["user", "bot", "feedback", "user", "bot"]
    assert len((await store.retrieve(PATIENT)).events) == 2 + 2 * 4


async def test_conversations_waiting_for_a_person_are_listed_until_answered(store: ConversationStore) -> None:
    await turn(store, "a person please", slots={"wants_person": True})
    await turn(store, "hello", "someone-else")
    waiting = await store.waiting()
    assert [(found["conversation"], found["messages"]) for found in waiting] == [(PATIENT, 1)]
    await store.answered(PATIENT)
    assert await store.waiting() == []


async def test_a_conversation_that_asked_for_a_person_waits_although_the_action_server_was_down(store: ConversationStore) -> None:
    await turn(store, "a person please", intent="request_human")
    assert [found["conversation"] for found in await store.waiting()] == [PATIENT]
    await store.answered(PATIENT)
    await turn(store, "thanks")
    assert await store.waiting() == []
    await turn(store, "a person again", intent="request_human")
    assert len(await store.waiting()) == 1


async def test_a_table_of_rasas_own_store_is_taken_over(tmp_path: Path) -> None:
    from rasa.core.tracker_store import SQLTrackerStore

    stock = SQLTrackerStore(DOMAIN, db=str(tmp_path / "conversations.db"))
    tracker = DialogueStateTracker(PATIENT, DOMAIN.slots)
    tracker.update(UserUttered("one"))
    await stock.save(tracker)
    stock.engine.dispose()
    store = open_store(tmp_path)
    assert texts(await store.history(PATIENT)) == ["one"]
    assert list(await store.keys()) == [PATIENT]
    store.close()


async def test_nothing_touches_the_disk_when_conversations_are_kept_in_memory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    store = ConversationStore(DOMAIN, db=":memory:")
    await turn(store, "one")
    assert texts(await store.history(PATIENT)) == ["one", "about one"]
    assert await store.ready()
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"dilect": "x"}, "no setting dilect"),
        ({"dialect": "mysql"}, "must be sqlite or postgresql"),
        ({"retention_days": "30"}, "`retention_days` must be a number"),
        ({"retention_days": -1}, "`retention_days` must be a number"),
    ],
)
def test_a_wrong_setting_fails_at_start(tmp_path: Path, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        open_store(tmp_path, **settings)


def test_a_database_that_cannot_be_used_fails_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConversationsUnavailable, match="cannot be used"):
        ConversationStore(DOMAIN, db=str(tmp_path / "nowhere" / "conversations.db"))
    with pytest.raises(ConversationsUnavailable) as failure:
        ConversationStore(DOMAIN, dialect="postgresql", host="127.0.0.1", port=9, db="x", username="u", password="secret")
    assert "secret" not in str(failure.value)


async def out_of_order(store: ConversationStore, path: Path) -> None:
    """Make the database unusable as an outage would."""
    if store._purging is not None:
        await store._purging  # it may still hold a connection to the file that is moved away
    store.engine.dispose()
    path.rename(path.with_suffix(".away"))
    path.mkdir()


async def back_again(store: ConversationStore, path: Path) -> None:
    path.rmdir()
    path.with_suffix(".away").rename(path)
    assert store._retrying is not None
    await store._retrying


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "RETRY_SECONDS", 0.05)


@pytest.mark.usefixtures("_quick")
async def test_turns_of_an_outage_go_on_and_are_written_in_order_and_once(store: ConversationStore, tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    await turn(store, "before", slots={"concern": "scars"})
    await out_of_order(store, path)
    for number in range(4):
        tracker = await turn(store, f"during {number}")
        assert tracker.get_slot("concern") == "scars"
    assert texts(await store.history(PATIENT))[-1] == "about during 3"
    assert not await store.ready()
    await back_again(store, path)
    await turn(store, "after")
    said = [text for text in texts(await store.history(PATIENT)) if not text.startswith("about")]
    assert said == ["before", "during 0", "during 1", "during 2", "during 3", "after"]
    assert (await store.retrieve(PATIENT)).get_slot("concern") == "scars"
    assert not next((tmp_path / "journal").glob("*")).read_text()


@pytest.mark.usefixtures("_quick")
async def test_turns_of_an_outage_survive_a_killed_process(store: ConversationStore, tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    await turn(store, "before")
    await out_of_order(store, path)
    await turn(store, "during")
    assert store._retrying is not None
    store._retrying.cancel()
    store._journal.close()  # what the end of a process does
    path.rmdir()
    path.with_suffix(".away").rename(path)
    again = open_store(tmp_path)
    assert again._retrying is not None
    await again._retrying
    assert texts(await again.history(PATIENT)) == ["before", "about before", "during", "about during"]
    again.close()


@pytest.mark.usefixtures("_quick")
async def test_an_erasure_asked_for_in_an_outage_happens_when_it_is_over(store: ConversationStore, tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    await turn(store, "before")
    await out_of_order(store, path)
    await turn(store, "during")
    await turn(store, "erase it", slots={"erase_requested": True})
    assert not (await store.retrieve(PATIENT)).events
    await back_again(store, path)
    assert await store.history(PATIENT) == []


async def test_a_write_repeated_in_doubt_happens_once(store: ConversationStore) -> None:
    entry = Entry("key", PATIENT, time.time(), (conversations._row(PATIENT, UserUttered("one")),))
    await store._write(entry)
    await store._write(entry)
    assert texts(await store.history(PATIENT)) == ["one"]


async def test_a_turn_the_database_refuses_does_not_hold_up_the_others(store: ConversationStore) -> None:
    row = {**conversations._row(PATIENT, UserUttered("one")), "type_name": None}
    await store._write(Entry("key", PATIENT, time.time(), (row,)))
    await turn(store, "two")
    assert "two" in texts(await store.history(PATIENT))


def test_a_full_journal_says_so_and_keeps_what_came_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path, limit=2)
    added = [journal.add(Entry(str(number), PATIENT, 1.0)) for number in range(3)]
    assert added == [True, True, False]
    assert "not stored" in caplog.text
    assert [entry.key for entry in journal] == ["0", "1"]


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Entry("a", PATIENT, 1.0, ({"data": "x"},)))
    journal.add(Entry("b", PATIENT, 2.0))
    journal.close()
    file = next(tmp_path.glob("*.jsonl"))
    file.write_text(file.read_text() + json.dumps({"key": "c"})[:6])
    again = Journal(tmp_path)
    assert [entry.key for entry in again] == ["a", "b"]
    assert [entry.rows for entry in again] == [({"data": "x"},), ()]


def test_two_processes_have_a_journal_each(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    first.add(Entry("a", PATIENT, 1.0))
    second.add(Entry("b", PATIENT, 1.0))
    first.close()
    third = Journal(tmp_path)
    assert [entry.key for entry in third] == ["a"]
    assert [entry.key for entry in second] == ["b"]


async def test_a_slow_database_holds_up_nobody_else(store: ConversationStore) -> None:
    slow = asyncio.create_task(store._in_database(lambda _: time.sleep(0.5)))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - started < 0.2
    await slow


@pytest.mark.usefixtures("_quick")
async def test_a_full_disk_keeps_turns_in_memory_until_there_is_room(
    store: ConversationStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await turn(store, "before")
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, largest[1]))
    try:
        tracker = await turn(store, "during")
        assert [event.text for event in tracker.events if isinstance(event, UserUttered)] == ["before", "during"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert "waiting turns are in memory only" in caplog.text
    assert store._retrying is not None
    await store._retrying
    assert texts(await store.history(PATIENT)) == ["before", "about before", "during", "about during"]


async def test_while_the_database_is_away_and_nothing_waits_the_server_is_not_kept_busy(
    store: ConversationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def away() -> bool:
        nonlocal looks
        looks += 1
        # Without a pause nothing else would ever run, this test's end included.
        assert looks < 20, "the store looks for its database without a pause"
        return False

    monkeypatch.setattr(store, "ready", away)
    monkeypatch.setattr(conversations, "RETRY_SECONDS", 0.1)
    store._down = True
    store._start_retrying()
    retrying = store._retrying
    assert retrying is not None
    await asyncio.sleep(0.35)
    assert not retrying.done()
    assert 2 <= looks <= 5


async def test_rules_see_the_last_two_turns_with_the_state_from_before_them(store: ConversationStore) -> None:
    for number in range(4):
        tracker = await turn(store, f"message {number}", slots={"concern": "scars"} if number == 0 else None)
    everything = DialogueStateTracker.from_events(PATIENT, list(tracker.events), DOMAIN.slots).past_states(DOMAIN)
    seen = tracker.past_states(DOMAIN)
    assert seen == everything[-len(seen) :]
    assert [state["prev_action"]["action_name"] for state in seen] == ["utter_faq_pain", "action_listen"] * 3
