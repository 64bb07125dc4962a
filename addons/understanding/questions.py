"""Reads a message: which questions it asks, each with its intent, and which of them the assistant may answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from addons.understanding.classifier import IntentClassifier, Scored
from addons.understanding.encoder import SentenceEncoder
from addons.understanding.rejection import FALLBACK, NOT_OURS, OUT_OF_SCOPE, Thresholds, judge
from addons.understanding.splitter import Part, parts
from addons.understanding.triage import EMERGENCY, SYMPTOM, triage
from addons.understanding.vocabulary import Mention

TOPIC = "faq_"
MOST_QUESTIONS = 3
# What a question may name that chooses between the variations of an answer.
NAMED = ("concern", "condition", "medicine", "treatment", "country", "red_flag", "language")
# Manners around a question, not questions.
_MANNERS = frozenset({"greet", "affirm", "deny"})
# How sure a part must be of its own intent to count as a question: higher after a mere "and" than after a sentence's end.
_SURE_AFTER_END = 0.45
_SURE_AFTER_JOINER = 0.55
# A whole message this sure of one intent is one question, unless its parts are as sure of theirs.
_SURE_OF_ONE = 0.85
# Shorter parts that are not ours are asides ("sorry", "lol"), not worth naming as unanswered.
_LONG_ENOUGH_TO_NAME = 4


@dataclass(frozen=True)
class Question:
    """One question of a message.

    Attributes:
        text: its words.
        intent: what it counts as, after refusal.
        confidence: the probability of that intent, 0 to 1.
        similarity: cosine to the nearest training example.
        named: what it names, by kind of `NAMED`; the first of a kind counts.
        rule: why it was accepted or refused.
        unsure: the intent is `nlu_fallback` because a few topics are about equally likely: one of these is worth offering.
    """

    text: str
    intent: str
    confidence: float
    similarity: float
    named: dict[str, str]
    rule: str
    unsure: bool = False

    def as_output(self) -> dict[str, Any]:
        """The form of `/model/parse`: `concern` always, the other kinds where named."""
        return {
            "text": self.text,
            "intent": self.intent,
            "confidence": round(self.confidence, 4),
            "similarity": round(self.similarity, 4),
            "unsure": self.unsure,
            "concern": None,
            **self.named,
        }


@dataclass(frozen=True)
class Understood:
    """A message, understood: its questions in the order asked, and the ranking of intents for the whole."""

    questions: list[Question]
    ranking: list[tuple[str, float]]

    @property
    def leading(self) -> Question:
        """The question the dialogue goes by: danger first, then the first that has an answer."""
        for wanted in ((EMERGENCY,), (SYMPTOM,)):
            for question in self.questions:
                if question.intent in wanted:
                    return question
        answerable = [question for question in self.questions if question.intent.startswith(TOPIC)]
        ours = [question for question in self.questions if question.intent not in NOT_OURS | {"thank"}]
        return (answerable or ours or self.questions)[0]

    def as_output(self) -> dict[str, Any]:
        """What the pipeline leaves on Rasa's message."""
        intent = {"name": self.leading.intent, "confidence": round(self.leading.confidence, 4)}
        ranking = [{"name": name, "confidence": round(confidence, 4)} for name, confidence in self.ranking]
        return {
            "intent": intent,
            "intent_ranking": [intent, *(entry for entry in ranking if entry["name"] != intent["name"])],
            "questions": [question.as_output() for question in self.questions],
        }


class QuestionReader:
    """Finds the questions of a message, classifies them, and refuses what is not ours."""

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
        if not _has_words(doc.text):
            return Understood([Question(doc.text, FALLBACK, 0.0, 0.0, {}, "nothing to read")], [(FALLBACK, 0.0)])
        cut = parts(doc)
        # One batch for the whole message and its parts: the encoder's time is spent on the call, not on the rows.
        texts = [doc.text, *(part.span.text for part in cut if len(cut) > 1)]
        within = [list(mentions), *(_within(part, mentions) for part in cut if len(cut) > 1)]
        scored = self._classifier.score(texts, within, self._encoder.encode(texts))
        whole = self._question(doc.text, scored[0], mentions)
        urgency = triage(doc, mentions, scored[0])
        if urgency.intent is not None:
            probability = dict(scored[0].ranking).get(urgency.intent, 0.0)
            whole = Question(doc.text, urgency.intent, probability, scored[0].similarity, _named(mentions, ()), urgency.rule)
        several = self._several(whole, cut, within[1:], scored[1:], mentions) if len(cut) > 1 else []
        return Understood(several or [whole], scored[0].ranking)

    def _several(
        self,
        whole: Question,
        cut: Sequence[Part],
        within: Sequence[Sequence[Mention]],
        scored: Sequence[Scored],
        mentions: Sequence[Mention],
    ) -> list[Question]:
        """The questions of the parts, if they are two or more that differ; otherwise nothing."""
        found: list[Question] = []
        for part, inside, score in zip(cut, within, scored):
            question = self._question(part.span.text, score, inside, mentions)
            if not part.asks or question.intent in _MANNERS | {FALLBACK}:
                continue
            sure = question.confidence >= (_SURE_AFTER_END if part.hard else _SURE_AFTER_JOINER)
            if question.intent == OUT_OF_SCOPE:
                sure = sure and len(part.span) >= _LONG_ENOUGH_TO_NAME
            if question.intent in (EMERGENCY, SYMPTOM) and whole.intent not in (EMERGENCY, SYMPTOM):
                sure = False  # what a part alone sounds like, the whole message has explained
            if sure and all(question.intent != other.intent for other in found):
                found.append(question)
        if whole.intent == EMERGENCY:
            return [whole, *(question for question in found if question.intent.startswith(TOPIC))][:MOST_QUESTIONS]
        if whole.intent == SYMPTOM and all(question.intent != SYMPTOM for question in found):
            return []
        if len(found) < 2 or not any(question.intent not in NOT_OURS for question in found):
            return []
        surest_other = max((q.confidence for q in found if q.intent != whole.intent), default=0.0)
        if whole.confidence >= _SURE_OF_ONE > surest_other and whole.intent not in NOT_OURS:
            return []
        return found[:MOST_QUESTIONS]

    def _question(self, text: str, scored: Scored, mentions: Sequence[Mention], elsewhere: Sequence[Mention] = ()) -> Question:
        verdict = judge(scored, self._thresholds)
        confidence = dict(scored.ranking).get(verdict.intent, 1 - scored.probability)
        named = _named(mentions, elsewhere)
        return Question(text, verdict.intent, confidence, scored.similarity, named, verdict.rule, verdict.unsure)


def _has_words(text: str) -> bool:
    """Whether there is a letter, or a symbol that may mean something (an emoji)."""
    return any(character.isalpha() or ord(character) > 0x2000 for character in text)


def _within(part: Part, mentions: Sequence[Mention]) -> list[Mention]:
    span = part.span
    return [mention for mention in mentions if span.start_char <= mention.start and mention.end <= span.end_char]


def _named(mentions: Sequence[Mention], elsewhere: Sequence[Mention]) -> dict[str, str]:
    """What is named, by kind: in the question itself, else elsewhere in the message."""
    named: dict[str, str] = {}
    for mention in [*mentions, *elsewhere]:
        if mention.kind in NAMED:
            named.setdefault(mention.kind, mention.value)
    return named
