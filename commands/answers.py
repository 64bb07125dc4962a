"""Writes the book of answers: everything a patient may be told, on one page, for the people who review it.

Every reply is said here by the class that speaks to patients, so the book cannot differ from what they get.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from addons.answering import CuratedAnswers
from addons.clinic import read_clinic
from addons.composing import COMPUTED, GRADES, TOPIC, readable
from addons.configuration import ROOT, read_mapping
from addons.sentences import day_in_words
from commands.content import EVIDENCE, SECTION_HEADING, Note, Variation, data_files, note, responses
from commands.reading import reading_grade, word_count
from commands.terminal import CommandFailed, run_command, say

RESULTS = ROOT / "results"
TITLE = "Mesotherapy assistant: the book of answers"
# The channel, to the class that answers.
BOOK = "book"
# As docs/writing-answers.md defines them.
GRADE_MEANINGS = {
    "good": "several decent trials, or a careful review of them, agree",
    "moderate": "trials with some limits mostly agree",
    "low": "few or small trials, or trials that conflict",
    "very_low": "no comparison group, single cases, or what experts or clinics say",
    "none": "no trial was found, or those found show no effect",
}
# Under this many words the reading grade means nothing.
MEASURABLE = 15

CHAPTERS = {
    "safety": (
        "Safety replies",
        "Said when a message sounds urgent, tells of a symptom, is not about mesotherapy, or was not understood; "
        "and the lines that are put under answers.",
    ),
    "topics": (
        "Answers",
        "One question of patients after the other. Every answer carries the evidence line, the sources and the date in the "
        "same message.",
    ),
    "conversation": (
        "Conversation",
        "What is said around the questions; and the lines for the settings of a clinic, put under “Can I talk to a person?”.",
    ),
    "dialogue": (
        "In the course of a conversation",
        "The check before a talk with a clinician, sums, advice on symptoms by how they change, erasing, and the last answer "
        "once more.",
    ),
    "channels": (
        "Channels",
        "What a channel says by itself, such as the greeting of the chat on a website.",
    ),
}

# What a condition of a variation means, where putting the value behind the slot's own word does not say it well.
_PHRASES = {
    ("condition", "pregnancy"): "in pregnancy",
    ("condition", "breastfeeding"): "while breastfeeding",
    ("condition", "under_18"): "under 18",
    ("condition", "allergy"): "with an allergy",
    ("condition", "autoimmune"): "with an autoimmune disease",
    ("condition", "bleeding_disorder"): "with a bleeding disorder",
    ("condition", "heart"): "with a heart condition",
    ("condition", "immune_suppression"): "with a weak immune system",
    ("condition", "keloid"): "with keloid scars",
    ("condition", "liver_kidney"): "with liver or kidney disease",
    ("condition", "mental_health"): "with a mental health condition",
    ("condition", "skin_disease"): "with a skin disease",
    ("condition", "skin_infection"): "with a skin infection",
    ("condition", "thyroid"): "with a thyroid condition",
    ("medicine", "blood_thinner"): "taking a blood thinner",
    ("medicine", "immune_suppressant"): "taking a medicine that weakens the immune system",
    ("treatment", "botox"): "about Botox",
    ("treatment", "filler"): "about fillers",
    ("treatment", "peel"): "about peels",
    ("treatment", "prp"): "about PRP",
    ("treatment", "skin_booster"): "about skin boosters",
    ("treatment", "weight_loss_injection"): "about weight-loss injections",
    ("country", "brazil"): "in Brazil",
    ("country", "canada"): "in Canada",
    ("country", "eu"): "in the EU",
    ("country", "france"): "in France",
    ("country", "uk"): "in the UK",
    ("country", "us"): "in the US",
    ("language", "other"): "in another language than English",
    ("red_flag", "breathing"): "for trouble breathing",
    ("red_flag", "chest_stroke"): "for chest pain or signs of a stroke",
    ("red_flag", "infection"): "for signs of a fast infection",
    ("red_flag", "numbing"): "for a reaction to numbing cream or injections",
    ("red_flag", "self_harm"): "for thoughts of self-harm",
    ("red_flag", "self_injected"): "for a bad effect of something self-injected",
    ("red_flag", "skin_colour"): "for skin that turns white, grey, blue or black",
    ("red_flag", "vision"): "for a sudden change in sight",
}
_SLOT_WORDS = {
    "concern": "for",
    "condition": "with",
    "medicine": "taking",
    "treatment": "about",
    "country": "in",
    "red_flag": "for",
}
# Replies that carry no title of their own: when they are said.
_TITLES = {
    "utter_out_of_scope": "Not about mesotherapy",
    "utter_fallback": "Not understood",
    "utter_fallback_again": "Not understood twice in a row",
    "utter_which_topic": "Two topics are about equally likely",
    "utter_default": "No rule covers what was said",
    "utter_part_not_answered": "One of several questions is not about mesotherapy",
    "utter_shortened": "The message was too long to read all of it",
    "utter_evidence_caveat": "Evidence line, how weak the proof is",
    "utter_sources": "Sources line",
    "utter_clinic_prices_intro": "Before a clinic's own prices",
    "utter_clinic_price": "One of a clinic's own prices",
    "utter_clinic_prices_after": "Between a clinic's own prices and the published ones",
    "utter_authors_not_reviewed": "Who wrote the answers, as long as no clinician has reviewed them",
    "utter_authors_reviewed": "Who wrote the answers, when a clinician has reviewed them",
    "utter_sources_of_answer": "Sources of the last answer, first line",
    "utter_source_of_answer": "Sources of the last answer, each source",
    "utter_affirm": "The patient says yes",
    "utter_deny": "The patient says no",
    "utter_greet": "The patient says hello",
    "utter_goodbye": "The patient says goodbye",
    "utter_thank": "The patient says thanks",
    "utter_bot_challenge": "Are you a person?",
    "utter_reject_answer": "The patient says the answer is wrong",
    "utter_check_intro": "Before the first question of the check",
    "utter_check_summary": "What the check ends in",
    "utter_estimate": "A sum for a number of visits",
    "utter_erase_confirm": "Before a conversation is erased",
    "utter_symptom_ask": "A symptom: the one question",
    "utter_symptom_today": "A symptom to be seen today",
    "utter_symptom_days": "A symptom to be seen within days",
    "utter_symptom_watch": "A symptom to be watched",
    "utter_still_urgent": "After an emergency reply, a message about nothing else",
    "utter_insult": "The patient swears at the assistant",
    "utter_rules": "The patient wants the rules changed",
    "utter_no_words": "A message without words",
}
# What to call those of a kind, by how their names begin.
_GROUPS = {
    "utter_clinic_": "Line for a clinic that sets",
    "utter_evidence_": "Evidence line, grade",
    "utter_source_kind_": "How strong a source is:",
    "utter_technical_": "Something does not work:",
    "utter_ask_check_": "The check asks about",
    "utter_check_yes_": "The check, after a yes to",
    "utter_check_open_": "The check, left open:",
    "utter_website_": "The website's chat:",
}
_CHECKED = "Every answer was checked against its sources on the day it names."
_HOW_TO_READ = (
    "The box holds what the patient reads, word for word, filled in with the settings of clinic.yml. Below it stands what the "
    "patient does not see. Words in square brackets are filled in while the assistant runs.",
    "A reply may have several variations. They are tried in the order shown, and the first that fits is said. What fits is "
    "what the patient names in the question or has named before.",
    "An answer with no concern in its condition is shown with the general evidence line. When the patient also names a concern, "
    "such as hair loss, the line for that concern stands there instead.",
    "Under an answer, each claim is listed with the sections of the evidence where it stands. The evidence is the last chapter: "
    "there the source and the people studied are named.",
    "The reading grade is the years of US school a reader needs; answers must stay at 8 or lower. The evidence grade says how "
    "well a claim of benefit is proven:",
)
_FOOTER = "To change an answer, see docs/writing-answers.md."

_STYLE = """
:root{color-scheme:light dark;
--paper:#fff;--ink:#1b1f24;--soft:#4a5560;--link:#0b4f96;--box:#eef4f8;--line:#76828e;--note:#fff4d6}
@media (prefers-color-scheme:dark){:root{
--paper:#14181c;--ink:#e8ecef;--soft:#b4bec7;--link:#8cc4ff;--box:#1f2831;--line:#7f8b97;--note:#3a2f10}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0 auto;padding:1rem;max-width:76rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif;
overflow-wrap:anywhere}
h1,h2,h3,h4,.lead{break-after:avoid}
h1,h2,h3,h4{line-height:1.25}
h1{font-size:1.7rem;margin:.5rem 0}
h2{font-size:1.4rem;margin:2rem 0 .5rem}
h3{font-size:1.2rem;margin:0}
h4{font-size:1rem;margin:0 0 .5rem}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
main:focus{outline:none}
p{margin:.5rem 0;max-width:70ch}
main>section:first-child h2{margin-top:.5rem}
.skip{position:absolute;left:-999rem}
.skip:focus{position:static}
.notice{padding:.6rem .8rem;background:var(--note);border-left:.3rem solid var(--line)}
label{display:block;font-weight:600}
input{width:100%;max-width:30rem;min-height:2.75rem;padding:.4rem .6rem;font:inherit;color:inherit;background:var(--paper);
border:1px solid var(--line);border-radius:.3rem}
summary{cursor:pointer}
summary h2{display:inline-block;margin:.5rem 0}
nav ul{padding-left:1rem;margin:0;list-style:none}
nav details>ul{padding:0}
nav details>ul>li{font-weight:600;margin-top:.6rem}
nav a{display:block;padding:.2rem 0;font-weight:400}
.reply{border-top:2px solid var(--line);margin-top:2.5rem;padding-top:1rem}
.file{color:var(--soft);font-size:.875rem;margin:.2rem 0}
.index{display:flex;flex-wrap:wrap;gap:.2rem .6rem;margin:.3rem 0;padding:0}
.index li{margin-left:1.9rem;padding:.1rem 0}
article{margin:1.5rem 0;break-inside:avoid}
article ul{margin:.3rem 0;padding-left:1.2rem;max-width:70ch}
blockquote{margin:0;padding:.5rem .9rem;background:var(--box);border-radius:.5rem;max-width:70ch}
blockquote p{margin:.2rem 0;white-space:pre-line}
.under{color:var(--soft);font-size:.9375rem}
dl{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;margin:.6rem 0}
dl div{display:flex;gap:.4rem}
dt{color:var(--soft)}
dt::after{content:":"}
dd{margin:0;font-weight:600}
.grades{display:block}
.grades dt{flex:none}
.grades dd{font-weight:400}
.sources,.notes{font-size:.9375rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.6rem 0;font-size:.9375rem}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top;min-width:8rem;
overflow-wrap:break-word}
#evidence h3{margin-top:2rem}
#evidence h4{margin-top:1.2rem}
[hidden]{display:none!important}
footer{margin-top:3rem;border-top:1px solid var(--line);color:var(--soft)}
@media (min-width:60rem){
body{display:grid;grid-template-columns:17rem minmax(0,1fr);column-gap:2.5rem}
header,footer,.skip{grid-column:1/-1}
nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow:auto;padding:0 .3rem 1rem}
}
@media screen and (max-width:40rem){
td:nth-child(n+3){min-width:13rem}
}
@media print{
:root{--paper:#fff;--ink:#000;--soft:#333;--link:#000;--box:#fff;--line:#666;--note:#fff}
html{font-size:9.5pt}
body{display:block;max-width:none;padding:0;line-height:1.4}
p,blockquote,article ul{max-width:none}
article{margin:1rem 0}
.reply{margin-top:1.2rem;padding-top:.6rem}
.skip,form{display:none}
summary{list-style:none}
nav{position:static;max-height:none;overflow:visible}
nav ul ul{columns:2}
blockquote{border:1px solid #666}
.sources a::after{content:" <" attr(href) ">"}
.lead,.sources li,.notes li,dl,tr{break-inside:avoid}
thead,h2+p{break-after:avoid}
.scroll{overflow:visible}
}
"""
# Hides what does not hold every word typed; folds the contents where they would fill a phone's screen.
_SCRIPT = """
(function () {
  var list = document.getElementById("list");
  var box = document.getElementById("words");
  var found = document.getElementById("found");
  var all = Array.from(document.querySelectorAll("article"), function (article) {
    var reply = article.parentElement;
    return {
      article: article, reply: reply, link: document.querySelector('[data-said="' + article.id + '"]'),
      text: (reply.querySelector("h3").textContent + " " + article.textContent).toLowerCase()
    };
  });
  function show() {
    var words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
    var shown = new Set();
    var count = 0;
    all.forEach(function (one) {
      var fits = words.every(function (word) { return one.text.includes(word); });
      one.article.hidden = !fits;
      if (one.link) one.link.hidden = !fits;
      if (fits) { shown.add(one.reply.id); count += 1; }
    });
    document.querySelectorAll(".reply").forEach(function (reply) { reply.hidden = !shown.has(reply.id); });
    document.querySelectorAll("[data-reply]").forEach(function (item) { item.hidden = !shown.has(item.dataset.reply); });
    document.querySelectorAll("main > section").forEach(function (section) {
      section.hidden = section.id !== "evidence" && words.length > 0 && !section.querySelector("article:not([hidden])");
    });
    document.querySelectorAll("#list > ul > li").forEach(function (chapter) {
      chapter.hidden = chapter.querySelector("ul") && !chapter.querySelector("[data-reply]:not([hidden])");
    });
    found.textContent = words.length ? count + " of " + all.length + " shown" : "";
  }
  document.getElementById("search").hidden = false;
  document.getElementById("search").addEventListener("submit", function (event) { event.preventDefault(); });
  box.addEventListener("input", show);
  show();
  if (!matchMedia("(min-width: 60rem)").matches) list.open = false;
  window.addEventListener("beforeprint", function () { list.open = true; });
})();
"""
_MARKDOWN_SIGNS = re.compile(r"([\\`*_\[\]<>&#|~]|^[-+])")


@dataclass(frozen=True)
class Source:
    """Where an answer comes from; `url` is empty when there is no link."""

    label: str
    citation: str
    kind: str
    url: str


@dataclass(frozen=True)
class Said:
    """One variation of a reply, as a patient sees it, with what a reviewer needs to judge it.

    Attributes:
        when: the condition in plain words.
        text: what the patient reads, placeholders filled.
        under: the lines put under it: how good the evidence is, the sources and the date.
        choices: the questions offered to tap.
        evidence: the grade, empty when the reply is no answer.
        sources: where it comes from.
        reviewed: the day it was checked (ISO), or empty.
        words: the length, as the checks count it.
        grade: the reading grade, None when the text is too short to have one.
    """

    when: str
    text: str
    under: str
    choices: tuple[str, ...]
    evidence: str
    sources: tuple[Source, ...]
    reviewed: str
    words: int
    grade: float | None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Reply:
    """A response with all its variations, in the order they are tried."""

    name: str
    title: str
    file: str
    variations: tuple[Said, ...]

    @property
    def anchor(self) -> str:
        """What a link to it names."""
        return self.name.removeprefix("utter_")


@dataclass(frozen=True)
class Chapter:
    """Replies of one kind."""

    title: str
    about: str
    replies: tuple[Reply, ...]


def the_speaker() -> CuratedAnswers:
    """The class that answers patients, with the settings the server gives it and the content as it is now, untrained."""
    speaker = CuratedAnswers(EndpointConfig.from_dict(read_mapping(ROOT / "endpoints.yml")["nlg"]), Domain.empty())
    speaker.responses = responses()
    return speaker


def in_words(named: dict[str, str]) -> str:
    """A variation's condition in plain words.

    Args:
        named: slot to value, such as {"concern": "hair_loss"}.
    """
    return " and ".join(
        _PHRASES.get((slot, value)) or f"{_SLOT_WORDS.get(slot, slot.replace('_', ' '))} {value.replace('_', ' ')}"
        for slot, value in named.items()
    )


async def variations_said(
    speaker: CuratedAnswers, name: str, sources: dict[str, Any], placeholders: dict[str, str]
) -> tuple[Said, ...]:
    """Have every variation of a response said.

    Args:
        speaker: the class that answers.
        name: the response.
        sources: the bibliography.
        placeholders: values for what only a conversation could fill.

    Raises:
        CommandFailed: a variation is malformed, or no patient can ever get it.
    """
    variations = speaker.responses[name]
    named = [{condition["name"]: condition["value"] for condition in each.get("condition") or []} for each in variations]
    said = []
    for index, (variation, condition) in enumerate(zip(variations, named)):
        if any(earlier.items() <= condition.items() for earlier in named[:index]):
            raise CommandFailed(
                f"{name}: no patient can get variation {index + 1} ({in_words(condition) or 'the one without a condition'}), "
                "as an earlier one always fits first. Move it up or remove it."
            )
        question = {"intent": name.removeprefix("utter_"), **condition}
        tracker = DialogueStateTracker(BOOK, [])
        tracker.update(UserUttered(parse_data={"questions": [question]}))
        try:
            message = await speaker.generate(name, tracker, BOOK, **placeholders)
        except (KeyError, ValueError) as error:
            raise CommandFailed(
                f"{name}, variation {index + 1} cannot be said ({error}). `make check` names what to mend."
            ) from None
        assert message is not None, f"{name} is not said"
        text, caveat, rest = (
            message["text"].partition("\n" + message["caveat"]) if "caveat" in message else (message["text"], "", "")
        )
        words = word_count(variation["text"])
        said.append(
            Said(
                when=in_words(condition) or ("always" if len(variations) == 1 else "in every other case"),
                text=text,
                under=(caveat + rest).strip(),
                choices=tuple(button["title"] for button in message.get("buttons") or []),
                evidence=message.get("evidence") or "",
                sources=tuple(_source(source, sources) for source in message.get("sources") or []),
                reviewed=message.get("reviewed") or "",
                words=words,
                grade=reading_grade(variation["text"]) if words >= MEASURABLE else None,
                notes=tuple(note(entry) for entry in (variation.get("metadata") or {}).get("checked", [])),
            )
        )
    return tuple(said)


async def make_book(speaker: CuratedAnswers) -> list[Chapter]:
    """Everything that may be said, chapter by chapter; topics in the order of domain.yml."""
    sources = read_mapping(ROOT / "data" / "sources.yml")
    settings = read_clinic(ROOT / "clinic.yml").placeholders()
    placeholders = {name: value or f"[{name}]" for name, value in settings.items()}
    placeholders |= {name: f"[{name}]" for name in COMPUTED}
    order = {intent: place for place, intent in enumerate(read_mapping(ROOT / "domain.yml")["intents"])}
    files = sorted(data_files(), key=lambda path: order.get(f"{TOPIC}{path.stem}", order.get(path.stem, len(order))))
    chapters = []
    for folder, (title, about) in CHAPTERS.items():
        replies = []
        for path in (path for path in files if path.parent.name == folder):
            for name, variations in (read_mapping(path).get("responses") or {}).items():
                said = await variations_said(speaker, name, sources, placeholders)
                replies.append(Reply(name, title_of(name, variations), path.relative_to(ROOT).as_posix(), said))
        chapters.append(Chapter(title, about, tuple(replies)))
    return chapters


def title_of(name: str, variations: list[Variation]) -> str:
    """What to call a response: its own title, or when it is said."""
    title = (variations[0].get("metadata") or {}).get("title") or _TITLES.get(name)
    if title:
        return str(title)
    for beginning, words in _GROUPS.items():
        if name.startswith(beginning):
            return f"{words} {_plain(name.removeprefix(beginning))}"
    return _plain(name.removeprefix("utter_")).capitalize()


def as_html(chapters: list[Chapter], today: date, authorship: str, evidence: str) -> str:
    """The book as one page that needs nothing else: no request leaves it, and it works without its script.

    Args:
        chapters: the replies.
        today: the day the book is made.
        authorship: who wrote the answers and who reviewed them, as patients are told.
        evidence: docs/evidence.md, which becomes the last chapter; the notes of the answers lead there.
    """
    contents = "".join(
        f"<li>{_e(chapter.title)}<ul>"
        + "".join(
            f'<li data-reply="{_e(reply.anchor)}"><a href="#{_e(reply.anchor)}">{_e(reply.title)}</a></li>'
            for reply in chapter.replies
        )
        + "</ul></li>"
        for chapter in chapters
    )
    contents += '<li><a href="#evidence">The evidence</a></li>'
    grades = "".join(f"<div><dt>{_plain(grade)}</dt><dd>{_e(GRADE_MEANINGS[grade])}</dd></div>" for grade in reversed(GRADES))
    body = "".join(
        f"<section><h2>{_e(chapter.title)}</h2><p>{_e(chapter.about)}</p>{''.join(map(_reply_html, chapter.replies))}</section>"
        for chapter in chapters
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{_e(TITLE)}</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#answers">Skip to the answers</a>
<header>
<h1>{_e(TITLE)}</h1>
<p>{_e(_summary(chapters, today))}</p>
<p class="notice"><strong>{_e(authorship)}</strong> {_e(_CHECKED)}</p>
<form id="search" role="search" hidden>
<label for="words">Show only what holds these words</label>
<input id="words" type="search" autocomplete="off" aria-describedby="found">
<p id="found" role="status"></p>
</form>
</header>
<nav aria-labelledby="contents">
<details id="list" open><summary><h2 id="contents">Contents</h2></summary><ul>{contents}</ul></details>
</nav>
<main id="answers" tabindex="-1">
<section>
<h2>How to read this book</h2>
{"".join(f"<p>{_e(line)}</p>" for line in _HOW_TO_READ)}
<dl class="grades">{grades}</dl>
</section>
{body}
<section id="evidence"><h2>The evidence</h2>{evidence_html(evidence)}</section>
</main>
<footer><p>{_e(_FOOTER)}</p></footer>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def evidence_html(evidence: str) -> str:
    """The evidence as part of the book: headings two levels down, sections that can be linked to, tables that scroll."""
    markdown = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    tokens = markdown.parse(evidence)
    # The book has its own title.
    start = next((place for place, token in enumerate(tokens) if token.type == "heading_close" and token.tag == "h1"), -1) + 1
    for token, after in zip(tokens, [*tokens[1:], tokens[0]] if tokens else []):
        if token.type not in {"heading_open", "heading_close"}:
            continue
        token.tag = f"h{int(token.tag[1]) + 1}"
        if token.type == "heading_open" and (number := SECTION_HEADING.match(after.content)):
            token.attrSet("id", _evidence_anchor(number[1]))
    made = str(markdown.renderer.render(tokens[start:], markdown.options, {}))
    return made.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


def as_markdown(chapters: list[Chapter], today: date, authorship: str) -> str:
    """The book as plain text, to compare with an earlier one or to comment on.

    Args:
        chapters: the replies.
        today: the day the book is made.
        authorship: who wrote the answers and who reviewed them, as patients are told.
    """
    lines = [f"# {_m(TITLE)}", "", _m(_summary(chapters, today)), "", f"**{_m(authorship)}** {_m(_CHECKED)}", ""]
    lines += ["## Contents", ""]
    for chapter in chapters:
        lines += [f"- {_m(chapter.title)}", *(f"  - [{_m(reply.title)}](#{reply.anchor})" for reply in chapter.replies)]
    lines += ["", "## How to read this book", "", *(f"{_m(line)}\n" for line in _HOW_TO_READ)]
    lines += [f"- {_plain(grade)}: {_m(GRADE_MEANINGS[grade])}" for grade in reversed(GRADES)]
    for chapter in chapters:
        lines += ["", f"## {_m(chapter.title)}", "", _m(chapter.about)]
        for reply in chapter.replies:
            lines += ["", f'### <a id="{_e(reply.anchor)}"></a>{_m(reply.title)}', "", f"`{reply.file}`"]
            for number, said in enumerate(reply.variations, 1):
                lines += ["", f"#### {number}. {_m(_sentence(said.when))}", ""]
                spoken = [*said.text.splitlines(), *said.under.splitlines()]
                # Two spaces keep the line break that a patient sees.
                lines += [f"> {_m(line)}  " for line in spoken]
                lines += ["", *(f"- {label}: {_m(value)}" for label, value in _facts(said))]
                lines += [f"- Offered to tap: {_m(' | '.join(said.choices))}"] if said.choices else []
                lines += [
                    f"- Source: {f'[{_m(source.label)}](<{source.url}>)' if source.url else _m(source.label)}: "
                    f"{_m(source.citation)} ({_m(_kind(source))})"
                    for source in said.sources
                ]
                lines += [f"- {_m(', '.join(each.sections))}: {_m(each.claim)}" for each in said.notes]
    return "\n".join([*lines, "", "---", "", _m(_FOOTER), ""])


def main() -> int:
    """Write both books."""
    speaker = the_speaker()
    chapters = asyncio.run(make_book(speaker))
    today, authorship = date.today(), speaker.authorship(BOOK)
    RESULTS.mkdir(exist_ok=True)
    for path, text in (
        (RESULTS / "answers.html", as_html(chapters, today, authorship, EVIDENCE.read_text(encoding="utf-8"))),
        (RESULTS / "answers.md", as_markdown(chapters, today, authorship)),
    ):
        path.write_text(text, encoding="utf-8")
        say(f"Wrote {path}")
    return 0


def _reply_html(reply: Reply) -> str:
    anchor = _e(reply.anchor)
    index = ""
    if len(reply.variations) > 1:
        links = "".join(
            f'<li value="{number}" data-said="{anchor}-{number}"><a href="#{anchor}-{number}">{_e(said.when)}</a></li>'
            for number, said in enumerate(reply.variations, 1)
        )
        index = f'<p>The first that fits is said:</p><ol class="index">{links}</ol>'
    said = "".join(_said_html(f"{anchor}-{number}", number, each) for number, each in enumerate(reply.variations, 1))
    return (
        f'<section class="reply" id="{anchor}"><div class="lead"><h3>{_e(reply.title)}</h3>'
        f'<p class="file">{_e(reply.file)}</p>{index}</div>{said}</section>'
    )


def _said_html(anchor: str, number: int, said: Said) -> str:
    under = "".join(f'<p class="under">{_e(line)}</p>' for line in said.under.splitlines())
    choices = "".join(f"<li>{_e(choice)}</li>" for choice in said.choices)
    facts = "".join(f"<div><dt>{_e(label)}</dt><dd>{_e(value)}</dd></div>" for label, value in _facts(said))
    sources = "".join(
        "<li>"
        + (
            f'<a href="{_e(source.url)}" rel="noopener noreferrer">{_e(source.label)}</a>'
            if source.url
            else f"<b>{_e(source.label)}</b>"
        )
        + f": {_e(source.citation)} ({_e(_kind(source))})</li>"
        for source in said.sources
    )
    notes = "".join(
        "<li>"
        + ", ".join(f'<a href="#{_e(_evidence_anchor(section))}">{_e(section)}</a>' for section in each.sections)
        + f": {_e(each.claim)}</li>"
        for each in said.notes
    )
    return (
        f'<article id="{anchor}"><h4>{number}. {_e(_sentence(said.when))}</h4>'
        f"<blockquote><p>{_e(said.text)}</p>{under}</blockquote>"
        + (f"<p>Offered to tap:</p><ul>{choices}</ul>" if choices else "")
        + f"<dl>{facts}</dl>"
        + (f'<ul class="sources">{sources}</ul>' if sources else "")
        + (f'<p>Where its claims stand in the evidence:</p><ul class="notes">{notes}</ul>' if notes else "")
        + "</article>"
    )


def _facts(said: Said) -> list[tuple[str, str]]:
    grade = "too short to measure" if said.grade is None else f"{said.grade:.1f}"
    return [
        *([("Evidence", _plain(said.evidence))] if said.evidence else []),
        *([("Checked on", readable(said.reviewed))] if said.reviewed else []),
        ("Reading grade", grade),
        ("Words", str(said.words)),
    ]


def _summary(chapters: list[Chapter], today: date) -> str:
    said = [each for chapter in chapters for reply in chapter.replies for each in reply.variations]
    answers = sum(bool(each.evidence) for each in said)
    return (
        f"Everything a patient may be told by the assistant, for reviewers to read: {answers} answers and "
        f"{len(said) - answers} other replies. Made on {day_in_words(today)} from the content files."
    )


def _source(name: str, sources: dict[str, Any]) -> Source:
    entry = sources.get(name) or {}
    return Source(entry.get("label") or name, entry.get("citation") or "", entry.get("kind") or "", entry.get("url") or "")


def _kind(source: Source) -> str:
    return _plain(source.kind) if source.url else f"{_plain(source.kind)}; no link on file"


def _evidence_anchor(section: str) -> str:
    return f"evidence-{section}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _e(text: str) -> str:
    """Text made harmless for HTML."""
    return escape(text, quote=True)


def _m(text: str) -> str:
    """Text made harmless for Markdown."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", text)


if __name__ == "__main__":
    run_command(main)
