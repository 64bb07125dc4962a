"""Reads what a message does in the conversation, besides asking: yes to our question, "simpler", "delete this chat".

The phrases are data (data/acts.yml). Most acts mean something only where the conversation stands: a "yes" after the
offer of the check starts it, a "stop" inside it leaves it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addons.configuration import ConfigurationError, read_mapping
from addons.dialogue.estimate import sessions_named
from addons.understanding.rejection import NOT_OURS, OUT_OF_SCOPE

TOPIC = "faq_"
COST = "faq_cost"
SESSIONS = "faq_sessions"
CANDIDACY = "faq_candidacy"
REGULATION = "faq_regulation"
PRIVACY = "ask_privacy"
AFFIRM, DENY = "affirm", "deny"
REJECTS = "reject_answer"
SYMPTOM = "report_symptom"
INSULT = "insult"
# Beside these a hard word is distress, not abuse.
_ONESELF = {"i", "im", "ive", "me", "my", "myself"}
_SAFETY = frozenset({"report_emergency", SYMPTOM})
# Intents that give way to an act read in the message's words.
_GIVES_WAY = NOT_OURS | {AFFIRM, DENY, PRIVACY, "goodbye", "greet", "thank", "help", "bot_challenge", REJECTS}

# A longer message than this is no answer to a yes/no question, but a story or a question of its own.
_LONGEST_ANSWER = 10
_LONGEST_YES = 4
_SHORT = 3
_WORDS_BETWEEN = 4
# After an answer these say "I have read it", not "yes, start".
_HEARD = {"ok", "okay", "k", "right", "true", "correct", "alright", "i do", "i have", "i am"}
_ADULT = 18
_AGE = re.compile(r"(?:im |i am )?(\d{1,3})(?: years?(?: old)?| yrs?| yo)?")
# How people ask for a sum without a word of money.
_ROUGHLY = re.compile(
    r"\b(rough\w*|approx\w*|ball ?park|total|altogether|all in|all together|sum|estimate|budget|pay|price\w*|costs?)\b", re.I
)
# "And for the face?" goes on with the sum; "why is it so expensive" does not.
_LEANS = re.compile(
    r"(?:and|n|or|so|what about|how about|wot about|for|in)\b(?!.*\b(?:why|insurance|refund|pay|cheap\w*)\b)", re.I
)
_LONGEST_LEAN = 5
_ASKS = re.compile(r"(?:what|whats|wat|how|why|can|could|is|are|does|do|should|will|would|when|who|which|where|tell|explain)\b")
_POLITE = re.compile(r"^(?:(?:please|pls|plz|ok|okay|hmm+|um+|well|so|and|but|sorry|hey|wait|thanks|thank you)\s+)+")
_POLITE_END = re.compile(r"(?:\s+(?:please|pls|plz|thanks|thank you|thx|then|now|mate|lol))+$")


@dataclass(frozen=True)
class Phrases:
    """The phrases of data/acts.yml; see there for what each kind means."""

    whole: dict[str, str]
    within: dict[str, list[str]]
    short: dict[str, list[str]]
    together: dict[str, list[list[str]]]
    answers: dict[str, list[str]]
    means_yes: dict[str, list[str]]


@dataclass(frozen=True)
class Situation:
    """Where the conversation stands before the message.

    Attributes:
        check_asks: the slot the candidacy check has just asked for; None outside the check.
        erase_asked: whether the last reply asked to confirm the erasing.
        symptom_asked: whether the last reply asked how a symptom changes.
        invited: whether the last reply offered the check.
        last_answer: the intent last answered, if that is recent; what "again" and "simpler" speak of.
        sessions: the number of sessions (fewest, most) the last answer counted with.
    """

    check_asks: str | None = None
    erase_asked: bool = False
    symptom_asked: bool = False
    invited: bool = False
    last_answer: str | None = None
    sessions: tuple[int, int] | None = None


@dataclass(frozen=True)
class Act:
    """What a message does.

    Attributes:
        name: the act.
        intent: the intent that goes with it; None to leave the message's own.
        entities: what it names, for rules and slots: name -> value.
    """

    name: str
    intent: str | None = None
    entities: dict[str, Any] = field(default_factory=dict)


def read_phrases(path: Path) -> Phrases:
    """Read data/acts.yml.

    Raises:
        ConfigurationError: a kind is missing or is not a list of phrases.
    """
    content = read_mapping(path)
    try:
        whole = {phrase: act for act, phrases in content["whole"].items() for phrase in phrases}
        answers = {kind: list(content[kind]) for kind in ("leave", "skip", "unsure", "no", "yes")}
        within, short, together, means_yes = (dict(content[kind]) for kind in ("within", "short", "together", "means_yes"))
        found = Phrases(whole, within, short, together, answers, means_yes)
    except (KeyError, TypeError, AttributeError) as problem:
        raise ConfigurationError(path, f"{problem} is missing or is no list of phrases.") from None
    pairs = [listed for pair in found.together.values() for listed in pair]
    every = [whole, *found.within.values(), *found.short.values(), *pairs, *answers.values()]
    unquoted = [phrase for listed in every for phrase in listed if type(phrase) is not str]
    if unquoted:
        raise ConfigurationError(path, f"put {unquoted[0]} in quotes; without them YAML reads it as a value.")
    return found


def is_put_as_question(text: str) -> bool:
    """Whether a message has a question mark or begins as questions do."""
    return "?" in text or bool(_ASKS.match(plain(text)))


def plain(text: str) -> str:
    """Lower case, without punctuation, apostrophes and polite words around it."""
    words = re.sub(r"[^\w\s\U0001F44D\U0001F44E]", "", re.sub(r"['\u2019]", "", text.lower()))
    spaced = " ".join(re.sub(r"[\n_]", " ", words).split())
    stripped = _POLITE_END.sub("", _POLITE.sub("", spaced))
    return stripped or spaced


class ActReader:
    """Reads acts by the phrases of data/acts.yml."""

    def __init__(self, phrases: Phrases) -> None:
        """Use these phrases."""
        self._phrases = phrases
        self._within = {act: any_of(listed) for act, listed in phrases.within.items()}
        self._short = {act: any_of(listed) for act, listed in phrases.short.items()}
        self._together = {act: _near(*pair) for act, pair in phrases.together.items()}
        self._begins = {kind: any_of(listed, anchored=True) for kind, listed in phrases.answers.items()}

    def read(self, text: str, questions: Sequence[Mapping[str, Any]], named: Iterable[str], situation: Situation) -> Act | None:
        """What a message does, if it does anything besides asking.

        Args:
            text: the tidy message.
            questions: what it asks, as the pipeline found: `intent` and `confidence` of each.
            named: the values of the vocabulary it names.
            situation: where the conversation stands.
        """
        intents = [str(question["intent"]) for question in questions]
        words = plain(text)
        whole = self._phrases.whole.get(words)
        if whole == "course":
            return Act(whole, SYMPTOM) if situation.symptom_asked else None
        if _SAFETY & set(intents):
            return None
        if situation.check_asks:
            return self._answer_to_check(text, words, intents, set(named), situation.check_asks)
        answer = self._yes_or_no(words, intents)
        if situation.erase_asked and answer in {"yes", "no"}:
            confirmed = answer == "yes"
            entity = "erase_confirmed" if confirmed else "erase_declined"
            return Act(entity, AFFIRM if confirmed else DENY, {entity: True})
        if whole == "start_check":
            return Act(whole, CANDIDACY, {whole: True})
        if situation.invited and answer == "yes" and len(words.split()) <= _LONGEST_YES and words not in _HEARD:
            return Act("start_check", AFFIRM, {"start_check": True})
        if whole and situation.last_answer:
            return Act(whole, situation.last_answer)
        bare = next((kind for kind in ("yes", "no") if words in self._phrases.answers[kind] and " " not in words), None)
        if bare:
            return Act(f"bare_{bare}", AFFIRM if bare == "yes" else DENY)
        # "Enough with the evidence" sounds like a question about evidence, but is none.
        gives_way = _GIVES_WAY if is_put_as_question(text) else _GIVES_WAY | {REGULATION}
        name = self._said_anywhere(words) if set(intents) <= gives_way else None
        if name == "erase":
            return Act(name, PRIVACY, {name: True})
        # "That answer is rubbish" wants another answer more than a calm word.
        if name == INSULT and REJECTS in intents:
            return None
        return Act(name, OUT_OF_SCOPE) if name else None

    def sessions(self, text: str, questions: Sequence[Mapping[str, Any]], situation: Situation) -> tuple[int, int] | None:
        """How many sessions a sum is wanted for; None when no sum is.

        Args:
            text: the tidy message.
            questions: what it asks.
            situation: where the conversation stands; a follow-up keeps the number the last sum was made with.
        """
        intents = {str(question["intent"]) for question in questions}
        counted = sessions_named(text, bare=situation.last_answer == COST)
        if COST in intents:
            leans = len(intents) == 1 and len(text.split()) <= _LONGEST_LEAN and _LEANS.match(text)
            return counted or (situation.sessions if leans and situation.last_answer == COST else None)
        asks_a_sum = bool(_ROUGHLY.search(text)) or (situation.last_answer == COST and len(text.split()) <= _LONGEST_ANSWER)
        return counted if asks_a_sum and intents <= {SESSIONS, *NOT_OURS} else None

    def _said_anywhere(self, words: str) -> str | None:
        """The act that some words of a message make, whatever stands around them."""
        said = set(words.split())
        kinds = [self._within, self._together, *([self._short] if len(said) <= _SHORT else [])]
        found = [(name, patterns) for patterns in kinds for name, pattern in patterns.items() if pattern.search(words)]
        return next((name for name, by in found if name != INSULT or by is self._within or not said & _ONESELF), None)

    def _answer_to_check(self, text: str, words: str, intents: Sequence[str], named: set[str], slot: str) -> Act | None:
        if self._phrases.whole.get(words) or len(words.split()) > _LONGEST_ANSWER:
            return None
        for kind in ("leave", "skip", "unsure"):
            if words in self._phrases.answers[kind]:
                return Act("leave_check", DENY, {"leave_check": True}) if kind == "leave" else _answered(kind)
        asks = len(intents) > 1 or is_put_as_question(text)
        age = _AGE.fullmatch(words) if slot == "check_age" else None
        if age:
            return _answered("no" if int(age[1]) >= _ADULT else "yes")
        if asks:
            return None
        mine = named & set(self._phrases.means_yes.get(slot, []))
        others = named & {value for values in self._phrases.means_yes.values() for value in values}
        answer = self._yes_or_no(words, intents) or ("yes" if mine else None)
        # "I have asthma" answers the question about illness, not the one about scars.
        return _answered(answer) if answer and not (answer == "yes" and others and not mine) else None

    def _yes_or_no(self, words: str, intents: Sequence[str]) -> str | None:
        for kind in ("unsure", "skip", "no", "yes"):
            if self._begins[kind].match(words):
                return kind
        if len(intents) == 1:
            return {AFFIRM: "yes", DENY: "no"}.get(intents[0])
        return None


def _answered(value: str) -> Act:
    return Act("check_answer", AFFIRM if value == "yes" else DENY, {"check_answer": value})


def _near(first: Sequence[str], second: Sequence[str]) -> re.Pattern[str]:
    """A phrase of each list, in either order, a few words apart."""
    between = rf"(?: \w+){{0,{_WORDS_BETWEEN}}}? "
    one, other = (any_of(listed).pattern for listed in (first, second))
    return re.compile(f"{one}{between}{other}|{other}{between}{one}")


def any_of(phrases: Iterable[str], anchored: bool = False) -> re.Pattern[str]:
    """A pattern that finds any of these phrases as whole words.

    Args:
        phrases: as `plain` leaves them.
        anchored: for `match`: nothing is looked at before the phrase.
    """
    # The longest first: "i am not" is no "i am".
    listed = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?:{listed})(?!\w)" if anchored else rf"(?<!\w)(?:{listed})(?!\w)")
