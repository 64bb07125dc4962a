"""What the messaging connectors share: from a platform's event to its answer.

A connector checks the caller, reads the events, acknowledges, and leaves the rest to its responders: they find out which question
a tap means, run the turn, and send the replies to the address the event came from. That address is never stored:
conversations are kept under a pseudonym.
"""

import functools
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text

from addons.channels.client import PlatformClient, SendingFailed
from addons.channels.credentials import pseudonym
from addons.channels.inbox import Inbox, Job
from addons.channels.render import Reply, choices_of, tapped
from addons.channels.turns import Turns, conversation_store, stored_replies, technical_texts
from addons.clinic import Clinic
from addons.logs import where
from addons.serving import protect

# A platform's webhook bodies are a few kilobytes; batches of them stay below this.
LARGEST_BODY_BYTES = 256 * 1024
# Platforms let a business answer for 24 hours; what an outage delayed beyond that cannot be answered any more.
OLDEST_SECONDS = 24 * 3600
WAITING_PER_PERSON = 10
_NOTICES_REMEMBERED = 10_000
_STOP_SECONDS = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inbound:
    """What a person did, as far as it can be answered.

    Attributes:
        address: where the answer goes: a phone number or an account id on the platform.
        message_id: the platform's id of this event.
        text: what was typed, or the title of what was tapped; empty for a photo and the like.
        token: what a tapped choice carries; empty for typed text.
        media: something came along that is no text.
        sent_at: when, in unix seconds, where the platform says.
    """

    address: str
    message_id: str
    text: str = ""
    token: str = ""
    media: bool = False
    sent_at: float | None = None


class Responder:
    """Answers the people of one platform account."""

    def __init__(
        self,
        platform: str,
        prefix: str,
        key: bytes,
        clinic: Clinic,
        inbox: Inbox,
        render: Callable[[Reply], Sequence[Any]],
        send: Callable[[str, Any], Awaitable[None]],
    ) -> None:
        """Put the parts together.

        Args:
            platform: the name under which Rasa stores the channel of a message.
            prefix: begins every conversation id of this platform.
            key: makes the conversation ids.
            clinic: the settings named in what the software says itself.
            inbox: where the work waits.
            render: from a reply to the platform's messages.
            send: sends one of them to an address.
        """
        self._prefix = prefix
        self._key = key
        self._inbox = inbox
        self._render = render
        self._send = send
        self._turns = Turns(platform, clinic)
        texts = technical_texts(clinic)
        self._text_only = Reply(texts["text_only"])
        self._too_many = Reply(texts["too_many"])
        self._noticed: OrderedDict[str, None] = OrderedDict()
        # Who was told that there are too many messages, until the waiting ones are answered.
        self._flooding: set[str] = set()

    def jobs(self, agent: Agent, events: Iterable[Inbound]) -> list[tuple[str, Job]]:
        """The work these events make, in their order.

        Args:
            agent: the loaded assistant.
            events: what the platform delivered.
        """
        jobs: list[tuple[str, Job]] = []
        for event in events:
            if event.sent_at is not None and time.time() - event.sent_at > OLDEST_SECONDS:
                logger.warning("A message older than a day was not answered: the platform takes no answer to it.")
                continue
            person = pseudonym(self._prefix, event.address, self._key)
            waiting = self._inbox.waiting(person) + sum(other == person for other, _ in jobs)
            if waiting == 0:
                self._flooding.discard(person)
            if person in self._flooding:
                continue
            if waiting < WAITING_PER_PERSON:
                jobs.append((person, functools.partial(self._answer, agent, person, event)))
            else:
                self._flooding.add(person)
                jobs.append((person, functools.partial(self._say, event.address, [self._too_many])))
        return jobs

    async def _answer(self, agent: Agent, person: str, event: Inbound) -> None:
        question = await self._question(agent, person, event)
        if event.media or not question:
            await self._notice(event)
        if question:
            turn = await self._turns.run(agent, person, question, event.message_id)
            # The platform delivered it twice; the first copy was answered.
            if not turn.repeated:
                await self._say(event.address, [Reply.from_message(reply) for reply in turn.replies])

    async def _question(self, agent: Agent, person: str, event: Inbound) -> str:
        """What the person asks: the question a tap stands for, or else the text as it is."""
        if not event.token:
            return event.text
        try:
            turns = stored_replies(await conversation_store(agent).history(person))
        except Exception as error:
            logger.error("The conversation store cannot be read: %s", where(error))
            return event.text
        offers = [choices_of(reply.get("buttons") or []) for _, replies in turns for reply in replies]
        return tapped(event.token, (choice for choices in reversed(offers) for choice in choices)) or event.text

    async def _notice(self, event: Inbound) -> None:
        """Say that only text is read; once for each event, however often it is delivered."""
        if event.message_id in self._noticed:
            return
        self._noticed[event.message_id] = None
        if len(self._noticed) > _NOTICES_REMEMBERED:
            self._noticed.popitem(last=False)
        await self._say(event.address, [self._text_only])

    async def _say(self, address: str, replies: Sequence[Reply]) -> None:
        """Send replies in order. The turn is stored by now, so a failure loses no more than the sending."""
        try:
            for reply in replies:
                for message in self._render(reply):
                    await self._send(address, message)
        except SendingFailed as error:
            logger.error("%s", error)


class Connector(InputChannel):
    """A messaging channel of Rasa: one webhook, an inbox, and clients that are closed when the server stops."""

    def __init__(self, inbox: Inbox, clients: Sequence[PlatformClient]) -> None:
        """Keep what has to be ended with the server.

        Args:
            inbox: where received messages wait.
            clients: what sends the answers.
        """
        self._inbox = inbox
        self._clients = clients

    def _new_blueprint(self) -> Blueprint:
        """Routes of this channel, on a protected server, with the ending already set."""
        blueprint = Blueprint(f"{self.name()}_webhook")
        protect(blueprint, LARGEST_BODY_BYTES)
        blueprint.listener("before_server_stop")(self._finish)
        return blueprint

    def checks(self) -> dict[str, Callable[[], Awaitable[str]]]:
        """For each account what asks the platform who we are, without writing to anybody.

        Each gives what the platform says of the account, and raises `SendingFailed` when it does not know us.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connections to the platforms."""
        for client in self._clients:
            await client.close()

    async def _finish(self, *_: Any) -> None:
        await self._inbox.empty(_STOP_SECONDS)
        await self.close()

    def _take(self, jobs: Sequence[tuple[str, Job]], accepted: HTTPResponse) -> HTTPResponse:
        """Acknowledge at once, or have the platform send again when there is no room."""
        return accepted if self._inbox.put(jobs) else text("", status=503, headers={"Retry-After": "30"})


def refused(request: Request, signed: Callable[[bytes], bool]) -> HTTPResponse | None:
    """The answer to a request that is not from the platform; None when it may be read.

    Args:
        request: with its body not parsed yet.
        signed: whether these bytes are signed by the platform.
    """
    if not signed(request.body):
        logger.warning("A request without a valid signature was refused.")
        return text("", status=401)
    return None


def parsed(body: bytes) -> dict[str, Any] | None:
    """A JSON object, or None when the bytes are something else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def readable_events(events: Any, read: Callable[[Any], Inbound | None]) -> list[Inbound]:
    """The events that ask for an answer. One with an unknown shape is passed over, so that it cannot take others with it.

    Args:
        events: as the platform sent them: a list.
        read: reads one; None for echoes, receipts, edits and the like.
    """
    found = []
    for event in events if isinstance(events, list) else []:
        try:
            inbound = read(event)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            logger.warning("An event of unknown shape was passed over: %s", where(error))
            continue
        if inbound is not None:
            found.append(inbound)
    return found
