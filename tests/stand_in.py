"""A stand-in for the loaded assistant, for tests of the channels: answers at once, and can be told to fail or to be slow."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.shared.core.events import BotUttered, UserUttered

ANSWER = {
    "body": "It feels like many small pinpricks.",
    "caveat": "Evidence: low.",
    "sources_line": "Sources: Park 2008. Checked 23 November 2026.",
    "source_links": [{"id": "park", "label": "Park 2008", "kind": "trial", "url": "https://example.org/park"}],
    "evidence": "low",
    "language": "en",
}
TEXT = "\n".join([ANSWER["body"], ANSWER["caveat"], ANSWER["sources_line"]])  # type: ignore[list-item]
BUTTONS = [{"title": "What does it cost?", "payload": "What does it cost?", "short_title": "Cost"}]


class StandInStore:
    """Keeps conversations in memory, with the interface the channels need."""

    def __init__(self) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise ConnectionError("the store is down: canary-in-an-error")

    async def history(self, sender_id: str, limit: int = 200) -> list[dict[str, Any]]:
        self._check()
        return self.events.get(sender_id, [])[-limit:]

    async def erase(self, sender_id: str) -> int:
        self._check()
        return len(self.events.pop(sender_id, []))

    async def ready(self) -> bool:
        return not self.broken

    async def record(self, sender_id: str, event: dict[str, Any]) -> None:
        self._check()
        self.events.setdefault(sender_id, []).append({"timestamp": time.time(), **event})


class _Wrapper:
    def __init__(self, store: StandInStore) -> None:
        self._tracker_store = store


class StandInAgent:
    """Answers every message with one structured reply, stored as Rasa stores it."""

    def __init__(self, store: StandInStore | None = None) -> None:
        self.store = store or StandInStore()
        self.tracker_store = _Wrapper(self.store)
        self.lock_store = InMemoryLockStore()
        self.asked: list[UserMessage] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None
        self.silent = False
        self.loaded = True

    def is_ready(self) -> bool:
        return self.loaded

    async def handle_message(self, message: UserMessage) -> None:
        self.asked.append(message)
        if not self.loaded:
            return
        async with self.lock_store.lock(message.sender_id):
            if self.before:
                await self.before()
            events = self.store.events.setdefault(message.sender_id, [])
            said = UserUttered(
                message.text, message_id=message.message_id, metadata=message.metadata, input_channel=message.input_channel
            )
            if not self.silent:
                reply = BotUttered(TEXT, {"buttons": BUTTONS}, dict(ANSWER))
                await message.output_channel.send_response(message.sender_id, reply.message())
                if self.after:
                    await self.after()
                events += [said.as_dict(), reply.as_dict()]
            else:
                events += [said.as_dict()]


async def fail() -> None:
    raise ValueError("this holds what was typed: canary-in-an-error")


def wait(seconds: float) -> Callable[[], Awaitable[None]]:
    async def waiting() -> None:
        await asyncio.sleep(seconds)

    return waiting
