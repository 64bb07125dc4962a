"""Cuts a message where one question may end and the next begin. Whether it really is several questions, the reader decides."""

from dataclasses import dataclass

from spacy.tokens import Doc, Span

# A cut after one of these is a sentence's or a list item's end.
_ENDS = {".", "?", "!", ";", "\n", "...", "..", "??", "???", "!!", "?!", "!?", "•", "*", "|"}
# Set between spaces they part items; inside a word they do not.
_DASHES = {"-", "--", "\u2013", "\u2014", "/", "+", ":"}
_JOINERS = {"and", "also", "plus", "then", "or", "&", "n", "nd", "but", ","}
# Words a question begins with or turns on, as people type them. A part without any is no question of its own, unless it
# is a mere keyword ("cost").
_CUES = {
    "what", "whats", "wat", "wats", "wot", "which", "who", "whos", "whose", "when", "whens", "where", "wheres", "why", "how",
    "hows", "hw", "is", "are", "am", "was", "do", "does", "did", "dose", "can", "cant", "could", "will", "would", "should",
    "shall", "may", "might", "must", "has", "any", "anything", "anyone", "r", "tell", "show", "explain", "wanna", "if",
}  # fmt: skip
_MOST_KEYWORDS = 4


@dataclass(frozen=True)
class Part:
    """A stretch of a message that may be a question of its own.

    Attributes:
        span: its tokens.
        asks: whether it has the look of a question: a question mark, a question word, or a few bare keywords.
        hard: whether a sentence or list item ended before it, rather than a mere "and" or comma.
    """

    span: Span
    asks: bool
    hard: bool


def parts(doc: Doc) -> list[Part]:
    """Cut a message.

    Args:
        doc: the tidy message, tokenised.

    Returns:
        Its parts in order, without empty ones; one part when there is nothing to cut.
    """
    cuts: list[tuple[int, int, bool]] = []  # (first token after the cut, last token before it, hard)
    for token in doc:
        spaced = bool(token.whitespace_) and (token.i == 0 or bool(doc[token.i - 1].whitespace_))
        if token.text in _ENDS or (token.text in _DASHES and (spaced or token.text == ":")):
            cuts.append((token.i + 1, token.i, True))
        elif token.lower_ in _JOINERS:
            cuts.append((token.i + 1, token.i, False))
    found: list[Part] = []
    start, hard = 0, True
    for after, before, cut_is_hard in [*cuts, (len(doc), len(doc), True)]:
        span = doc[start:before]
        marked = before < len(doc) and "?" in doc[before].text
        if any(token.is_alpha for token in span):
            found.append(Part(span, marked or _asks(span), hard))
            hard = cut_is_hard
        else:
            hard = hard or cut_is_hard
        start = after
    return found


def _asks(span: Span) -> bool:
    words = [token for token in span if token.is_alpha]
    return len(words) <= _MOST_KEYWORDS or any(token.lower_ in _CUES for token in words)
