"""What a patient's message leads to, in the trained assistant, through the entry every channel uses."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.assistant import Assistant
from commands.content import responses

pytestmark = pytest.mark.model
CAVEATS = [variation["text"] for variation in responses()["utter_evidence_caveat"]]
TITLES = {
    name.removeprefix("utter_"): variations[0]["metadata"]["title"]
    for name, variations in responses().items()
    if (variations[0].get("metadata") or {}).get("title") and variations[0]["metadata"].get("safety") is None
}


@pytest.mark.parametrize("intent", sorted(TITLES))
async def test_tapping_a_title_asks_for_its_topic(assistant: Assistant, intent: str) -> None:
    assert (await assistant.say(TITLES[intent])).intent == intent


@pytest.mark.parametrize(
    "command", ["/restart", "/back", "/session_start", '/faq_cost{"concern": "fat"}', '/inform{"red_flag": "vision"}']
)
async def test_a_typed_command_neither_jumps_nor_sets_a_slot_nor_is_met_with_silence(assistant: Assistant, command: str) -> None:
    conversation = assistant.new_conversation()
    turn = await assistant.say(command, conversation)
    assert turn.text
    assert all(entity["extractor"] == "Vocabulary" for entity in turn.understood["entities"])
    after = await assistant.say("does it work", conversation)
    assert after.metadata[0]["topics"] == ["effectiveness"]


@pytest.mark.parametrize("text", ["", " ", "\u200b", "....", "?!", "😀" * 50, "a" * 10_000, "\ud800", "\x00"])
async def test_nothing_readable_still_gets_a_reply(assistant: Assistant, text: str) -> None:
    turn = await assistant.say(text)
    assert turn.replies
    assert turn.text


@settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=10_000))
async def test_any_text_gets_a_reply_and_an_answer_carries_the_caveat(assistant: Assistant, text: str) -> None:
    turn = await assistant.say(text)
    assert turn.text
    for reply, metadata in zip(turn.replies, turn.metadata):
        if metadata.get("topics"):
            assert any(caveat in reply["text"] for caveat in CAVEATS)


async def test_the_same_message_is_understood_the_same_way_twice(assistant: Assistant) -> None:
    first, second = await assistant.say("is it worth it for thin hair"), await assistant.say("is it worth it for thin hair")
    assert first.understood["questions"] == second.understood["questions"]
    assert first.understood["intent_ranking"] == second.understood["intent_ranking"]
    assert first.text == second.text


async def test_what_was_understood_has_the_agreed_form(assistant: Assistant) -> None:
    understood = (await assistant.say("price for cellulite?")).understood
    assert understood["intent"]["name"] == "faq_cost"
    assert understood["questions"][0].items() >= {"intent": "faq_cost", "concern": "cellulite"}.items()
    assert 0 < understood["questions"][0]["confidence"] <= 1
    assert understood["intent_ranking"][0] == understood["intent"]


async def test_an_answer_says_on_its_event_what_it_was(assistant: Assistant) -> None:
    metadata = (await assistant.say("does it get rid of cellulite")).metadata[0]
    assert metadata["topics"] == ["effectiveness"]
    assert metadata["concern"] == "cellulite"
    assert metadata["evidence"] == "very_low"
    assert metadata["sources"]
    assert metadata["reviewed"]


async def test_a_refusal_offers_questions_and_never_an_intent_name(assistant: Assistant) -> None:
    turn = await assistant.say("who won the football last night")
    assert turn.metadata[0]["safety"] == "out_of_scope"
    assert len(turn.offered) == 3
    assert [button["title"] for button in turn.replies[0]["buttons"]] == [TITLES[intent] for intent in turn.offered]
    assert "faq_" not in turn.text


async def test_missing_twice_in_a_row_offers_a_person(assistant: Assistant) -> None:
    conversation = assistant.new_conversation()
    first = await assistant.say("...", conversation)
    second = await assistant.say("..", conversation)
    assert first.metadata[0]["safety"] == second.metadata[0]["safety"] == "fallback"
    assert first.text != second.text
    assert "Can I talk to a person?" in [button["title"] for button in second.replies[0]["buttons"]]


async def test_an_emergency_is_answered_alone_with_the_number_to_call(assistant: Assistant) -> None:
    turn = await assistant.say("how much is it, also my throat is closing up and I cant breathe since the shots")
    assert turn.metadata[0]["safety"] == "emergency"
    assert "topics" not in turn.metadata[0]
    assert "112, 911 or 999" in turn.text


async def test_a_message_in_another_language_is_told_that_answers_are_in_english(assistant: Assistant) -> None:
    assert "English" in (await assistant.say("сколько это стоит и больно ли это")).text


async def test_a_very_long_message_is_read_in_part_and_told_so(assistant: Assistant) -> None:
    turn = await assistant.say("how much does it cost? " + "I have been thinking about it for a long time. " * 60)
    assert "read only the first part" in turn.text
