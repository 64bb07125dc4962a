"""Keeps the conversations: SQLite beside the project by default, PostgreSQL in production.

Rasa's own SQL store ends the process on one malformed sender id, forgets the turns of an outage, gets slower with every turn and
cannot erase. This one keeps its table (`events`) and changes how it is read and written:

- A turn reads the last few turns and the state from before them, not the whole history (`_read_recent`), and not even those
  when this process wrote them.
- Every call of the database runs in a thread and has a time limit, so that a slow database holds up nobody else.
- While the database cannot be reached, answers go on, and turns wait in a journal (addons/journal.py). They are written in order
  when it is back, each once.
- Whole conversations can be erased, exported, and are removed when they have been idle for `retention_days`.
"""

import asyncio
import contextlib
import copy
import functools
import json
import logging
import os
import re
import select
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import SQLTrackerStore, TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, Restarted, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.utils.common import all_subclasses
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from addons.configuration import ROOT, ConfigurationError
from addons.journal import Entry, Journal, Row
from addons.logs import where

ENDPOINTS = ROOT / "endpoints.yml"
ERASE_REQUESTED = "erase_requested"
WANTS_PERSON = "wants_person"
REQUEST_HUMAN = "request_human"
RETENTION_DAYS = 30.0
# As many as follow-up questions look back (addons/understanding/components.py).
CONTEXT_TURNS = 5
# As many as rules look back: none of this assistant's is longer than the turn before and the turn now.
RULE_TURNS = 2
# Seconds one call of the database may stay without an answer, and between looks whether it is back.
TIME_LIMIT_SECONDS = 2.0
RETRY_SECONDS = 2.0
SLOW_TURN_SECONDS = 2.0
_PURGE_EVERY_SECONDS = 6 * 3600.0
_ROWS_AT_ONCE = 80
_REMEMBERED_CONVERSATIONS = 200
_POOL = 2
_SENDER = re.compile(r"[A-Za-z0-9_.:+@=-]{1,128}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_IN_MEMORY = ":memory:"
# What of the time before the turns read decides how the conversation goes on, beside the slots.
_STATE_TYPES = ("active_loop", "pause", "resume")
_SHOWN_TYPES = ("user", "bot", "feedback")

logger = logging.getLogger(__name__)

Connection = Any
Result = TypeVar("Result")

METADATA = sa.MetaData()
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sender_id", sa.String(255), nullable=False),
    sa.Column("type_name", sa.String(255), nullable=False),
    sa.Column("timestamp", sa.Float),
    sa.Column("intent_name", sa.String(255)),
    sa.Column("action_name", sa.String(255)),
    sa.Column("data", sa.Text),
    # The newest events of a conversation; when a kind of event happened; the last value of each slot.
    sa.Index("ix_events_sender_id_id", "sender_id", "id"),
    sa.Index("ix_events_sender_id_type_name_timestamp", "sender_id", "type_name", "timestamp"),
    sa.Index("ix_events_state", "sender_id", "type_name", "action_name", "id"),
)
# One row a conversation: when it was last written, and by which write, so that no write happens twice.
CONVERSATIONS = sa.Table(
    "conversations",
    METADATA,
    sa.Column("sender_id", sa.String(255), primary_key=True),
    sa.Column("updated", sa.Float, nullable=False, index=True),
    sa.Column("written", sa.String(32)),
)
# What was removed or handed out and when; no content and no ids.
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("conversations", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
)


class ConversationsUnavailable(Exception):
    """The database cannot be reached or cannot be used. The message holds no password and nothing a patient wrote."""


class UnusableSender(Exception):
    """A sender id that no channel of ours gives out."""

    def __init__(self) -> None:
        """Build a message that does not repeat the id."""
        super().__init__("A conversation's id is 1 to 128 letters, digits or any of . _ : + @ = - and nothing else.")


@dataclass(frozen=True)
class Recent:
    """What this process remembers of a conversation.

    Attributes:
        written: the write it ended with; when the database names another, somebody else has written since.
        events: what `ConversationStore._read_recent` would read.
    """

    written: str
    events: list[Event]


class Conversation(DialogueStateTracker):
    """A tracker that knows which of its events are stored already, and copies its state instead of replaying every event."""

    stored = 0
    read_at: float | None = None

    def copy(self) -> "Conversation":
        """A duplicate: Rasa makes one for every action it runs."""
        duplicate = Conversation.__new__(Conversation)
        duplicate.__dict__.update(self.__dict__)
        duplicate.events = self.events.copy()
        duplicate.slots = {name: copy.copy(slot) for name, slot in self.slots.items()}
        duplicate.active_loop = copy.copy(self.active_loop)
        return duplicate

    def generate_all_prior_trackers(self) -> Generator[tuple[DialogueStateTracker, bool], None, None]:
        """The conversation before each action of the last turns, which is what rules look at; Rasa goes through all turns."""
        events = self.applied_events()
        turns = [place for place, event in enumerate(events) if isinstance(event, UserUttered)]
        # The state before the listening that begins the first of these turns is one that rules of one turn may match too.
        first = turns[-RULE_TURNS] - 1 if len(turns) > RULE_TURNS else 0
        tracker = self.init_copy()
        for place, event in enumerate(events):
            if place >= first and isinstance(event, ActionExecuted):
                yield tracker, event.hide_rule_turn
            tracker.update(event)
        yield tracker, False


class ConversationStore(SQLTrackerStore):
    """The tracker store named in endpoints.yml."""

    def __init__(
        self,
        domain: Domain | None = None,
        dialect: str = "sqlite",
        host: str | None = None,
        port: int | str | None = None,
        db: str = "conversations.db",
        username: str | None = None,
        password: str | None = None,
        event_broker: EventBroker | None = None,
        query: dict[str, str] | None = None,
        journal: str | None = None,
        retention_days: float = RETENTION_DAYS,
        **unknown: Any,
    ) -> None:
        """Connect, and make the tables that are missing.

        Args:
            domain: the assistant's slots; Rasa sets it again when the model is loaded.
            dialect: `sqlite` or `postgresql`.
            host: the database's host (Rasa passes `url` under this name), or its whole address.
            port: the database's port.
            db: the database's name; for SQLite a path from the project's root, or `:memory:` for nothing on the disk.
            username: who connects.
            password: from the environment (`${DB_PASSWORD}`), never in the file.
            event_broker: gets a copy of every event, if one is configured.
            query: further options of the driver.
            journal: the folder where turns wait for the database; without it they wait in memory.
            retention_days: idle conversations older than this are removed; 0 keeps them.
            unknown: settings that do not exist.

        Raises:
            ConfigurationError: a setting cannot be used.
            ConversationsUnavailable: the database cannot be reached.
        """
        TrackerStore.__init__(self, domain, event_broker)
        if unknown:
            raise ConfigurationError(ENDPOINTS, f"`tracker_store` has no setting {', '.join(sorted(unknown))}.")
        if dialect not in {"sqlite", "postgresql"}:
            raise ConfigurationError(ENDPOINTS, f"`dialect` must be sqlite or postgresql, not {dialect!r}.")
        if not isinstance(retention_days, int | float) or isinstance(retention_days, bool) or retention_days < 0:
            raise ConfigurationError(ENDPOINTS, "`retention_days` must be a number of days, or 0 to keep conversations.")
        if dialect == "sqlite" and db != _IN_MEMORY:
            db = str(ROOT / db)
        self.retention_days = float(retention_days)
        address = self.get_db_url(dialect, host, port, db, username, password, None, query)
        self.engine = _sqlite_engine(address, db) if dialect == "sqlite" else _postgresql_engine(address)
        # One connection holds a database in memory, so one thread uses it.
        self._threads = ThreadPoolExecutor(1 if db == _IN_MEMORY else _POOL, "conversations")
        self._down = False
        self._retrying: asyncio.Task[None] | None = None
        self._purging: asyncio.Task[None] | None = None
        self._recent: OrderedDict[str, Recent] = OrderedDict()
        self._purged_at = 0.0
        try:
            _make_tables(self.engine)
        except SQLAlchemyError as error:
            raise ConversationsUnavailable(
                f"The conversations' database {self.engine.url!r} cannot be used ({_reason(error)}). "
                "Start it, or mend `tracker_store` in endpoints.yml."
            ) from None
        try:
            self._journal = Journal(ROOT / journal if journal else None)
        except OSError as error:
            raise ConfigurationError(
                ENDPOINTS, f"the folder `journal: {journal}` cannot be written ({error.strerror})."
            ) from None
        if self._journal:
            logger.warning("%d turns of the time before wait for the database; they are written first.", len(self._journal))
            self._down = True
            with contextlib.suppress(RuntimeError):  # outside a server, the next save writes what waits
                self._start_retrying()

    # What Rasa calls

    async def retrieve(self, sender_id: str) -> Conversation:
        """The conversation's last turns with the state from before them; an empty one when there was none.

        While the database cannot be reached: what this process remembers of it.
        """
        if not usable_sender(sender_id):
            return self._conversation(sender_id, [])
        known = self._recent.get(sender_id)
        try:
            events = await self._in_database(functools.partial(self._read_recent, sender_id, known))
        except ConversationsUnavailable:
            events = known.events if known else []
        return self._conversation(sender_id, events)

    async def retrieve_full_tracker(self, conversation_id: str) -> Conversation | None:
        """All events of all sessions; None when there are none. Costs what the whole history costs.

        Raises:
            ConversationsUnavailable: the database cannot be reached.
        """
        rows = await self._in_database(functools.partial(_all_data, conversation_id))
        return self._conversation(conversation_id, _events(rows)) if rows else None

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Store the events that are not stored yet, or erase the conversation when its patient asked for that.

        Never fails: what cannot be written now waits in the journal.
        """
        if not usable_sender(tracker.sender_id):
            logger.warning("A turn is not stored: its sender id is not one that a channel gives out.")
            return
        if tracker.slots.get(ERASE_REQUESTED) is not None and tracker.get_slot(ERASE_REQUESTED) is True:
            self._recent.pop(tracker.sender_id, None)
            self._journal.forget(tracker.sender_id)
            await self._write(Entry(uuid.uuid4().hex, tracker.sender_id, time.time(), erase=True))
            return
        new = await self._new_events(tracker)
        if new:
            rows = tuple(_row(tracker.sender_id, event) for event in new)
            entry = Entry(uuid.uuid4().hex, tracker.sender_id, time.time(), rows)
            self._remember(entry, list(tracker.events))
            await self._write(entry)
            if isinstance(tracker, Conversation):
                tracker.stored = len(tracker.events)
                _log_duration(tracker)
        if self.event_broker is not None:
            try:
                await self._stream_new_events(self.event_broker, new, tracker.sender_id)
            except Exception as error:
                logger.error("The event broker did not take its copy of a turn, which is lost: %s", where(error))
        self._purge_now_and_then()

    async def exists(self, conversation_id: str) -> bool:
        """Whether anything is stored of a conversation."""
        return bool(await self._in_database(functools.partial(_count, conversation_id)))

    async def keys(self) -> Iterable[str]:
        """The sender ids of all conversations."""
        ids: list[str] = await self._in_database(
            lambda connection: connection.scalars(sa.select(CONVERSATIONS.c.sender_id)).all()
        )
        return ids

    # What the channels and commands call

    async def history(self, sender_id: str, limit: int = 200) -> list[dict[str, Any]]:
        """The newest messages of a conversation, of all its sessions.

        Args:
            sender_id: the conversation.
            limit: how many events at most.

        Returns:
            Stored `user`, `bot` and `feedback` events as Rasa's dictionaries, oldest first. While the database cannot be
            reached: those of the last turns, as far as this process remembers them.

        Raises:
            UnusableSender: the id cannot be one.
        """
        _check_sender(sender_id)
        try:
            return _readable(await self._in_database(functools.partial(_shown_data, sender_id, limit)))
        except ConversationsUnavailable:
            known = self._recent.get(sender_id)
            remembered = [event.as_dict() for event in known.events] if known else []
            return [event for event in remembered if event["event"] in _SHOWN_TYPES][-limit:]

    async def record(self, sender_id: str, event: dict[str, Any]) -> None:
        """Store something about a conversation that is no turn, such as `{"event": "feedback", ...}`; rules never see it.

        Raises:
            UnusableSender: the id cannot be one.
        """
        _check_sender(sender_id)
        now = time.time()
        data = {"timestamp": now, **event}
        row = {"sender_id": sender_id, "type_name": event["event"], "timestamp": data["timestamp"], "data": _as_json(data)}
        await self._write(Entry(uuid.uuid4().hex, sender_id, now, ({**row, "intent_name": None, "action_name": None},)))

    async def erase(self, sender_id: str) -> int:
        """Remove everything stored of a conversation.

        Returns:
            How many events that were.

        Raises:
            UnusableSender: the id cannot be one.
            ConversationsUnavailable: nothing is certain to be removed; try again.
        """
        _check_sender(sender_id)
        self._recent.pop(sender_id, None)
        waiting = self._journal.forget(sender_id)
        return waiting + int(await self._in_database(functools.partial(_erase, [sender_id], "erase"), even_if_down=True))

    async def export(self, sender_id: str) -> dict[str, Any]:
        """Everything stored of a conversation, for the person who asks for it.

        Raises:
            UnusableSender: the id cannot be one.
            ConversationsUnavailable: the database cannot be reached.
        """
        _check_sender(sender_id)
        events = _readable(await self._in_database(functools.partial(_all_data, sender_id)))
        await self._in_database(lambda connection: connection.execute(_audit("export", 1, len(events))))
        return {"conversation": sender_id, "exported": datetime.now(timezone.utc).isoformat(timespec="seconds"), "events": events}

    async def ready(self) -> bool:
        """Whether the database answers now."""
        try:
            await self._in_database(lambda connection: connection.execute(sa.select(1)), even_if_down=True)
        except ConversationsUnavailable:
            return False
        return True

    async def purge(self, days: float) -> tuple[int, int]:
        """Remove whole conversations that have been idle for this many days.

        Returns:
            How many conversations and events were removed.

        Raises:
            ConversationsUnavailable: the database cannot be reached; what was removed before stays removed.
        """
        before = time.time() - days * 86400
        conversations = events = 0
        while True:
            idle = await self._in_database(functools.partial(_idle_since, before))
            if not idle:
                return conversations, events
            events += await self._in_database(functools.partial(_erase, idle, "purge"))
            conversations += len(idle)
            for sender_id in idle:
                self._recent.pop(sender_id, None)

    async def waiting(self) -> list[dict[str, Any]]:
        """The conversations whose patient asked for a person, longest waiting first.

        Returns:
            Dictionaries with `conversation`, `asked` (unix seconds) and `messages` (how many the patient wrote).

        Raises:
            ConversationsUnavailable: the database cannot be reached.
        """
        found: list[dict[str, Any]] = await self._in_database(_waiting)
        return found

    async def answered(self, sender_id: str) -> None:
        """Take a conversation off the list of those waiting for a person.

        Raises:
            UnusableSender: the id cannot be one.
        """
        _check_sender(sender_id)
        row = _row(sender_id, SlotSet(WANTS_PERSON, False))
        await self._write(Entry(uuid.uuid4().hex, sender_id, time.time(), (row,)))

    def close(self) -> None:
        """Let go of threads, connections and the journal's file; what waits stays in it."""
        if self._retrying is not None:
            self._retrying.cancel()
        self._threads.shutdown()
        self.engine.dispose()
        self._journal.close()

    # How

    def _conversation(self, sender_id: str, events: list[Event]) -> Conversation:
        tracker = Conversation(sender_id, self.domain.slots)
        for event in events:
            tracker.update(event)
        tracker.stored = len(tracker.events)
        tracker.read_at = time.monotonic()
        return tracker

    def _remember(self, entry: Entry, events: list[Event]) -> None:
        self._recent[entry.conversation] = Recent(entry.key, _with_state(events))
        self._recent.move_to_end(entry.conversation)
        if len(self._recent) > _REMEMBERED_CONVERSATIONS:
            self._recent.popitem(last=False)

    async def _new_events(self, tracker: DialogueStateTracker) -> list[Event]:
        if isinstance(tracker, Conversation):
            return list(tracker.events)[tracker.stored :]
        # Made by Rasa without reading the store, such as in a replay.
        try:
            stored: int = await self._in_database(functools.partial(_count, tracker.sender_id))
        except ConversationsUnavailable:
            stored = 0
        return list(tracker.events)[stored:]

    async def _in_database(self, work: Callable[[Connection], Result], even_if_down: bool = False) -> Result:
        """Run work in a transaction, in a thread.

        Args:
            work: gets a connection.
            even_if_down: try although the database did not answer a moment ago.

        Raises:
            ConversationsUnavailable: it failed, or it would only wait for a database that is known to be down.
        """

        def check() -> None:
            if self._down and not even_if_down:
                raise ConversationsUnavailable("The database did not answer a moment ago.")

        def transaction() -> Result:
            check()  # again, because others may have found out while this waited for a thread
            with self.engine.begin() as connection:
                return work(connection)

        check()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, transaction)
        except (DataError, IntegrityError, ConversationsUnavailable):
            raise
        except Exception as error:  # whatever a driver raises when its connection dies under it
            if not self._down:
                logger.error("The conversations' database does not answer (%s). Turns wait in the journal.", _reason(error))
            self._down = True
            self._start_retrying()
            raise ConversationsUnavailable(f"The database does not answer ({_reason(error)}).") from None

    async def _write(self, entry: Entry) -> None:
        """Write now, or let it wait behind what waits already."""
        if not self._journal:
            try:
                await self._in_database(functools.partial(_write, entry))
                return
            except ConversationsUnavailable:
                pass
            except (DataError, IntegrityError) as error:
                logger.error("The database refuses a turn (%s): it is not stored.", _reason(error))
                return
        self._journal.add(entry)
        self._start_retrying()

    def _start_retrying(self) -> None:
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.get_running_loop().create_task(self._write_what_waits())

    async def _write_what_waits(self) -> None:
        """Look again and again whether the database is back; then write what waits, oldest first."""
        while self._down or self._journal:
            try:
                for entry in self._journal:
                    try:
                        await self._in_database(functools.partial(_write, entry), even_if_down=True)
                    except (DataError, IntegrityError) as error:
                        logger.error("The database refuses a turn that waited (%s): it is not stored.", _reason(error))
                    self._journal.remove(entry)
                if await self.ready() and not self._journal:
                    self._down = False
                    logger.warning("The conversations' database is back; every turn that waited is written.")
                    return
            except ConversationsUnavailable:
                pass
            await asyncio.sleep(RETRY_SECONDS)

    def _read_recent(self, sender_id: str, known: Recent | None, connection: Connection) -> list[Event]:
        """The last turns of the newest session, and before them what decides how it goes on: slots, an active form, a pause.

        They are read only when this process does not remember them, or another one has written since.
        """
        last_write = sa.select(CONVERSATIONS.c.written).where(CONVERSATIONS.c.sender_id == sender_id)
        if known and connection.scalar(last_write) == known.written:
            return known.events
        wanted = _ROWS_AT_ONCE
        while True:
            newest = sa.select(EVENTS.c.id, EVENTS.c.data).where(EVENTS.c.sender_id == sender_id)
            rows = connection.execute(newest.order_by(EVENTS.c.id.desc()).limit(wanted)).all()
            loaded = [(row.id, event) for row in reversed(rows) for event in _events([row.data])]
            recent = _last_turns([event for _, event in loaded])
            if len(recent) < len(loaded) or len(rows) < wanted:
                break
            wanted *= 2
        if not recent or isinstance(recent[0], SessionStarted | Restarted) or len(recent) == len(loaded):
            return recent
        first = loaded[len(loaded) - len(recent)][0]
        return [*_events(self._state_before(first, sender_id, connection)), *recent]

    def _state_before(self, first: int, sender_id: str, connection: Connection) -> list[str]:
        """The last event of each slot, and of each further kind of state, of this session before an event."""

        def newest(*conditions: Any) -> Any:
            return sa.select(sa.func.max(EVENTS.c.id)).where(EVENTS.c.sender_id == sender_id, EVENTS.c.id < first, *conditions)

        boundaries = [newest(EVENTS.c.type_name == kind.type_name).scalar_subquery() for kind in (SessionStarted, Restarted)]
        began = max(connection.execute(sa.select(*boundaries)).one(), key=lambda number: number or 0) or 0
        of_slots = [
            newest(EVENTS.c.type_name == SlotSet.type_name, EVENTS.c.action_name == slot.name, EVENTS.c.id > began)
            for slot in self.domain.slots
        ]
        of_others = [newest(EVENTS.c.type_name == name, EVENTS.c.id > began) for name in _STATE_TYPES]
        ids = connection.execute(sa.select(*(query.scalar_subquery() for query in of_slots + of_others))).one()
        data = sa.select(EVENTS.c.data).where(EVENTS.c.id.in_([number for number in ids if number]))
        found: list[str] = connection.scalars(data.order_by(EVENTS.c.id)).all()
        return found

    def _purge_now_and_then(self) -> None:
        now = time.monotonic()
        if not self.retention_days or (self._purged_at and now - self._purged_at < _PURGE_EVERY_SECONDS):
            return
        self._purged_at = now
        self._purging = asyncio.get_running_loop().create_task(self._purge_quietly())

    async def _purge_quietly(self) -> None:
        with contextlib.suppress(ConversationsUnavailable):
            await self.purge(self.retention_days)


def _log_duration(tracker: Conversation) -> None:
    """How long a turn took, from reading the conversation to having stored it; every channel's turn passes here."""
    if tracker.read_at is None:
        return
    seconds = time.monotonic() - tracker.read_at
    tracker.read_at = None
    level = logging.WARNING if seconds > SLOW_TURN_SECONDS else logging.INFO
    slow = "slow " if level == logging.WARNING else ""
    logger.log(level, "A %sturn took %.0f ms.", slow, 1000 * seconds, extra={"milliseconds": round(1000 * seconds)})


def usable_sender(sender_id: object) -> bool:
    """Whether a sender id is one a channel gives out: short, and only characters every database and log can hold."""
    return isinstance(sender_id, str) and _SENDER.fullmatch(sender_id) is not None


def _check_sender(sender_id: str) -> None:
    if not usable_sender(sender_id):
        raise UnusableSender


# Engines


def _sqlite_engine(address: Any, db: str) -> Any:
    in_memory = db == _IN_MEMORY
    engine = sa.create_engine(
        address,
        poolclass=StaticPool if in_memory else QueuePool,
        connect_args={"check_same_thread": False, "timeout": TIME_LIMIT_SECONDS},
        **({} if in_memory else {"pool_size": _POOL, "max_overflow": 0, "pool_timeout": TIME_LIMIT_SECONDS}),
    )

    def settings(connection: Any, _: Any) -> None:
        # FULL: a turn that was acknowledged survives a power cut. secure_delete: what is erased is overwritten.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "connect", settings)
    if not in_memory:
        with contextlib.suppress(OSError):  # making the tables says what is wrong
            Path(db).touch(mode=0o600)
    return engine


def _postgresql_engine(address: Any) -> Any:
    import psycopg2.extensions

    # The driver has no time limit of its own for an answer that never comes.
    psycopg2.extensions.set_wait_callback(_wait_for_answer)
    milliseconds = int(TIME_LIMIT_SECONDS * 1000)
    schema = os.environ.get("POSTGRESQL_SCHEMA")
    options = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout=10000"
    return sa.create_engine(
        address,
        pool_size=int(os.environ.get("SQL_POOL_SIZE", _POOL)),
        max_overflow=int(os.environ.get("SQL_MAX_OVERFLOW", _POOL)),
        pool_timeout=TIME_LIMIT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": int(TIME_LIMIT_SECONDS),
            "options": options + (f" -c search_path={schema}" if schema else ""),
            "application_name": "assistant",
        },
    )


def _wait_for_answer(connection: Any) -> None:
    """Wait until the database answers; psycopg2 calls this in the thread of every call, and closes the connection if it raises.

    Raises:
        OperationalError: the database stayed silent for too long.
    """
    import psycopg2
    from psycopg2 import extensions

    until = time.monotonic() + TIME_LIMIT_SECONDS
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not poller.poll(max(0.0, until - time.monotonic()) * 1000):
            raise psycopg2.OperationalError(f"no answer within {TIME_LIMIT_SECONDS} seconds")


def _make_tables(engine: Any) -> None:
    """Make what is missing; a table that Rasa's own store made is taken over."""
    for attempt in (1, 2):
        try:
            with engine.begin() as connection:
                known = set(sa.inspect(connection).get_table_names())
                METADATA.create_all(connection)
                for index in EVENTS.indexes:
                    index.create(connection, checkfirst=True)
                if "events" in known and "conversations" not in known:
                    newest = sa.func.coalesce(sa.func.max(EVENTS.c.timestamp), time.time())
                    connection.execute(
                        CONVERSATIONS.insert().from_select(
                            ["sender_id", "updated"], sa.select(EVENTS.c.sender_id, newest).group_by(EVENTS.c.sender_id)
                        )
                    )
            return
        except (sa.exc.ProgrammingError, IntegrityError):
            # Another replica made them at the same moment; the second look finds them.
            if attempt == 2:
                raise
            time.sleep(0.5)


# Statements


def _write(entry: Entry, connection: Connection) -> None:
    """Write one entry, unless the database has it already: a connection lost at the commit leaves that in doubt."""
    if entry.erase:
        _erase([entry.conversation], "erase", connection)
        return
    mine = CONVERSATIONS.c.sender_id == entry.conversation
    other = sa.or_(CONVERSATIONS.c.written.is_(None), CONVERSATIONS.c.written != entry.key)
    values = {"updated": entry.at, "written": entry.key}
    # The row's lock makes a repeated write wait for the first one to end.
    if not connection.execute(CONVERSATIONS.update().where(mine, other).values(values)).rowcount:
        if connection.execute(sa.select(CONVERSATIONS.c.written).where(mine)).first() is not None:
            return
        connection.execute(CONVERSATIONS.insert().values({"sender_id": entry.conversation, **values}))
    connection.execute(EVENTS.insert(), list(entry.rows))


def _erase(sender_ids: list[str], what: str, connection: Connection) -> int:
    removed: int = connection.execute(EVENTS.delete().where(EVENTS.c.sender_id.in_(sender_ids))).rowcount
    connection.execute(CONVERSATIONS.delete().where(CONVERSATIONS.c.sender_id.in_(sender_ids)))
    connection.execute(_audit(what, len(sender_ids), removed))
    return removed


def _audit(what: str, conversations: int, events: int) -> Any:
    return AUDIT.insert().values(at=time.time(), what=what, conversations=conversations, events=events)


def _idle_since(before: float, connection: Connection) -> list[str]:
    query = sa.select(CONVERSATIONS.c.sender_id).where(CONVERSATIONS.c.updated < before).limit(_ROWS_AT_ONCE)
    found: list[str] = connection.scalars(query).all()
    return found


def _count(sender_id: str, connection: Connection) -> int:
    count: int = connection.scalar(sa.select(sa.func.count()).where(EVENTS.c.sender_id == sender_id))
    return count


def _all_data(sender_id: str, connection: Connection) -> list[str]:
    query = sa.select(EVENTS.c.data).where(EVENTS.c.sender_id == sender_id).order_by(EVENTS.c.id)
    found: list[str] = connection.scalars(query).all()
    return found


def _shown_data(sender_id: str, limit: int, connection: Connection) -> list[str]:
    query = sa.select(EVENTS.c.data).where(EVENTS.c.sender_id == sender_id, EVENTS.c.type_name.in_(_SHOWN_TYPES))
    found: list[str] = connection.scalars(query.order_by(EVENTS.c.id.desc()).limit(limit)).all()
    return found[::-1]


def _waiting(connection: Connection) -> list[dict[str, Any]]:
    # The mark is set by the action server; the question itself counts too, because that server may have been down.
    marked = sa.and_(EVENTS.c.type_name == SlotSet.type_name, EVENTS.c.action_name == WANTS_PERSON)
    asked = sa.and_(EVENTS.c.type_name == UserUttered.type_name, EVENTS.c.intent_name == REQUEST_HUMAN)
    marks = sa.select(EVENTS.c.sender_id, sa.func.max(EVENTS.c.id).label("id")).where(sa.or_(marked, asked))
    newest = marks.group_by(EVENTS.c.sender_id).subquery()
    rows = connection.execute(
        sa.select(EVENTS.c.sender_id, EVENTS.c.timestamp, EVENTS.c.data)
        .join(newest, newest.c.id == EVENTS.c.id)
        .order_by(EVENTS.c.timestamp)
    ).all()
    of_patient = sa.select(sa.func.count()).where(EVENTS.c.type_name == UserUttered.type_name)
    return [
        {
            "conversation": row.sender_id,
            "asked": row.timestamp,
            "messages": connection.scalar(of_patient.where(EVENTS.c.sender_id == row.sender_id)),
        }
        for row in rows
        if json.loads(row.data).get("value", True) is True
    ]


# Events and text


@functools.lru_cache(maxsize=1)
def _event_classes() -> dict[str, type[Event]]:
    """Rasa looks through all classes for every event; the first of a name counts, as there."""
    classes: dict[str, type[Event]] = {}
    for found in all_subclasses(Event):
        classes.setdefault(found.type_name, found)
    return classes


def _readable(rows: Iterable[str]) -> list[dict[str, Any]]:
    """Stored rows as dictionaries. One that cannot be read is left out: it must not take the conversation with it."""
    found = []
    for data in rows:
        try:
            event = json.loads(data)
        except (TypeError, ValueError):
            event = None
        if isinstance(event, dict):
            found.append(event)
        else:
            logger.error("A stored event cannot be read and is left out.")
    return found


def _events(rows: Iterable[str]) -> list[Event]:
    """Stored rows as Rasa's events, without those that are none (feedback) or cannot be read."""
    classes = _event_classes()
    found: list[Event] = []
    for parameters in _readable(rows):
        kind = classes.get(str(parameters.get("event")))
        if kind is None:
            continue
        try:
            found.append(kind._from_parameters(parameters))
        except (KeyError, TypeError, ValueError):
            logger.error("A stored event of type `%s` cannot be read and is left out.", kind.type_name)
    return found


def _last_turns(events: list[Event]) -> list[Event]:
    """The end of a list of events: the last turns, but nothing from before the newest session or restart."""
    turns = 0
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if isinstance(event, SessionStarted | Restarted):
            return events[place:]
        turns += isinstance(event, UserUttered)
        # A turn begins with the listening before it: a rule needs both.
        if turns == CONTEXT_TURNS and isinstance(event, ActionExecuted):
            return events[place:]
    return events


def _with_state(events: list[Event]) -> list[Event]:
    """The last turns, and before them the last event of each slot and of each further kind of state, in their order."""
    recent = _last_turns(events)
    if recent and isinstance(recent[0], SessionStarted | Restarted):
        return recent
    state: dict[str, Event] = {}
    for event in events[: len(events) - len(recent)]:
        if isinstance(event, SessionStarted | Restarted):
            state.clear()
        elif isinstance(event, SlotSet) or event.type_name in _STATE_TYPES:
            kind = f"{event.type_name} {event.key}" if isinstance(event, SlotSet) else event.type_name
            state.pop(kind, None)
            state[kind] = event
    return [*state.values(), *recent]


def _row(sender_id: str, event: Event) -> Row:
    data = event.as_dict()
    return {
        "sender_id": sender_id,
        "type_name": event.type_name,
        "timestamp": data.get("timestamp"),
        "intent_name": _storable(((data.get("parse_data") or {}).get("intent") or {}).get("name")),
        "action_name": _storable(data.get("name")),
        "data": _as_json(data),
    }


def _as_json(data: dict[str, Any]) -> str:
    try:
        text = json.dumps(data, allow_nan=False)
    except (TypeError, ValueError):
        return json.dumps(_storable(data))
    # ASCII escapes of what may be a NUL or half a character: databases and other readers refuse those.
    return json.dumps(_storable(data)) if "\\u0000" in text or "\\ud" in text else text


def _storable(value: Any) -> Any:
    """A value with nothing in it that a database cannot hold."""
    if isinstance(value, str):
        return _SURROGATE.sub("�", value.replace("\0", ""))
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _reason(error: BaseException) -> str:
    """Why a call failed, in one line, without the statement and its values: those hold what patients wrote."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    # Only of these is it known that their first line is about the connection or the disk.
    about_the_database = isinstance(error, OperationalError | InterfaceError | OSError) and lines
    return lines[0] if about_the_database else type(original).__name__
