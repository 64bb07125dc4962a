"""Makes what a person typed fit to read: plain spaces, no invisible characters, no commands, a bounded length."""

import re
import unicodedata

# Longer messages are stories; the question is nearly always in the first part, and unbounded text is a way to stall us.
MAX_CHARACTERS = 1000

_SPACES = re.compile(r"[^\S\n]+")
_LINE_BREAKS = re.compile(r"\s*\n\s*")
# What a list item begins with says nothing; a question mark is followed by a new question, with or without a space.
_LIST_MARKS = re.compile(r"^[-*/\u2022\u2013\u2014\u00b7> ]+(?=[^\W\d])", re.MULTILINE)
_NO_SPACE_AFTER_MARK = re.compile(r"(?<=[?!])(?=[^\W\d_])")
# How people type on a phone; left alone, the figure would be taken for a number of sessions.
_TEXT_SPEAK = (
    (re.compile(r"\bb4\b", re.IGNORECASE), "before"),
    (
        re.compile(
            r"\b2(?= (?:ask|avoid|be|book|come|do|drink|eat|feel|get|give|go|have|help|know|look|make|pay|prepare|say|see|start"
            r"|stop|take|try|use|wait|work)\b)",
            re.IGNORECASE,
        ),
        "to",
    ),
    (re.compile(r"\b4(?= (?:a|her|him|how|it|me|my|that|the|this|u|you)\b)", re.IGNORECASE), "for"),
)
# Cc control, Cf format (zero-width, direction marks), Cs lone surrogates, Co private use, Cn unassigned
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00b4": "'", "`": "'"})


def tidy(text: str | None) -> str:
    """Clean a message before anything reads it.

    A leading slash goes: Rasa reads `/intent{...}` as a command that sets slots and jumps, whoever typed it. Line breaks
    stay, because they part the items of a list.

    Args:
        text: what the channel received; None when it carried no text.

    Returns:
        Unicode NFKC text, at most `MAX_CHARACTERS` characters, perhaps empty.
    """
    if not text:
        return ""
    # The bound comes first: normalising may lengthen text up to 18 times.
    normal = unicodedata.normalize("NFKC", text[: 2 * MAX_CHARACTERS]).translate(_QUOTES)
    visible = "".join(
        character for character in normal if character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    lines = _LINE_BREAKS.sub("\n", _SPACES.sub(" ", visible.replace("\r", "\n"))).strip()
    plain = _NO_SPACE_AFTER_MARK.sub(" ", _LIST_MARKS.sub("", lines))
    for typed, meant in _TEXT_SPEAK:
        plain = typed.sub(meant, plain)
    return plain.lstrip("/ \n")[:MAX_CHARACTERS].rstrip()


def is_shortened(text: str | None) -> bool:
    """Whether `tidy` leaves out the end of a message."""
    return len(text or "") > MAX_CHARACTERS
