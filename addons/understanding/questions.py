"""Reads a message: which questions it asks, each with its intent, and which of them the assistant may answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from addons.understanding.classifier import IntentClassifier, Scored
from addons.understanding.encoder import SentenceEncoder
from addons.understanding.rejection import FALLBACK, Thresholds, judge
from addons.understanding.vocabulary import Mention

# What a question may name that chooses between the variations of an answer.
NAMED = ("concern", "condition", "medicine", "treatment", "country", "red_flag")


@dataclass(frozen=True)
class Question:
    """One question of a message.

    Attributes:
        text: its words.
        intent: what it counts as, after refusal.
        confidence: the probability of that intent, 0 to 1.
        named: what it names, by kind of `NAMED`; the first of a kind counts.
        rule: why it was accepted or refused.
    """

    text: str
    intent: str
    confidence: float
    named: dict[str, str]
    rule: str

    def as_output(self) -> dict[str, Any]:
        """The form of `/model/parse`: `concern` always, the other kinds where named."""
        return {
            "text": self.text,
            "intent": self.intent,
            "confidence": round(self.confidence, 4),
            "concern": None,
            **self.named,
        }


@dataclass(frozen=True)
class Understood:
    """A message, understood: its questions in the order asked, and the ranking of intents for the whole."""

    questions: list[Question]
    ranking: list[tuple[str, float]]

    def as_output(self) -> dict[str, Any]:
        """What the pipeline leaves on Rasa's message."""
        first = self.questions[0]
        ranking = [{"name": name, "confidence": round(confidence, 4)} for name, confidence in self.ranking]
        intent = {"name": first.intent, "confidence": round(first.confidence, 4)}
        return {
            "intent": intent,
            "intent_ranking": [intent, *(entry for entry in ranking if entry["name"] != first.intent)],
            "questions": [question.as_output() for question in self.questions],
        }


class QuestionReader:
    """Classifies the questions of a message and refuses what is not ours."""

    def __init__(self, encoder: SentenceEncoder, classifier: IntentClassifier, thresholds: Thresholds) -> None:
        """Put the parts together."""
        self._encoder = encoder
        self._classifier = classifier
        self._thresholds = thresholds

    def read(self, doc: Doc, mentions: Sequence[Mention]) -> Understood:
        """Understand a message.

        Args:
            doc: the tidy message, tokenised.
            mentions: what the vocabulary found in it.
        """
        text = doc.text
        if not any(character.isalpha() for character in text) and not any(ord(character) > 0x2000 for character in text):
            return Understood([Question(text, FALLBACK, 0.0, {}, "nothing to read")], [(FALLBACK, 0.0)])
        scored = self._classifier.score([text], [mentions], self._encoder.encode([text]))[0]
        return Understood([self._question(text, scored, mentions)], scored.ranking)

    def _question(self, text: str, scored: Scored, mentions: Sequence[Mention]) -> Question:
        verdict = judge(scored, self._thresholds)
        confidence = dict(scored.ranking).get(verdict.intent, 1 - scored.probability)
        named: dict[str, str] = {}
        for mention in mentions:
            if mention.kind in NAMED:
                named.setdefault(mention.kind, mention.value)
        return Question(text, verdict.intent, confidence, named, verdict.rule)
