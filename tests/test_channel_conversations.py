"""The same conversation on all six channels, with the real assistant and its real store, from webhook to delivered message."""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import pytest
import pytest_asyncio
from rasa.core.agent import Agent, load_agent
from rasa.core.utils import AvailableEndpoints

from addons.channels.credentials import pseudonym
from addons.channels.turns import conversation_store
from addons.configuration import ROOT
from addons.conversations import ConversationStore
from commands.assistant import ActionsInProcess
from tests import connecting, web_client
from tests.connecting import KEY, PLATFORMS, Server, new_platform, shown, typed
from tests.platforms import Platform

pytestmark = pytest.mark.model
CHANNELS = ("web", *PLATFORMS)
PREFIX = {"whatsapp": "wa", "messenger": "fb", "instagram": "ig", "sms": "sms", "telegram": "tg"}
NONSENSE = "qwertz uiop asdf"
EMERGENCY = "my lips are swelling and i cant breathe properly"
CAVEAT = re.compile(r"Evidence: [a-z]")
_people = itertools.count(447700900200)


class Person(Protocol):
    """Somebody who chats on one channel."""

    conversation: str

    async def say(self, text: str) -> list[str]:
        """Send a message; gives the messages that come back, as they are read, with what can be tapped."""

    async def choose_first(self, told: list[str]) -> list[str]:
        """Take the first of the questions offered."""


class Visitor:
    """On the website."""

    def __init__(self, browser: web_client.Browser) -> None:
        self._browser = browser
        self.conversation = browser.conversation
        self._next: list[dict[str, str]] = []

    async def say(self, text: str) -> list[str]:
        replies = (await self._browser.ask(text)).body["replies"]
        self._next = [choice for reply in replies for choice in reply.get("next") or []]
        return [reply["text"] for reply in replies]

    async def choose_first(self, told: list[str]) -> list[str]:
        return await self.say(self._next[0]["title"])


class Writer:
    """On a messaging platform."""

    def __init__(self, platform: str, server: Server, fake: Platform) -> None:
        self._platform, self._server, self._fake = platform, server, fake
        self._number = str(next(_people))
        address = f"+{self._number}" if platform == "sms" else self._number
        self.conversation = pseudonym(PREFIX[platform], address, KEY.encode())
        self._ids = itertools.count(1)

    async def say(self, text: str) -> list[str]:
        before = len(self._fake.sent)
        assert await self._server.deliver(typed(self._platform, text, str(next(self._ids)), person=self._number)) == 200
        await self._fake.until(before + 1)
        await connecting.settle(self._server)
        assert not self._fake.refused
        return [shown(self._platform, message) for _, message in self._fake.sent[before:]]

    async def choose_first(self, told: list[str]) -> list[str]:
        return await self.say("1")


@pytest.fixture(scope="module")
def kept() -> SimpleNamespace:
    """What the tests of this file share: loading the assistant takes seconds."""
    return SimpleNamespace(agent=None)


async def load(model: Path, database: Path) -> Agent:
    """The assistant with a store of its own."""
    endpoints = AvailableEndpoints.read_endpoints(str(ROOT / "endpoints.yml"))
    endpoints.tracker_store = ConversationStore(db=str(database), journal=str(database.parent / "waiting"))
    endpoints.action = ActionsInProcess()
    return await load_agent(model_path=str(model), endpoints=endpoints)


@pytest_asyncio.fixture(loop_scope="function", params=CHANNELS)
async def person(
    request: pytest.FixtureRequest,
    model: Path,
    kept: SimpleNamespace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Person]:
    """A new person on each of the six channels."""
    monkeypatch.setenv("WEB_SESSION_KEY", "a key of the tests that is long enough for everyone")
    if kept.agent is None:
        kept.agent = await load(model, tmp_path_factory.mktemp("channels") / "conversations.db")
    async with AsyncExitStack() as stack:
        if request.param == "web":
            page = await stack.enter_async_context(web_client.serving(kept.agent))
            yield Visitor(await page.visitor())
        else:
            fake = await stack.enter_async_context(new_platform(request.param).serving())
            server = await stack.enter_async_context(connecting.serving(request.param, fake.address, kept.agent))
            yield Writer(request.param, server, fake)


def each_is_an_answer_with_its_caveat(told: list[str]) -> bool:
    """Every message holds the caveat, but one that only goes on with sources or choices."""
    return bool(told) and all(CAVEAT.search(text) or re.match(r"Sources: |1\. ", text) for text in told)


async def test_the_same_conversation_passes_on_every_channel(person: Person, kept: SimpleNamespace) -> None:
    hurts = await person.say("does it hurt")
    assert each_is_an_answer_with_its_caveat(hurts)
    assert "pinprick" in " ".join(hurts)

    hair = await person.say("and for hair?")
    assert each_is_an_answer_with_its_caveat(hair)
    assert "scalp" in " ".join(hair).lower()

    (missed,) = await person.say(NONSENSE)
    assert "In an emergency, call 112, 911 or 999" in missed
    assert not CAVEAT.search(missed)
    chosen = await person.choose_first([missed])
    assert each_is_an_answer_with_its_caveat(chosen)

    (urgent,) = await person.say(EMERGENCY)
    assert urgent.startswith("Call 112, 911 or 999 now")

    assert "/faq_" not in " ".join([*hurts, *hair, missed, *chosen, urgent])
    store = conversation_store(kept.agent)
    stored = [event["text"] for event in await store.history(person.conversation) if event["event"] == "user"]
    assert stored[:3] == ["does it hurt", "and for hair?", NONSENSE]
    assert stored[3] not in {"1", ""}, "the choice is stored as the question it stands for"
    assert stored[4] == EMERGENCY

    (asked_back,) = await person.say("please delete this conversation")
    assert asked_back.startswith("Shall I erase this conversation?")
    (done,) = await person.choose_first([asked_back])
    assert done.startswith("I erase it now")
    assert await store.history(person.conversation) == []
    assert each_is_an_answer_with_its_caveat(await person.say("does it hurt"))


async def test_several_questions_in_one_message_each_keep_the_caveat_beside_them(person: Person) -> None:
    told = await person.say("how much is it and does it hurt")
    assert each_is_an_answer_with_its_caveat(told)
    assert "pinprick" in " ".join(told)
    assert "$" in " ".join(told)
