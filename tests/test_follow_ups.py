"""A short message is read in the light of the last answer; a new question stands on its own."""

from typing import Any

import pytest
from rasa.shared.core.events import BotUttered, Event, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from addons.configuration import ROOT
from addons.understanding.components import known_words, recent_context
from addons.understanding.follow_ups import Context, remembered, resolve
from addons.understanding.questions import Question, Understood
from addons.understanding.vocabulary import Vocabulary, read_phrases

VOCABULARY = Vocabulary(read_phrases(ROOT / "data" / "vocabulary"), known_words())
AFTER_COST = Context("faq_cost", "fat")


def read(text: str, context: Context, intent: str = "nlu_fallback", confidence: float = 0.1) -> Question:
    doc = VOCABULARY.read(text)
    mentions = VOCABULARY.mentions(doc)
    named = {mention.kind: mention.value for mention in mentions}
    alone = Understood([Question(text, intent, confidence, 0.5, named, "alone")], [(intent, confidence)])
    return resolve(alone, doc, mentions, context).questions[0]


@pytest.mark.parametrize(
    "text",
    ["and for hair?", "what about my wrinkles", "for men", "for three sessions", "only one", "why", "tell me more",
     "i dont get it", "in plain english", "like what"],
)  # fmt: skip
def test_a_leaning_message_takes_the_last_topic(text: str) -> None:
    assert read(text, AFTER_COST).intent == "faq_cost"


def test_a_named_concern_wins_over_the_remembered_one() -> None:
    assert read("and for hair?", AFTER_COST).named["concern"] == "hair_loss"


def test_a_question_without_a_concern_takes_the_conversations() -> None:
    assert read("is it sore", AFTER_COST, "faq_pain", 0.9).named["concern"] == "fat"


def test_a_clearly_new_question_wins() -> None:
    assert read("and does it hurt", AFTER_COST, "faq_pain", 0.9).intent == "faq_pain"


def test_without_recent_context_nothing_changes() -> None:
    assert read("and for hair?", Context()).intent == "nlu_fallback"


def test_after_an_emergency_a_vague_message_repeats_the_action() -> None:
    assert (
        read("it is getting a bit better i think", Context("report_emergency"), "report_symptom", 0.6).intent
        == "report_emergency"
    )
    assert read("ok what does it cost", Context("report_emergency"), "faq_cost", 0.9).intent == "faq_cost"


def test_talk_about_a_symptom_goes_on() -> None:
    assert read("two weeks ago", Context("report_symptom")).intent == "report_symptom"


@pytest.mark.parametrize("intent", ["help", "thank", "affirm", "out_of_scope", "nlu_fallback"])
def test_small_talk_after_an_emergency_repeats_the_action(intent: str) -> None:
    assert read("what should i do", Context("report_emergency"), intent, 0.9).intent == "report_emergency"


@pytest.mark.parametrize("text", ["what about botox", "vs finasteride", "and filler?"])
def test_naming_only_another_treatment_asks_for_a_comparison(text: str) -> None:
    assert read(text, AFTER_COST).intent == "faq_alternatives"


@pytest.mark.parametrize("text", ["even if im on warfarin?", "and with lupus", "but i'm pregnant"])
def test_naming_only_a_condition_or_medicine_asks_whether_it_is_allowed(text: str) -> None:
    assert read(text, AFTER_COST).intent == "faq_contraindications"


def test_a_fragment_belongs_to_the_last_question_even_where_its_words_sound_like_another() -> None:
    assert read("for three sessions", AFTER_COST, "faq_sessions", 0.75).intent == "faq_cost"
    assert read("how many sessions", AFTER_COST, "faq_sessions", 0.75).intent == "faq_sessions"


def test_an_unsure_short_question_is_more_probably_about_the_last_topic() -> None:
    doc = VOCABULARY.read("how far apart")
    alone = Understood(
        [Question(doc.text, "faq_procedure", 0.33, 0.7, {}, "alone", unsure=True)],
        [("faq_procedure", 0.33), ("faq_sessions", 0.3)],
    )
    question = resolve(alone, doc, [], Context("faq_sessions")).questions[0]
    assert question.intent == "faq_sessions"
    assert not question.unsure


def test_a_message_of_more_than_a_few_words_is_not_bent_to_the_last_topic() -> None:
    text = "and then the bus to the city was late again this morning"
    assert read(text, AFTER_COST).intent == "nlu_fallback"


def test_a_correction_takes_the_concern_and_keeps_the_topic() -> None:
    question = read("no i mean scars", AFTER_COST)
    assert (question.intent, question.named["concern"]) == ("faq_cost", "scars")


def test_a_place_that_cannot_have_the_concern_ends_it() -> None:
    question = read("no, for my face", AFTER_COST)
    assert question.intent == "faq_cost"
    assert "concern" not in question.named
    assert remembered("fat", {"belly"}) == "fat"
    assert remembered("fat", {"face"}) is None
    assert remembered(None, {"face"}) is None


@pytest.mark.parametrize(
    ("text", "intent", "confidence", "expected"),
    [
        ("they are not painful", "faq_pain", 0.92, "report_symptom"),
        ("should i worry", "faq_side_effects", 0.6, "report_symptom"),
        ("is that dangerous", "faq_serious_risks", 0.9, "report_symptom"),
        ("what do i do tonight", "faq_aftercare", 0.9, "report_symptom"),
        ("should i ring them", "faq_choosing_provider", 0.9, "report_symptom"),
        ("can i take an antihistamine for it", "faq_contraindications", 0.9, "report_symptom"),
        ("how long will it last", "faq_recovery", 0.9, "report_symptom"),
        ("when can i go swimming", "faq_aftercare", 0.9, "faq_aftercare"),
        ("why", "nlu_fallback", 0.1, "report_symptom"),
        ("what does it cost", "faq_cost", 0.9, "faq_cost"),
        ("thanks", "thank", 0.9, "thank"),
        ("can i talk to someone", "request_human", 0.9, "request_human"),
        ("i cannot breathe", "report_emergency", 0.9, "report_emergency"),
    ],
)
def test_after_a_symptom_what_is_told_goes_on_about_it(text: str, intent: str, confidence: float, expected: str) -> None:
    assert read(text, Context("report_symptom"), intent, confidence).intent == expected


@pytest.mark.parametrize(
    ("text", "intent", "confidence"),
    [
        ("the pain is spreading", "faq_pain", 0.9),
        ("my friend is with me", "request_human", 0.3),
        ("why", "nlu_fallback", 0.1),
        ("for how long", "faq_recovery", 0.4),
        ("how long will it last", "faq_results_timeline", 0.99),
        ("can i put cream on it", "faq_aftercare", 0.99),
    ],
)
def test_after_an_emergency_what_is_not_plainly_asked_repeats_the_action(text: str, intent: str, confidence: float) -> None:
    assert read(text, Context("report_emergency"), intent, confidence).intent == "report_emergency"


def test_after_an_emergency_a_question_that_still_tells_of_it_repeats_the_action() -> None:
    doc = VOCABULARY.read("how long will my throat be tight")
    ranking = [("faq_side_effects", 0.55), ("report_emergency", 0.35)]
    alone = Understood([Question(doc.text, *ranking[0], 0.7, {}, "alone")], ranking)
    assert resolve(alone, doc, [], Context("report_emergency")).questions[0].intent == "report_emergency"


def test_a_person_may_be_asked_for_after_an_emergency() -> None:
    assert read("can i talk to a person", Context("report_emergency"), "request_human", 0.9).intent == "request_human"


def test_several_questions_at_once_stand_on_their_own_and_take_the_concern() -> None:
    doc = VOCABULARY.read("is it sore and will it bruise")
    both = [
        Question("is it sore", "faq_pain", 0.9, 0.9, {}, ""),
        Question("will it bruise", "faq_side_effects", 0.9, 0.9, {}, ""),
    ]
    read_again = resolve(Understood(both, [("faq_pain", 0.9)]), doc, [], AFTER_COST)
    assert [question.intent for question in read_again.questions] == ["faq_pain", "faq_side_effects"]
    assert all(question.named["concern"] == "fat" for question in read_again.questions)


NOW = 1_000_000.0


def said(text: str, ago: float, concern: str | None = None, area: str | None = None) -> UserUttered:
    entities = [{"entity": "body_area", "value": area}] if area else []
    parse_data: Any = {"questions": [{"concern": concern}], "entities": entities}
    return UserUttered(text, parse_data=parse_data, timestamp=NOW - ago)


def answered(ago: float, **metadata: Any) -> BotUttered:
    return BotUttered("...", metadata=metadata, timestamp=NOW - ago)


def context(*events: Event) -> Context:
    tracker = DialogueStateTracker("someone", [], max_event_history=None)
    tracker.events.extend(events)
    return recent_context(tracker, NOW)


def test_the_context_is_the_last_answer_and_the_last_concern() -> None:
    events = said("cost for fat", 60, "fat"), answered(59, topics=["cost"]), said("is it sore", 30), answered(29, topics=["pain"])
    assert context(*events) == Context("faq_pain", "fat")


def test_the_context_lapses_after_ten_minutes() -> None:
    assert context(said("cost for fat", 601, "fat"), answered(601, topics=["cost"])) == Context()
    assert context(said("cost for fat", 599, "fat"), answered(599, topics=["cost"])) == Context("faq_cost", "fat")


def test_the_context_lapses_after_five_turns() -> None:
    first = [said("cost for fat", 500, "fat"), answered(499, topics=["cost"])]
    chat = [event for ago in range(100, 40, -10) for event in (said("hm", ago), answered(ago, utter_action="utter_affirm"))]
    assert context(*first, *chat[:8]) == Context("faq_cost", "fat")
    assert context(*first, *chat[:12]) == Context()


def test_the_context_ends_with_the_session() -> None:
    assert context(said("cost for fat", 60, "fat"), answered(59, topics=["cost"]), SessionStarted(timestamp=NOW - 5)) == Context()


def test_a_place_named_later_ends_a_concern_it_cannot_have() -> None:
    events = [said("cost for fat", 60, "fat"), answered(59, topics=["cost"]), said("no, my face", 30, None, "face")]
    assert context(*events, answered(29, topics=["cost"])) == Context("faq_cost", None)


def test_a_symptom_is_what_the_talk_is_about_only_right_after_its_reply() -> None:
    reply = answered(59, safety="symptom")
    assert context(said("it itches", 60), reply) == Context("report_symptom")
    assert context(said("it itches", 60), reply, said("ok", 30), answered(29, utter_action="utter_affirm")) == Context()
