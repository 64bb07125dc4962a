"""Cuts a message into sentences, and sentences into parts, where one question may end and the next begin.

Whether a sentence really asks several questions, the reader decides; this module only knows how people write them: marks and
lists, "and / also / or", one question run into the next, and words shared by two questions ("what to do before and after").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from spacy.tokens import Doc, Span, Token

from addons.understanding.vocabulary import Mention

# A cut after one of these is a sentence's or a list item's end.
_ENDS = {".", "?", "!", ";", "\n", "...", "..", "??", "???", "!!", "?!", "!?", "•", "*", "|", "\u2026"}
# Set between spaces they part items; inside a word they do not.
_DASHES = {"-", "--", "\u2013", "\u2014", "/", "+", ":"}
_ORDINALS = {"first", "second", "third", "firstly", "secondly", "thirdly", "lastly", "finally", "1st", "2nd", "3rd"}
_JOINERS = {"and", "also", "plus", "then", "or", "&", "n", "nd", "but", ",", "vs"}
_QUESTION_WORDS = {
    "what", "whats", "wat", "wats", "wot", "which", "who", "whos", "whose", "when", "whens", "where", "wheres", "why", "how",
    "hows", "hw", "whether",
}  # fmt: skip
_CONTRACTED = {"whats", "wats", "wots", "hows", "whos", "wheres", "whens"}
_AUXILIARIES = {
    "is", "are", "am", "was", "do", "does", "did", "can", "could", "will", "wil", "would", "should", "may", "must", "has", "have",
    "r", "'s", "shall",
}  # fmt: skip
_SUBJECTS = {"i", "it", "this", "that", "you", "u", "they", "the", "there", "we", "my", "she", "he", "meso", "mesotherapy"}
_NAMED_SUBJECTS = {"people", "men", "women", "these", "those", "any", "anyone", "a", "an", "insurance", "your", "ur"}
_AFTER_QUESTION_WORD = _AUXILIARIES | {"much", "many", "long", "often", "soon", "else", "happens", "about"}
# With a subject behind them they begin a question in the middle of a line; others more often go on with one.
_RUN_ON = _AUXILIARIES - {"have", "has", "am", "was", "'s", "do"}
# With these a request begins that needs no question word, or turns a telling sentence into a question.
_REQUESTS = {"any", "anything", "anyone", "tell", "show", "explain", "dose"}
_ASKING = {"know", "wondering", "wonder", "wondered", "curious", "what", "wat", "how", "hw", "why", "whether", "who", "advice"}
# A part that ends in one of these only announces the next ("I would like to know").
_ANNOUNCING = {"know", "ask", "wonder", "wondering", "me", "please", "is", "question", "questions"}
# A part that begins with one of these tells something, unless it asks further on.
_TELLERS = {"i", "im", "ive", "iv", "my", "we", "our", "she", "he", "her", "his", "it", "its", "they", "there", "theres", "this"}
_CONJUNCTIONS = {"before", "after", "if", "when", "because", "since", "as", "while"}
# Said before a sentence gets to its point.
_FILLERS = {"and", "but", "so", "ok", "okay", "now", "well", "then", "just", "still", "also", "sorry", "oh", "um", "uh", "lol"}
_ELLIPTIC = {
    "how", "long", "often", "many", "why", "when", "where", "for", "soon", "what", "which", "who", "not", "days", "weeks",
    "times",
}  # fmt: skip
# Two questions in one breath that share all their other words.
_TIMES = {"before", "beforehand", "pre", "after", "afterwards", "afterward", "post", "during"}
_PHOTOS = {"photo", "photos", "picture", "pictures", "pic", "pics", "image", "images"}
_PAIRS = {("pros", "cons"), ("pins", "needles"), ("dos", "donts"), ("do's", "don'ts"), ("dos", "don'ts")}
_MOST_KEYWORDS = 5
# Words that add nothing of their own beside what is named.
_EMPTY = {
    "'m", "'s", "'ve", "m", "s", "ve",
    "a", "about", "actually", "also", "am", "an", "and", "are", "area", "as", "both", "but", "do", "does",
    "even", "for", "girls", "got", "guys", "have", "her", "him", "his", "how", "i", "if", "im", "in", "is", "it", "its",
    "just", "like", "man", "me", "mean", "meant", "men", "my", "n", "no", "not", "of", "ok", "okay", "on", "only", "or", "same",
    "so", "sorry", "take", "taking", "than", "that", "the", "them", "then", "this", "to", "too", "u", "vs", "wat", "well",
    "what", "when", "with", "woman", "women", "your",
}  # fmt: skip


class Link(Enum):
    """What parts a stretch of a message from the one before it."""

    END = "the end of a sentence or list item"
    AND = "and, also, a comma"
    OR = "or"
    NOTHING = "nothing but its own question word"


@dataclass(frozen=True)
class Part:
    """A stretch of a message that may be a question of its own.

    Attributes:
        text: its words; those it shares with another part are in both.
        stretches: where they stand in the message, as pairs of first and after-last character.
        link: what parts it from the stretch before.
        asks: whether it has the look of a question: a question mark, a question word, or a few bare keywords.
        leads: whether it begins as questions do ("how much", "is it").
        bare: whether it is a question only as a few keywords ("cost", "side effects").
        elliptic: whether it is nothing but question words ("for how long", "why"): of what, the words before it say.
        marked: whether a question mark ends it.
    """

    text: str
    stretches: tuple[tuple[int, int], ...]
    link: Link = Link.END
    asks: bool = True
    leads: bool = False
    bare: bool = False
    elliptic: bool = False
    marked: bool = False

    @property
    def words(self) -> int:
        """How many words it has."""
        return len(self.text.split())

    def mentions(self, mentions: Sequence[Mention]) -> list[Mention]:
        """Those of the message's mentions that stand in this part."""
        return [
            mention for mention in mentions if any(start <= mention.start and mention.end <= end for start, end in self.stretches)
        ]


@dataclass(frozen=True)
class Sentence:
    """A sentence or list item, as a whole and in parts; `parts` has one entry when there is nothing to cut."""

    whole: Part
    parts: tuple[Part, ...]


def sentences(doc: Doc) -> list[Sentence]:
    """Cut a message.

    Args:
        doc: the tidy message, tokenised.

    Returns:
        Its sentences and list items in order, without empty ones.
    """
    found: list[Sentence] = []
    start, items = 0, 0
    marks_questions = any("?" in token.text for token in doc)
    for token in [*doc, None]:
        length = 0 if token is None else _mark_length(token, start, items)
        if token is not None and (length == 0 or token.i < start):
            continue
        items += token is not None and token.text.isdigit()
        end = len(doc) if token is None else token.i
        span = doc[start:end]
        if any(_is_word(word) for word in span):
            mark = "" if token is None else token.text
            found.append(_sentence(span, marked="?" in mark, told=marks_questions and mark == "."))
        start = end + length
    return found


def says_nothing_new(span: Doc | Span, mentions: Sequence[Mention]) -> bool:
    """Whether words only name things, besides words without content: "and for my hair", "even if I'm on warfarin".

    Args:
        span: the words.
        mentions: what the vocabulary found in the message they come from.
    """
    return all(
        token.lower_ in _EMPTY or any(mention.start <= token.idx < mention.end for mention in mentions)
        for token in span
        if token.is_alpha
    ) and any(token.is_alpha for token in span)


def asks(doc: Doc) -> bool:
    """Whether any part of a message is put as a question, by its mark or its words."""
    return any(part.marked or (part.asks and not part.bare) for sentence in sentences(doc) for part in sentence.parts)


def _mark_length(token: Token, start: int, items: int) -> int:
    """How many tokens the mark takes that ends a sentence or list item here; 0 when there is none.

    Args:
        token: where it would begin.
        start: the first token of the present sentence.
        items: how many numbered list items came before.
    """
    doc, after = token.doc, token.i + 1
    following = doc[after].text if after < len(doc) else ""
    spaced = bool(token.whitespace_) and (token.i == 0 or bool(doc[token.i - 1].whitespace_))
    if token.text in _ENDS or (token.text in _DASHES and (spaced or token.text == ":")):
        return 1
    if token.text == str(items + 1) and following in {".", ")"}:
        return 2
    if token.lower_ in _ORDINALS and (token.i == start or doc[token.i - 1].lower_ in {",", "and"}):
        return 2 if following == "," else int(token.lower_.endswith("ly"))
    return 0


def _is_word(token: Token) -> bool:
    return any(character.isalpha() for character in token.text)


def _sentence(span: Span, marked: bool, told: bool) -> Sentence:
    """Cut one sentence into parts.

    Args:
        span: the sentence.
        marked: whether a question mark ends it.
        told: whether it ends in a full stop where the writer marks questions: it asks only if it begins as questions do.
    """
    cut = _cut(span) or [(span, Link.END)]
    parts = [_part(piece, link, marked and piece.end == cut[-1][0].end, told) for piece, link in cut]
    for index in range(len(cut) - 1):
        parts[index : index + 2] = _shared(cut[index][0], cut[index + 1]) or parts[index : index + 2]
    return Sentence(_part(span, Link.END, marked, told), tuple(parts))


def _cut(span: Span) -> list[tuple[Span, Link]]:
    """The stretches between joining words and before run-on questions, with what parts each from the one before."""
    doc = span.doc
    cuts: list[tuple[int, int, Link]] = []  # (after-last token of the left stretch, first of the right, link)
    start = span.start
    for token in span:
        if token.lower_ in _JOINERS or (token.text == "/" and token.i > span.start):
            if not _is_inside_a_name(token, span):
                cuts.append((token.i, token.i + 1, Link.OR if token.lower_ in {"or", "vs"} else Link.AND))
                start = token.i + 1
        elif token.i - start >= 2 and _begins_question(token, doc[start : token.i]):
            cuts.append((token.i, token.i, Link.NOTHING))
            start = token.i
    found: list[tuple[Span, Link]] = []
    start, link = span.start, Link.END
    for before, after, next_link in [*cuts, (span.end, span.end, Link.END)]:
        piece = doc[start:before]
        if any(_is_word(token) for token in piece):
            found.append((piece, link))
            link = next_link
        elif link is not Link.END:
            link = Link.OR if Link.OR in {link, next_link} else next_link
        start = after
    return found


def _is_inside_a_name(joiner: Token, span: Span) -> bool:
    """Whether a joining word is inside a name or choice: "before and after photos", "pros and cons", "before or after"."""
    before, after, later = (joiner.nbor(step).lower_ if span.start <= joiner.i + step < span.end else "" for step in (-1, 1, 2))
    chosen = joiner.lower_ == "or" and before in _TIMES and after in _TIMES
    return chosen or later in _PHOTOS or (before, after) in _PAIRS


def _begins_question(token: Token, before: Span) -> bool:
    """Whether a new question runs on here without any mark: "how much is it | does it hurt"."""
    turns = [word.lower_ for word in before if word.lower_ in _AUXILIARIES | _QUESTION_WORDS]
    if token.i + 1 >= len(token.doc) or not turns or turns[-1] not in _AUXILIARIES | _CONTRACTED:
        return False
    following = token.nbor(1).lower_
    if token.lower_ in _QUESTION_WORDS:
        return token.lower_ in _CONTRACTED or following in _AFTER_QUESTION_WORD
    if token.lower_ == "do":
        return following in {"i", "you", "u", "they", "we"}
    return token.lower_ in _RUN_ON and following in _SUBJECTS


def _part(span: Span, link: Link, marked: bool, told: bool) -> Part:
    words = [token.lower_ for token in span if _is_word(token)]
    while len(words) > 1 and words[0] in _FILLERS:
        del words[0]
    first, second = words[0], words[1] if len(words) > 1 else ""
    elliptic = all(word in _ELLIPTIC for word in words)
    tells = first in _TELLERS or (first in _CONJUNCTIONS and second in _SUBJECTS)
    announces = not marked and len(words) > 1 and words[-1] in _ANNOUNCING and first not in _QUESTION_WORDS
    leads = (
        not tells
        and not elliptic
        and (first in _QUESTION_WORDS or (first in _AUXILIARIES and second in _SUBJECTS | _NAMED_SUBJECTS | {"he", "she"}))
    )
    inverted = any(left in _AUXILIARIES and right in _SUBJECTS for left, right in pairwise(words[1:]))
    requests = not tells and bool({first, second} & _REQUESTS)
    cue = leads or elliptic or inverted or requests or bool(_ASKING & set(words))
    if told:
        cue = leads or requests
    keywords = len(words) <= _MOST_KEYWORDS and not tells and not cue
    # "Lovely girl, very clean place": what follows a comma there is more of what is told.
    may_ask = link is Link.END or not told
    return Part(
        span.text,
        ((span.start_char, span.end_char),),
        link,
        asks=may_ask and not announces and (marked or cue or keywords),
        leads=leads,
        bare=keywords,
        elliptic=elliptic,
        marked=marked,
    )


def _shared(left: Span, right: tuple[Span, Link]) -> list[Part] | None:
    """Two questions that differ in nothing but "before" and "after", each with the words they share."""
    span, link = right
    if left[-1].lower_ not in _TIMES or span[0].lower_ not in _TIMES:
        return None
    head, tail = left[:-1].text, span[1:].text
    stretches = ((left.start_char, left.end_char), (span.start_char, span.end_char))
    texts = [" ".join(piece for piece in (head, time.text, tail) if piece) for time in (left[-1], span[0])]
    first = Part(texts[0], stretches, leads=True)
    return [first, replace(first, text=texts[1], link=link)]
