"""Reads a message in the light of the conversation: "and for hair?", "is that per session?", "even if I'm on warfarin?".

A short message that leans on the last answer takes its topic; a question that names no concern takes the one the
conversation is about. Stale context is worse than none, so both lapse.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spacy.tokens import Doc

from addons.understanding.questions import TOPIC, Question, Understood
from addons.understanding.rejection import FALLBACK, NOT_OURS
from addons.understanding.triage import EMERGENCY, SYMPTOM
from addons.understanding.vocabulary import Mention

ALTERNATIVES = "faq_alternatives"
_ANSWERED_AFTER_AN_EMERGENCY = {"request_human", "ask_privacy", "ask_sources", "bot_challenge"}

# From this probability on a message stands on its own, whatever was said before.
_STANDS_ALONE = 0.5
_SHORT = 6
_LEANS = re.compile(
    r"^(and|what about|how about|wat about|and what about|or|but|even (if|when|with)|what if|also|then|so|ok(ay)?( so)?|"
    r"is (that|this|it)|are (they|those|these)|was that|does (that|this)|for|with|vs|versus|same for|not|no,?)\b",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"^(why|why (is|not|so)( that)?|how come|how so|tell me more|more|more (info|details?|about (it|that))|go on"
    r"|explain( that| it)?|can you explain( that| it)?|what do you mean|meaning|really|are you sure"
    r"|say more|elaborate|and|continue)\W*$",
    re.IGNORECASE,
)
_CORRECTS = re.compile(r"^(no|nope|not that|i (meant?|mean)|actually|sorry,?( i meant)?)\b", re.IGNORECASE)
# Words that add nothing of their own to a leaning message.
_EMPTY = {
    "'m", "'ve", "a", "about", "actually", "also", "am", "an", "and", "are", "as", "both", "but", "do", "does",
    "even", "for", "girls", "got", "guys", "have", "her", "him", "his", "how", "i", "if", "im", "in", "is", "it",
    "just", "man", "me", "mean", "meant", "men", "my", "no", "not", "of", "ok", "okay", "on", "only", "or", "same",
    "so", "sorry", "take", "taking", "that", "the", "them", "then", "this", "to", "too", "u", "vs", "wat", "well",
    "what", "when", "with", "woman", "women", "your",
}  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What the conversation was last about, if that is recent.

    Attributes:
        intent: the last question answered, a topic or report_symptom or report_emergency; None when there was none.
        concern: the concern last named or answered for.
    """

    intent: str | None = None
    concern: str | None = None


def resolve(understood: Understood, doc: Doc, mentions: Sequence[Mention], context: Context) -> Understood:
    """Read a message in its context.

    Args:
        understood: the message read by itself.
        doc: the message, tokenised.
        mentions: what the vocabulary found in it.
        context: what the conversation was about; an empty `Context` changes nothing.
    """
    questions = understood.questions
    if len(questions) == 1:
        questions = [_lean(questions[0], doc, mentions, context)]
    if context.concern:
        questions = [
            replace(question, named={"concern": context.concern, **question.named})
            if question.intent.startswith(TOPIC)
            else question
            for question in questions
        ]
    return replace(understood, questions=questions)


def _lean(question: Question, doc: Doc, mentions: Sequence[Mention], context: Context) -> Question:
    """The question, with the topic of the last answer where it leans on it."""
    if context.intent is None or question.intent == EMERGENCY:
        return question
    text = doc.text
    words = [token for token in doc if token.is_alpha]
    refused = question.intent in NOT_OURS
    if context.intent == EMERGENCY:
        # Nothing is small talk while the danger may last: only a plain question of another kind is answered.
        plain = question.intent.startswith(TOPIC) and question.confidence >= _STANDS_ALONE
        if plain or question.intent in _ANSWERED_AFTER_AN_EMERGENCY:
            return question
        return _as(question, EMERGENCY, "the emergency may still be going on")
    if _MORE.search(text):
        return _as(question, context.intent, "asks for more of the last answer")
    if context.intent == SYMPTOM:
        stands = question.intent != FALLBACK and question.confidence >= _STANDS_ALONE
        if not stands and len(words) <= 2 * _SHORT:
            return _as(question, SYMPTOM, "goes on about the symptom")
        return question
    if len(words) > _SHORT:
        return question
    leans = bool(_LEANS.search(text)) or bool(_CORRECTS.search(text))
    bare = _says_nothing_new(doc, mentions)
    if bare and "treatment" in _named_kinds(mentions):
        return _as(question, ALTERNATIVES, "names another treatment")
    if bare and (leans or refused or question.confidence < _STANDS_ALONE):
        return _as(question, context.intent, "names something new for the last question")
    if leans and (refused or question.confidence < _STANDS_ALONE):
        return _as(question, context.intent, "leans on the last question")
    return question


def _as(question: Question, intent: str, rule: str) -> Question:
    return replace(question, intent=intent, rule=f"follow-up: {rule}", unsure=False)


def _named_kinds(mentions: Sequence[Mention]) -> set[str]:
    return {mention.kind for mention in mentions}


def _says_nothing_new(doc: Doc, mentions: Sequence[Mention]) -> bool:
    """Whether the message only names things, besides words without content."""
    covered = [(mention.start, mention.end) for mention in mentions]
    rest = [
        token
        for token in doc
        if token.is_alpha and token.lower_ not in _EMPTY and not any(start <= token.idx < end for start, end in covered)
    ]
    return not rest and any(token.is_alpha for token in doc)
