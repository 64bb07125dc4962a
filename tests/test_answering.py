"""No answer leaves without saying, in the same message, how limited the evidence is."""

import copy
from datetime import date
from typing import Any

import pytest
import yaml
from rasa.core.channels.channel import CollectingOutputChannel
from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.core.utils import AvailableEndpoints
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from addons.answering import ANSWER, COMPUTED, GRADES, CuratedAnswers
from addons.clinic import Clinic, Price, Reviewer
from addons.configuration import ROOT, ConfigurationError
from commands.content import responses

CHANNELS = ("collector", "queue", "web", "meta", "sms", "telegram", "slack", "cmdline", "socketio", "callback")
ALL = responses()
ANSWERS = sorted(name for name in ALL if name.startswith(ANSWER))
CONCERNS = (None, "skin_ageing", "fat", "cellulite", "hair_loss", "pigmentation", "pain_relief", "scars")
ENDPOINTS = sorted(path for path in ROOT.rglob("endpoints*.yml") if not {".venv", ".tools"} & set(path.parts))
CAVEATS = [variation["text"] for variation in ALL["utter_evidence_caveat"]]


@pytest.fixture(scope="module")
def nlg() -> CuratedAnswers:
    """The class the shipped endpoints file names, made the way the server makes it."""
    endpoints = AvailableEndpoints.read_endpoints(str(ROOT / "endpoints.yml"))
    made = NaturalLanguageGenerator.create(endpoints.nlg, Domain.empty())
    assert isinstance(made, CuratedAnswers)
    made.responses = ALL
    return made


DOMAIN = Domain.load(str(ROOT / "domain.yml"))


def a_conversation(parse_data: dict[str, Any] | None = None, **slots: str | None) -> DialogueStateTracker:
    tracker = DialogueStateTracker("someone", DOMAIN.slots)
    for name, value in slots.items():
        tracker.update(SlotSet(name, value))
    if parse_data is not None:
        intent = parse_data.get("intent", {"name": "nlu_fallback"})
        tracker.update(UserUttered("a message", intent, parse_data={"text": "a message", "intent": intent, **parse_data}))
    return tracker


def asking(*questions: dict[str, Any], ranking: list[str] | None = None) -> dict[str, Any]:
    listed = [{"text": "?", "confidence": 0.9, "concern": None, **question} for question in questions]
    return {
        "intent": {"name": listed[0]["intent"], "confidence": 0.9},
        "intent_ranking": [{"name": name, "confidence": 0.1} for name in ranking or []],
        "questions": listed,
    }


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", ANSWERS)
async def test_every_answer_carries_the_caveat_on_every_channel_for_every_concern(
    nlg: CuratedAnswers, name: str, channel: str
) -> None:
    for concern in CONCERNS:
        message = await nlg.generate(name, a_conversation(concern=concern), channel)
        assert message is not None
        assert any(caveat in message["text"] for caveat in CAVEATS)
        assert "\n\n" not in message["text"], "a blank line would part the caveat from its answer"


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_variation_of_an_answer_carries_the_caveat_its_sources_and_its_date(nlg: CuratedAnswers, name: str) -> None:
    for variation in ALL[name]:
        named = {condition["name"]: condition["value"] for condition in variation.get("condition", [])}
        message = await nlg.generate(name, a_conversation(**named), "collector")
        assert message is not None
        body, caveat, sources = message["text"].rsplit("\n", 2)
        assert body.splitlines()[0] == variation["text"].splitlines()[0].replace("{emergency_number}", "112, 911 or 999")
        assert any(caveat.endswith(text) for text in CAVEATS)
        assert "Checked 2" in sources
        assert message["evidence"] == variation["metadata"]["evidence"]
        assert message["sources"] == variation["metadata"]["sources"]
        assert message["reviewed"] == variation["metadata"]["reviewed"]
        assert message["topics"] == [name.removeprefix(ANSWER)]


@pytest.mark.parametrize("name", sorted(ALL))
async def test_every_response_can_be_said_and_no_placeholder_is_left(nlg: CuratedAnswers, name: str) -> None:
    filled = dict.fromkeys(COMPUTED, "something")
    message = await nlg.generate(name, a_conversation(), "collector", **filled)
    assert message is not None
    assert message["text"].strip()
    assert "{" not in message["text"]


@pytest.mark.parametrize("metadata", [None, {}, {"evidence": "established"}, {"evidence": "excellent"}])
async def test_an_answer_without_a_known_grade_is_treated_as_the_weakest(
    nlg: CuratedAnswers, metadata: dict[str, Any] | None
) -> None:
    bare: dict[str, Any] = {"text": "An answer."} if metadata is None else {"text": "An answer.", "metadata": metadata}
    nlg.responses = {**ALL, "utter_faq_cost": [bare]}
    try:
        message = await nlg.generate("utter_faq_cost", a_conversation(), "collector")
    finally:
        nlg.responses = ALL
    assert message is not None
    assert message["evidence"] == "none"
    assert any(caveat in message["text"] for caveat in CAVEATS)


@pytest.mark.parametrize("name", sorted(ALL))
async def test_what_channels_build_an_answer_from_is_what_its_text_says(nlg: CuratedAnswers, name: str) -> None:
    filled = dict.fromkeys(COMPUTED, "something")
    message = await nlg.generate(name, a_conversation(), "collector", **filled)
    assert message is not None
    parts = [message["body"], message.get("caveat"), message.get("sources_line")]
    assert message["text"] == "\n".join(part for part in parts if part)
    assert message["language"] == "en"
    if name.startswith(ANSWER):
        assert [link["id"] for link in message["source_links"]] == message["sources"]
        assert all(link["label"] in message["sources_line"] for link in message["source_links"])
        assert all(link.get("url", "https://").startswith("https://") for link in message["source_links"])


async def test_an_emergency_reply_says_which_numbers_to_call(nlg: CuratedAnswers) -> None:
    message = await nlg.generate("utter_report_emergency", a_conversation(), "collector")
    assert message is not None
    assert message["call"] == ["112", "911", "999"]


async def test_asked_for_sources_after_an_answer_it_lists_that_answers_sources_and_how_strong_they_are(
    nlg: CuratedAnswers,
) -> None:
    tracker = a_conversation()
    before = await nlg.generate("utter_ask_sources", tracker, "collector")
    tracker.update(BotUttered("An answer.", metadata={"topics": ["cost"], "sources": ["amin_2006"], "reviewed": "2026-11-23"}))
    after = await nlg.generate("utter_ask_sources", tracker, "collector")
    assert before is not None
    assert after is not None
    assert before["text"].endswith(ALL["utter_ask_sources"][0]["text"])
    assert "Amin 2006: Amin SP et al." in after["text"]
    assert ALL["utter_source_kind_observational"][0]["text"] in after["text"]
    assert after["source_links"][0]["url"].startswith("https://doi.org/")


def with_clinic(nlg: CuratedAnswers, clinic: Clinic) -> CuratedAnswers:
    other = copy.copy(nlg)
    other._clinic, other._placeholders = clinic, clinic.placeholders()
    return other


async def test_who_asks_for_sources_is_told_who_wrote_the_answers_and_who_reviewed_them_or_that_nobody_has(
    nlg: CuratedAnswers,
) -> None:
    reviewed = with_clinic(nlg, Clinic(reviewed_by=Reviewer("A. Reviewer", "MD, GMC 0000000", date(2026, 11, 25))))
    answered = a_conversation()
    answered.update(BotUttered("An answer.", metadata={"topics": ["cost"], "sources": ["amin_2006"], "reviewed": "2026-11-23"}))
    with_another = a_conversation(asking({"intent": "ask_sources"}, {"intent": "faq_cost"}))
    for tracker in (a_conversation(), answered, with_another):
        by_default = await nlg.generate("utter_ask_sources", tracker, "collector")
        named = await reviewed.generate("utter_ask_sources", tracker, "collector")
        assert by_default is not None
        assert named is not None
        assert ALL["utter_authors_not_reviewed"][0]["text"] in by_default["text"]
        assert "A. Reviewer, MD, GMC 0000000, reviewed the answers for this clinic on 25 November 2026." in named["text"]
        assert "No clinician" not in named["text"]
        assert "not clinicians" in named["text"], "a reviewer did not write them"


async def test_who_asks_whether_this_is_a_person_is_told_who_wrote_and_reviewed_the_answers(nlg: CuratedAnswers) -> None:
    reviewed = with_clinic(nlg, Clinic(reviewed_by=Reviewer("A. Reviewer", "MD, GMC 0000000", date(2026, 11, 25))))
    by_default = await nlg.generate("utter_bot_challenge", a_conversation(), "collector")
    named = await reviewed.generate("utter_bot_challenge", a_conversation(), "collector")
    assert by_default is not None
    assert named is not None
    assert by_default["text"].startswith("This is software")
    assert "No clinician has reviewed the answers" in by_default["text"]
    assert "A. Reviewer" in named["text"]
    assert "No clinician" not in named["text"]


async def test_a_clinics_own_prices_come_first_and_the_published_ranges_after(nlg: CuratedAnswers) -> None:
    prices = (Price("Scalp", 150, 200, "EUR", "hair_loss"), Price("Face", 180, 180, "EUR", "skin_ageing"))
    clinic = with_clinic(nlg, Clinic(prices=prices))
    message = await clinic.generate("utter_faq_cost", a_conversation(concern="hair_loss"), "collector")
    assert message is not None
    lines = message["text"].splitlines()
    assert lines[1] == "- Scalp: 150–200 EUR"
    assert "Face" not in message["text"]
    assert "$250 to $600" in lines[3]
    assert message["caveat"] in lines[-2]


async def test_a_sum_counts_with_the_clinics_own_prices_first_and_says_its_arithmetic(nlg: CuratedAnswers) -> None:
    clinic = with_clinic(
        nlg, Clinic(prices=(Price("Scalp", 150, 200, "EUR", "hair_loss"), Price("Face", 180, 180, "EUR", "scars")))
    )
    asked = asking({"intent": "faq_cost", "concern": "hair_loss", "sessions": [6, 6]})
    message = await clinic.generate("utter_faq_cost", a_conversation(asked), "collector")
    assert message is not None
    lines = message["body"].splitlines()
    assert lines[1] == "- This clinic, Scalp: 6 x 150–200 EUR = 900–1,200 EUR"
    assert lines[2].endswith("6 x 250–600 USD = 1,500–3,600 USD")
    assert "Face" not in message["body"]
    assert message["topics"] == ["cost"]
    assert message["caveat"] in message["text"]


async def test_a_sum_among_several_questions_keeps_its_heading_and_the_caveat_once(nlg: CuratedAnswers) -> None:
    asked = asking({"intent": "faq_cost", "sessions": [6, 6]}, {"intent": "faq_pain"})
    message = await nlg.generate("utter_faq_cost", a_conversation(asked), "collector")
    assert message is not None
    assert message["body"].startswith("How much does it cost?\nA rough sum")
    assert message["topics"] == ["cost", "pain"]
    assert sum(message["text"].count(caveat) for caveat in CAVEATS) == 1


async def test_the_checks_list_carries_the_caveat_and_its_sources(nlg: CuratedAnswers) -> None:
    message = await nlg.generate("utter_check_summary", a_conversation(check_scars="yes", check_mood="no"), "collector")
    assert message is not None
    assert ALL["utter_check_yes_scars"][0]["text"] in message["body"]
    assert ALL["utter_check_yes_mood"][0]["text"].split("{")[0] not in message["body"]
    assert message["text"] == "\n".join([message["body"], message["caveat"], message["sources_line"]])


async def test_the_check_is_not_offered_where_the_answer_is_no(nlg: CuratedAnswers) -> None:
    for named, offered in [({}, True), ({"concern": "hair_loss"}, True), ({"condition": "pregnancy"}, False)]:
        message = await nlg.generate(
            "utter_faq_candidacy", a_conversation(asking({"intent": "faq_candidacy", **named})), "collector"
        )
        assert message is not None
        assert ("Start the short check" in message["body"]) is offered
        assert bool(message.get("buttons")) is offered


async def test_two_topics_about_equally_likely_are_asked_about(nlg: CuratedAnswers) -> None:
    def ranked(*ranking: tuple[str, float]) -> dict[str, Any]:
        listed = [{"name": name, "confidence": confidence} for name, confidence in ranking]
        return {"intent": {"name": "nlu_fallback"}, "text": "hm", "intent_ranking": listed}

    near = await nlg.generate("utter_fallback", a_conversation(ranked(("faq_cost", 0.2), ("faq_pain", 0.18))), "collector")
    far = await nlg.generate("utter_fallback", a_conversation(ranked(("faq_cost", 0.2), ("faq_pain", 0.05))), "collector")
    assert near is not None
    assert far is not None
    assert near["body"] == ALL["utter_which_topic"][0]["text"]
    assert near["offered"] == ["faq_cost", "faq_pain"]
    assert far["body"] != near["body"]


async def test_the_clinics_country_counts_where_none_is_named_and_a_named_one_counts_more(nlg: CuratedAnswers) -> None:
    clinic = with_clinic(nlg, Clinic(country="france"))

    async def said(**named: str) -> str:
        message = await clinic.generate("utter_faq_regulation", a_conversation(None, **named), "collector")
        assert message is not None
        return str(message["body"])

    variations = {v["condition"][0]["value"]: v["text"] for v in ALL["utter_faq_regulation"] if v.get("condition")}
    assert await said() == variations["france"].rstrip()
    assert await said(country="us") == variations["us"].rstrip()
    assert await said(concern="cellulite") == variations.get("cellulite", variations["france"]).rstrip()


def test_a_model_without_the_caveat_does_not_load(nlg: CuratedAnswers) -> None:
    without = {name: variations for name, variations in ALL.items() if name != "utter_evidence_caveat"}
    with pytest.raises(ConfigurationError, match="utter_evidence_caveat"):
        nlg.responses = without


async def test_several_questions_are_answered_in_the_order_asked_with_the_caveat_once(nlg: CuratedAnswers) -> None:
    asked = asking({"intent": "faq_cost", "concern": "hair_loss"}, {"intent": "faq_pain"}, {"intent": "faq_recovery"})
    message = await nlg.generate("utter_faq_cost", a_conversation(asked), "collector")
    assert message is not None
    assert message["topics"] == ["cost", "pain", "recovery"]
    assert message["concern"] == "hair_loss"
    assert sum(message["text"].count(caveat) for caveat in CAVEATS) == 1
    titles = [ALL[f"utter_faq_{topic}"][0]["metadata"]["title"] for topic in message["topics"]]
    assert sorted(message["text"].index(title) for title in titles) == [message["text"].index(t) for t in titles]
    grades = [GRADES.index(ALL[f"utter_faq_{topic}"][-1]["metadata"]["evidence"]) for topic in message["topics"][1:]]
    assert GRADES.index(message["evidence"]) <= min(grades)


async def test_what_the_question_names_counts_more_than_what_the_conversation_remembers(nlg: CuratedAnswers) -> None:
    asked = asking({"intent": "faq_effectiveness", "concern": "hair_loss"})
    message = await nlg.generate("utter_faq_effectiveness", a_conversation(asked, concern="fat"), "collector")
    assert message is not None
    assert message["concern"] == "hair_loss"


async def test_an_unsure_reply_offers_the_three_nearest_topics_as_plain_questions(nlg: CuratedAnswers) -> None:
    asked = {
        "intent": {"name": "nlu_fallback"},
        "intent_ranking": [{"name": name} for name in ("nlu_fallback", "faq_cost", "greet", "faq_pain", "faq_diy", "faq_uses")],
    }
    message = await nlg.generate("utter_fallback", a_conversation(asked), "collector")
    assert message is not None
    assert message["offered"] == ["faq_cost", "faq_pain", "faq_diy"]
    assert message["safety"] == "fallback"
    assert [button["title"] for button in message["buttons"]] == [button["payload"] for button in message["buttons"]]
    assert not [button for button in message["buttons"] if button["payload"].startswith("/")]


async def test_facts_about_an_answer_are_kept_with_the_conversation(nlg: CuratedAnswers) -> None:
    from rasa.core.actions.action import create_bot_utterance

    message = await nlg.generate("utter_faq_cost", a_conversation(), "collector")
    assert message is not None
    event: BotUttered = create_bot_utterance({**message, "utter_action": "utter_faq_cost"})
    assert {"topics", "concern", "evidence", "sources", "reviewed"} <= set(event.metadata)


async def test_every_channel_that_parts_texts_at_blank_lines_sends_an_answer_as_one_message(
    nlg: CuratedAnswers,
) -> None:
    message = await nlg.generate("utter_faq_cost", a_conversation(), "collector")
    assert message is not None
    channel = CollectingOutputChannel()
    await channel.send_response("someone", {"text": message["text"]})
    assert len(channel.messages) == 1


def test_no_rule_or_story_speaks_texts_of_its_own() -> None:
    for path in (ROOT / "data").rglob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for rule in content.get("rules", []) if isinstance(content, dict) else []:
            assert not [step for step in rule["steps"] if "bot" in step]
        assert "stories" not in content


def test_no_fallback_that_asks_by_intent_name_is_configured() -> None:
    text = (ROOT / "config.yml").read_text(encoding="utf-8") + (ROOT / "domain.yml").read_text(encoding="utf-8")
    assert "two_stage" not in text
    assert "TwoStage" not in text


@pytest.mark.parametrize("path", ENDPOINTS, ids=lambda path: path.name)
def test_every_endpoints_file_names_the_answering_class(path: Any) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["nlg"]["type"] == "addons.answering.CuratedAnswers"
