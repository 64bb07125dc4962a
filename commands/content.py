"""The assistant's content as data: responses, training examples and the evidence, straight from the files people edit."""

import operator
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from addons.configuration import ROOT, read_mapping

DATA_FOLDERS = ("topics", "conversation", "safety", "dialogue", "channels")
EVIDENCE = ROOT / "docs" / "evidence.md"
# A review older than this is named by `make check`: rules, prices and studies change.
REVIEW_EVERY_DAYS = 365

Variation = dict[str, Any]

_NOTE = re.compile(r"(?P<sections>\d+(?:\.\d+)?(?:, \d+(?:\.\d+)?)*): (?P<claim>\S.*)")
SECTION_HEADING = re.compile(r"(\d+(?:\.\d+)?)\.? ")
_HEADING = re.compile(r"#{2,3} ")
_MARK = re.compile(r"\[[^\]]*\]")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_AMOUNT = r"[$€]?([\d,.]*\d)%?"
_SUM = re.compile(rf"{_AMOUNT} ([x/+-]) {_AMOUNT} = {_AMOUNT}")
_OPERATIONS = {"x": operator.mul, "/": operator.truediv, "+": operator.add, "-": operator.sub}
_ROUNDED = re.compile(rf"{_AMOUNT} rounds to {_AMOUNT}")


@dataclass(frozen=True)
class Note:
    """One `checked` note of an answer: the sections of docs/evidence.md in which a claim stands, and the claim."""

    sections: tuple[str, ...]
    claim: str


def data_files() -> list[Path]:
    """Every file of the assistant's content, in a fixed order."""
    return [path for folder in DATA_FOLDERS for path in sorted((ROOT / "data" / folder).glob("*.yml"))]


def responses() -> dict[str, list[Variation]]:
    """Every response by name, each a list of variations."""
    found: dict[str, list[Variation]] = {}
    for path in data_files():
        found |= read_mapping(path).get("responses") or {}
    return found


def examples() -> dict[str, list[str]]:
    """Every training example by intent."""
    found: dict[str, list[str]] = {}
    for path in data_files():
        for block in read_mapping(path).get("nlu") or []:
            lines = [line.strip() for line in block["examples"].splitlines()]
            found.setdefault(block["intent"], []).extend(line[2:].strip() for line in lines if line.startswith("- "))
    return found


def note(entry: str) -> Note:
    """Read a `checked` note such as `2.2, 10: 20 women, 12 weeks`.

    Raises:
        ValueError: it has another form.
    """
    found = _NOTE.fullmatch(entry)
    if not found:
        raise ValueError(f'"{entry}" must look like "2.2: 20 women, 12 weeks": section, colon, claim')
    return Note(tuple(found["sections"].split(", ")), found["claim"])


def evidence_sections(text: str) -> dict[str, str]:
    """The sections of the evidence by number, without what could not be verified.

    Args:
        text: docs/evidence.md.

    Returns:
        Section number to its lines. A line marked `[U]` and nothing else is left out: no answer may rest on it. The
        marks themselves are left out too, so that the number of a source is no number of the text.
    """
    sections: dict[str, list[str]] = {}
    here = ""
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            number = SECTION_HEADING.match(line[heading.end() :])
            # A heading without a number is part of the section above it, unless it opens a chapter.
            here = number[1] if number else here if line.startswith("### ") else ""
        if here and not only_unverified(line):
            sections.setdefault(here, []).append(_MARK.sub("", line))
    return {number: "\n".join(lines) for number, lines in sections.items()}


def only_unverified(line: str) -> bool:
    """Whether every mark of an evidence line is `[U]`."""
    marks = _MARK.findall(line)
    return "[U]" in marks and not any(mark[1] in "VK" for mark in marks)


def numbers(text: str) -> set[float]:
    """The numbers of a text written in digits; `1,361` is one number, `70.0%` is 70."""
    return {_value(found) for found in _NUMBER.findall(text)}


def numbers_of_evidence(text: str) -> set[float]:
    """The numbers of an evidence section, also those written as words up to twelve."""
    lower = text.lower()
    words = {float(value) for value, word in enumerate(_NUMBER_WORDS, 1) if re.search(rf"\b{word}\b", lower)}
    return numbers(text) | words


def numbers_to_find(claim: str) -> set[float]:
    """The numbers of a note that must stand in its sections: all but those of a sum it works out.

    A sum is `8 x $250 = $2,000` (or `/`, `+`, `-`), a rounding `62.8% rounds to 63%`; of a rounding the exact number is
    still to be found.

    Raises:
        ValueError: a sum is wrong.
    """
    worked_out: set[float] = set()
    for found in _SUM.finditer(claim):
        left, right, result = _value(found[1]), _value(found[3]), _value(found[4])
        if abs(_OPERATIONS[found[2]](left, right) - result) > 0.01:
            raise ValueError(f'"{found[0]}" does not add up')
        worked_out |= {left, right, result}
    for found in _ROUNDED.finditer(claim):
        if abs(_value(found[1]) - _value(found[2])) > 0.5:
            raise ValueError(f'"{found[0]}" does not add up')
    return numbers(_ROUNDED.sub(r"\1", claim)) - worked_out


def overdue(variations: dict[str, list[Variation]], today: date) -> list[str]:
    """The responses that were last checked against their sources more than a year ago, one plain line each."""
    found = []
    for name, each in variations.items():
        days = [str((variation.get("metadata") or {}).get("reviewed") or "") for variation in each]
        oldest = min(filter(None, days), default=None)
        if oldest and (today - date.fromisoformat(oldest)).days > REVIEW_EVERY_DAYS:
            found.append(f"{name}: last checked on {oldest}; check it against its sources again and set `reviewed`.")
    return found


def _value(number: str) -> float:
    return float(number.replace(",", ""))
