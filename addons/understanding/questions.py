"""Reads a message: which questions it asks, each with its intent, and which of them the assistant may answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spacy.tokens import Doc

from addons.understanding.classifier import IntentClassifier, Scored
from addons.understanding.encoder import SentenceEncoder
from addons.understanding.rejection import FALLBACK, NOT_OURS, OUT_OF_SCOPE, Thresholds, judge
from addons.understanding.splitter import Link, Part, Sentence, says_nothing_new, sentences
from addons.understanding.triage import EMERGENCY, SYMPTOM, Triage, active_red_flags, is_calm, is_over, triage
from addons.understanding.vocabulary import Mention

TOPIC = "faq_"
MOST_QUESTIONS = 3
# What a question may name that chooses between the variations of an answer.
NAMED = ("concern", "condition", "medicine", "treatment", "country", "red_flag", "language")
ALTERNATIVES = "faq_alternatives"
CONTRAINDICATIONS = "faq_contraindications"
HELP = "help"
# Manners around a question, not questions; beside an answer they need no reply of their own.
_NEVER_BESIDE = frozenset({"greet", "affirm", "deny", "goodbye", "reject_answer", EMERGENCY})
THANK = "thank"
PERSON = "request_human"
TOLD = "told, not asked"
# The reply to a symptom says what is usual and what is dangerous, so these need no answer beside it.
_SAID_WITH_SYMPTOM = frozenset({"faq_side_effects", "faq_serious_risks"})
# How sure a part must be of its own intent to count as a question. A part that begins as questions do needs little; a
# keyword is one in a list of keywords ("cost, pain, downtime"), hardly ever elsewhere ("lovely clinic").
_SURE_LEADING = 0.7
_SURE_ASKING = 0.9
_SURE_RUN_ON = 0.76
_SURE_AFTER_OR = 0.97
_SURE_NO_TOPIC = 0.91
_SURE_NOT_OURS = 0.6
_SURE_KEYWORD = 0.6
_SURE_KEYWORD_ALONE = 0.996
# What is told rather than asked must be plainer, and the whole message must leave room for it.
_SURE_TOLD = 0.91
_SURE_CONDITION = 0.96
_SURE_WISH = 0.99
_SYMPTOM_IN_WHOLE = 0.017
# A sentence this sure of one intent is one question, unless its parts are as sure of theirs.
_SURE_OF_ONE = 0.985
_SURE_OF_OTHER = 0.95
# Shorter parts that are not ours are asides ("sorry", "lol"), not worth naming as unanswered.
_LONG_ENOUGH_TO_NAME = 4
# Longer than this, it tells of something pleasant.
_LONGEST_THANKS = 6
# A part that asks, is no nearer than this to any example, and this probably not ours, is named as not answered.
_UNLIKE = 0.75
_PERHAPS_NOT_OURS = 0.09
# Below this, what a part asks may be told from the message around it; of intents at least this share of the best.
_UNSURE = 0.88
_NEAR_THE_BEST = 0.3
_WHOLE_SAYS_LITTLE = 0.05
# Topics whose answers differ from concern to concern, so that one message may ask for two of them.
_VARIES_BY_CONCERN = {
    "effectiveness", "alternatives", "sessions", "results_timeline", "ingredients", "cost", "side_effects", "candidacy",
}  # fmt: skip
# What somebody tells of themselves that turns "is that ok?" into a question about it.
_BACKGROUND = {"condition", "medicine"}
_YES_OR_NO = re.compile(r"^(is|are|am|can|could|may|will|would|should|do|does)\b", re.IGNORECASE)
# Another treatment held beside ours, which only a pronoun names.
_COMPARES = re.compile(
    r"\b(it|this|that|they|meso\w*)\b.*\b(vs|versus|than|instead of|compared?|differen\w*|better|worse|safer|cheaper)\b"
    r"|\b(differen\w*|compared?|better|worse|safer|cheaper)\b.*\b(it|this|that|meso\w*)\b|^(and )?is \w+( \w+)? better$",
    re.IGNORECASE,
)
# A message of more pieces is a story; the encoder's time is bounded.
_MOST_PIECES = 24


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
        about: the concern or place of the body its own words name.
        unsure: the intent is `nlu_fallback` because a few topics are about equally likely: one of these is worth offering.
    """

    text: str
    intent: str
    confidence: float
    similarity: float
    named: dict[str, str]
    rule: str
    about: str | None = None
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
        ours = [question for question in self.questions if question.intent not in NOT_OURS | {THANK}]
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
        whole = Part(doc.text, ((0, len(doc.text)),))
        cut = _with_background(sentences(doc), mentions)
        scores = self._scores([whole, *_pieces(cut)], mentions)
        scored = scores[whole.text]
        alone = self._question(whole, scored, mentions)
        urgency = _urgency(doc, cut, mentions, scores)
        if urgency.intent is not None:
            probability = dict(scored.ranking).get(urgency.intent, 0.0)
            alone = replace(alone, intent=urgency.intent, confidence=probability, rule=urgency.rule)
        several = self._several(alone, cut, scores, doc, mentions) if len(scores) > 1 else []
        return Understood(several or [alone], scored.ranking)

    def _scores(self, pieces: Sequence[Part], mentions: Sequence[Mention]) -> dict[str, Scored]:
        """What the classifier thinks of each piece, in one batch: the encoder's time is spent on the call, not on the rows."""
        unique = list({piece.text: piece for piece in pieces[:_MOST_PIECES]}.values())
        texts = [piece.text for piece in unique]
        scored = self._classifier.score(texts, [piece.mentions(mentions) for piece in unique], self._encoder.encode(texts))
        return dict(zip(texts, [scored[0], *(_in_its_message(part, scored[0]) for part in scored[1:])]))

    def _several(
        self, whole: Question, cut: Sequence[Sentence], scores: dict[str, Scored], doc: Doc, mentions: Sequence[Mention]
    ) -> list[Question]:
        """The message's questions, if they are two or more that differ; otherwise nothing."""
        parts = [part for sentence in cut for part in sentence.parts]
        lists = 2 * sum(part.bare for part in parts) > len(parts)
        sick = sum(probability for intent, probability in scores[doc.text].ranking if intent in {EMERGENCY, SYMPTOM})
        found: list[Question] = []
        for sentence in cut:
            of_parts = self._of_parts(sentence, scores, doc, mentions, lists)
            found = _joined(found, self._of_sentence(sentence, of_parts, scores, mentions))
        found = [question for question in found if question.intent != SYMPTOM or sick >= _SYMPTOM_IN_WHOLE]
        # Thanks are a message of their own before a question; after it they are manners.
        found = [question for index, question in enumerate(found) if question.intent != THANK or index == 0]
        if whole.intent == EMERGENCY:
            asked = [question for question in found if question.intent.startswith(TOPIC) and question.rule != TOLD]
            return [whole, *asked][:MOST_QUESTIONS]
        if any(question.intent == SYMPTOM for question in found):
            found = [question for question in found if question.intent not in _SAID_WITH_SYMPTOM]
        elif whole.intent == SYMPTOM:
            return []
        if not any(question.intent not in NOT_OURS for question in found):
            return []
        if len(found) < 2 and not any(question.intent == SYMPTOM for question in found):
            return []
        return found[:MOST_QUESTIONS]

    def _of_parts(
        self, sentence: Sentence, scores: dict[str, Scored], doc: Doc, mentions: Sequence[Mention], lists: bool
    ) -> list[Question]:
        """The questions of a sentence's parts; `lists` when the message is a list of keywords."""
        found: list[Question] = []
        before: Part | None = None
        for part in sentence.parts:
            # In "can i go to work and the gym" the question goes on; in "explain how it works and the evidence" a request does.
            of_yes_or_no = before is not None and part.link is Link.AND and bool(_YES_OR_NO.search(before.text))
            goes_on = before is not None and part.link is Link.AND and part.text.lower().startswith("the ")
            before = part
            if part.text not in scores or (part.elliptic and part.link is not Link.END):
                continue
            if part.bare and _only_names(part, doc, mentions):
                again = _same_of_another(found[-1], part, mentions) if found else None
                found = _joined(found, [again] if again else [])
                continue
            question = self._counted(part, scores[part.text], mentions, (lists or goes_on) and not of_yes_or_no)
            found = _joined(found, [question] if question else [])
        return found

    def _of_sentence(
        self, sentence: Sentence, of_parts: list[Question], scores: dict[str, Scored], mentions: Sequence[Mention]
    ) -> list[Question]:
        """The questions of one sentence: those of its parts if two or more differ, else its own, if it asks one."""
        if len(sentence.parts) == 1 or sentence.whole.text not in scores:
            return of_parts
        one = self._counted(sentence.whole, scores[sentence.whole.text], mentions, lists=False)
        if len(of_parts) < 2:
            return [one] if one else of_parts
        others = [question.confidence for question in of_parts if one is None or question.intent != one.intent]
        surest_other = max(others, default=0.0)
        if (
            others
            and one is not None
            and one.intent.startswith(TOPIC)
            and one.confidence >= _SURE_OF_ONE
            and surest_other < _SURE_OF_OTHER
        ):
            return [one]
        return of_parts

    def _counted(self, part: Part, scored: Scored, mentions: Sequence[Mention], lists: bool) -> Question | None:
        """The question a part asks; None when it asks none, or none to be sure of."""
        question = self._question(part, scored, mentions)
        if question.intent in NOT_OURS and scored.intent.startswith(TOPIC) and scored.probability >= _SURE_LEADING:
            # Short of the bar for a message by itself; the questions around it and its form speak for it.
            question = replace(question, intent=scored.intent, confidence=scored.probability, rule="a part", unsure=False)
        if question.intent == SYMPTOM:
            return question if question.confidence >= _SURE_TOLD and not is_calm(part.text) else None
        inside = _kinds(part.mentions(mentions))
        if not part.asks and question.intent == CONTRAINDICATIONS and inside & _BACKGROUND:
            return replace(question, rule=TOLD) if question.confidence >= _SURE_CONDITION else None
        if not part.asks and question.intent == PERSON and question.confidence >= _SURE_WISH:
            return question
        if not part.asks or question.intent in _NEVER_BESIDE or (question.intent == THANK and part.words > _LONGEST_THANKS):
            return None
        worth_naming = part.words >= _LONG_ENOUGH_TO_NAME
        # "Can you help me write my CV" sounds like a call for help.
        perhaps_not_ours = question.intent == HELP or dict(scored.ranking).get(OUT_OF_SCOPE, 0.0) >= _PERHAPS_NOT_OURS
        unlike = perhaps_not_ours and question.similarity < _UNLIKE
        if worth_naming and part.leads and unlike and not question.intent.startswith(TOPIC):
            return replace(question, intent=OUT_OF_SCOPE, rule="a part unlike every example")
        if question.intent in {FALLBACK, HELP} or (question.intent == OUT_OF_SCOPE and not worth_naming):
            return None
        return question if question.confidence >= _sure_enough(part, question, lists) else None

    def _question(self, part: Part, scored: Scored, mentions: Sequence[Mention]) -> Question:
        verdict = judge(scored, self._thresholds)
        probabilities = dict(scored.ranking)
        inside = part.mentions(mentions)
        intent, rule = verdict.intent, verdict.rule
        if intent == OUT_OF_SCOPE and "treatment" in _kinds(inside) and _COMPARES.search(part.text):
            intent, rule = ALTERNATIVES, "compares another treatment with ours"
            # What spoke for "not ours" was the other treatment, which now speaks for the comparison.
            probabilities[ALTERNATIVES] = probabilities.get(ALTERNATIVES, 0.0) + probabilities[OUT_OF_SCOPE]
        confidence = probabilities.get(intent, 1 - scored.probability)
        named, about = _named(inside, mentions), _about(inside)
        # A choice between questions in English helps nobody who writes in another language.
        unsure = verdict.unsure and "language" not in named
        return Question(part.text, intent, confidence, scored.similarity, named, rule, about, unsure)


def _urgency(doc: Doc, cut: Sequence[Sentence], mentions: Sequence[Mention], scores: dict[str, Scored]) -> Triage:
    """Triage of the whole message; an emergency that other sentences drown out still counts, unless it is told as a story."""
    whole = triage(doc, mentions, scores[doc.text])
    if whole.intent == EMERGENCY or len(cut) == 1 or is_over(doc.text):
        return whole
    for sentence in cut:
        span = doc.char_span(*sentence.whole.stretches[0])
        inside = sentence.whole.mentions(mentions)
        if span is None or sentence.whole.text not in scores or not active_red_flags(span, inside):
            continue
        alone = triage(span, inside, scores[sentence.whole.text])
        if alone.intent == EMERGENCY:
            return alone
    return whole


def _in_its_message(part: Scored, whole: Scored) -> Scored:
    """A part's scores, where they hardly tell two intents apart, weighed by what the whole message is about."""
    if part.probability >= _UNSURE:
        return part
    least, around = part.probability * _NEAR_THE_BEST, dict(whole.ranking)
    near = [(intent, probability) for intent, probability in part.ranking if probability >= least]
    weights = [probability * (around.get(intent, 0.0) + _WHOLE_SAYS_LITTLE) for intent, probability in near]
    share = sum(probability for _, probability in near) / sum(weights)
    weighed = sorted(((intent, weight * share) for (intent, _), weight in zip(near, weights)), key=lambda entry: -entry[1])
    return replace(part, ranking=[*weighed, *part.ranking[len(near) :]])


def _sure_enough(part: Part, question: Question, lists: bool) -> float:
    """How sure a part must be of its intent to count, from how it is written and what stands before it."""
    if part.bare:
        return _SURE_KEYWORD if lists or part.marked or question.intent == THANK else _SURE_KEYWORD_ALONE
    if part.link is Link.OR:
        return _SURE_AFTER_OR
    if question.intent == OUT_OF_SCOPE:
        return _SURE_NOT_OURS
    if not question.intent.startswith(TOPIC):
        return _SURE_NO_TOPIC
    if part.link is Link.NOTHING:
        return _SURE_RUN_ON
    return _SURE_LEADING if part.leads else _SURE_ASKING


def _with_background(cut: Sequence[Sentence], mentions: Sequence[Mention]) -> list[Sentence]:
    """Sentences in which a condition or medicine told and the yes-or-no question after it are one part: "I have lupus. Is that
    a problem?" asks about lupus."""
    found: list[Sentence] = []
    told: Part | None = None
    for sentence in cut:
        parts: list[Part] = []
        for part in sentence.parts:
            if told is not None and part.asks and not part.bare and _YES_OR_NO.search(part.text):
                if parts and parts[-1] is told:
                    parts.pop()
                elif found and found[-1].parts[-1] is told:
                    found[-1] = replace(found[-1], parts=found[-1].parts[:-1])
                part = replace(part, text=f"{told.text}, {part.text}", stretches=told.stretches + part.stretches)
            parts.append(part)
            told = part if not part.asks and _kinds(part.mentions(mentions)) & _BACKGROUND else None
        found.append(replace(sentence, parts=tuple(parts)))
    return [sentence for sentence in found if sentence.parts]


def _pieces(cut: Sequence[Sentence]) -> list[Part]:
    """What is scored beside the whole message; nothing when there is only one part."""
    if len(cut) == 1 and len(cut[0].parts) == 1:
        return []
    return [piece for sentence in cut for piece in (*sentence.parts, sentence.whole)]


def _same_of_another(before: Question, part: Part, mentions: Sequence[Mention]) -> Question | None:
    """The question before, asked of something else: "does it work for hair and for scars"; None when the part is more."""
    inside = part.mentions(mentions)
    about = _about(inside)
    if about is None or not before.intent.startswith(TOPIC):
        return None
    return replace(before, text=part.text, named=_named(inside, ()), about=about)


def _only_names(part: Part, doc: Doc, mentions: Sequence[Mention]) -> bool:
    """Whether a part only names something ("for hair", "mesotherapy"): less than a question by itself."""
    span = doc.char_span(*part.stretches[0])
    return span is not None and says_nothing_new(span, mentions)


def _joined(found: Sequence[Question], more: Sequence[Question]) -> list[Question]:
    """Questions in order; the same one twice counts once, unless it is asked of two different concerns."""
    joined = list(found)
    for question in more:
        same = [other for other in joined if other.intent == question.intent]
        varies = question.intent.removeprefix(TOPIC) in _VARIES_BY_CONCERN
        if all(varies and question.about and other.about and question.about != other.about for other in same):
            joined.append(question)
    return joined


def _about(mentions: Sequence[Mention]) -> str | None:
    return next((mention.value for kind in ("concern", "body_area") for mention in mentions if mention.kind == kind), None)


def _kinds(mentions: Sequence[Mention]) -> set[str]:
    return {mention.kind for mention in mentions}


def _has_words(text: str) -> bool:
    """Whether there is a letter, or a symbol that may mean something (an emoji)."""
    return any(character.isalpha() or ord(character) > 0x2000 for character in text)


def _named(mentions: Sequence[Mention], elsewhere: Sequence[Mention]) -> dict[str, str]:
    """What is named, by kind: in the question itself, else elsewhere in the message.

    A question about another place of the body does not take the concern from elsewhere.
    """
    own = _kinds(mentions)
    taken = [mention for mention in elsewhere if mention.kind != "concern" or "body_area" not in own]
    named: dict[str, str] = {}
    for mention in [*mentions, *taken]:
        if mention.kind in NAMED:
            named.setdefault(mention.kind, mention.value)
    return named
