"""Reads a message in the light of the conversation: "and for hair?", "is that per session?", "even if I'm on warfarin?".

A short message that leans on the last answer takes its topic; a question that names no concern takes the one the
conversation is about. Stale context is worse than none, so both lapse.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spacy.tokens import Doc

from addons.understanding.questions import ALTERNATIVES, CONTRAINDICATIONS, TOPIC, Question, Understood
from addons.understanding.rejection import FALLBACK, NOT_OURS, OUT_OF_SCOPE
from addons.understanding.splitter import asks, says_nothing_new, sentences
from addons.understanding.triage import EMERGENCY, SYMPTOM
from addons.understanding.vocabulary import Mention

Ranking = Sequence[tuple[str, float]]
# Asked about a symptom just told, these are about that symptom.
_WORRIES = {"faq_side_effects", "faq_serious_risks"}
_ANSWERED_AFTER_AN_EMERGENCY = {"request_human", "ask_privacy", "ask_sources", "bot_challenge"}

# From this probability on a message stands on its own, whatever was said before; a fragment ("for three sessions") needs more.
_STANDS_ALONE = 0.88
_FRAGMENT_STANDS_ALONE = 0.998
# Asked by somebody who has just told a symptom or an emergency, these are about it too: what to do, how long it lasts.
_ABOUT_SYMPTOM = re.compile(
    r"\b(what|who|where) (else )?(do|should|shall|can|could|must) (i |we )?(do|take|use|put|try|see|go|call|ring|phone|tell)\b"
    r"|\bwhat (now|next|to do)\b|\bnow what\b"
    r"|\b(should|shall|must|do|can|could) i (just )?((need|have|ought) to |still )?(worry|be (worried|scared)|wait|go to|see"
    r"|call|ring|phone|tell|contact|ask|take|put|use|try|ice|pop|squeeze|touch|cover|massage|rub|leave (it|them))\b"
    r"|\bdo i need (a|an|the|any|antibiotics?|help)\b"
    r"|\b(is|are|was) (it|this|that|they|these) (really |just )?(normal|ok|okay|bad|serious|dangerous|infected|an?)\b"
    r"|\b(how long|when) (will|does|do|should|till?|until|before) (it|this|that|they)\b"
    r"|\bwill (it|this|that|they) (go|leave|scar|get|heal|last|stay)\b",
    re.IGNORECASE,
)
# What is still said of a symptom or an emergency counts as that from this probability on.
_STILL_SICK = 0.53
# An unsure short message is more probably about the last topic than its words alone say, and less probably small talk.
_LAST_TOPIC_WEIGHT = 2.5
_PROBABLE = 0.09
# A short message that only leans ("so is it a scam") but has a likely topic of its own is about that.
_OWN_TOPIC = 0.55
_SHORT = 6
_LEANS = re.compile(
    r"^(and|what about|how about|wat about|and what about|or|but|even (if|when|with)|what if|also|then|so|ok(ay)?( so)?|"
    r"is (that|this|it)|are (they|those|these)|was that|does (that|this)|for|with|vs|versus|same for|not|no,?)\b",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(r"^(and |or |but |ok |so )?(for|with|in|on|at|as|per|only|just|even|same|like)\b", re.IGNORECASE)
_MORE = re.compile(
    r"^(ok |and |but )?(why|why (is|not|so)( that)?|how come|how so|tell me more|more|more (info|details?|about (it|that))|go on"
    r"|explain( that| it)?|can you explain( that| it)?|what do you mean( by that)?|meaning|really|are you sure"
    r"|say more|elaborate|and|continue|huh|i (don'?t|do not) (get|understand) (it|that|this)|like what|such as|for example"
    r"|(say|explain)( it| that)? (simpler|more simply|simply)|simpler|in plain english|repeat( that| it)?"
    r"|(say )?(it|that) again)\W*$",
    re.IGNORECASE,
)
_CORRECTS = re.compile(r"^(no|nope|not that|i (meant?|mean)|actually|sorry,?( i meant)?)\b", re.IGNORECASE)
# Places of the body a concern cannot be about: "and on my face?" after belly fat leaves the fat behind.
_NEVER_THERE = {
    "fat": {"face", "eyes", "lips", "hands", "scalp"},
    "cellulite": {"face", "eyes", "lips", "hands", "scalp", "neck", "chin", "chest", "feet"},
    "hair_loss": {"face", "eyes", "lips", "hands", "neck", "belly", "thighs", "buttocks", "hips", "feet", "knees"},
    "skin_ageing": {"scalp", "feet"},
    "pain_relief": {"face", "eyes", "lips", "scalp", "belly", "thighs", "buttocks"},
}


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
        questions = [_lean(questions[0], doc, mentions, context, understood.ranking)]
    areas = {mention.value for mention in mentions if mention.kind == "body_area"}
    concern = remembered(context.concern, areas)
    if concern:
        questions = [
            replace(question, named={"concern": concern, **question.named}) if question.intent.startswith(TOPIC) else question
            for question in questions
        ]
    return replace(understood, questions=questions)


def remembered(concern: str | None, areas: Iterable[str]) -> str | None:
    """The concern of earlier turns, unless a place of the body named since cannot have it.

    Args:
        concern: what was last named.
        areas: the places named since, values of data/vocabulary/body_area.yml.
    """
    return None if concern is None or _NEVER_THERE.get(concern, set()) & set(areas) else concern


def _lean(question: Question, doc: Doc, mentions: Sequence[Mention], context: Context, ranking: Ranking) -> Question:
    """The only question of a message, with the intent it has after what was said before."""
    if context.intent is None or not any(token.is_alpha for token in doc):
        return question
    if context.intent == EMERGENCY:
        return _after_emergency(question, doc, ranking)
    if question.intent == EMERGENCY:
        return question
    if _MORE.search(doc.text):
        return _as(question, context.intent, "asks for more of the last answer")
    if context.intent == SYMPTOM:
        return _after_symptom(question, doc, ranking)
    words = [token for token in doc if token.is_alpha]
    if len(words) > _SHORT:
        return question
    leans = bool(_LEANS.search(doc.text)) or bool(_CORRECTS.search(doc.text))
    parts = [part for sentence in sentences(doc) for part in sentence.parts]
    fragment = all(part.elliptic for part in parts) or (
        bool(_FRAGMENT.search(doc.text)) and not any(part.leads for part in parts)
    )
    stands = question.intent not in NOT_OURS and question.confidence >= (_FRAGMENT_STANDS_ALONE if fragment else _STANDS_ALONE)
    kinds = {mention.kind for mention in mentions}
    if says_nothing_new(doc, mentions):
        if "treatment" in kinds:
            return _as(question, ALTERNATIVES, "names another treatment")
        if kinds & {"condition", "medicine"}:
            return _as(question, CONTRAINDICATIONS, "names a condition or medicine")
        if leans or not stands:
            return _as(question, context.intent, "names something new for the last question")
    if stands or (question.intent == OUT_OF_SCOPE and question.confidence >= _STANDS_ALONE and not leans):
        return question
    topics = {
        intent: probability * (_LAST_TOPIC_WEIGHT if intent == context.intent else 1)
        for intent, probability in ranking
        if intent.startswith(TOPIC)
    }
    best = max(topics, key=lambda intent: topics[intent], default=context.intent)
    if fragment or (leans and topics.get(best, 0.0) < _OWN_TOPIC):
        return _as(question, context.intent, "leans on the last question")
    if topics.get(best, 0.0) >= _PROBABLE and question.intent != SYMPTOM and (asks(doc) or best == context.intent):
        return replace(_as(question, best, "most probable after the last question"), confidence=dict(ranking)[best])
    return question


def _after_emergency(question: Question, doc: Doc, ranking: Ranking) -> Question:
    """Nothing is small talk while the danger may last: only a plain question of another kind is answered."""
    still_sick = sum(probability for intent, probability in ranking if intent in {EMERGENCY, SYMPTOM}) >= _STILL_SICK
    plain = question.confidence >= _STANDS_ALONE and not still_sick and not _ABOUT_SYMPTOM.search(doc.text)
    if plain and (question.intent in _ANSWERED_AFTER_AN_EMERGENCY or (question.intent.startswith(TOPIC) and asks(doc))):
        return question
    return _as(question, EMERGENCY, "the emergency may still be going on")


def _after_symptom(question: Question, doc: Doc, ranking: Ranking) -> Question:
    """What is told, or asked about what was told, goes on about the symptom; a question of another kind is answered."""
    if (question.intent in _WORRIES or _ABOUT_SYMPTOM.search(doc.text)) and len(doc) <= 2 * _SHORT:
        return _as(question, SYMPTOM, "worries about the symptom")
    if question.intent.startswith(TOPIC) and asks(doc):
        return question
    if not question.intent.startswith(TOPIC) and question.intent != FALLBACK and question.confidence >= _STANDS_ALONE:
        return question
    best, probability = next(((i, p) for i, p in ranking if i.startswith(TOPIC)), (SYMPTOM, 0.0))
    if asks(doc) and probability >= _STILL_SICK and best not in _WORRIES:
        return replace(_as(question, best, "asks something else than the symptom"), confidence=probability)
    return _as(question, SYMPTOM, "goes on about the symptom") if len(doc) <= 3 * _SHORT else question


def _as(question: Question, intent: str, rule: str) -> Question:
    return replace(question, intent=intent, rule=f"follow-up: {rule}", unsure=False)
