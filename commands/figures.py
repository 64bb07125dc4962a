"""Measures the answers: words, sentences, reading grade and sources of each, written to docs/content-figures.md.

The summary goes between the markers of docs/quality.md.
"""

from collections import Counter
from dataclasses import dataclass
from statistics import mean

import textstat

from addons.answering import ANSWER, GRADES
from addons.configuration import ROOT, read_mapping
from commands.content import responses
from commands.reading import reading_grade, sentences, word_count
from commands.terminal import CommandFailed, run_command, say

TABLE = ROOT / "docs" / "content-figures.md"
QUALITY = ROOT / "docs" / "quality.md"
START, END = "<!-- content -->", "<!-- end of content -->"
LONGEST_SENTENCE = 20


@dataclass(frozen=True)
class Figures:
    """What is measured of one answer.

    Attributes:
        answer: topic and condition, such as `cost: country=us`.
        words: as spaces part them.
        long_sentences: sentences of more than 20 words.
        grade: Flesch-Kincaid grade, unavoidable names counted as one easy word.
        grade_as_written: the same with every name counted as written.
        ease: Flesch reading ease as written, 0 (hard) to 100 (easy).
        sources: how many it names.
        notes: how many `checked` notes it has.
        evidence: its evidence grade.
    """

    answer: str
    words: int
    long_sentences: int
    grade: float
    grade_as_written: float
    ease: float
    sources: int
    notes: int
    evidence: str


def measured() -> list[Figures]:
    """Every answer, in the order of the files and of their variations."""
    found = []
    for name, variations in responses().items():
        for variation in variations if name.startswith(ANSWER) else []:
            facts = variation["metadata"]
            named = " and ".join(f"{each['name']}={each['value']}" for each in variation.get("condition") or [])
            text = variation["text"]
            plain = text.replace("\n", " ")
            found.append(
                Figures(
                    answer=f"{name.removeprefix(ANSWER)}: {named or 'default'}",
                    words=word_count(text),
                    long_sentences=sum(word_count(sentence) > LONGEST_SENTENCE for sentence in sentences(text)),
                    grade=reading_grade(text),
                    grade_as_written=float(textstat.flesch_kincaid_grade(plain)),
                    ease=float(textstat.flesch_reading_ease(plain)),
                    sources=len(facts["sources"]),
                    notes=len(facts["checked"]),
                    evidence=facts["evidence"],
                )
            )
    return found


def summary(figures: list[Figures]) -> str:
    """The whole set in one table, for docs/quality.md."""
    sources = read_mapping(ROOT / "data" / "sources.yml")
    linked = sum("url" in entry for entry in sources.values())
    grades = Counter(each.evidence for each in figures)
    rows = [
        ("answers (with variations)", f"{len(figures)}"),
        ("words", _spread([each.words for each in figures], "{:.0f}")),
        ("sentences over 20 words", f"{sum(each.long_sentences for each in figures)}"),
        ("Flesch-Kincaid grade, unavoidable drug names counted as easy", _spread([each.grade for each in figures], "{:.1f}")),
        ("Flesch-Kincaid grade as written", _spread([each.grade_as_written for each in figures], "{:.1f}")),
        ("Flesch reading ease as written", _spread([each.ease for each in figures], "{:.0f}")),
        ("sources named by an answer", _spread([each.sources for each in figures], "{:g}")),
        ("notes that say where its claims stand", _spread([each.notes for each in figures], "{:g}")),
        ("evidence grades", ", ".join(f"{grade.replace('_', ' ')} {grades[grade]}" for grade in reversed(GRADES))),
        ("sources in all, with a link", f"{len(sources)}, {linked}"),
    ]
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def table(figures: list[Figures]) -> str:
    """Every answer in one row, for docs/content-figures.md."""
    lines = [
        "# Every answer, measured",
        "",
        "Written by `make figures`. The grade is Flesch-Kincaid (years of US school), unavoidable drug names counted as one easy",
        "word; as written, they count as they stand. Long sentences have more than 20 words; notes are the `checked` notes.",
        "",
        "| answer | words | long sentences | grade | as written | sources | notes | evidence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.answer} | {each.words} | {each.long_sentences} | {each.grade:.1f} | {each.grade_as_written:.1f} "
        f"| {each.sources} | {each.notes} | {each.evidence.replace('_', ' ')} |"
        for each in figures
    ]
    return "\n".join([*lines, ""])


def with_summary(page: str, made: str) -> str:
    """The page with the summary between its markers.

    Raises:
        CommandFailed: the page has no markers.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise CommandFailed(f"{QUALITY} must hold the lines {START} and {END}; the summary goes between them.")
    return f"{before}{START}\n{made}\n{END}{after}"


def main() -> int:
    """Write both pages."""
    figures = measured()
    TABLE.write_text(table(figures), encoding="utf-8")
    QUALITY.write_text(with_summary(QUALITY.read_text(encoding="utf-8"), summary(figures)), encoding="utf-8")
    say(f"Wrote {TABLE} and the content table of {QUALITY}")
    return 0


def _spread(values: list[float] | list[int], form: str) -> str:
    return f"{form.format(min(values))} to {form.format(max(values))}, mean {form.format(round(mean(values), 1))}"


if __name__ == "__main__":
    run_command(main)
