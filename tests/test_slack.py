"""Slack stays with Rasa's own connector: what it must hold to be used for staff."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from rasa.core.channels.slack import SlackBot, SlackInput
from rasa.shared.core.events import BotUttered
from slack_sdk.web.async_client import AsyncWebClient

from tests.connecting import Server, serving_channel
from tests.platforms import Slack
from tests.stand_in import ANSWER, BUTTONS, TEXT, StandInAgent

SECRET, TOKEN = "slack-signing-secret-1", "xoxb-slack-token-1"
EVENT: dict[str, Any] = {
    "token": "t", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": "Ev1", "event_time": 1,
    "authorizations": [{"user_id": "U0BOT", "is_bot": True}],
    "event": {"type": "message", "channel_type": "im", "channel": "D1", "user": "U1", "text": "does it hurt", "ts": "1.1"},
}  # fmt: skip


@pytest.fixture
def agent() -> StandInAgent:
    return StandInAgent()


@pytest_asyncio.fixture(loop_scope="function")
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Slack]:
    async with Slack(TOKEN).serving() as fake:
        original = AsyncWebClient.__init__

        def to_the_stand_in(self: AsyncWebClient, token: str, **settings: Any) -> None:
            original(self, token, base_url=f"{fake.address}/", **settings)

        monkeypatch.setattr(AsyncWebClient, "__init__", to_the_stand_in)
        assert isinstance(fake, Slack)
        yield fake


def channel() -> SlackInput:
    made = SlackInput.from_credentials({"slack_token": TOKEN, "slack_signing_secret": SECRET})
    assert isinstance(made, SlackInput)
    return made


def signed(event: Any, secret: str = SECRET, ago: float = 0) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event).encode()
    at = str(int(time.time() - ago))
    digest = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": at}
    return body, headers


async def posted(server: Server, agent: StandInAgent, body: bytes, headers: dict[str, str]) -> int:
    code = await server.post(body, headers)
    await asyncio.sleep(0.1)
    return code


async def test_a_signed_message_is_answered_with_the_caveat_in_the_same_message(agent: StandInAgent, slack: Slack) -> None:
    async with serving_channel("slack", channel(), agent) as server:
        assert await posted(server, agent, *signed(EVENT)) == 200
        ((recipient, message),) = await slack.until(1)
        assert recipient == "D1"
        shown = json.dumps(message, ensure_ascii=False)
        assert ANSWER["body"] in shown  # type: ignore[operator]
        assert ANSWER["caveat"] in shown  # type: ignore[operator]
        assert BUTTONS[0]["title"] in shown


@pytest.mark.parametrize(("secret", "ago"), [("another-signing-secret", 0), (SECRET, 600), ("", 0)])
async def test_a_forged_or_stale_request_is_refused(secret: str, ago: float, agent: StandInAgent, slack: Slack) -> None:
    async with serving_channel("slack", channel(), agent) as server:
        assert await posted(server, agent, *signed(EVENT, secret, ago)) == 400
        assert await posted(server, agent, signed(EVENT)[0], {"Content-Type": "application/json"}) == 400
        assert not agent.asked
        assert not slack.requests


async def test_the_assistants_own_messages_and_slacks_retries_are_not_answered(agent: StandInAgent, slack: Slack) -> None:
    async with serving_channel("slack", channel(), agent) as server:
        own = {**EVENT, "event": {**EVENT["event"], "bot_id": "B1"}}
        assert await posted(server, agent, *signed(own)) == 200
        body, headers = signed(EVENT)
        retry = {**headers, "X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
        assert await posted(server, agent, body, retry) in {200, 201}
        assert not agent.asked


async def test_a_tapped_button_asks_its_question(agent: StandInAgent, slack: Slack) -> None:
    async with serving_channel("slack", channel(), agent) as server:
        action = {"type": "button", "action_id": "a", "value": BUTTONS[0]["payload"]}
        payload = {"type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "D1"}, "actions": [action]}
        body = urlencode({"payload": json.dumps(payload)}).encode()
        at = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Slack-Signature": f"v0={digest}",
                   "X-Slack-Request-Timestamp": at}  # fmt: skip
        assert await posted(server, agent, body, headers) in {200, 201}
        assert [message.text for message in agent.asked] == [BUTTONS[0]["title"]]


async def test_sending_leaves_the_stored_reply_as_it_is(agent: StandInAgent, slack: Slack) -> None:
    reply = BotUttered(TEXT, {"buttons": [dict(BUTTONS[0])]}, dict(ANSWER))
    await SlackBot(TOKEN, "D1").send_response("U1", reply.message())
    assert reply.data["buttons"] == BUTTONS
