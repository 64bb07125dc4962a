"""The chat on a website with the real assistant and its real store: what a patient sees, and what stays."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from rasa.core.agent import Agent, load_agent
from rasa.core.utils import AvailableEndpoints

from addons.configuration import ROOT
from addons.conversations import ConversationStore
from commands.assistant import ActionsInProcess
from tests.web_client import Server, serving

pytestmark = pytest.mark.model

EMERGENCY = "my lips are swelling and i cant breathe properly"


async def load(model: Path, database: Path) -> Agent:
    """The assistant with a store of its own."""
    endpoints = AvailableEndpoints.read_endpoints(str(ROOT / "endpoints.yml"))
    endpoints.tracker_store = ConversationStore(db=str(database), journal=str(database.parent / "waiting"))
    endpoints.action = ActionsInProcess()
    return await load_agent(model_path=str(model), endpoints=endpoints)


@pytest.fixture(scope="module")
def kept() -> SimpleNamespace:
    """What the tests of this file share: loading the assistant takes seconds."""
    return SimpleNamespace(agent=None)


@pytest_asyncio.fixture(loop_scope="function")
async def server(
    model: Path, kept: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Server]:
    monkeypatch.setenv("WEB_SESSION_KEY", "a key of the tests that is long enough for everyone")
    if kept.agent is None:
        kept.database = tmp_path_factory.mktemp("web") / "conversations.db"
        kept.agent = await load(model, kept.database)
    async with serving(kept.agent) as running:
        yield running


async def test_an_answer_carries_its_evidence_sources_and_next_questions_on_both_ways(server: Server) -> None:
    visitor = await server.visitor()
    (over_http,) = (await visitor.ask("does it get rid of belly fat")).body["replies"]
    async with (await server.visitor()).socket() as tab:
        (over_socket,) = (await tab.ask("does it get rid of belly fat"))["replies"]
    assert {**over_http, "id": "", "time": 0} == {**over_socket, "id": "", "time": 0}
    assert over_http["text"] == "\n".join([over_http["body"], over_http["caveat"], over_http["sources_line"]])
    assert over_http["caveat"].startswith("Evidence: ")
    assert over_http["evidence"] == "none"
    assert all(source["url"].startswith("https://") for source in over_http["sources"] if source["url"])
    assert over_http["sources"]


async def test_a_fallback_offers_questions_that_can_be_sent_as_they_stand(server: Server) -> None:
    visitor = await server.visitor()
    (reply,) = (await visitor.ask("qwertz uiop asdf")).body["replies"]
    assert reply["safety"] in {"fallback", "out_of_scope"}
    assert reply["next"]
    (answer,) = (await visitor.ask(reply["next"][0]["title"])).body["replies"]
    assert answer["caveat"]


async def test_an_emergency_is_marked_and_names_numbers_to_tap(server: Server) -> None:
    (reply,) = (await (await server.visitor()).ask(EMERGENCY)).body["replies"]
    assert reply["safety"] == "emergency"
    assert reply["call"] == ["112", "911", "999"]


async def test_a_command_is_read_as_the_words_it_is_made_of(server: Server, kept: SimpleNamespace) -> None:
    visitor = await server.visitor()
    for typed in ('/faq_cost{"concern": "fat"}', "/restart", "\u200b/session_start", "/back"):
        assert (await visitor.ask(typed)).body["replies"]
    events: list[dict[str, Any]] = await kept.agent.tracker_store._tracker_store.history(visitor.conversation)
    assert [event["text"] for event in events if event["event"] == "user"] == [
        'faq_cost{"concern": "fat"}',
        "restart",
        "session_start",
        "back",
    ]
    tracker = await kept.agent.tracker_store.retrieve(visitor.conversation)
    assert not [event for event in tracker.events if event.type_name == "restart"]


async def test_after_a_restart_the_conversation_goes_on_and_a_retry_is_not_asked_twice(
    server: Server, model: Path, kept: SimpleNamespace
) -> None:
    visitor = await server.visitor()
    first = await visitor.ask("does it hurt", "message-one")
    reply = first.body["replies"][0]
    assert (await visitor.call("POST", "/feedback", {"reply": reply["id"], "value": "up", "reason": "clear"})).status == 200
    before = await visitor.history()
    async with serving(await load(model, kept.database)) as restarted:
        page = restarted.page()
        page.token = visitor.token
        assert await page.history() == before
        assert before[-1] == {**reply, "feedback": "up"}
        again = await page.ask("does it hurt", "message-one")
        assert again.body == {**first.body, "repeated": True}
        (follow_up,) = (await page.ask("and for hair?")).body["replies"]
        assert "scalp" in follow_up["body"].lower()


async def test_erasing_leaves_nothing_and_the_token_begins_anew(server: Server, kept: SimpleNamespace) -> None:
    visitor = await server.visitor()
    await visitor.ask("does it hurt")
    assert (await visitor.call("POST", "/erase")).body["erased"] > 2
    assert await visitor.history() == []
    assert not await kept.agent.tracker_store._tracker_store.exists(visitor.conversation)
    assert (await visitor.ask("does it hurt")).body["replies"][0]["caveat"]


async def test_the_server_is_ready_with_its_model_and_store(server: Server) -> None:
    ready = await server.page(None).call("GET", "/readyz")
    assert (ready.status, ready.body) == (200, {"model": True, "store": True})
