"""The messaging connectors: every platform calls and is called as it really does, over HTTP on this machine."""

import asyncio
import json
import logging
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.channels import client, connector
from addons.channels.inbox import Inbox
from addons.channels.meta import inbound as meta_inbound
from addons.channels.render import Choice
from addons.channels.sms import inbound as sms_inbound
from addons.channels.telegram import inbound as telegram_inbound
from addons.configuration import ROOT
from tests.connecting import (
    APP_SECRET,
    PLATFORMS,
    VERIFY_TOKEN,
    credentials,
    fixtures,
    meta_signature,
    new_platform,
    serving,
    settle,
    shown,
    signed_request,
    tap,
    typed,
)
from tests.platforms import Graph, silence, slow_drip, status
from tests.stand_in import ANSWER, BUTTONS, StandInAgent, fail, wait

ACCOUNTS = {"whatsapp": Graph.WHATSAPP, "messenger": Graph.PAGE, "instagram": Graph.INSTAGRAM}
CASES = [(platform, name) for platform in PLATFORMS for name in fixtures(platform)]
PERSON = "447700900123"
QUESTION = BUTTONS[0]["title"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts as they are in proportion, a hundredth as long."""
    monkeypatch.setattr(client, "FIRST_WAIT_SECONDS", 0.005)
    monkeypatch.setattr(client, "TIME_LIMIT_SECONDS", 0.3)


@pytest.fixture
def agent() -> StandInAgent:
    return StandInAgent()


def asked(agent: StandInAgent) -> list[str]:
    return [message.text for message in agent.asked]


def read(platform: str, delivery: Any) -> list[dict[str, Any]]:
    """What a connector takes from a delivery."""
    if platform in ACCOUNTS and isinstance(delivery, dict):
        events = [event for account, found in meta_inbound(delivery) if account == ACCOUNTS[platform] for event in found]
    else:
        reader = sms_inbound if platform == "sms" else telegram_inbound
        events = connector.readable_events([delivery], reader)
    return [{key: getattr(event, key) for key in ("address", "message_id", "text", "token", "media")} for event in events]


@pytest.mark.parametrize(("platform", "name"), CASES)
def test_every_kind_of_event_is_taken_for_what_it_is(platform: str, name: str) -> None:
    case = fixtures(platform)[name]
    assert read(platform, case["delivered"]) == case["asks"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_every_kind_of_event_is_acknowledged_and_what_asks_for_an_answer_gets_one(
    platform: str, agent: StandInAgent
) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        for name, case in fixtures(platform).items():
            before = len(fake.sent)
            assert await server.deliver(case["delivered"]) == 200, name
            await settle(server)
            answers = sum(bool(event["text"] or event["token"]) for event in case["asks"])
            notices = sum(event["media"] or not (event["text"] or event["token"]) for event in case["asks"])
            # A tap whose question nobody knows any more, and which says nothing itself, is asked to be typed.
            if name == "a tapped button of an old message":
                answers, notices = 1, 0
            assert len(fake.sent) - before == answers + notices, name
        assert not fake.refused


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_an_answer_goes_to_the_sender_with_its_caveat_and_sources(platform: str, agent: StandInAgent) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(typed(platform, "does it hurt", "1"))
        ((recipient, message),) = await fake.until(1)
        assert recipient.removeprefix("+") == PERSON
        text = shown(platform, message)
        assert all(str(ANSWER[part]) in text for part in ("body", "caveat", "sources_line"))
        assert asked(agent) == ["does it hurt"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_conversation_is_kept_under_a_pseudonym_and_the_number_is_stored_nowhere(
    platform: str, agent: StandInAgent
) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(typed(platform, "does it hurt", "1"))
        await fake.until(1)
        await settle(server)
    (conversation,) = agent.store.events
    events = json.dumps(await agent.store.history(conversation))
    assert PERSON not in conversation + events
    assert conversation.split(":")[0] in {"wa", "fb", "ig", "sms", "tg"}
    assert len(conversation.split(":")[1]) == 22
    assert agent.asked[0].input_channel == platform


async def test_the_same_number_on_two_platforms_is_two_conversations(agent: StandInAgent) -> None:
    for platform in ("whatsapp", "messenger", "instagram", "telegram"):
        async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
            await server.deliver(typed(platform, "does it hurt", "1"))
            await fake.until(1)
    assert len(agent.store.events) == 4


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("forgery", ["missing", "empty", "wrong", "not ascii", "of other bytes", "of another scheme"])
async def test_a_request_that_is_not_from_the_platform_is_refused_unread(
    platform: str, forgery: str, agent: StandInAgent
) -> None:
    if platform == "telegram" and forgery == "of other bytes":
        pytest.skip("Telegram's secret does not depend on the bytes")
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        body, headers = signed_request(platform, typed(platform, "does it hurt", "1"))
        (header,) = [name for name in headers if name.startswith("X-")]
        if forgery == "missing":
            del headers[header]
        elif forgery == "of other bytes":
            body = signed_request(platform, typed(platform, "does it work", "1"))[0]
        else:
            headers[header] = {"empty": "", "wrong": "sha256=" + "0" * 64, "not ascii": "é", "of another scheme": "md5=x"}[
                forgery
            ]
        assert await server.post(body, headers) == 401
        await settle(server)
        assert not agent.asked
        assert not fake.requests


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_delivery_that_is_repeated_is_answered_once_also_after_a_restart(platform: str, agent: StandInAgent) -> None:
    delivery = typed(platform, "does it hurt", "1")
    async with new_platform(platform).serving() as fake:
        async with serving(platform, fake.address, agent) as server:
            assert [await server.deliver(delivery) for _ in range(3)] == [200, 200, 200]
            await settle(server)
        async with serving(platform, fake.address, StandInAgent(agent.store)) as server:
            assert await server.deliver(delivery) == 200
            await settle(server)
        assert len(fake.sent) == len(agent.asked) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_photo_is_answered_once_however_often_it_is_delivered(platform: str, agent: StandInAgent) -> None:
    name = "a picture" if platform == "sms" else "a photo"
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        for _ in range(2):
            await server.deliver(fixtures(platform)[name]["delivered"])
        await settle(server)
        ((_, message),) = fake.sent
        assert "I can only read text" in shown(platform, message)
        assert not agent.asked


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_platform_is_acknowledged_while_the_answer_is_still_being_made(platform: str, agent: StandInAgent) -> None:
    agent.before = wait(1)
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        started = time.monotonic()
        assert await server.deliver(typed(platform, "does it hurt", "1")) == 200
        assert time.monotonic() - started < 0.5
        assert not fake.sent
        await fake.until(1)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_each_person_is_answered_in_order_and_nobody_waits_for_another(platform: str, agent: StandInAgent) -> None:
    slow = "447700900999"

    async def slow_for_one() -> None:
        await asyncio.sleep(0.4 if agent.asked[-1].text.startswith("slow") else 0)

    agent.before = slow_for_one
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(typed(platform, "slow", "1", person=slow))
        for number in range(2, 7):
            await server.deliver(typed(platform, f"question {number}", str(number)))
        await server.deliver(typed(platform, "slow again", "7", person=slow))
        await settle(server)
        assert [text for text in asked(agent) if text.startswith("question")] == [f"question {number}" for number in range(2, 7)]
        assert [recipient.removeprefix("+") for recipient, _ in fake.sent] == [PERSON] * 5 + [slow] * 2


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_message_of_two_days_ago_is_not_answered(platform: str, agent: StandInAgent) -> None:
    if platform == "sms":
        pytest.skip("Twilio says no time and delivers no old messages")
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        assert await server.deliver(typed(platform, "does it hurt", "1", ago=2 * 24 * 3600)) == 200
        await settle(server)
        assert not agent.asked
        assert not fake.requests


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "faults",
    [
        [status(500)],
        [status(502), status(503)],
        [status(429, headers={"Retry-After": "0"})],
        [status(429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 0.05}})],
        [silence(1)],
        [slow_drip(1)],
    ],
    ids=["500", "502 and 503", "429", "429 with the wait in the body", "no answer", "a slow drip"],
)
async def test_an_answer_is_sent_again_when_the_platform_was_busy(platform: str, faults: list[Any], agent: StandInAgent) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        fake.faults.extend(faults)
        await server.deliver(typed(platform, "does it hurt", "1"))
        await fake.until(1)
        await settle(server)
        assert len(fake.sent) == 1
        assert len(fake.requests) == len(faults) + 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_wait_a_platform_asks_for_is_kept(platform: str, agent: StandInAgent) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        fake.faults.append(status(429, headers={"Retry-After": "0.4"}))
        started = time.monotonic()
        await server.deliver(typed(platform, "does it hurt", "1"))
        await fake.until(1)
        assert 0.4 <= time.monotonic() - started < 3


async def test_meta_says_later_with_status_400_and_is_asked_later(agent: StandInAgent) -> None:
    async with new_platform("whatsapp").serving() as fake, serving("whatsapp", fake.address, agent) as server:
        fake.faults.append(status(400, {"error": {"code": 131056, "message": "pair rate limit hit"}}))
        await server.deliver(typed("whatsapp", "does it hurt", "1"))
        await fake.until(1)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("code", [400, 401, 403, 404])
async def test_what_the_platform_refuses_is_not_repeated_and_the_turn_stays_stored(
    platform: str, code: int, agent: StandInAgent, caplog: pytest.LogCaptureFixture
) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        fake.faults.append(status(code, {"error": {"code": 100, "message": "canary"}}))
        await server.deliver(typed(platform, "does it hurt", "1"))
        await settle(server)
        assert len(fake.requests) == 1
        (events,) = agent.store.events.values()
        assert [event["event"] for event in events if event["event"] in {"user", "bot"}] == ["user", "bot"]
        await server.deliver(typed(platform, "does it work", "2"))
        await fake.until(1)
    assert f"did not take a request: status {code}" in caplog.text


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_platform_that_stays_down_loses_the_sending_and_nothing_else(platform: str, agent: StandInAgent) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        fake.faults.extend([status(500)] * client.ATTEMPTS)
        await server.deliver(typed(platform, "does it hurt", "1"))
        await settle(server)
        assert not fake.sent
        (events,) = agent.store.events.values()
        assert [event["event"] for event in events if event["event"] in {"user", "bot"}] == ["user", "bot"]
        await server.deliver(typed(platform, "does it work", "2"))
        await fake.until(1)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_failure_of_ours_is_answered_with_an_apology(platform: str, agent: StandInAgent) -> None:
    agent.before = fail
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(typed(platform, "does it hurt", "1"))
        ((_, message),) = await fake.until(1)
        assert "Sorry, something went wrong on our side" in shown(platform, message)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_number_the_title_or_a_slip_of_it_asks_the_question_offered_also_after_a_restart(
    platform: str, agent: StandInAgent
) -> None:
    said = ["1", QUESTION, "what dos it cost", "cost"]
    async with new_platform(platform).serving() as fake:
        async with serving(platform, fake.address, agent) as server:
            await server.deliver(typed(platform, "does it hurt", "1"))
            await fake.until(1)
            await settle(server)
        for number, text in enumerate(said, 2):
            restarted = StandInAgent(agent.store)
            async with serving(platform, fake.address, restarted) as server:
                await server.deliver(typed(platform, text, str(number)))
                await fake.until(number)
                await settle(server)
            assert asked(restarted) == [QUESTION], text


@pytest.mark.parametrize("platform", ["whatsapp", "messenger", "instagram", "telegram"])
async def test_a_tap_asks_its_question_also_after_a_restart_and_later_answers(platform: str, agent: StandInAgent) -> None:
    token = Choice(QUESTION).token
    async with new_platform(platform).serving() as fake:
        async with serving(platform, fake.address, agent) as server:
            await server.deliver(typed(platform, "does it hurt", "1"))
            ((_, message),) = await fake.until(1)
            assert token in json.dumps(message)
            await settle(server)
        restarted = StandInAgent(agent.store)
        async with serving(platform, fake.address, restarted) as server:
            await server.deliver(tap(platform, token, "Cost", "2"))
            await fake.until(2)
            await settle(server)
        assert asked(restarted) == [QUESTION]


@pytest.mark.parametrize("platform", ["whatsapp", "messenger", "instagram"])
async def test_a_tap_on_a_choice_of_an_erased_conversation_says_its_title(platform: str, agent: StandInAgent) -> None:
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(tap(platform, Choice(QUESTION).token, "Cost", "1"))
        await fake.until(1)
        assert asked(agent) == ["Cost"]


async def test_a_tapped_button_of_telegram_is_released(agent: StandInAgent) -> None:
    async with new_platform("telegram").serving() as fake, serving("telegram", fake.address, agent) as server:
        await server.deliver(fixtures("telegram")["a tapped button"]["delivered"])
        await settle(server)
        assert any(request.endswith("/answerCallbackQuery") for request in fake.requests)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_without_a_store_a_message_is_still_answered(platform: str, agent: StandInAgent) -> None:
    agent.store.broken = True
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        await server.deliver(typed(platform, "does it hurt", "1"))
        await fake.until(1)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_full_inbox_has_the_platform_deliver_later(
    platform: str, agent: StandInAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.before = wait(0.2)
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        monkeypatch.setattr(server.channel._inbox, "_room", 2)
        deliveries = [typed(platform, f"question {number}", str(number)) for number in range(4)]
        assert [await server.deliver(delivery) for delivery in deliveries] == [200, 200, 503, 503]
        await settle(server)
        assert [await server.deliver(delivery) for delivery in deliveries[2:]] == [200, 200]
        await settle(server)
        assert asked(agent) == [f"question {number}" for number in range(4)]
        assert len(fake.sent) == 4


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_flood_from_one_person_is_answered_ten_times_and_told_so_once(platform: str, agent: StandInAgent) -> None:
    agent.before = wait(0.03)
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        for number in range(30):
            assert await server.deliver(typed(platform, f"question {number}", str(number))) == 200
        await server.deliver(typed(platform, "somebody else", "99", person="447700900777"))
        await settle(server)
        told = [shown(platform, message) for _, message in fake.sent]
        assert sum("many messages in a short time" in text for text in told) == 1
        assert len(told) < 20
        assert "somebody else" in asked(agent)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_waits_is_answered_before_the_server_stops(platform: str, agent: StandInAgent) -> None:
    agent.before = wait(0.2)
    async with new_platform(platform).serving() as fake:
        async with serving(platform, fake.address, agent) as server:
            for number in range(3):
                await server.deliver(typed(platform, f"question {number}", str(number)))
        assert len(fake.sent) == 3


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_no_words_numbers_or_tokens_are_logged(
    platform: str, agent: StandInAgent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with new_platform(platform).serving() as fake, serving(platform, fake.address, agent) as server:
        fake.faults.extend([status(500), silence(1), status(400, {"description": "canary"}), status(401)])
        for number, text in enumerate(["canary one", "canary two", "canary three"]):
            await server.deliver(typed(platform, text, str(number)))
        await server.post(b"canary", {})
        agent.before = fail
        await server.deliver(typed(platform, "canary four", "7"))
        await settle(server)
    assert caplog.text
    for secret in ("canary", PERSON, "access-token-1", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "app-secret-1"):
        assert secret not in caplog.text


@pytest.mark.parametrize("platform", ["whatsapp", "telegram"])
@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null", b"[" * 100_000, b"\xff\xfe"], ids=range(6))
async def test_a_signed_body_that_is_no_json_object_is_refused(platform: str, body: bytes, agent: StandInAgent) -> None:
    async with serving(platform, "http://127.0.0.1:9", agent) as server:
        _, headers = signed_request(platform, {})
        if platform == "whatsapp":
            headers["X-Hub-Signature-256"] = meta_signature(body, APP_SECRET)
        assert await server.post(body, headers) == 400


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_huge_body_is_refused_before_it_is_read(platform: str, agent: StandInAgent) -> None:
    async with serving(platform, "http://127.0.0.1:9", agent) as server:
        assert await server.post(b"x" * (connector.LARGEST_BODY_BYTES + 1), {}) == 413


async def test_meta_is_answered_its_challenge_only_for_our_verify_token(agent: StandInAgent) -> None:
    async with serving("whatsapp", "http://127.0.0.1:9", agent) as server:
        right = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158201444"}
        assert await server.get(right) == (200, "1158201444")
        for wrong in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": "é"}):
            assert (await server.get({**right, **wrong}))[0] == 403
        assert (await server.get({}))[0] == 403


async def test_events_of_instagrams_own_app_are_verified_with_its_own_secret(agent: StandInAgent) -> None:
    own = credentials("instagram", "http://127.0.0.1:9")
    own["instagram"]["app_secret"] = "instagram-secret-1"
    body = json.dumps(typed("instagram", "does it hurt", "1")).encode()
    async with serving("instagram", "http://127.0.0.1:9", agent, own) as server:
        for secret, expected in (("instagram-secret-1", 200), (APP_SECRET, 200), ("another-secret-1", 401)):
            assert await server.post(body, {"X-Hub-Signature-256": meta_signature(body, secret)}) == expected


async def test_the_inbox_says_what_it_could_not_finish(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()

    async def long_work() -> None:
        await asyncio.sleep(10)

    assert inbox.put([("a", long_work), ("a", long_work), ("b", long_work)])
    await inbox.empty(0.05)
    assert "3 received messages not answered" in caplog.text


async def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    inbox = Inbox(room=2)
    done = []

    async def work() -> None:
        done.append(1)

    assert not inbox.put([("a", work), ("b", work), ("c", work)])
    assert inbox.put([("a", work), ("b", work)])
    await inbox.empty(1)
    assert len(done) == 2
    assert len(inbox) == 0


def damaged(value: Any, places: list[int], by: Any) -> Any:
    """A delivery with one of its parts, found by going down these places, replaced."""
    if not places or not isinstance(value, dict | list) or not value:
        return by
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[places[0] % len(keys)]
    copy = value.copy()
    copy[key] = damaged(value[key], places[1:], by)
    return copy


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), st.lists, max_leaves=3)


@pytest.mark.parametrize("platform", [platform for platform in PLATFORMS if platform != "sms"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_delivery_with_any_part_damaged_raises_nothing(platform: str, data: st.DataObject) -> None:
    cases = fixtures(platform)
    delivery = cases[data.draw(st.sampled_from(sorted(cases)))]["delivered"]
    places = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=9))
    read(platform, damaged(delivery, places, data.draw(ANYTHING | st.dictionaries(st.text(max_size=3), st.none()))))


def test_every_cell_of_the_channel_table_names_a_test_that_exists() -> None:
    table = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8").split("<!-- channels -->")[1].split("<!-- end")[0]
    proofs = dict(re.findall(r"^(\d+)\. `tests/(.+)`$", table, re.MULTILINE))
    rows = [line.strip("| ").split("|") for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    cells = {cell.strip() for row in rows[1:] for cell in row[1:]} - {""}
    assert cells == set(proofs)
    for proof in proofs.values():
        file, test = proof.split("::")
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
