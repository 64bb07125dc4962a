"""Runs one message of a patient through Rasa, for every channel of ours: never silent, never twice, never an exception.

Rasa alone answers nothing when a turn fails, asks twice when a platform or a browser sends a message again, and loses the whole
turn when the sender hangs up while it runs.
"""

import asyncio
import logging
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import WeakValueDictionary

from rasa.core.agent import Agent
from rasa.core.channels.channel import OutputChannel, UserMessage

from addons.channels.render import choices_of, chosen
from addons.clinic import Clinic
from addons.configuration import ROOT, read_mapping
from addons.logs import where

TECHNICAL = ROOT / "data" / "safety" / "technical.yml"
LANGUAGE = "en"
TIME_LIMIT_SECONDS = 30.0
# A message is sent again within seconds or minutes, so its first copy is among the newest events.
_RECENT_EVENTS = 60
_PREFIX = "utter_technical_"
_COMMAND = "/ \n"
# Cc control, Cf format (zero-width, direction marks), Cs lone surrogates
_INVISIBLE = {"Cc", "Cf", "Cs"}

logger = logging.getLogger(__name__)

Reply = dict[str, Any]
StoredTurn = tuple[dict[str, Any] | None, list[Reply]]


class Conversations(Protocol):
    """What the channels need of the conversation store (addons/conversations.py)."""

    async def history(self, sender_id: str, limit: int = 200) -> list[dict[str, Any]]:
        """The newest stored user, bot and feedback events of a conversation, oldest first."""

    async def erase(self, sender_id: str) -> int:
        """Remove a conversation; returns how many events it had."""

    async def ready(self) -> bool:
        """Whether the store can be reached."""

    async def record(self, sender_id: str, event: dict[str, Any]) -> None:
        """Store something about a conversation that is no turn, such as `{"event": "feedback", ...}`."""


@dataclass(frozen=True)
class Turn:
    """What came of one message.

    Attributes:
        replies: at least one, each the structured reply (`text`, `body`, `caveat`, `buttons`, ...) with its `id`, `timestamp`
            (unix seconds), and `failed: True` on an apology that stands where an answer should be.
        repeated: whether this message had been received before; it was not asked again.
    """

    replies: list[Reply]
    repeated: bool = False

    @property
    def failed(self) -> bool:
        """Whether the patient got an apology."""
        return any(reply.get("failed") for reply in self.replies)


def conversation_store(agent: Agent) -> Conversations:
    """The conversation store behind the wrapper Rasa puts around every store, which hides what Rasa does not know."""
    store: Conversations = agent.tracker_store._tracker_store
    return store


def readable(text: str) -> str:
    """A patient's text as the assistant may see it.

    Control, zero-width and direction characters and lone surrogates go, so that what is stored is what a person sees. Leading
    slashes go too: Rasa takes `/intent{...}` and `/restart` for commands, whoever typed them.

    Args:
        text: what the channel received.

    Returns:
        Unicode NFC text, perhaps empty.
    """
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    visible = "".join(character for character in normal if character == "\n" or unicodedata.category(character) not in _INVISIBLE)
    return visible.strip().lstrip(_COMMAND).strip()


def technical_texts(clinic: Clinic) -> dict[str, str]:
    """What is said when the software fails, by name without its `utter_technical_`, filled with the clinic's settings.

    Args:
        clinic: the settings; the line about the phone belongs to the apology only when there is one.

    Raises:
        ConfigurationError: data/safety/technical.yml cannot be read.
    """
    responses = read_mapping(TECHNICAL)["responses"]
    placeholders = clinic.placeholders()
    texts = {name.removeprefix(_PREFIX): str(drafts[0]["text"]).format_map(placeholders) for name, drafts in responses.items()}
    phone = texts.pop("apology_phone")
    if clinic.phone:
        texts["apology"] += f"\n{phone}"
    return texts


def stored_replies(events: Iterable[dict[str, Any]]) -> list[StoredTurn]:
    """Stored events as turns.

    Args:
        events: as `Conversations.history` gives them.

    Returns:
        For each message its `user` event and the replies to it, whose ids are those the first delivery had. The first turn has
        None for the event when replies stand before any message.
    """
    turns: list[StoredTurn] = []
    for event in events:
        if event["event"] == "user":
            turns.append((event, []))
        elif event["event"] == "bot":
            if not turns:
                turns.append((None, []))
            asked, replies = turns[-1]
            said = {
                **(event.get("data") or {}),
                "text": event.get("text"),
                "timestamp": event["timestamp"],
                **(event.get("metadata") or {}),
            }
            message_id = asked["message_id"] if asked else f"{event['timestamp']:.3f}"
            replies.append(_reply(said, message_id, len(replies)))
    return turns


class Turns:
    """Runs the turns of one channel."""

    def __init__(self, channel: str, clinic: Clinic, time_limit: float = TIME_LIMIT_SECONDS) -> None:
        """Read what is said when a turn fails, while there is still time to mend it.

        Args:
            channel: the channel's name, as Rasa stores it.
            clinic: the settings named in the apology.
            time_limit: seconds after which the patient gets what there is, or the apology. The turn goes on and is stored.

        Raises:
            ConfigurationError: data/safety/technical.yml cannot be read.
        """
        self._channel = channel
        self._apology = technical_texts(clinic)["apology"]
        self._time_limit = time_limit
        self._running: dict[tuple[str, str], _Running] = {}
        # Rasa's own lock asks again only once a second; a second question in a row need not wait that long.
        self._order: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def running(self) -> int:
        """How many turns run or wait at this moment."""
        return len(self._running)

    async def run(
        self, agent: Agent, conversation: str, text: str, message_id: str, metadata: dict[str, Any] | None = None
    ) -> Turn:
        """Have one message answered. Does not raise; goes on by itself when the caller is cancelled.

        Args:
            agent: the loaded assistant (`request.app.ctx.agent`).
            conversation: the sender id; checked by the channel.
            text: what was typed; it is made `readable` here. The number or title of a question offered last asks that question.
            message_id: the platform's or the browser's id of this message. The same id in the same conversation is not asked
                twice, also after a restart, and also while the first copy is being answered.
            metadata: what the channel wants stored with the message.

        Returns:
            The replies, or an apology with what to do; never nothing.
        """
        key = (conversation, message_id)
        running = self._running.get(key)
        repeated = running is not None
        if running is None:
            collector = _Collector(self._channel, message_id)
            message = UserMessage(
                readable(text),
                collector,
                conversation,
                input_channel=self._channel,
                message_id=message_id,
                metadata=metadata or {},
            )
            running = _Running(asyncio.create_task(self._answer(agent, message)), collector)
            self._running[key] = running
            running.task.add_done_callback(lambda _: self._running.pop(key, None))
        await asyncio.wait({running.task}, timeout=self._time_limit)
        if running.task.done() and not running.task.cancelled():
            turn = running.task.result()
        else:
            logger.error("A turn of the channel `%s` took too long or was stopped.", self._channel)
            turn = Turn(list(running.collector.replies) or [self.apology(message_id)])
        return replace(turn, repeated=turn.repeated or repeated)

    async def finish(self, seconds: float) -> None:
        """Wait for the turns that run at this moment.

        Args:
            seconds: how long at most.
        """
        if self._running:
            await asyncio.wait({running.task for running in self._running.values()}, timeout=seconds)

    def apology(self, message_id: str, place: int = 0) -> Reply:
        """What stands where an answer should be.

        Args:
            message_id: the message that got no answer.
            place: how many replies to it came before.
        """
        said = {"text": self._apology, "body": self._apology, "language": LANGUAGE, "failed": True, "timestamp": time.time()}
        return _reply(said, message_id, place)

    async def _answer(self, agent: Agent, message: UserMessage) -> Turn:
        """One turn from its beginning to its end."""
        collector: _Collector = message.output_channel
        try:
            async with self._order.setdefault(message.sender_id, asyncio.Lock()):
                stored = await self._stored(agent, message)
                # The replies it got before a restart or a lost connection.
                told = next((replies for asked, replies in stored if asked and asked["message_id"] == message.message_id), None)
                if told is not None:
                    return Turn(told or [self.apology(message.message_id)], repeated=True)
                message.text = _meant(message.text, stored)
                await agent.handle_message(message)
        except Exception as error:
            logger.error("A turn of the channel `%s` failed: %s", self._channel, where(error))
            return Turn([*collector.replies, self.apology(message.message_id, len(collector.replies))])
        if not collector.replies:
            logger.error("A turn of the channel `%s` gave no reply. Is a model loaded?", self._channel)
        return Turn(collector.replies or [self.apology(message.message_id)])

    async def _stored(self, agent: Agent, message: UserMessage) -> list[StoredTurn]:
        """The latest turns of the conversation.

        A store that cannot be read must not keep the patient from an answer, so the message then counts as the first.
        """
        try:
            return stored_replies(await conversation_store(agent).history(message.sender_id, _RECENT_EVENTS))
        except Exception as error:
            logger.error("The conversation store cannot be read: %s", where(error))
            return []


@dataclass(frozen=True)
class _Running:
    task: "asyncio.Task[Turn]"
    collector: "_Collector"


@dataclass
class _Collector(OutputChannel):
    """Where Rasa sends the replies of one turn; keeps all of each, where Rasa's own collector keeps the text."""

    channel: str
    message_id: str
    replies: list[Reply] = field(default_factory=list)

    def name(self) -> str:
        return self.channel

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        self.replies.append(_reply(message, self.message_id, len(self.replies)))


def _meant(text: str, stored: list[StoredTurn]) -> str:
    """The question that a typed number or title of what was offered last stands for, or else the text as it is."""
    offers = [choices for reply in (stored[-1][1] if stored else []) if (choices := choices_of(reply.get("buttons") or []))]
    return (chosen(text, offers[-1]) if offers else None) or text


def _reply(said: dict[str, Any], message_id: str, place: int) -> Reply:
    return {key: value for key, value in said.items() if value is not None} | {"id": f"{message_id}.{place}"}
