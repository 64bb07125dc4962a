"""Danger now is told from questions about danger, from the past, and from what is denied."""

import pytest

from addons.configuration import ROOT
from addons.understanding.classifier import Scored
from addons.understanding.components import known_words
from addons.understanding.triage import EMERGENCY, SYMPTOM, active_red_flags, triage
from addons.understanding.vocabulary import Vocabulary, read_phrases

VOCABULARY = Vocabulary(read_phrases(ROOT / "data" / "vocabulary"), known_words())


def decide(text: str, **probabilities: float) -> str | None:
    """Triage a message the classifier gave these probabilities; the rest goes to serious_risks."""
    rest = 1 - sum(probabilities.values())
    ranking = sorted({"faq_serious_risks": rest, **probabilities}.items(), key=lambda entry: -entry[1])
    doc = VOCABULARY.read(text)
    return triage(doc, VOCABULARY.mentions(doc), Scored(ranking, 0.8, "", "")).intent


@pytest.mark.parametrize("text", ["i cant breathe since the injections", "my tongue is swelling right now"])
def test_a_red_flag_that_is_happening_is_an_emergency_even_when_the_classifier_doubts(text: str) -> None:
    assert decide(text, report_emergency=0.15, report_symptom=0.2) == EMERGENCY


@pytest.mark.parametrize("text", ["can it make you stop breathing", "is it possible to go blind from it"])
def test_a_question_about_a_danger_is_a_question(text: str) -> None:
    assert decide(text, report_emergency=0.2) is None


def test_what_was_long_ago_is_no_emergency() -> None:
    assert decide("ten years ago i stopped breathing after a bee sting", report_emergency=0.3) != EMERGENCY


def test_a_denied_sign_is_none() -> None:
    doc = VOCABULARY.read("a small bruise, no trouble breathing")
    assert active_red_flags(doc, VOCABULARY.mentions(doc)) == []


def test_in_doubt_between_urgent_and_symptom_it_is_urgent() -> None:
    assert decide("the skin looks odd", report_symptom=0.45, report_emergency=0.4) == EMERGENCY


def test_a_plain_symptom_stays_one() -> None:
    assert decide("a bit of itching", report_symptom=0.8, report_emergency=0.02) in (None, SYMPTOM)


def test_self_harm_needs_little_to_be_taken_seriously() -> None:
    assert decide("i want to die because of my face", report_emergency=0.06) == EMERGENCY
