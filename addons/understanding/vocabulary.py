"""Finds what a message names: concerns, body areas, conditions, medicines, treatments, countries, red flags.

The words are data a clinician can read (data/vocabulary/<kind>.yml); this module matches them, plural or not, and with the
common typos of people who type on a phone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.matcher import PhraseMatcher
from spacy.matcher.levenshtein import levenshtein
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from addons.configuration import ConfigurationError, read_mapping

# Phrases under this value are longer look-alikes ("leave a scar" is not a scar to treat): they win over what they
# contain and name nothing.
LOOK_ALIKE = "look_alike"

Phrases = dict[str, dict[str, list[str]]]

# A word this short is another word after one slip ("lip", "leg"), so it must be typed right.
_SHORTEST_TYPO = 5
_LONG_WORD = 8
_LAST_LATIN = 0x24F
# Parts the kind from the value in the matcher's labels.
_OF_KIND = "/"


@dataclass(frozen=True)
class Mention:
    """A phrase of the message that names something of the vocabulary. `start` and `end` count characters."""

    kind: str
    value: str
    text: str
    start: int
    end: int


def read_phrases(folder: Path) -> Phrases:
    """Read the vocabulary.

    Args:
        folder: holds one `<kind>.yml` a kind, each a mapping of value to phrases.

    Returns:
        kind -> value -> phrases.

    Raises:
        ConfigurationError: a file is not of that shape.
    """
    phrases: Phrases = {}
    for path in sorted(folder.glob("*.yml")):
        kind = read_mapping(path)
        for value, listed in kind.items():
            if not isinstance(listed, list) or not all(isinstance(phrase, str) for phrase in listed):
                raise ConfigurationError(path, f"`{value}` must be a list of phrases; quote one that looks like a number.")
        phrases[path.stem] = kind
    if not phrases:
        raise ConfigurationError(folder, "no vocabulary was found here; restore the folder from the repository.")
    return phrases


class Vocabulary:
    """Matches the phrases of data/vocabulary in messages."""

    def __init__(self, phrases: Phrases, known_words: Iterable[str]) -> None:
        """Build the matchers.

        Args:
            phrases: kind -> value -> phrases, as `read_phrases` gives them.
            known_words: correctly spelled English words; a word among them is never taken for a typo.
        """
        self._nlp = spacy.blank("en")
        self._known_words = {_stem(word) for word in known_words}
        self._words_by_initial: dict[str, list[str]] = {}
        # One for all kinds: what it costs to look through a message hardly depends on how many phrases it knows.
        self._matcher = PhraseMatcher(self._nlp.vocab, attr="NORM")
        words: set[str] = set()
        for kind, values in phrases.items():
            for value, listed in values.items():
                patterns = [self._nlp.make_doc(phrase.lower()) for phrase in listed]
                for pattern in patterns:
                    for token in pattern:
                        token.norm_ = _stem(token.lower_)
                        words.add(token.norm_)
                self._matcher.add(f"{kind}{_OF_KIND}{value}", patterns)
        self._known_words |= words
        for word in sorted(words):
            if len(word) >= _SHORTEST_TYPO and word.isalpha():
                self._words_by_initial.setdefault(word[0], []).append(word)

    def read(self, text: str) -> Doc:
        """Tokenise a message and mend the spelling of vocabulary words in the tokens' `norm_`.

        In lower case, because the tokeniser parts "can't" but not "CAN'T".
        """
        lowered = text.lower()
        doc = self._nlp.make_doc(lowered if len(lowered) == len(text) else text)
        for token in doc:
            token.norm_ = self._mended(_stem(token.lower_))
        return doc

    def mentions(self, doc: Doc) -> list[Mention]:
        """What a message names, in reading order; of overlapping phrases of one kind the longest counts.

        Args:
            doc: what `read` returned.
        """
        by_kind: dict[str, list[Span]] = {}
        for span in self._matcher(doc, as_spans=True):
            by_kind.setdefault(span.label_.partition(_OF_KIND)[0], []).append(span)
        found = [
            Mention(kind, value, span.text, span.start_char, span.end_char)
            for kind, spans in by_kind.items()
            for span in filter_spans(spans)
            if (value := span.label_.partition(_OF_KIND)[2]) != LOOK_ALIKE
        ]
        if _is_other_script(doc.text):
            found.append(Mention("language", "other", doc.text, 0, len(doc.text)))
        return sorted(found, key=lambda mention: (mention.start, mention.kind))

    def _mended(self, word: str) -> str:
        if len(word) < _SHORTEST_TYPO or word in self._known_words or not word.isalpha():
            return word
        allowed = 1 if len(word) < _LONG_WORD else 2
        best, best_distance = word, allowed + 1
        for candidate in self._words_by_initial.get(word[0], ()):
            if abs(len(candidate) - len(word)) < best_distance:
                distance = levenshtein(word, candidate, allowed)
                if distance < best_distance:
                    best, best_distance = candidate, distance
        return best


def as_entities(mentions: Iterable[Mention]) -> list[dict[str, Any]]:
    """Mentions as Rasa's entities."""
    return [
        {
            "entity": mention.kind,
            "value": mention.value,
            "start": mention.start,
            "end": mention.end,
            "extractor": "Vocabulary",
        }
        for mention in mentions
    ]


def _is_other_script(text: str) -> bool:
    """Whether most letters are of another script than Latin."""
    letters = [character for character in text if character.isalpha()]
    return sum(ord(character) > _LAST_LATIN for character in letters) > len(letters) / 2


def _stem(word: str) -> str:
    """The word without its plural s: enough to match "scars" with "scar", and wrong alike on both sides."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
