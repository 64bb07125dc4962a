"""Danger now is told from questions about danger, from the past, and from what is denied."""

import pytest

from addons.configuration import ROOT
from addons.understanding.classifier import Scored
from addons.understanding.components import known_words
from addons.understanding.triage import EMERGENCY, SYMPTOM, active_red_flags, is_calm, is_over, triage
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


@pytest.mark.parametrize(
    "text",
    [
        "can it make you stop breathing",
        "if i had trouble breathing what should i do",
        "is anaphylaxis possible with this",
        "can the cream give you a fit",
        "since birth i am blind on one side",
        "i sometimes wheeze in spring",
        "two years ago my face swelled",
        "a friend got pus and fever from hers, how do i avoid that",
    ],
)
def test_what_is_supposed_past_lasting_or_a_story_is_calm(text: str) -> None:
    assert is_calm(text)


@pytest.mark.parametrize(
    "text",
    [
        "my lips are swelling",
        "i cant breathe since the injections",
        "if it gets worse should i call, my throat is tight right now",
        "not sure if it is serious but i cant swallow",
        "my friend had it and now she cant breathe",
        "years ago it was fine but right now my tongue is huge",
        "what should i do my face is swelling",
    ],
)
def test_what_is_happening_is_not_calm(text: str) -> None:
    assert not is_calm(text)


def test_the_past_and_a_story_are_over_but_a_supposition_is_not() -> None:
    assert is_over("i nearly died two years ago")
    assert not is_over("what if i cant breathe")


@pytest.mark.parametrize("text", ["is anaphylaxis possible with this", "if i had trouble breathing what should i do"])
def test_asking_ahead_is_no_emergency_even_where_the_classifier_wavers(text: str) -> None:
    assert decide(text, report_emergency=0.25, faq_aftercare=0.5) is None


def test_a_lasting_condition_is_no_emergency() -> None:
    assert decide("i sometimes wheeze, is it allowed", report_emergency=0.2, faq_contraindications=0.6) is None


def test_another_persons_emergency_now_is_one() -> None:
    assert decide("my husband cant breathe since the injections", report_emergency=0.3) == EMERGENCY


def test_a_denied_sign_beside_a_real_one_does_not_hide_it() -> None:
    assert decide("no fever but i cant breathe", report_emergency=0.3) == EMERGENCY
