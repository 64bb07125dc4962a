"""The content keeps its promises: names agree, everything is taught, answered, sourced and readable."""

import json
import re
from collections import Counter
from datetime import date
from typing import Any

import pytest
import yaml

from addons.clinic import Clinic
from addons.composing import ANSWER, COMPUTED, GRADES, TOPIC
from addons.configuration import ROOT
from addons.understanding.tidy import tidy
from addons.understanding.vocabulary import read_phrases
from commands.content import (
    EVIDENCE,
    data_files,
    evidence_sections,
    examples,
    note,
    numbers,
    numbers_of_evidence,
    numbers_to_find,
    only_unverified,
    overdue,
    responses,
)
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
# What each is worth is said to patients in data/conversation/ask_sources.yml.
KINDS = {
    "guideline", "systematic_review", "review", "trial", "observational", "case_report", "regulator", "health_service",
    "clinic_page",
}  # fmt: skip
EVIDENCE_TEXT = EVIDENCE.read_text(encoding="utf-8")
SECTIONS = evidence_sections(EVIDENCE_TEXT)
# Answers, and what is said when something may be wrong: their numbers stand in docs/evidence.md.
CHECKED = [case for case in SPOKEN if "sources" in (case[2].get("metadata") or {})]
# Every line of docs/evidence.md with an [U], by a part of it, and what a reply would say if it stated that as fact.
UNVERIFIED = {
    "Systematic review of cellulite treatments": r"2024[^.]*cellulite|cellulite[^.]*2024",
    "Acne scars, dark circles, hyperhidrosis": r"dark circles|hyperhidrosis|eczema (gets|clears|improves)|vein disease",
    'listed mesotherapy as "green"': r"\bgreen\b|low(est)?[- ]risk",
    "Scotland: a 2026 Act": r"scot[^.]*\b(since|starts?|in force|from (january|june|july|september|may))\b",
    "| Flying |": r"\b(fly|flying|flights?)\b",
    "| Turkey, Spain, India, UAE |": r"[£₹₺]|\b(rupees?|lira|dirhams?)\b|turkey|dubai",
}
ABOUT_BENEFIT = {
    "effectiveness", "alternatives", "uses", "results_timeline", "sessions", "candidacy", "contraindications", "cost",
    "regulation", "ingredients", "how_it_works", "what_is", "procedure", "preparation", "choosing_provider", "diy",
}  # fmt: skip
# How leaving the concern as it is may be put.
NOTHING = re.compile(
    r"(do|doing|make|making) no(thing| change)|no (other |extra )?treatment|no shots|leav(e|ing)|wait|say no|not to have it"
    r"|costs nothing|can (also )?stay|your choice|alone",
    re.IGNORECASE,
)
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
    worded = {name.removeprefix("utter_source_kind_") for name in RESPONSES if name.startswith("utter_source_kind_")}
    assert worded == KINDS


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
    assert re.fullmatch(r"\d{4}|no date", entry["year"])
    assert entry["kind"] in KINDS
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


def test_rasa_has_a_reply_for_the_case_no_rule_covers() -> None:
    assert "utter_default" in RESPONSES


@pytest.mark.parametrize("case", CHECKED, ids=name_of)
def test_every_number_of_an_answer_stands_in_a_note_and_in_the_evidence_the_note_names(
    case: tuple[str, int, dict[str, Any]],
) -> None:
    notes = [note(entry) for entry in case[2]["metadata"].get("checked", [])]
    assert notes, "no `checked` note says where its claims stand"
    noted = {number for each in notes for number in numbers(each.claim)}
    assert not numbers(case[2]["text"]) - noted, "numbers of the text in no `checked` note"
    for each in notes:
        assert not set(each.sections) - set(SECTIONS), "sections that docs/evidence.md does not have"
        found = {number for section in each.sections for number in numbers_of_evidence(SECTIONS[section])}
        assert not numbers_to_find(each.claim) - found, f'not in section {", ".join(each.sections)}: "{each.claim}"'


@pytest.mark.parametrize("entry", ["20 women", "evidence 2.2: 20 women", "2.2 20 women", "2.2:"])
def test_a_note_of_another_form_is_refused_with_an_example(entry: str) -> None:
    with pytest.raises(ValueError, match=r"2\.2: 20 women, 12 weeks"):
        note(entry)


@pytest.mark.parametrize(
    ("claim", "to_find"),
    [
        ("20 women, 1,361 people, 70.0% and $250", {20, 1361, 70, 250}),
        ("8 x $250 = $2,000, 12 x $600 = $7,200", set()),
        ("3.23 - 1.79 = 1.44 better", set()),
        ("62.8% rounds to 63%", {62.8}),
    ],
)
def test_a_note_may_work_a_number_out(claim: str, to_find: set[float]) -> None:
    assert numbers_to_find(claim) == to_find


@pytest.mark.parametrize("claim", ["8 x $250 = $2,500", "62.8% rounds to 64%"])
def test_a_sum_that_is_wrong_is_named(claim: str) -> None:
    with pytest.raises(ValueError, match="does not add up"):
        numbers_to_find(claim)


def test_what_could_not_be_verified_is_no_evidence() -> None:
    sections = evidence_sections(
        "## 2. Work\n### 2.1 Skin\n- 10 women [V S7]\n- 99 women [U]\n- 4 women [V2], 5 [U]\n## Sources\nS7 2006"
    )
    assert numbers_of_evidence(sections["2.1"]) == {2.1, 10, 4, 5}
    assert only_unverified("- 99 women [U]")
    assert set(sections) == {"2", "2.1"}


def test_every_line_of_the_evidence_that_could_not_be_verified_is_watched_for() -> None:
    body = EVIDENCE_TEXT[EVIDENCE_TEXT.index("## 0.") :]
    lines = [line for line in body.splitlines() if "[U]" in line]
    assert not [line for line in lines if not any(part in line for part in UNVERIFIED)]
    assert not [part for part in UNVERIFIED if not any(part in line for line in lines)]


@pytest.mark.parametrize("case", SPOKEN, ids=name_of)
def test_a_reply_asserts_nothing_that_could_not_be_verified(case: tuple[str, int, dict[str, Any]]) -> None:
    assert not [part for part, said in UNVERIFIED.items() if re.search(said, case[2]["text"], re.IGNORECASE)]


def test_review_dates_parse_and_lie_not_in_the_future() -> None:
    for _, _, variation in CHECKED:
        assert date.fromisoformat(variation["metadata"]["reviewed"]) <= date.today()


def test_an_answer_not_checked_for_a_year_is_named() -> None:
    def said(reviewed: str) -> dict[str, list[dict[str, Any]]]:
        return {"utter_faq_cost": [{"metadata": {"reviewed": reviewed}}, {"metadata": {"reviewed": "2026-05-01"}}]}

    assert not overdue(said("2025-06-01"), date(2026, 6, 1))
    (line,) = overdue(said("2025-05-30"), date(2026, 6, 1))
    assert line.startswith("utter_faq_cost: last checked on 2025-05-30;")


@pytest.mark.parametrize("topic", ["effectiveness", "alternatives", "sessions", "results_timeline", "ingredients", "cost",
                                   "side_effects", "serious_risks", "candidacy", "uses"])  # fmt: skip
def test_a_topic_whose_truth_differs_by_concern_has_an_answer_for_each(topic: str) -> None:
    assert values_told_apart(topic, "concern") == set(VOCABULARY["concern"]) - {"look_alike"}


@pytest.mark.parametrize(
    ("topic", "slot"),
    [
        ("contraindications", "condition"),
        ("contraindications", "medicine"),
        ("alternatives", "treatment"),
        ("regulation", "country"),
    ],
)
def test_a_topic_chosen_by_what_is_named_has_an_answer_for_each_name(topic: str, slot: str) -> None:
    assert values_told_apart(topic, slot) >= set(VOCABULARY[slot]) - {"look_alike", "other"}


@pytest.mark.parametrize("case", [case for case in ANSWERS if case[0].removeprefix(ANSWER) in ABOUT_BENEFIT], ids=name_of)
def test_an_answer_about_benefit_names_doing_nothing(case: tuple[str, int, dict[str, Any]]) -> None:
    assert NOTHING.search(case[2]["text"])


def test_every_red_flag_has_its_own_reply() -> None:
    named = {c["value"] for v in RESPONSES["utter_report_emergency"] for c in v.get("condition", [])}
    assert named == set(VOCABULARY["red_flag"]) - {"look_alike"}


def values_told_apart(topic: str, slot: str) -> set[str]:
    conditions = [c for v in RESPONSES[f"{ANSWER}{topic}"] for c in v.get("condition", [])]
    return {c["value"] for c in conditions if c["name"] == slot}
