"""One message of a patient through Rasa, whatever happens: an answer or an apology, once."""

import asyncio
import logging

import pytest

from addons.channels.turns import Turns, readable, stored_replies, technical_texts
from addons.clinic import Clinic
from commands.content import responses
from tests.stand_in import ANSWER, BUTTONS, TEXT, StandInAgent, fail, wait

CLINIC = Clinic(emergency_number="112", phone="020 7946 0000")


@pytest.fixture
def agent() -> StandInAgent:
    return StandInAgent()


@pytest.fixture
def turns() -> Turns:
    return Turns("web", CLINIC, time_limit=5)


async def test_a_message_gets_the_whole_structured_reply(agent: StandInAgent, turns: Turns) -> None:
    turn = await turns.run(agent, "web:1", "does it hurt", "message-1", {"locale": "en"})
    (reply,) = turn.replies
    assert not turn.repeated
    assert not turn.failed
    assert {key: reply[key] for key in ANSWER} == ANSWER
    assert (reply["text"], reply["buttons"], reply["id"]) == (TEXT, BUTTONS, "message-1.0")
    (message,) = agent.asked
    assert (message.text, message.sender_id, message.input_channel) == ("does it hurt", "web:1", "web")
    assert (message.message_id, message.metadata) == ("message-1", {"locale": "en"})


async def test_the_channels_name_is_what_rasa_chooses_variations_by(agent: StandInAgent, turns: Turns) -> None:
    await turns.run(agent, "web:1", "does it hurt", "message-1")
    assert agent.asked[0].output_channel.name() == "web"


async def test_a_message_sent_again_is_answered_with_the_same_replies_and_asked_once(agent: StandInAgent, turns: Turns) -> None:
    first = await turns.run(agent, "web:1", "does it hurt", "message-1")
    await turns.run(agent, "web:1", "and the cost", "message-2")
    again = await turns.run(agent, "web:1", "does it hurt", "message-1")
    assert again.repeated
    assert again.replies == first.replies
    assert len(agent.asked) == 2


async def test_a_message_sent_again_after_a_restart_is_asked_once(agent: StandInAgent, turns: Turns) -> None:
    first = await turns.run(agent, "web:1", "does it hurt", "message-1")
    restarted = StandInAgent(agent.store)
    again = await Turns("web", CLINIC).run(restarted, "web:1", "does it hurt", "message-1")
    assert again.repeated
    assert again.replies == first.replies
    assert restarted.asked == []


async def test_a_message_sent_again_while_it_is_being_answered_is_asked_once(agent: StandInAgent, turns: Turns) -> None:
    agent.before = wait(0.05)
    first, again = await asyncio.gather(*[turns.run(agent, "web:1", "does it hurt", "message-1") for _ in range(2)])
    assert len(agent.asked) == 1
    assert (first.repeated, again.repeated) == (False, True)
    assert first.replies == again.replies
    assert turns.running == 0


@pytest.mark.parametrize("typed", ["1", "(1)", "cost", "what does it costs?"])
async def test_a_number_or_title_asks_the_question_offered_last_on_every_channel(
    agent: StandInAgent, turns: Turns, typed: str
) -> None:
    await turns.run(agent, "web:1", "does it hurt", "message-1")
    await turns.run(agent, "web:1", typed, "message-2")
    assert agent.asked[-1].text == "What does it cost?"


@pytest.mark.parametrize("typed", ["2", "1 session"])
async def test_a_number_that_was_not_offered_stays_as_it_was_typed(agent: StandInAgent, turns: Turns, typed: str) -> None:
    await turns.run(agent, "web:1", typed, "message-1")
    await turns.run(agent, "web:1", typed, "message-2")
    assert [message.text for message in agent.asked] == [typed, typed]


async def test_the_same_id_in_another_conversation_is_another_message(agent: StandInAgent, turns: Turns) -> None:
    await turns.run(agent, "web:1", "does it hurt", "message-1")
    other = await turns.run(agent, "web:2", "does it hurt", "message-1")
    assert not other.repeated
    assert len(agent.asked) == 2


async def test_a_turn_that_fails_is_an_apology_with_the_emergency_number_and_may_be_tried_again(
    agent: StandInAgent, turns: Turns
) -> None:
    agent.before = fail
    turn = await turns.run(agent, "web:1", "does it hurt", "message-1")
    (reply,) = turn.replies
    assert turn.failed
    assert reply["text"] == reply["body"]
    assert "call 112" in reply["text"]
    assert "020 7946 0000" in reply["text"]
    agent.before = None
    again = await turns.run(agent, "web:1", "does it hurt", "message-1")
    assert not again.failed
    assert not again.repeated


async def test_a_turn_that_fails_halfway_keeps_what_was_said_and_says_that_it_failed(agent: StandInAgent, turns: Turns) -> None:
    agent.after = fail
    turn = await turns.run(agent, "web:1", "does it hurt", "message-1")
    assert [reply["id"] for reply in turn.replies] == ["message-1.0", "message-1.1"]
    assert turn.replies[0]["text"] == TEXT
    assert turn.replies[1]["failed"]


async def test_a_turn_without_a_reply_is_an_apology(agent: StandInAgent, turns: Turns) -> None:
    agent.silent = True
    assert (await turns.run(agent, "web:1", "does it hurt", "message-1")).failed
    again = await turns.run(agent, "web:1", "does it hurt", "message-1")
    assert again.failed
    assert again.repeated


async def test_an_assistant_without_a_model_apologises(agent: StandInAgent, turns: Turns) -> None:
    agent.loaded = False
    assert (await turns.run(agent, "web:1", "does it hurt", "message-1")).failed


async def test_a_store_that_is_down_keeps_nobody_from_an_answer(agent: StandInAgent, turns: Turns) -> None:
    agent.store.broken = True
    assert not (await turns.run(agent, "web:1", "does it hurt", "message-1")).failed


async def test_a_turn_that_takes_too_long_gives_what_there_is_and_goes_on(agent: StandInAgent) -> None:
    agent.after = wait(0.2)
    impatient = Turns("web", CLINIC, time_limit=0.05)
    turn = await impatient.run(agent, "web:1", "does it hurt", "message-1")
    assert [reply["text"] for reply in turn.replies] == [TEXT]
    assert agent.store.events["web:1"] == []
    await asyncio.sleep(0.3)
    assert len(agent.store.events["web:1"]) == 2


async def test_a_turn_that_hangs_is_an_apology_in_time(agent: StandInAgent) -> None:
    agent.before = wait(0.3)
    turn = await Turns("web", CLINIC, time_limit=0.05).run(agent, "web:1", "does it hurt", "message-1")
    assert turn.failed
    await asyncio.sleep(0.4)


async def test_a_turn_whose_caller_hangs_up_is_finished_and_stored(agent: StandInAgent, turns: Turns) -> None:
    agent.before = wait(0.1)
    caller = asyncio.create_task(turns.run(agent, "web:1", "does it hurt", "message-1"))
    await asyncio.sleep(0.02)
    caller.cancel()
    await asyncio.sleep(0.2)
    assert len(agent.store.events["web:1"]) == 2


async def test_a_failure_is_logged_without_a_word_of_the_patient(
    agent: StandInAgent, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    agent.before = fail
    with caplog.at_level(logging.DEBUG):
        await turns.run(agent, "web:1", "canary-in-the-text", "message-1")
        agent.store.broken = True
        await turns.run(agent, "web:1", "canary-in-the-text", "message-2")
    assert "ValueError at " in caplog.text
    assert "ConnectionError at " in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  does it hurt?\t", "does it hurt?"),
        ("/restart", "restart"),
        (' //faq_cost{"concern": "fat"}', 'faq_cost{"concern": "fat"}'),
        ("\u200b/\u200b/restart", "restart"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\x00b\x1bc\u202ed", "abcd"),
        ("lone \ud800 half", "lone  half"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\u200b\u2060\ufeff", ""),
        ("it hurts \U0001f622", "it hurts \U0001f622"),
    ],
)
def test_what_is_stored_is_what_a_person_sees_and_never_a_command(typed: str, read: str) -> None:
    assert readable(typed) == read


async def test_replies_before_any_message_have_ids_too(agent: StandInAgent, turns: Turns) -> None:
    await turns.run(agent, "web:1", "does it hurt", "message-1")
    events = [event for event in await agent.store.history("web:1") if event["event"] == "bot"]
    ((asked, (reply,)),) = stored_replies(events)
    assert asked is None
    assert reply["id"] == f"{events[0]['timestamp']:.3f}.0"


def test_the_apology_names_the_clinics_phone_only_when_there_is_one() -> None:
    assert "phone the clinic" in technical_texts(CLINIC)["apology"]
    assert "phone the clinic" not in technical_texts(Clinic())["apology"]


def test_every_technical_text_is_one_of_the_reviewed_responses() -> None:
    assert {f"utter_technical_{name}" for name in technical_texts(Clinic())} < set(responses())
