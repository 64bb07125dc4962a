"""Sentences of curated text, which is plain enough for a rule: a full stop, a question mark or a line's end; and days in it."""

import re
from datetime import date

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"(])")
# A first sentence this short ("Yes.") says too little by itself.
_TOO_LITTLE = 8


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; a line of a list is one.

    Args:
        text: curated text, lines parted by newlines.
    """
    return [sentence for line in text.splitlines() for sentence in _END.split(line) if sentence]


def in_short(text: str, emergency_number: str) -> str:
    """The shortest form of an answer: what answers the question, and when to call for help if the answer says so.

    Args:
        text: the answer; its first sentence answers the question.
        emergency_number: as it stands in the text.
    """
    found = sentences(text)
    kept = found[:1] if len(found[0].split()) >= _TOO_LITTLE else found[:2]
    if kept[-1].endswith(":"):
        kept = [*kept, *(line for line in found[len(kept) :] if line.startswith("- "))]
    calls = [sentence for sentence in found[len(kept) :] if emergency_number in sentence]
    joined = "\n".join(kept) if any(line.startswith("- ") for line in kept) else " ".join(kept)
    return "\n".join([joined, *calls])


def day_in_words(day: date) -> str:
    """A day as people write it, such as "23 November 2026"."""
    return f"{day.day} {day:%B %Y}"
