"""The content keeps its promises: names agree, everything is taught, answered, sourced and readable."""

import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from addons.answering import ANSWER, COMPUTED, GRADES, TOPIC
from addons.clinic import Clinic
from addons.configuration import ROOT
from addons.understanding.tidy import tidy
from addons.understanding.vocabulary import read_phrases
from commands.content import data_files, examples, responses
from commands.reading import reading_grade, sentences, word_count

DOMAIN = yaml.safe_load((ROOT / "domain.yml").read_text(encoding="utf-8"))
SOURCES = yaml.safe_load((ROOT / "data" / "sources.yml").read_text(encoding="utf-8"))
VOCABULARY = read_phrases(ROOT / "data" / "vocabulary")
TOPIC_FILES = sorted((ROOT / "data" / "topics").glob("*.yml"))
INTENT_FILES = [
    *TOPIC_FILES,
    *sorted((ROOT / "data" / "conversation").glob("*.yml")),
    *[ROOT / "data" / "safety" / f"{case}.yml" for case in ("report_emergency", "report_symptom", "out_of_scope")],
]
RESPONSES = responses()
EXAMPLES = examples()
ANSWERS = [
    (name, index, variation)
    for name, variations in RESPONSES.items()
    for index, variation in enumerate(variations)
    if name.startswith(ANSWER)
]
SPOKEN = [(name, index, variation) for name, variations in RESPONSES.items() for index, variation in enumerate(variations)]
KEYS = {"version", "nlu", "responses", "rules"}
CORE = {
    "faq_cost", "faq_effectiveness", "faq_side_effects", "faq_serious_risks", "faq_recovery", "faq_candidacy",
    "faq_contraindications", "report_emergency", "report_symptom",
}  # fmt: skip
BANNED = (
    "miracle", "guaranteed", "safe and effective", "non-invasive", "into the mesoderm", "fda-approved mesotherapy",
    "you are fine", "you're fine", "painless", "no side effects", "melts fat", "doctors agree",
)  # fmt: skip
# Filled by the answering class when it joins the lines under an answer.
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def name_of(case: tuple[str, int, dict[str, Any]]) -> str:
    return f"{case[0]}[{case[1]}]"


def intent_of(path: Any) -> str:
    return f"{TOPIC}{path.stem}" if path.parent.name == "topics" else str(path.stem)


@pytest.mark.parametrize("path", INTENT_FILES, ids=lambda path: path.stem)
def test_the_intent_response_and_rule_of_a_file_carry_its_name(path: Any) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    intent = intent_of(path)
    assert set(content) <= KEYS
    assert [block["intent"] for block in content["nlu"]] == [intent]
    assert f"utter_{intent}" in content["responses"]
    assert [rule["rule"] for rule in content["rules"]] == [intent]
    steps = content["rules"][0]["steps"]
    assert steps[:2] == [{"intent": intent}, {"action": f"utter_{intent}"}]


def test_every_intent_of_the_domain_has_a_file_and_every_file_an_intent() -> None:
    assert Counter(DOMAIN["intents"]) == Counter([intent_of(path) for path in INTENT_FILES] + ["nlu_fallback"])


def test_no_response_is_defined_twice() -> None:
    names = [name for path in data_files() for name in yaml.safe_load(path.read_text(encoding="utf-8")).get("responses") or {}]
    assert not [name for name, count in Counter(names).items() if count > 1]


def test_every_intent_is_taught_with_enough_examples() -> None:
    taught = EXAMPLES
    for intent in DOMAIN["intents"]:
        if intent == "nlu_fallback":
            continue
        needed = 800 if intent == "out_of_scope" else 100 if intent in CORE else 60
        assert len(taught[intent]) >= needed, intent


def test_no_example_stands_twice_even_under_different_intents() -> None:
    seen: dict[str, list[str]] = {}
    for intent, lines in EXAMPLES.items():
        for line in lines:
            seen.setdefault(tidy(line).casefold(), []).append(intent)
    assert not {line: intents for line, intents in seen.items() if len(intents) > 1}


def test_no_message_of_the_evaluation_stands_in_what_is_taught() -> None:
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()

    measured: set[str] = set()
    for path in (ROOT / "tests" / "evaluation").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            measured |= {plain(turn["text"]) for turn in item.get("turns", [item])}
    corpus = [path.read_text(encoding="utf-8").splitlines() for path in (ROOT / "encoder" / "corpus").glob("*.txt")]
    taught = {plain(line) for lines in [*EXAMPLES.values(), *corpus] for line in lines}
    # Three words or fewer ("does it hurt", "hi") are what anybody says; they cannot be kept apart.
    assert not {text for text in measured & taught if len(text.split()) > 3}


@pytest.mark.parametrize("case", ANSWERS, ids=name_of)
def test_an_answer_says_how_good_its_evidence_is_where_it_comes_from_and_when_it_was_checked(
    case: tuple[str, int, dict[str, Any]],
) -> None:
    metadata = case[2]["metadata"]
    assert metadata["evidence"] in GRADES
    assert 1 <= len(metadata["sources"]) <= 4
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", metadata["reviewed"])
    assert metadata["title"] == RESPONSES[case[0]][0]["metadata"]["title"]


def test_every_question_that_may_be_offered_has_a_short_title_that_fits_a_button_of_any_platform() -> None:
    titled = {name: variations[0].get("metadata") or {} for name, variations in RESPONSES.items()}
    offered = {name: facts for name, facts in titled.items() if facts.get("title")}
    assert offered
    assert not {name for name, facts in offered.items() if not 1 <= len(facts.get("short_title", "")) <= 20}


def test_every_kind_of_source_has_words_for_how_strong_it_is() -> None:
    kinds = {str(entry["kind"]).replace(" ", "_") for entry in SOURCES.values()}
    assert not {kind for kind in kinds if f"utter_source_kind_{kind}" not in RESPONSES}


@pytest.mark.parametrize("case", SPOKEN, ids=name_of)
def test_metadata_can_be_stored_as_json(case: tuple[str, int, dict[str, Any]]) -> None:
    for value in (case[2].get("metadata") or {}).values():
        assert isinstance(value, str) or (isinstance(value, list) and all(isinstance(entry, str) for entry in value))


def test_every_source_named_exists_and_every_source_is_named() -> None:
    named = {source for _, _, variation in SPOKEN for source in (variation.get("metadata") or {}).get("sources", [])}
    assert named == set(SOURCES)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_a_source_can_be_cited_and_followed(source: str) -> None:
    entry = SOURCES[source]
    assert set(entry) <= {"label", "citation", "year", "url", "kind"}
    assert entry["label"]
    assert entry["citation"]
    assert entry["kind"] in {
        "guideline",
        "systematic review",
        "review",
        "trial",
        "case report",
        "regulator",
        "clinic page",
        "other",
    }
    assert "url" not in entry or entry["url"].startswith("https://")


@pytest.mark.parametrize("case", SPOKEN, ids=name_of)
def test_a_reply_is_one_message_and_names_only_what_can_be_filled(case: tuple[str, int, dict[str, Any]]) -> None:
    text = case[2]["text"]
    assert text.strip(), "a reply without text carries no caveat"
    assert "\n\n" not in text, "a blank line parts a message in two on nearly every channel"
    assert text.count("{") == text.count("}") == len(PLACEHOLDER.findall(text))
    known = set(Clinic().placeholders()) | set(COMPUTED)
    assert set(PLACEHOLDER.findall(text)) <= known


@pytest.mark.parametrize("case", ANSWERS, ids=name_of)
def test_an_answer_is_short_and_plain(case: tuple[str, int, dict[str, Any]]) -> None:
    text = case[2]["text"]
    assert 40 <= word_count(text) <= 110
    assert reading_grade(text) <= 8
    assert not [sentence for sentence in sentences(text) if word_count(sentence) > 20]
    list_lines = [line.startswith("- ") for line in text.splitlines()]
    starts = sum(here and not before for before, here in zip([False, *list_lines], list_lines))
    assert starts <= 1, "at most one list"


@pytest.mark.parametrize("case", SPOKEN, ids=name_of)
def test_a_reply_promises_nothing_and_uses_no_marketing_words(case: tuple[str, int, dict[str, Any]]) -> None:
    text = case[2]["text"].lower()
    assert not [phrase for phrase in BANNED if phrase in text]
    assert "\u2014" not in text
    assert "\u2013" not in text


@pytest.mark.parametrize("case", SPOKEN, ids=name_of)
def test_a_reply_reads_at_grade_8_or_lower(case: tuple[str, int, dict[str, Any]]) -> None:
    if word_count(case[2]["text"]) >= 15:  # the measure means nothing on a line
        assert reading_grade(case[2]["text"]) <= 8


@pytest.mark.parametrize("name", sorted(RESPONSES))
def test_a_response_has_one_default_after_its_variations_and_conditions_that_can_be_met(name: str) -> None:
    variations = RESPONSES[name]
    assert "condition" not in variations[-1]
    assert all("condition" in variation for variation in variations[:-1])
    conditions = [tuple(sorted((c["name"], c["value"]) for c in v["condition"])) for v in variations[:-1]]
    assert len(set(conditions)) == len(conditions)
    for condition in conditions:
        for slot, value in condition:
            assert slot in DOMAIN["slots"]
            assert value in VOCABULARY[slot], f"no word of data/vocabulary/{slot}.yml leads to {value}"


@pytest.mark.parametrize("name", [name for name in sorted(RESPONSES) if name.startswith(ANSWER)])
def test_the_title_of_a_topic_is_a_short_question_that_is_taught(name: str) -> None:
    title = RESPONSES[name][0]["metadata"]["title"]
    assert len(title) <= 60
    assert title.casefold() in {line.casefold() for line in EXAMPLES[name.removeprefix("utter_")]}


def test_an_emergency_reply_begins_with_the_call_and_stays_under_40_words() -> None:
    for variation in RESPONSES["utter_report_emergency"]:
        assert word_count(variation["text"]) < 40
        assert "{emergency_number}" in variation["text"]
        assert "call" in sentences(variation["text"])[0].lower() or "call" in sentences(variation["text"])[1].lower()
        assert variation["metadata"]["safety"] == "emergency"


@pytest.mark.parametrize("topic", ["side_effects", "serious_risks"])
def test_every_risk_answer_ends_with_the_red_flags(topic: str) -> None:
    for variation in RESPONSES[f"{ANSWER}{topic}"]:
        assert "{emergency_number}" in variation["text"].splitlines()[-1]


def test_effectiveness_is_answered_for_every_concern() -> None:
    concerns = {
        condition["value"]
        for variation in RESPONSES[f"{ANSWER}effectiveness"]
        for condition in variation.get("condition", [])
        if condition["name"] == "concern"
    }
    assert concerns == {"skin_ageing", "fat", "cellulite", "hair_loss", "pigmentation", "pain_relief", "scars"}


def test_rasa_has_a_reply_for_the_case_no_rule_covers() -> None:
    assert "utter_default" in RESPONSES
