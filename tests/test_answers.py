"""The book of answers: a reviewer sees everything a patient may be told, on a page that is safe and usable."""

import asyncio
import itertools
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from addons.answering import ANSWER, GRADES, CuratedAnswers
from addons.configuration import ROOT, read_mapping
from commands import answers
from commands.answers import Chapter, Reply, Said, Source, as_html, as_markdown, in_words, make_book, the_speaker, variations_said
from commands.content import EVIDENCE, evidence_sections, responses
from commands.terminal import CommandFailed

TODAY = date(2026, 5, 1)
ALL = responses()
SOURCES = read_mapping(ROOT / "data" / "sources.yml")
VOID = {"meta", "input", "br", "hr", "link", "img"}
NASTY = '<script>alert("1")</script> & <b>*bold*</b> \' [x](y)'

Attributes = dict[str, str | None]


class Page(HTMLParser):
    """The elements of a page, in order, each with its attributes and the text inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()
        assert not self._open, "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.texts[index].append(data)

    def named(self, *tags: str) -> list[Attributes]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def text_of(self, tag: str) -> list[str]:
        return ["".join(text) for (name, _), text in zip(self.elements, self.texts) if name == tag]


@pytest.fixture(scope="module")
def speaker() -> CuratedAnswers:
    return the_speaker()


@pytest.fixture(scope="module")
async def book(speaker: CuratedAnswers) -> list[Chapter]:
    return await make_book(speaker)


@pytest.fixture(scope="module")
def replies(book: list[Chapter]) -> dict[str, Reply]:
    return {reply.name: reply for chapter in book for reply in chapter.replies}


@pytest.fixture(scope="module")
def html(book: list[Chapter]) -> str:
    return as_html(book, TODAY, "Who wrote it.", EVIDENCE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def a_book(said: Said) -> list[Chapter]:
    return [Chapter("A chapter", "about it", (Reply("utter_faq_x", NASTY, "data/topics/x.yml", (said,)),))]


def a_said(text: str = "An answer.", source: Source | None = None) -> Said:
    sources = (source or Source("Somebody 2020", "Somebody 2020;1:2", "trial", "https://example.org/1"),)
    return Said("always", text, "Evidence: low.", (text,), "low", sources, "2026-05-01", 2, None)


def test_every_variation_of_every_reply_is_in_the_book_in_the_order_tried(replies: dict[str, Reply]) -> None:
    assert set(replies) == set(ALL)
    for name, variations in ALL.items():
        assert len(replies[name].variations) == len(variations)
        for said, variation in zip(replies[name].variations, variations):
            pieces = [piece for piece in re.split(r"\{\w+\}", variation["text"]) if piece]
            assert all(piece in said.text for piece in pieces), name
            assert "{" not in said.text


def test_every_variation_stands_on_the_page_word_for_word(page: Page, replies: dict[str, Reply]) -> None:
    shown = page.text_of("blockquote")
    said = [each for reply in replies.values() for each in reply.variations]
    assert len(shown) == len(said)
    assert sorted(shown) == sorted(each.text + each.under.replace("\n", "") for each in said)


def test_an_answer_is_shown_with_its_evidence_line_its_sources_and_its_date(replies: dict[str, Reply]) -> None:
    for name, variations in ALL.items():
        if not name.startswith(ANSWER):
            continue
        for said, variation in zip(replies[name].variations, variations):
            caveat, sources = said.under.splitlines()
            assert caveat.startswith("Evidence: ")
            assert sources.startswith("Sources: ")
            assert said.evidence == variation["metadata"]["evidence"]
            assert said.reviewed == variation["metadata"]["reviewed"]
            assert [source.label for source in said.sources] == [SOURCES[id]["label"] for id in variation["metadata"]["sources"]]


def test_an_answer_for_a_concern_is_shown_with_the_evidence_line_of_that_concern(replies: dict[str, Reply]) -> None:
    hair = next(said for said in replies["utter_faq_effectiveness"].variations if said.when == "for hair loss")
    assert "hair" in hair.under.splitlines()[0]


def test_an_emergency_reply_is_shown_as_it_is_said_with_nothing_under_it(replies: dict[str, Reply]) -> None:
    for said in replies["utter_report_emergency"].variations:
        assert "112, 911 or 999" in said.text
        assert said.under == ""


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"concern": "hair_loss"}, "for hair loss"),
        ({"condition": "diabetes"}, "with diabetes"),
        ({"condition": "pregnancy"}, "in pregnancy"),
        ({"country": "france"}, "in France"),
        ({"concern": "fat", "country": "us"}, "for fat and in the US"),
        ({"concern": "stretch_marks"}, "for stretch marks"),
    ],
)
def test_a_condition_is_said_in_plain_words(named: dict[str, str], words: str) -> None:
    assert in_words(named) == words


def test_the_variations_of_a_reply_can_be_told_apart(replies: dict[str, Reply]) -> None:
    for reply in replies.values():
        conditions = [said.when for said in reply.variations]
        assert len(set(conditions)) == len(conditions)
        assert not [when for when in conditions if "_" in when]


async def test_a_variation_that_no_patient_can_get_stops_the_book(speaker: CuratedAnswers) -> None:
    fat = {"condition": [{"type": "slot", "name": "concern", "value": "fat"}], "text": "An answer."}
    speaker.responses = {**ALL, "utter_faq_cost": [{"text": "An answer."}, fat]}
    try:
        with pytest.raises(CommandFailed, match=r"utter_faq_cost.*for fat.*Move it up"):
            await variations_said(speaker, "utter_faq_cost", SOURCES, {})
    finally:
        speaker.responses = ALL


async def test_a_malformed_date_is_named_in_one_line(speaker: CuratedAnswers) -> None:
    metadata = {"evidence": "low", "sources": ["park_2008"], "reviewed": "1 May 2026"}
    speaker.responses = {**ALL, "utter_faq_cost": [{"text": "An answer.", "metadata": metadata}]}
    try:
        with pytest.raises(CommandFailed, match=r"utter_faq_cost, variation 1 .*make check"):
            await variations_said(speaker, "utter_faq_cost", SOURCES, {})
    finally:
        speaker.responses = ALL


def test_all_text_is_escaped_on_the_page() -> None:
    made = as_html(
        a_book(a_said(NASTY, Source(NASTY, NASTY, NASTY, f"https://example.org/?{NASTY}"))),
        TODAY,
        NASTY,
        f"## 1. {NASTY}\n\n{NASTY}",
    )
    assert made.count("<script>") == 1, "only the page's own script"
    page = Page(made)
    assert NASTY in page.text_of("h3")
    assert page.text_of("blockquote") == [NASTY + "Evidence: low."]
    assert f"https://example.org/?{NASTY}" in [link["href"] for link in page.named("a")]


def test_all_text_is_escaped_in_markdown() -> None:
    made = as_markdown(a_book(a_said(f"{NASTY}\n- one")), TODAY, NASTY)
    assert "<script>" not in made
    assert r"\*bold\*" in made
    assert "\n> \\- one" in made


def test_the_page_asks_nothing_of_anybody(html: str, page: Page) -> None:
    assert not page.named("link", "img", "iframe", "object", "embed", "base", "video", "audio", "source")
    assert not [
        attributes for _, attributes in page.elements if attributes.keys() & {"src", "srcset", "action", "style", "onload"}
    ]
    for own in page.text_of("style") + page.text_of("script"):
        assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttpRequest|import\(", own)
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_every_source_is_cited_and_linked_where_there_is_a_link(html: str, page: Page, replies: dict[str, Reply]) -> None:
    links = {link["href"] for link in page.named("a")}
    shown = " ".join(page.text_of("article"))
    named = {source for reply in replies.values() for said in reply.variations for source in said.sources}
    assert {source.label for source in named} == {entry["label"] for entry in SOURCES.values()}
    for source in named:
        kind = source.kind.replace("_", " ")
        assert f"{source.label}: {source.citation} ({kind}" in shown
        assert source.url in links if source.url else f"({kind}; no link on file)" in shown


def test_every_claim_checked_is_listed_under_its_answer_and_leads_to_its_section_of_the_evidence(
    page: Page, book: list[Chapter], replies: dict[str, Reply]
) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {f"evidence-{number}" for number in evidence_sections(EVIDENCE.read_text(encoding="utf-8"))} <= ids
    shown = " ".join(page.text_of("article"))
    made = as_markdown(book, TODAY, "Who wrote it.")
    for name, variations in ALL.items():
        for said, variation in zip(replies[name].variations, variations):
            noted = (variation.get("metadata") or {}).get("checked", [])
            assert [f"{', '.join(each.sections)}: {each.claim}" for each in said.notes] == noted
            assert all(entry in shown for entry in noted)
            assert all(entry.split(": ")[0] in made for entry in noted)


def test_the_search_box_is_labelled_and_absent_without_the_script(page: Page) -> None:
    (box,) = page.named("input")
    (label,) = page.named("label")
    (form,) = page.named("form")
    assert label["for"] == box["id"]
    assert page.text_of("label")[0].strip()
    assert form["role"] == "search"
    assert "hidden" in form


def test_headings_are_in_order_and_landmarks_are_there(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(here <= before + 1 for before, here in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.named(landmark)) == 1
    assert page.named("html")[0]["lang"] == "en"


def test_every_entry_of_the_contents_leads_to_one_place(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    inner = {link["href"] for link in page.named("a") if (link["href"] or "").startswith("#")}
    assert inner <= {f"#{id}" for id in ids}
    assert {f"#{name.removeprefix('utter_')}" for name in ALL} <= inner


def test_both_books_say_what_they_are_and_who_wrote_and_reviewed_them(html: str, book: list[Chapter]) -> None:
    for made in (html, as_markdown(book, TODAY, "Who wrote it.")):
        assert "Who wrote it." in made
        assert "1 May 2026" in made


def test_both_books_and_the_guide_define_every_grade(html: str) -> None:
    guide = (ROOT / "docs" / "writing-answers.md").read_text(encoding="utf-8")
    assert set(answers.GRADE_MEANINGS) == set(GRADES)
    for grade, meaning in answers.GRADE_MEANINGS.items():
        assert meaning in html
        assert f"| `{grade}` | {meaning} |" in guide


async def test_the_command_writes_both_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "RESULTS", tmp_path / "results")
    # In a thread of its own, as the command makes its own event loop.
    assert await asyncio.to_thread(answers.main) == 0
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"answers.html", "answers.md"}
    assert "No clinician has reviewed the answers for this clinic yet." in (tmp_path / "results" / "answers.html").read_text()
