"""The chat on a website, over HTTP and over sockets: who may talk, what is refused and how, and that nobody reads another's."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio

from addons.channels.web.messages import LONGEST_TEXT
from addons.channels.web.pages import read_files
from tests.stand_in import ANSWER, TEXT, StandInAgent, fail, wait
from tests.web_client import Browser, Server, new_id, serving

KEY = "a key of the tests that is long enough for everyone"
UPGRADE: dict[str, Any] = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": f"{'a' * 22}==",
}
FOREIGN = "https://evil.example"
CLINIC = "https://clinic.example"
REPLY = {
    "from": "assistant",
    "text": TEXT,
    "body": ANSWER["body"],
    "caveat": ANSWER["caveat"],
    "evidence": "low",
    "sources": [{"label": "Park 2008", "url": "https://example.org/park", "kind": "trial"}],
    "sources_line": ANSWER["sources_line"],
    "next": [{"title": "What does it cost?"}],
    "safety": None,
    "call": [],
    "language": "en",
    "feedback": None,
    "failed": False,
}


def without(message: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in names}


@pytest.fixture
def agent() -> StandInAgent:
    return StandInAgent()


@pytest_asyncio.fixture(loop_scope="function")
async def server(agent: StandInAgent, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setenv("WEB_SESSION_KEY", KEY)
    async with serving(agent, {"limits": {"messages_per_minute": 200}}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="function")
async def visitor(server: Server) -> Browser:
    return await server.visitor()


async def test_a_visitor_asks_over_http_and_gets_one_structured_reply(visitor: Browser, agent: StandInAgent) -> None:
    answer = await visitor.ask("does it hurt", "message-one", metadata={"locale": "en-GB", "page": "/prices"})
    assert answer.status == 200
    assert without(answer.body, "replies") == {"id": "message-one", "repeated": False}
    (reply,) = answer.body["replies"]
    assert without(reply, "id", "time") == REPLY
    assert reply["id"] == "message-one.0"
    assert abs(reply["time"] - time.time()) < 30
    assert agent.asked[0].sender_id == visitor.conversation
    assert agent.asked[0].metadata == {"locale": "en-GB", "page": "/prices"}
    assert agent.asked[0].input_channel == "web"


async def test_a_visitor_asks_over_a_socket_and_gets_the_same(visitor: Browser) -> None:
    async with visitor.socket() as tab:
        answer = await tab.ask("does it hurt", "message-one")
    assert without(answer["replies"][0], "id", "time") == REPLY
    assert without(answer, "replies") == {"id": "message-one", "repeated": False}


async def test_a_conversation_id_is_minted_and_cannot_be_guessed(server: Server) -> None:
    opened = [await server.page().open() for _ in range(3)]
    assert {answer.status for answer in opened} == {201}
    ids = {answer.body["conversation"] for answer in opened}
    assert len(ids) == 3
    assert all(len(one) == len("web:") + 32 for one in ids)
    assert all(23 * 3600 < answer.body["expires"] - time.time() <= 24 * 3600 for answer in opened)


async def test_a_valid_token_is_renewed_for_the_same_conversation(visitor: Browser) -> None:
    again = await visitor.call("POST", "/session", {"locale": "en", "page": "/"})
    assert again.status == 200
    assert again.body["conversation"] == visitor.conversation


async def test_history_after_a_reload_is_the_conversation_with_its_buttons(visitor: Browser) -> None:
    first = await visitor.ask("does it hurt", "message-one")
    said, reply = await visitor.history()
    assert without(said, "time") == {"id": "message-one", "from": "user", "text": "does it hurt"}
    assert reply == first.body["replies"][0]


async def test_a_restarted_server_knows_the_visitor_and_what_was_said(
    visitor: Browser, agent: StandInAgent, server: Server
) -> None:
    first = await visitor.ask("does it hurt", "message-one")
    restarted = StandInAgent(agent.store)
    async with serving(restarted) as another:
        page = another.page()
        page.token = visitor.token
        again = await page.ask("does it hurt", "message-one")
        assert again.body == {**first.body, "repeated": True}
        assert len(await page.history()) == 2
    assert restarted.asked == []


async def test_a_retry_over_the_other_way_is_not_asked_twice(visitor: Browser, agent: StandInAgent) -> None:
    async with visitor.socket() as tab:
        first = await tab.ask("does it hurt", "message-one")
        again = await tab.ask("does it hurt", "message-one")
    third = await visitor.ask("does it hurt", "message-one")
    assert len(agent.asked) == 1
    assert again == third.body == {**first, "repeated": True}


async def test_a_second_tab_sees_the_same_conversation(visitor: Browser) -> None:
    async with visitor.socket() as first, visitor.socket() as second:
        answer = await first.ask("does it hurt", "message-one")
        assert await second.hear("typing") == {"on": True}
        assert await second.hear("typing") == {"on": False}
        turn = await second.hear("turn")
        assert turn["replies"] == answer["replies"]
        assert without(turn["message"], "time") == {"id": "message-one", "from": "user", "text": "does it hurt"}
        await visitor.ask("and the cost", "message-two")
        assert (await first.hear("turn"))["message"]["id"] == "message-two"
        assert "turn" not in [name for name, _ in first.events]


async def test_nobody_hears_or_reads_anothers_conversation(server: Server, visitor: Browser) -> None:
    await visitor.ask("does it hurt", "message-one")
    other = await server.visitor()
    async with other.socket() as listening:
        await visitor.ask("and the cost")
        assert await listening.settle() == []
        answer = await listening.emit("message", {"id": new_id(), "text": "hi", "conversation": visitor.conversation})
        assert answer["error"]["code"] == "bad_request"
    assert await other.history() == []
    assert (await other.call("GET", f"/history?conversation={visitor.conversation}")).body == {"messages": []}
    assert (await other.call("POST", "/feedback", {"reply": "message-one.0", "value": "up"})).code == "not_found"
    assert (await other.call("POST", "/erase")).body == {"erased": 0}
    assert len(await visitor.history()) == 4


# Tokens


def forged(**claims: Any) -> dict[str, Any]:
    return {"sub": f"web:{'a' * 32}", "aud": "web this machine", "exp": int(time.time()) + 600} | claims


TOKENS = {
    "none at all": (None, "no_token"),
    "not a token": ("hello", "bad_token"),
    "endless": ("a" * 5000, "bad_token"),
    "forged": (jwt.encode(forged(), "another key that is long enough for us"), "bad_token"),
    "without a signature": (jwt.encode(forged(), "", algorithm="none"), "bad_token"),
    "by another algorithm": (jwt.encode(forged(), KEY * 3, algorithm="HS512"), "bad_token"),
    "for another server": (jwt.encode(forged(aud="web https://other.example"), KEY), "bad_token"),
    "without an end": (jwt.encode(without(forged(), "exp"), KEY), "bad_token"),
    "of another channel": (jwt.encode(forged(sub="whatsapp:15551234567"), KEY), "bad_token"),
    "of nobody": (jwt.encode(without(forged(), "sub"), KEY), "bad_token"),
    "expired": (jwt.encode(forged(exp=int(time.time()) - 1), KEY), "expired"),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_that_is_not_ours_opens_nothing(server: Server, agent: StandInAgent, name: str) -> None:
    token, code = TOKENS[name]
    page = server.page()
    page.token = token
    for method, path, body in [
        ("POST", "/messages", {"id": new_id(), "text": "hi"}),
        ("GET", "/history", None),
        ("POST", "/feedback", {"reply": "x", "value": "up"}),
        ("POST", "/erase", None),
        *([("POST", "/session", None)] if token else []),
    ]:
        answer = await page.call(method, path, body)
        assert (answer.status, answer.code) == (401, code), path
    async with page.socket(token=token) as tab:
        assert tab.refused is not None
        assert tab.refused["data"]["code"] == code
    assert agent.asked == []


async def test_a_token_in_the_address_is_no_token(server: Server, visitor: Browser) -> None:
    page = server.page()
    assert (await page.call("GET", f"/history?token={visitor.token}")).code == "no_token"


async def test_a_good_token_is_good(server: Server) -> None:
    page = server.page()
    page.token = jwt.encode(forged(), KEY)
    assert await page.history() == []


@pytest.mark.parametrize("auth", [None, [], "token", {"token": None}, {"token": 5}, {"token": {"a": 1}}], ids=repr)
async def test_a_socket_without_a_usable_token_is_refused(server: Server, auth: Any) -> None:
    page = server.page()
    page.token = None
    async with page.socket() as tab:
        assert tab.refused is not None


async def test_a_socket_that_outlives_its_token_is_told(server: Server, agent: StandInAgent) -> None:
    page = server.page()
    page.token = jwt.encode(forged(exp=int(time.time()) + 2), KEY)
    async with page.socket() as tab:
        await asyncio.sleep(2.1)
        assert (await tab.ask("hi"))["error"]["code"] == "expired"
    assert agent.asked == []


async def test_a_key_can_be_replaced_without_ending_a_chat(
    visitor: Browser, agent: StandInAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_SESSION_KEY", f"a new key that is long enough for everyone too,{KEY}")
    async with serving(agent) as another:
        page = another.page()
        page.token = visitor.token
        assert await page.history() == []
        fresh = await another.visitor()
    monkeypatch.setenv("WEB_SESSION_KEY", KEY)
    async with serving(agent) as old:
        page = old.page()
        page.token = fresh.token
        assert (await page.call("GET", "/history")).code == "bad_token"


# Origins


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://127.0.0.1", "http://localhost:1", "https://[", "", None], ids=repr)
async def test_another_website_can_neither_mint_nor_ask_nor_connect(
    server: Server, visitor: Browser, agent: StandInAgent, origin: str | None
) -> None:
    page = server.page(origin)
    page.token = visitor.token
    for method, path in [("POST", "/session"), ("POST", "/messages"), ("POST", "/feedback"), ("POST", "/erase")]:
        answer = await page.call(method, path, {"id": new_id(), "text": "hi"})
        assert (answer.status, answer.code) == (403, "foreign_origin"), path
        assert "Access-Control-Allow-Origin" not in answer.headers
    websocket = "/socket.io/?EIO=4&transport=websocket"
    assert (await page.call("GET", websocket, **UPGRADE)).code == "foreign_origin"
    assert (await page.call("POST", "/socket.io/?EIO=4&transport=polling&sid=x", raw=b"40{}")).code == "foreign_origin"
    if origin:
        assert (await page.call("GET", "/socket.io/?EIO=4&transport=polling")).code == "foreign_origin"
        for path in ("/history", "/config.json"):
            assert (await page.call("GET", path)).code == "foreign_origin"
        preflight = await page.call("OPTIONS", "/messages", Access_Control_Request_Method="POST")
        assert "Access-Control-Allow-Origin" not in preflight.headers
    assert agent.asked == []


async def test_a_listed_website_may_talk_and_read_the_answers(agent: StandInAgent) -> None:
    async with serving(agent, {"origins": [CLINIC]}) as running:
        visitor = await running.visitor(CLINIC)
        answer = await visitor.ask("does it hurt")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == CLINIC
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Vary"] == "Origin"
        preflight = await visitor.call("OPTIONS", "/messages", Access_Control_Request_Method="POST")
        assert preflight.headers["Access-Control-Allow-Origin"] == CLINIC
        assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
        async with visitor.socket() as tab:
            assert tab.refused is None


async def test_a_public_server_takes_only_its_own_address_for_its_own_page(
    agent: StandInAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_SESSION_KEY", KEY)
    async with serving(agent, {"address": "https://bot.example"}) as running:
        assert (await running.page("https://bot.example").open()).status == 201
        assert (await running.page().call("POST", "/session")).code == "foreign_origin"
        assert "Strict-Transport-Security" in (await running.page(None).call("GET", "/livez")).headers


# What is sent


BODIES = {
    "a list": b"[1]",
    "null": b"null",
    "a string": b'"x"',
    "nothing": b"",
    "not JSON": b"{not json",
    "latin-1": '{"id": "message-1", "text": "caf\u00e9"}'.encode("latin-1"),
    "a form": b"id=message-1&text=hi",
    "endless nesting": b"[" * 7000 + b"]" * 7000,
    "not a number": b'{"id": "message-1", "text": "hi", "metadata": {"a": NaN}}',
    "no id": b'{"text": "hi"}',
    "no text": b'{"id": "message-1"}',
    "more than there is": b'{"id": "message-1", "text": "hi", "sender": "someone"}',
}
MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "text is null": ({"text": None}, "bad_request"),
    "text is a number": ({"text": 5}, "bad_request"),
    "text is an object": ({"text": {"a": 1}}, "bad_request"),
    "text is a list": ({"text": ["hi"]}, "bad_request"),
    "text is empty": ({"text": ""}, "bad_text"),
    "text is blank": ({"text": " \n\t "}, "bad_text"),
    "text is invisible": ({"text": "\u200b\u2060\u202e"}, "bad_text"),
    "text is only slashes": ({"text": "//"}, "bad_text"),
    "a lone surrogate in the text": ({"text": "a\ud800b"}, "bad_text"),
    "text is too long": ({"text": "a" * (LONGEST_TEXT + 1)}, "too_long"),
    "text is far too long": ({"text": "a" * 12_000}, "too_long"),
    "id is null": ({"id": None}, "bad_request"),
    "id is a number": ({"id": 12345678}, "bad_request"),
    "id is an object": ({"id": {"a": 1}}, "bad_request"),
    "id is too short": ({"id": "a"}, "bad_request"),
    "id is too long": ({"id": "a" * 300}, "bad_request"),
    "a lone surrogate in the id": ({"id": "message-\ud800"}, "bad_request"),
    "a NUL in the id": ({"id": "message-\x00"}, "bad_request"),
    "metadata is text": ({"metadata": "{}"}, "bad_request"),
    "metadata is a list": ({"metadata": [1]}, "bad_request"),
    "a sender of its own": ({"sender": "someone"}, "bad_request"),
    "a channel of its own": ({"input_channel": "facebook"}, "bad_request"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_broken_body_is_refused_in_words(visitor: Browser, agent: StandInAgent, name: str) -> None:
    answer = await visitor.call("POST", "/messages", raw=BODIES[name])
    assert (answer.status, answer.code) == (400, "bad_request")
    assert "112, 911 or 999" in answer.body["error"]["message"]
    assert agent.asked == []


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_malformed_message_is_refused_alike_over_http_and_socket(
    visitor: Browser, agent: StandInAgent, name: str
) -> None:
    changed, code = MESSAGES[name]
    payload = {"id": new_id(), "text": "hi"} | changed
    answer = await visitor.call("POST", "/messages", payload)
    assert (answer.status, answer.code) == (400, code)
    async with visitor.socket() as tab:
        assert (await tab.emit("message", payload))["error"]["code"] == code
        assert (await tab.ask("does it hurt"))["replies"][0]["text"] == TEXT
    assert len(agent.asked) == 1


@pytest.mark.parametrize("payload", [(), (None,), ("x",), (5,), ([1],), ({},), ({"id": "message-1"}, "more")], ids=repr)
async def test_an_event_that_is_no_message_gets_an_error_and_the_socket_stays_open(
    visitor: Browser, agent: StandInAgent, payload: tuple[Any, ...]
) -> None:
    async with visitor.socket() as tab:
        assert (await tab.emit("message", *payload))["error"]["code"] == "bad_request"
        assert (await tab.ask("does it hurt"))["replies"]
    assert len(agent.asked) == 1


async def test_an_unknown_event_gets_an_error(visitor: Browser) -> None:
    async with visitor.socket() as tab:
        for event in ("user_uttered", "session_request", "history", "*", "erase"):
            assert (await tab.emit(event, {"session_id": "x"}))["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "packet", ["x", "4", "4x", "42", "42{", "42[]", "42[5]", '42["connect"]', "45", "451-[", "4" + "9" * 50, "0", "6"]
)
async def test_a_garbled_packet_harms_nobody(server: Server, visitor: Browser, agent: StandInAgent, packet: str) -> None:
    async with visitor.socket() as other:
        async with visitor.socket() as tab:
            await tab.connection.send(packet)
            await asyncio.sleep(0.02)
        assert (await other.ask("does it hurt"))["replies"]
    assert (await server.page(None).call("GET", "/livez")).status == 200


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("/restart", "restart"),
        ('/faq_cost{"concern": "fat"}', 'faq_cost{"concern": "fat"}'),
        ("\u200b/session_start", "session_start"),
        ("cafe\u0301 \x00ok\x1b", "caf\u00e9 ok"),
        ("it hurts \U0001f622", "it hurts \U0001f622"),
        ("EXTERNAL: hello", "EXTERNAL: hello"),
        ("<b>hi</b> {name}", "<b>hi</b> {name}"),
        ("a" * LONGEST_TEXT, "a" * LONGEST_TEXT),
        ("\U0001f622" * LONGEST_TEXT, "\U0001f622" * LONGEST_TEXT),
    ],
    ids=["restart", "intent", "hidden command", "controls", "emoji", "external", "markup", "longest", "longest of emoji"],
)
async def test_the_assistant_sees_what_a_person_would_and_no_command(
    visitor: Browser, agent: StandInAgent, typed: str, stored: str
) -> None:
    assert (await visitor.ask(typed)).status == 200
    async with visitor.socket() as tab:
        assert (await tab.ask(typed))["replies"]
    assert [message.text for message in agent.asked] == [stored, stored]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"email": "a@example.org", "is_external": True}, {}),
        ({"locale": "fr", "page": "/a?name=Ann#b"}, {"locale": "fr", "page": "/a"}),
        ({"page": "https://clinic.example/a/b?x=1"}, {"page": "/a/b"}),
        ({"locale": {"a": 1}, "page": 5}, {}),
        ({"locale": "x" * 500, "page": "no path"}, {}),
        ({"page": "/" + "a" * 500}, {"page": "/" + "a" * 199}),
        ({"page": "/a\x00\ud800"}, {}),
    ],
    ids=repr,
)
async def test_of_what_a_browser_tells_only_language_and_page_are_kept(
    visitor: Browser, agent: StandInAgent, sent: Any, kept: dict[str, str]
) -> None:
    assert (await visitor.ask("does it hurt", metadata=sent)).status == 200
    assert agent.asked[0].metadata == kept


@pytest.mark.parametrize("path", ["/messages", "/session", "/feedback", "/socket.io/?EIO=4&transport=polling&sid=x"])
async def test_a_large_body_is_refused_before_it_is_read(visitor: Browser, path: str) -> None:
    answer = await visitor.call("POST", path, raw=b" " * 300_000)
    assert (answer.status, answer.code) == (413, "too_large")
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # the line is cut while the browser still sends
        answer = await visitor.call("POST", path, raw=b" " * 5_000_000)
        assert (answer.status, answer.code) == (413, "too_large")


async def test_a_large_body_without_a_length_is_refused(visitor: Browser) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 1000

    headers = {"Origin": visitor.base, "Authorization": f"Bearer {visitor.token}"}
    async with visitor.http.post(f"{visitor.base}/webhooks/web/messages", data=endless(), headers=headers) as response:
        assert response.status == 413


async def test_a_large_frame_ends_only_its_own_socket(visitor: Browser, agent: StandInAgent) -> None:
    async with visitor.socket() as other:
        async with visitor.socket() as tab:
            await tab.connection.send("42" + json.dumps(["message", {"id": new_id(), "text": "a" * 60_000}]))
            await asyncio.wait_for(tab.connection.wait_closed(), 5)
        assert (await other.ask("does it hurt"))["replies"]
    assert len(agent.asked) == 1


async def test_polling_is_allowed_where_websockets_are_not(visitor: Browser) -> None:
    polling = "/socket.io/?EIO=4&transport=polling"
    opened = await visitor.call("GET", polling)
    sid = json.loads(opened.text[1:])["sid"]
    sent = await visitor.call("POST", f"{polling}&sid={sid}", raw=f'40{{"token": "{visitor.token}"}}'.encode())
    assert sent.text == "OK"
    assert (await visitor.call("GET", f"{polling}&sid={sid}")).text.startswith("40{")
    event = f"421{json.dumps(['message', {'id': 'message-one', 'text': 'does it hurt'}])}"
    await visitor.call("POST", f"{polling}&sid={sid}", raw=event.encode())
    answered = await visitor.call("GET", f"{polling}&sid={sid}")
    assert answered.text.startswith("431[")
    assert json.loads(answered.text[3:])[0]["replies"][0]["text"] == TEXT


# When things fail


async def test_a_turn_that_fails_or_says_nothing_is_a_stated_apology(visitor: Browser, agent: StandInAgent) -> None:
    agent.before = fail
    over_http = (await visitor.ask("does it hurt")).body["replies"]
    async with visitor.socket() as tab:
        over_socket = (await tab.ask("does it hurt"))["replies"]
    agent.before, agent.silent = None, True
    silent = (await visitor.ask("does it hurt")).body["replies"]
    for replies in (over_http, over_socket, silent):
        (reply,) = replies
        assert reply["failed"]
        assert "call 112, 911 or 999" in reply["text"]
    messages = await visitor.history()
    assert [message.get("failed") for message in messages] == [None, True]


async def test_a_store_that_is_down_is_an_error_in_words_and_not_ready(
    server: Server, visitor: Browser, agent: StandInAgent
) -> None:
    agent.store.broken = True
    for method, path, body in [
        ("GET", "/history", None),
        ("POST", "/erase", None),
        ("POST", "/feedback", {"reply": "x", "value": "up"}),
    ]:
        answer = await visitor.call(method, path, body)
        assert (answer.status, answer.code) == (500, "failed")
    assert (await visitor.ask("does it hurt")).body["replies"][0]["text"] == TEXT
    ready = await server.page(None).call("GET", "/readyz")
    assert (ready.status, ready.body) == (503, {"model": True, "store": False})


async def test_a_server_without_a_model_is_alive_and_not_ready(server: Server, agent: StandInAgent) -> None:
    probe = server.page(None)
    assert (await probe.call("GET", "/readyz")).body == {"model": True, "store": True}
    agent.loaded = False
    ready = await probe.call("GET", "/readyz")
    assert (ready.status, ready.body) == (503, {"model": False, "store": True})
    alive = await probe.call("GET", "/livez")
    assert (alive.status, alive.body) == (200, {"alive": True})


async def test_a_browser_that_hangs_up_gets_the_answer_when_it_comes_back(visitor: Browser, agent: StandInAgent) -> None:
    agent.before = wait(0.3)
    asking = asyncio.create_task(visitor.ask("does it hurt", "message-one"))
    await asyncio.sleep(0.1)
    asking.cancel()
    again = await visitor.ask("does it hurt", "message-one")
    assert again.body["repeated"]
    assert again.body["replies"][0]["text"] == TEXT
    assert len(agent.asked) == 1


# Limits


async def test_too_many_messages_are_told_when_to_come_back(agent: StandInAgent) -> None:
    async with serving(agent, {"limits": {"messages_per_minute": 3}}) as running:
        visitor = await running.visitor()
        async with visitor.socket() as tab:
            for _ in range(2):
                assert (await visitor.ask("does it hurt")).status == 200
            assert "replies" in await tab.ask("does it hurt")
            told = (await tab.ask("does it hurt"))["error"]
            assert told["code"] == "too_many"
            assert 1 <= told["retry_after"] <= 20
        answer = await visitor.ask("does it hurt")
        assert (answer.status, answer.code) == (429, "too_many")
        assert answer.headers["Retry-After"] == str(answer.body["error"]["retry_after"])
        assert 1 <= answer.body["error"]["retry_after"] <= 20
        assert (await (await running.visitor()).ask("does it hurt")).status == 200


async def test_one_address_cannot_get_around_the_limits_with_new_sessions(agent: StandInAgent) -> None:
    limits = {"messages_per_minute_per_address": 4, "sessions_per_minute_per_address": 6}
    async with serving(agent, {"limits": limits}) as running:
        answers = [await (await running.visitor()).ask("does it hurt") for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 2
        refused = await running.page().call("POST", "/session")
        assert (refused.status, refused.code) == (429, "too_many")
        assert 1 <= refused.body["error"]["retry_after"] <= 10


async def test_reading_is_limited_too(agent: StandInAgent) -> None:
    async with serving(agent, {"limits": {"requests_per_minute_per_address": 5}}) as running:
        visitor = await running.visitor()
        statuses = [(await visitor.call("GET", "/history")).status for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
        assert (await running.page(None).call("GET", "/readyz")).status == 200


async def test_behind_a_trusted_proxy_every_visitor_has_an_allowance(agent: StandInAgent) -> None:
    limits = {"requests_per_minute_per_address": 3}
    async with serving(agent, {"limits": limits, "trusted_proxies": ["127.0.0.0/8", "10.1.2.3"]}) as running:
        page = running.page()

        async def statuses(forwarded: str, times: int) -> list[int]:
            return [(await page.call("GET", "/config.json", X_Forwarded_For=forwarded)).status for _ in range(times)]

        assert await statuses("203.0.113.5", 4) == [200, 200, 200, 429]
        assert await statuses("203.0.113.6, 10.1.2.3", 4) == [200, 200, 200, 429]
        # What the visitor wrote in front of what the proxy saw counts for nothing.
        assert await statuses("198.51.100.1, 203.0.113.5", 1) == [429]
        assert await statuses("2001:db8:1:2::3", 3) == [200, 200, 200]
        assert await statuses("2001:db8:1:2:ffff::4", 1) == [429]


async def test_without_a_trusted_proxy_a_visitor_cannot_name_another_address(agent: StandInAgent) -> None:
    async with serving(agent, {"limits": {"requests_per_minute_per_address": 3}}) as running:
        page = running.page()
        answers = [await page.call("GET", "/config.json", X_Forwarded_For=f"203.0.113.{n}") for n in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]


async def test_more_turns_than_may_wait_are_told_that_it_is_busy(agent: StandInAgent) -> None:
    agent.before = wait(0.3)
    async with serving(agent, {"limits": {"turns": 1}}) as running:
        first, second = await running.visitor(), await running.visitor()
        waiting = asyncio.create_task(first.ask("does it hurt"))
        await asyncio.sleep(0.1)
        busy = await second.ask("does it hurt")
        assert (busy.status, busy.code) == (503, "busy")
        assert busy.headers["Retry-After"]
        assert (await waiting).status == 200


async def test_sockets_are_counted(agent: StandInAgent) -> None:
    async with serving(agent, {"limits": {"sockets_per_address": 2}}) as running:
        visitor = await running.visitor()
        async with visitor.socket(), visitor.socket():
            refused = await visitor.call("GET", "/socket.io/?EIO=4&transport=websocket", **UPGRADE)
            assert (refused.status, refused.code) == (429, "too_many")
        await asyncio.sleep(0.1)
        async with visitor.socket() as tab:
            assert tab.refused is None


# Feedback and erasing


async def test_a_thumb_is_kept_with_the_reply_and_can_be_taken_back(visitor: Browser, agent: StandInAgent) -> None:
    reply = (await visitor.ask("does it hurt")).body["replies"][0]["id"]
    for value, reason in [("down", "it did not say where \u200bit hurts"), ("up", None), (None, None)]:
        sent = {"reply": reply, "value": value} | ({"reason": reason} if reason else {})
        assert (await visitor.call("POST", "/feedback", sent)).body == {"ok": True}
        assert (await visitor.history())[-1]["feedback"] == value
    kept = [event for event in await agent.store.history(visitor.conversation) if event["event"] == "feedback"]
    assert [(event["value"], event["reason"]) for event in kept] == [
        ("down", "it did not say where it hurts"),
        ("up", None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"reply": "message-x.0", "value": "up"}, "not_found"),
        ({"reply": "message-x.0"}, "bad_request"),
        ({"reply": 5, "value": "up"}, "bad_request"),
        ({"reply": "message-x.0", "value": "great"}, "bad_request"),
        ({"reply": "message-x.0", "value": ["up"]}, "bad_request"),
        ({"reply": "message-x.0", "value": "up", "reason": 5}, "bad_request"),
        ({"reply": "message-x.0", "value": "up", "reason": "a" * 501}, "too_long"),
        ({"reply": "message-x.0", "value": "up", "reason": "\ud800"}, "bad_text"),
        ([], "bad_request"),
    ],
    ids=repr,
)
async def test_feedback_that_is_none_is_refused(visitor: Browser, payload: Any, code: str) -> None:
    assert (await visitor.call("POST", "/feedback", payload)).code == code


async def test_erasing_empties_the_conversation_and_tells_the_tabs(visitor: Browser, agent: StandInAgent) -> None:
    await visitor.ask("does it hurt", "message-one")
    async with visitor.socket() as tab:
        assert (await visitor.call("POST", "/erase")).body == {"erased": 2}
        assert await tab.hear("erased") == {}
    assert await visitor.history() == []
    assert visitor.conversation not in agent.store.events
    assert not (await visitor.ask("does it hurt", "message-one")).body["repeated"]


async def test_erasing_waits_for_the_answer_that_is_under_way(visitor: Browser, agent: StandInAgent) -> None:
    agent.before = wait(0.2)
    asking = asyncio.create_task(visitor.ask("does it hurt"))
    await asyncio.sleep(0.05)
    assert (await visitor.call("POST", "/erase")).body == {"erased": 2}
    await asking
    assert await visitor.history() == []


# Pages and headers


async def test_the_demo_page_has_a_strict_policy_and_may_not_be_framed(server: Server) -> None:
    page = await server.page(None).call("GET", "/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<script src="widget.js" async></script>' in page.text
    assert "style=" not in page.text
    assert {name: page.headers.get(name) for name in SAFE_HEADERS} == SAFE_HEADERS
    policy = page.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
        "trusted-types lit-html; frame-ancestors 'none'"
    )


SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "Access-Control-Allow-Origin": None,
    "Access-Control-Allow-Credentials": None,
    "Server": None,
    "Set-Cookie": None,
}


async def test_only_the_clinics_websites_may_frame_the_panel(
    agent: StandInAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "panel.html").write_text("<!doctype html>", encoding="utf-8")
    monkeypatch.setattr("addons.channels.web.read_files", lambda: read_files((tmp_path,)))
    async with serving(agent, {"origins": [CLINIC]}) as running:
        panel = await running.page(None).call("GET", "/panel.html")
        assert panel.status == 200
        assert panel.headers["Content-Security-Policy"].endswith(f"frame-ancestors 'self' {CLINIC}")


@pytest.mark.parametrize("path", ["/config.json", "/history", "/livez", "/nothing"])
async def test_data_is_kept_by_nobody_and_runs_nothing(visitor: Browser, path: str) -> None:
    answer = await visitor.call("GET", path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_file_a_browser_has_is_not_sent_again(server: Server) -> None:
    page = server.page(None)
    first = await page.call("GET", "/demo.css")
    again = await page.call("GET", "/demo.css", If_None_Match=first.headers["ETag"])
    assert (first.status, again.status, again.text) == (200, 304, "")


@pytest.mark.parametrize(
    "path", ["/../__init__.py", "/%2e%2e/__init__.py", "/__init__.py", "/.gitkeep", "/pages/index.html", "//etc/passwd"]
)
async def test_no_other_file_can_be_fetched(server: Server, path: str) -> None:
    answer = await server.page(None).call("GET", path)
    assert answer.status == 404


async def test_the_address_without_its_slash_leads_to_the_page(server: Server) -> None:
    answer = await server.page(None).call("GET", "")
    assert (answer.status, answer.headers["Location"]) == (308, "web/")


async def test_the_widget_is_told_what_it_needs_and_no_secret(server: Server) -> None:
    config = (await server.page().call("GET", "/config.json")).body
    assert set(config) == {
        "title", "subtitle", "welcome", "position", "colours", "locale", "consent", "starters", "limit", "emergency_number",
        "calls", "privacy_link", "answers_link", "clinic",
    }  # fmt: skip
    assert len(config["starters"]) == 4
    assert config["calls"] == ["112", "911", "999"]
    assert config["limit"] == LONGEST_TEXT
    assert KEY not in json.dumps(config)


async def test_the_settings_come_as_a_script_too(agent: StandInAgent) -> None:
    async with serving(agent, {"origins": [CLINIC]}) as running:
        page = running.page(CLINIC)
        script = await page.call("GET", "/config.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["Access-Control-Allow-Origin"] == CLINIC
        assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        body = script.text.removeprefix("export default ").rstrip().removesuffix(";")
        assert json.loads(body) == (await page.call("GET", "/config.json")).body
        assert (await running.page("https://other.example").call("GET", "/config.js")).code == "foreign_origin"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/session", "/messages", "/history", "/feedback", "/erase", "/livez"])
async def test_a_wrong_method_finds_nothing(server: Server, path: str, method: str) -> None:
    right = "GET" if path in {"/history", "/livez"} else "POST"
    if method != right:
        assert (await server.page().call(method, path)).code == "not_found"


async def test_nothing_a_patient_wrote_and_no_token_is_logged(
    visitor: Browser, agent: StandInAgent, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await visitor.ask("canary-in-the-text")
        await visitor.ask("canary-in-the-text\ud800")
        await visitor.call("POST", "/messages", raw=b'{"canary-in-the-text')
        agent.before = fail
        await visitor.ask("canary-in-the-text")
        agent.store.broken = True
        await visitor.call("GET", "/history")
        async with visitor.socket() as tab:
            await tab.ask("canary-in-the-text")
            await tab.emit("canary-in-the-text", "canary-in-the-text")
            for packet in ('42["canary-in-the-text', "4canary-in-the-text", '451-["canary-in-the-text"]', "canary-in-the-text"):
                await tab.connection.send(packet)
            await asyncio.sleep(0.05)
    assert "ValueError at" in caplog.text
    assert "canary" not in caplog.text
    assert str(visitor.token) not in caplog.text
