"""What the website's chat does, the same over sockets and plain HTTP."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from rasa.core.agent import Agent

from addons.channels.turns import Turns, conversation_store, stored_replies
from addons.channels.web.messages import (
    FEEDBACK,
    LONGEST_TEXT,
    feedback_by_reply,
    read_feedback,
    read_message,
    reply_message,
    user_message,
)
from addons.channels.web.refusal import Refused
from addons.channels.web.sessions import Session
from addons.channels.web.settings import Settings
from addons.channels.web.visitors import Allowance
from addons.logs import where

BUSY_SECONDS = 3
_STOP_SECONDS = 10.0
# Between the end of a turn and the moment when its answer is on the line.
_SENDING_SECONDS = 0.2
# What a patient can scroll back to.
_HISTORY_EVENTS = 200

logger = logging.getLogger(__name__)

# Tells an event to the sockets of a conversation: (event, data, conversation, socket to leave out).
Tell = Callable[[str, Any, str, str | None], Awaitable[None]]


class Chat:
    """One chat for all conversations of the channel."""

    def __init__(self, name: str, settings: Settings, tell: Tell) -> None:
        """Make the chat.

        Args:
            name: the channel's name.
            settings: the channel's settings.
            tell: how a conversation's other tabs hear of what happens.

        Raises:
            ConfigurationError: the texts of data/safety/technical.yml cannot be read.
        """
        self._turns = Turns(name, settings.clinic)
        self._settings = settings
        self._tell = tell
        self._of_conversation = Allowance(settings.limits.messages_per_minute)
        self._of_address = Allowance(settings.limits.messages_per_minute_per_address)

    def config(self) -> dict[str, Any]:
        """Everything the widget needs to know before it talks; nothing in it is secret."""
        website, clinic = asdict(self._settings.website), self._settings.clinic
        colours = {name: website.pop(name) for name in ("primary", "on_primary")}
        return {
            **website,
            "colours": colours,
            "limit": LONGEST_TEXT,
            "emergency_number": clinic.emergency_number,
            "calls": clinic.calls(),
            "clinic": {
                "name": clinic.name,
                "phone": clinic.phone,
                "booking_link": clinic.booking_link,
                "opening_hours": clinic.opening_hours,
            },
        }

    async def message(
        self, agent: Agent, session: Session, payload: Any, address: str, socket: str | None = None
    ) -> dict[str, Any]:
        """Have a message answered, and tell the other tabs.

        Args:
            agent: the loaded assistant.
            session: whose conversation it is.
            payload: `{id, text, metadata?}`, not yet checked.
            address: the visitor's network address.
            socket: the socket it came by, which gets the returned value and not the telling.

        Returns:
            `{id, replies, repeated}`.

        Raises:
            Refused: it may not be asked.
        """
        self._take(session, address)
        asked = read_message(payload)
        if self._turns.running >= self._settings.limits.turns:
            raise Refused("busy", BUSY_SECONDS)
        received = time.time()
        conversation = session.conversation
        await self._tell("typing", {"on": True}, conversation, socket)
        try:
            turn = await self._turns.run(agent, conversation, asked.text, asked.id, asked.metadata)
        finally:
            await self._tell("typing", {"on": False}, conversation, socket)
        replies = [reply_message(reply) for reply in turn.replies]
        if not turn.repeated:
            told = {"message": user_message(asked.id, asked.text, received), "replies": replies}
            await self._tell("turn", told, conversation, socket)
        return {"id": asked.id, "replies": replies, "repeated": turn.repeated}

    async def history(self, agent: Agent, session: Session) -> dict[str, Any]:
        """The conversation so far, from the store, so that it survives a reload, a restart and another server.

        A message without an answer carries the apology that was given then.

        Returns:
            `{messages}`, oldest first.
        """
        events = await conversation_store(agent).history(session.conversation, _HISTORY_EVENTS)
        feedback = feedback_by_reply(events)
        messages: list[dict[str, Any]] = []
        for asked, replies in stored_replies(events):
            if asked:
                messages.append(user_message(asked["message_id"], asked["text"] or "", asked["timestamp"]))
                replies = replies or [{**self._turns.apology(asked["message_id"]), "timestamp": asked["timestamp"]}]
            messages += [reply_message(reply, feedback.get(reply["id"])) for reply in replies]
        return {"messages": messages}

    async def feedback(self, agent: Agent, session: Session, payload: Any, address: str) -> dict[str, Any]:
        """Store what the patient thinks of a reply.

        Args:
            agent: the loaded assistant.
            session: whose conversation it is.
            payload: `{reply, value, reason?}`, not yet checked.
            address: the visitor's network address.

        Raises:
            Refused: it may not be stored; `not_found` when the conversation has no such reply.
        """
        self._take(session, address)
        rated = read_feedback(payload)
        conversation, store = session.conversation, conversation_store(agent)
        events = await store.history(conversation, _HISTORY_EVENTS)
        if rated.reply not in {reply["id"] for _, replies in stored_replies(events) for reply in replies}:
            raise Refused("not_found")
        await store.record(conversation, {"event": FEEDBACK, **asdict(rated)})
        return {"ok": True}

    async def erase(self, agent: Agent, session: Session, address: str) -> dict[str, Any]:
        """Remove the conversation, once a turn that is being answered is over, and tell the tabs.

        Args:
            agent: the loaded assistant.
            session: whose conversation it is.
            address: the visitor's network address.

        Returns:
            `{erased}`: how many events there were.
        """
        self._take(session, address)
        async with agent.lock_store.lock(session.conversation):
            erased = await conversation_store(agent).erase(session.conversation)
        await self._tell("erased", {}, session.conversation, None)
        return {"erased": erased}

    async def readiness(self, agent: Agent | None) -> dict[str, bool]:
        """Whether messages can be answered and kept: `{model, store}`.

        Args:
            agent: the assistant; None while it is being loaded.
        """
        try:
            store = agent is not None and await conversation_store(agent).ready()
        except Exception as error:
            logger.error("The conversation store cannot be asked whether it is ready: %s", where(error))
            store = False
        return {"model": agent is not None and bool(agent.is_ready()), "store": store}

    async def finish(self, *_: Any) -> None:
        """Let the turns that run now be answered before the server stops: it waits for requests, but closes sockets at once."""
        if self._turns.running:
            await self._turns.finish(_STOP_SECONDS)
            await asyncio.sleep(_SENDING_SECONDS)

    def _take(self, session: Session, address: str) -> None:
        """Count one message; raises Refused `too_many`."""
        self._of_conversation.take(session.conversation)
        self._of_address.take(address)
