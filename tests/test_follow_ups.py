"""A short message is read in the light of the last answer; a new question stands on its own."""

import pytest

from addons.configuration import ROOT
from addons.understanding.components import known_words
from addons.understanding.follow_ups import Context, resolve
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
    "text", ["and for hair?", "what about my wrinkles", "for men", "even if im on warfarin?", "why", "tell me more"]
)
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
