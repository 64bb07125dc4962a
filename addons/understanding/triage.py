"""Is something dangerous happening now? Reads a message the way a careful receptionist would.

The taught intent knows thousands of ways to say it; the vocabulary's red flags catch what it has never seen. What a red flag
means depends on the words around it: "no fever" is none, "can it make you go blind" is a question, "ten years ago" is over.
In doubt between urgent and not, urgent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from addons.understanding.classifier import Scored
from addons.understanding.vocabulary import Mention

EMERGENCY = "report_emergency"
SYMPTOM = "report_symptom"

# Tokens before a red flag within which a negation still speaks of it ("no fever or chills").
_NEGATION_REACH = 4
_NEGATIONS = {
    "no",
    "not",
    "n't",
    "without",
    "never",
    "neither",
    "nor",
    "isnt",
    "dont",
    "havent",
    "arent",
    "wasnt",
    "aint",
}

# Somebody asks what might be.
_HYPOTHETICAL = re.compile(
    r"\b(can|could|does|do|did|will|would|might|may) (it|this|that|they|meso\w*|the (injections?|shots?|needles?|treatment)"
    r"|you|u|one|someone|people|fat \w+|numbing \w+|these)\b|\bwhat if\b|\bif (i|you|it|my|someone|they|there|u)\b|\bin case\b"
    r"|\b(risks?|chances?|odds|likel\w+|possible|possibility) (of|that|to)\b"
    r"|\bhow (would|do|will|can) (i|you|we|one) (know|tell|spot)\b"
    r"|\b(signs?|symptoms?|danger) of\b|\bhow (common|rare|often|likely)\b|\bis it (true|possible|dangerous|safe|normal)\b"
    r"|\b(read|heard|saw|worried|scared|afraid|nervous|asking ahead|just wondering|just curious"
    r"|thinking (about|of)|the thought of|would die for)\b|\bhave (people|any\w*|there)\b"
    r"|\bwhat (are|is|does|do|happens)\b|\bwhich\b|\bcan (you|u|people)\b|\bhas any\w+\b",
    re.IGNORECASE,
)
# Somebody says it is here.
_NOW = re.compile(
    r"\b((?<!\d )now|right now|currently|suddenly|all of a sudden|since|just (had|got|did|started|now)|started|getting worse"
    r"|(minutes?|mins?|hours?|hrs?|days?) (ago|after|later|since|post)|today|tonight|this (morning|afternoon|evening)|yesterday"
    r"|help( me)?|emergency|ambulance|what (do|should) (i|we) do|wont stop|won't stop|keeps?)\b",
    re.IGNORECASE,
)
# The part of it that even a story of long ago does not outweigh.
_AT_THIS_MOMENT = re.compile(
    r"\b(right now|suddenly|all of a sudden|(minutes?|mins?|hours?|hrs?) ago|today|tonight|this (morning|afternoon|evening))\b",
    re.IGNORECASE,
)
# It is over, or it is somebody's history.
_PAST = re.compile(
    r"\b((\d+|two|three|four|five|six|ten|many|few|couple of) (years?|yrs?|months?) ago|years? ago|last (year|summer|winter)"
    r"|as a (kid|child|teen\w*|baby)|when i was|in my (teens|twenties|childhood)|used to|once had|(history|past) of|in the past"
    r"|all (clear|better|fine|well) now|(ok|okay|fine|better|gone|cleared) now|recovered|since childhood)\b",
    re.IGNORECASE,
)


# Probabilities, set on out-of-fold scores of the training examples: the lowest with few false alarms.
_SELF_HARM = 0.05
_CERTAIN = 0.6
_SURE = 0.4
_HAPPENING = 0.08
_DOUBT = 0.15


@dataclass(frozen=True)
class Triage:
    """The intent triage gives the message, None to leave the classifier's; and the rule that decided."""

    intent: str | None
    rule: str


def active_red_flags(doc: Doc, mentions: Sequence[Mention]) -> list[Mention]:
    """The red flags of a message that are not denied.

    Args:
        doc: the message, tokenised.
        mentions: what the vocabulary found in it.
    """
    active = []
    for mention in mentions:
        if mention.kind != "red_flag":
            continue
        before = [token for token in doc if token.idx < mention.start][-_NEGATION_REACH:]
        # A full stop or a "but" ends what a negation speaks of.
        for index, token in enumerate(before):
            if token.text in {".", ";", "?", "!"} or token.lower_ in {"but", "however", "though"}:
                before = before[index + 1 :]
                break
        if not any(token.lower_ in _NEGATIONS for token in before):
            active.append(mention)
    return active


def is_calm(text: str) -> bool:
    """Whether words speak of what might be or what is over, rather than of what is happening."""
    over = bool(_PAST.search(text)) and not _AT_THIS_MOMENT.search(text)
    return over or (bool(_HYPOTHETICAL.search(text)) and not _NOW.search(text))


def triage(doc: Doc, mentions: Sequence[Mention], scored: Scored) -> Triage:
    """Decide whether a message is an emergency, whatever else it asks.

    Args:
        doc: the whole message, tokenised.
        mentions: what the vocabulary found in it.
        scored: what the classifier thinks of the whole message.
    """
    text = doc.text
    probabilities = dict(scored.ranking)
    urgent, symptom = probabilities.get(EMERGENCY, 0.0), probabilities.get(SYMPTOM, 0.0)
    named = [mention for mention in mentions if mention.kind == "red_flag"]
    active = active_red_flags(doc, mentions)
    now = bool(_NOW.search(text))
    over = bool(_PAST.search(text)) and not _AT_THIS_MOMENT.search(text)
    asked = bool(_HYPOTHETICAL.search(text))
    self_harm = any(mention.value == "self_harm" for mention in active)

    if self_harm and urgent >= _SELF_HARM:
        return Triage(EMERGENCY, "self-harm named")
    if named and not active and symptom >= urgent / 4:
        return Triage(SYMPTOM if scored.intent == EMERGENCY else None, "every red flag is denied")
    calm = over or (asked and not now)
    if scored.intent == EMERGENCY:
        # A message that names no sign, body part or treatment must be plainer than one that does.
        sure = _SURE if mentions else (_SURE + _CERTAIN) / 2
        if urgent >= _CERTAIN or (not calm and (active or now or urgent + symptom >= sure)):
            return Triage(EMERGENCY, "taught: an emergency is the most probable")
        second = next(intent for intent, _ in scored.ranking if intent != EMERGENCY)
        return Triage(second, "not sure enough, and nothing says it is happening")
    if active and not calm and (urgent + symptom >= _HAPPENING or (urgent >= _HAPPENING / 2 and now)):
        return Triage(EMERGENCY, "a red flag is named as happening")
    if scored.intent == SYMPTOM and urgent >= max(_DOUBT, symptom * 2 / 3):
        return Triage(EMERGENCY, "in doubt between urgent and not")
    return Triage(None, "no sign of an emergency")
