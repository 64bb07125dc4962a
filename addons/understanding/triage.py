"""Is something dangerous happening now? Reads a message the way a careful receptionist would.

The taught intent knows thousands of ways to say it; the vocabulary's red flags catch what it has never seen. What a red flag
means depends on the words around it: "no fever" is none, "can it make you go blind" is a question, "ten years ago" is over.
In doubt between urgent and not, urgent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span

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
    r"|\b(worried|scared|afraid|nervous|terrified) (of|about|that|to|it (will|might|could|would))\b"
    r"|\b(read|heard|saw|asking ahead|just wondering|just curious"
    r"|thinking (about|of)|the thought of|would die for)\b|\bhave (people|any\w*|there)\b"
    r"|\bwhat (are|is|does|do|happens)\b|\bwhich\b|\bcan (you|u|people)\b|\bhas any\w+\b"
    r"|\b(can|could|does|do|will|would|might|may) (the|a|an|your|ur)( \w+){1,3} (give|cause|make|trigger|lead|do|go)\b"
    r"|\bis( \w+){1,3} (possible|likely|common|rare|normal)\b|\bdoes it( ever)?\b|\bdo they (have|keep)\b",
    re.IGNORECASE,
)
# An "if" that supposes nothing.
_UNCERTAIN = re.compile(r"\b(not sure|don'?t know|dunno|no idea|unsure|know|wonder(ing)?) (if|whether)\b", re.IGNORECASE)
# Somebody asks ahead what to do: no sign that it is here, though "what should I do" stands beside it.
_IN_THAT_CASE = re.compile(
    r"\b(if|in case|suppose) (i|you|my \w+|someone|they|anyone) "
    r"(had|have(?! to)|get|got|start(ed)?|develop|can'?t|stop(ped)?|see|saw|notice|feel|felt|go|went|react)\b",
    re.IGNORECASE,
)
# It has long been so, with no injection in it.
_LASTING = re.compile(
    r"\b(sometimes|usually|every (spring|summer|winter|year|now and then)|since (birth|childhood|i was|my teens)|from birth"
    r"|chronic|for years|all my life|born)\b",
    re.IGNORECASE,
)
# Somebody else's story, told to ask whether it might happen again.
_STORY = re.compile(
    r"\b(girl|woman|lady|guy|man|friend|colleague|cousin|aunt\w*|sister|mum|neighbou?r|someone|somebody|people)\b"
    r".*\b(had|got|ended up|nearly|died|lost|went)\b.*\b(avoid|happen to me|(could|can|will|might|does) (that|it|this) happen"
    r"|is (that|this|it) (usual|common|likely|normal|true|rare|the same)|how (likely|common|often|rare))\b",
    re.IGNORECASE | re.DOTALL,
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


# Signs that people say they do not have; alone they are no red flags, so the vocabulary does not name them.
_DENIED_SIGN = re.compile(
    r"\b(no|not|without|don'?t|do not|doesn'?t|haven'?t|hasn'?t)( \w+){0,2} (fever|temperature|chills|pus|rash|hives|blisters"
    r"|redness|swelling)\b",
    re.IGNORECASE,
)

# Probabilities, set on out-of-fold scores of the training examples: the lowest with few false alarms.
_SELF_HARM = 0.01
_CERTAIN = 0.93
_SURE = 0.5
_HAPPENING = 0.016
_DOUBT = 0.055


@dataclass(frozen=True)
class Triage:
    """The intent triage gives the message, None to leave the classifier's; and the rule that decided."""

    intent: str | None
    rule: str


def active_red_flags(doc: Doc | Span, mentions: Sequence[Mention]) -> list[Mention]:
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
    """Whether words speak of what might be, what is over or what has long been so, rather than of what is happening.

    Args:
        text: a sentence or a whole message.
    """
    if _AT_THIS_MOMENT.search(text):
        return False
    lasts = bool(_LASTING.search(text)) and not _is_now(text)
    return is_over(text) or lasts or _is_supposed(text)


def is_over(text: str) -> bool:
    """Whether words tell of what is past, or somebody else's story."""
    return not _AT_THIS_MOMENT.search(text) and bool(_PAST.search(text) or _STORY.search(text))


def _is_supposed(text: str) -> bool:
    """Whether words speak of what might be; "not sure if it is serious" does not."""
    return bool(_IN_THAT_CASE.search(text)) or (bool(_HYPOTHETICAL.search(_UNCERTAIN.sub(" ", text))) and not _is_now(text))


def _is_now(text: str) -> bool:
    """Whether words say that something is happening; "since birth" does not."""
    return bool(_NOW.search(_LASTING.sub(" ", text)))


def triage(doc: Doc | Span, mentions: Sequence[Mention], scored: Scored) -> Triage:
    """Decide whether a message is an emergency, whatever else it asks.

    Args:
        doc: the whole message or one of its sentences, tokenised.
        mentions: what the vocabulary found in it.
        scored: what the classifier thinks of it.
    """
    text = doc.text
    probabilities = dict(scored.ranking)
    urgent, symptom = probabilities.get(EMERGENCY, 0.0), probabilities.get(SYMPTOM, 0.0)
    named = [mention for mention in mentions if mention.kind == "red_flag"]
    active = active_red_flags(doc, mentions)
    now = _is_now(text)
    self_harm = any(mention.value == "self_harm" for mention in active)

    if self_harm and urgent >= _SELF_HARM:
        return Triage(EMERGENCY, "self-harm named")
    if named and not active and symptom >= urgent / 4:
        return Triage(SYMPTOM if scored.intent == EMERGENCY else None, "every red flag is denied")
    if scored.intent == EMERGENCY and urgent < _CERTAIN and not active and _DENIED_SIGN.search(text):
        return Triage(SYMPTOM, "a sign is denied, and none is told")
    calm = is_calm(text)
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
