"""What a patient's message leads to, in the trained assistant, through the entry every channel uses."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.assistant import Assistant, Turn
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
    check_one_reply_with_its_caveat(await assistant.say(text))


PIECES = [
    "how much", "is it", "does it hurt", "and", "or", "also", ",", "?", "\n", "- ", "1. ", "2) ", "before and after", "for hair",
    "my face", "i cant breathe", "no fever", "warfarin", "botox", "thanks", "hi", "💉", "why", "сколько", "x" * 200,
    "cost/sessions", "...", "/", "first,",
]  # fmt: skip


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages=st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join), min_size=1, max_size=3))
async def test_any_jumble_of_what_people_write_gets_one_reply_a_turn_in_any_conversation(
    assistant: Assistant, messages: list[str]
) -> None:
    conversation = assistant.new_conversation()
    for message in messages:
        turn = await assistant.say(message, conversation)
        check_one_reply_with_its_caveat(turn)
        assert 1 <= len(turn.understood["questions"]) <= 3


def check_one_reply_with_its_caveat(turn: Turn) -> None:
    assert len(turn.replies) == len(turn.metadata) == 1
    assert turn.text
    if turn.metadata[0].get("topics"):
        assert any(caveat in turn.text for caveat in CAVEATS)


async def asked(assistant: Assistant, *messages: str) -> Turn:
    conversation = assistant.new_conversation()
    for message in messages[:-1]:
        await assistant.say(message, conversation)
    return await assistant.say(messages[-1], conversation)


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("is it sore and what do i pay", ["faq_pain", "faq_cost"]),
        ("price, visits, bruises", ["faq_cost", "faq_sessions", "faq_side_effects"]),
        ("what to do before and after", ["faq_preparation", "faq_aftercare"]),
        ("what does it cost does it hurt", ["faq_cost", "faq_pain"]),
        ("1. price 2. does it hurt", ["faq_cost", "faq_pain"]),
        ("what does it cost? and what is the capital of norway?", ["faq_cost", "out_of_scope"]),
        ("Hello, my sister had it in Spain. She was happy. Does it hurt? What does it cost?", ["faq_pain", "faq_cost"]),
        ("what does it cost for fat and for hair", ["faq_cost", "faq_cost"]),
        ("does it hurt? does it hurt??", ["faq_pain"]),
        ("price? does it hurt? is it safe? how many visits?", ["faq_cost", "faq_pain", "faq_serious_risks"]),
        ("can i drink wine and coffee afterwards", ["faq_aftercare"]),
        ("i have lupus. is that a problem?", ["faq_contraindications"]),
    ],
)
async def test_the_questions_of_a_message_are_answered_in_the_order_asked(
    assistant: Assistant, text: str, intents: list[str]
) -> None:
    turn = await assistant.say(text)
    assert turn.intents == intents
    assert len(turn.replies) == 1


async def test_a_part_that_is_not_ours_is_named_and_the_rest_answered(assistant: Assistant) -> None:
    turn = await assistant.say("what does it cost? and what is the capital of norway?")
    assert turn.metadata[0]["topics"] == ["cost"]
    assert "capital of norway" in turn.text


async def test_a_correction_keeps_the_topic_and_takes_the_new_concern(assistant: Assistant) -> None:
    turn = await asked(assistant, "what does it cost for fat", "no i mean for scars")
    assert (turn.metadata[0]["topics"], turn.metadata[0]["concern"]) == (["cost"], "scars")


async def test_why_and_tell_me_more_are_about_the_last_answer(assistant: Assistant) -> None:
    for message in ("why", "tell me more"):
        assert (await asked(assistant, "does it hurt", message)).intent == "faq_pain"


async def test_a_condition_named_after_an_answer_asks_whether_it_is_allowed(assistant: Assistant) -> None:
    assert (await asked(assistant, "what are the risks", "even if im on warfarin?")).intent == "faq_contraindications"


async def test_after_an_emergency_the_action_is_repeated_until_something_else_is_plainly_asked(assistant: Assistant) -> None:
    first = "my throat is closing up since the injections"
    for vague in ("ok", "it is still tight", "what now"):
        assert (await asked(assistant, first, vague)).metadata[0]["safety"] == "emergency"
    assert (await asked(assistant, first, "how much does it cost?")).metadata[0]["topics"] == ["cost"]


async def test_danger_in_one_sentence_is_not_drowned_by_the_others(assistant: Assistant) -> None:
    turn = await assistant.say("Can it cause this? I had the session for my hair today. My tongue is huge and I cant breathe.")
    assert turn.metadata[0]["safety"] == "emergency"


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
    assert "Can I talk to a person?" not in [button["title"] for button in first.replies[0]["buttons"]]
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
