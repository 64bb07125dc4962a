"""Every word the assistant says passes here: which curated reply fits, given what was asked and where the conversation stands.

Rasa calls this class for every `utter_*` on every channel (`nlg: type:` in endpoints.yml). What a reply is made of, the
caveat under every answer included, is put together in addons/composing.py. Wording lives in data/.
"""

from typing import Any

from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from addons.composing import (
    ANSWER,
    ASK_SOURCES,
    COMPUTED,
    GRADES,
    LANGUAGE,
    OUT_OF_SCOPE,
    PERSON,
    TOPIC,
    AnswerComposer,
    Draft,
    Wanted,
    readable,
)
from addons.configuration import ROOT
from addons.dialogue import symptoms
from addons.dialogue.check import CHECK, summary
from addons.dialogue.symptoms import SymptomGuide

__all__ = ["ANSWER", "COMPUTED", "GRADES", "TOPIC", "CuratedAnswers"]

SOURCES_OF_ANSWER = "utter_sources_of_answer"
SOURCE_OF_ANSWER = "utter_source_of_answer"
FALLBACK = "utter_fallback"
FALLBACK_AGAIN = "utter_fallback_again"
WHICH = "utter_which_topic"
NO_WORDS = "utter_no_words"
REJECTED = "utter_reject_answer"
EMERGENCY = "utter_report_emergency"
STILL_URGENT = "utter_still_urgent"
SYMPTOM = "utter_report_symptom"
CANDIDACY = "utter_faq_candidacy"
INVITE_CHECK = "utter_invite_candidacy_check"
SUMMARY = "utter_check_summary"
CHECK_QUESTION = "utter_ask_check_"
RESUMES = "utter_check_resumes"
IN_SHORT = "utter_in_short"
ONCE_MORE = "utter_once_more"
SAME_ANSWER = "utter_same_answer"
THAT_IS_ALL = "utter_that_is_all"
# What a message does besides asking (addons/dialogue/acts.py), where that changes what is said.
AGAIN, SIMPLER, MORE = "again", "simpler", "more"
MANNERS = {"insult": "utter_insult", "rules": "utter_rules"}
REFUSALS = {OUT_OF_SCOPE, FALLBACK}
OFFERED = 3
# What Rasa itself puts on a stored reply.
_OF_THE_EVENT = {"utter_action", "model_id", "assistant_id"}
# Two topics this near each other, and this far ahead of the rest, are asked about: which of the two.
_NEAR = 0.6
_LIKELY = 0.12
# What is told about a symptom is read from this many messages at most.
_SYMPTOM_MESSAGES = 5


class CuratedAnswers(AnswerComposer):
    """Chooses what to say for an `utter_*` action."""

    def __init__(self, endpoint_config: EndpointConfig, domain: Domain) -> None:
        """Read the files named in the `nlg` block of endpoints.yml, and the phrases about symptoms.

        Args:
            endpoint_config: that block.
            domain: the domain; Rasa hands over the model's responses later.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        super().__init__(endpoint_config, domain)
        self._symptoms = SymptomGuide(ROOT / "data" / "symptoms.yml")

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Draft | None:
        """What to say for an `utter_*` action.

        Args:
            utter_action: the response's name.
            tracker: the conversation; its last message says what was asked.
            output_channel: the channel's name.
            kwargs: further placeholder values, from a custom action.

        Returns:
            The message with `text`, perhaps `buttons`, and as further keys the facts that Rasa stores as the event's
            metadata and channels build their own form of the answer from: `body`, `caveat` and `sources_line` are the
            text's parts, `source_links` the sources with their addresses, `call` the numbers of an emergency reply.
            None when the response does not exist.
        """
        asked: dict[str, Any] = tracker.latest_message.parse_data if tracker.latest_message else {}
        of_last = self._about_last_answer(utter_action, asked, tracker, output_channel)
        if of_last is not None:
            return of_last
        wanted = self._wanted(utter_action, asked, tracker.current_slot_values())
        wanted = [(self._fitting(name, named, asked, tracker), named) for name, named in wanted]
        if utter_action == SUMMARY:
            return self._summary(tracker, output_channel)
        draft = self._compose(wanted, output_channel, kwargs, bool(asked.get("shortened")))
        if draft is None:
            return None
        offered = self._offered(utter_action, wanted[0][0], asked, tracker)
        if offered:
            draft["offered"] = offered
            draft["buttons"] = self._buttons(offered)
        missed_again = utter_action in REFUSALS and _safety_before(tracker) in {"fallback", "out_of_scope"}
        if missed_again and wanted[0][0] not in MANNERS.values():
            draft.setdefault("buttons", []).extend(self._buttons([PERSON.removeprefix("utter_")]))
        if _said_before(draft, tracker):
            draft = self._same_again(draft, wanted, asked, output_channel)
        answers_healthy = [name for name, _ in wanted] == [CANDIDACY] and not wanted[0][1].get("condition")
        if answers_healthy and tracker.active_loop_name != CHECK:
            self._invite(draft, output_channel)
        if utter_action.startswith(CHECK_QUESTION) and _interrupted(tracker, asked):
            self._put_before(draft, RESUMES, output_channel)
        return draft

    def _wanted(self, utter_action: str, asked: dict[str, Any], slots: dict[str, Any]) -> Wanted:
        """The replies wanted, as (response, what was named with the question).

        The last message's questions count when it asked for this response; otherwise the response is said by itself, for
        what the conversation's slots hold. An emergency reply stands alone.
        """
        questions = [(f"utter_{question['intent']}", question) for question in asked.get("questions") or []]
        mine = [question for name, question in questions if name == utter_action]
        if not mine:
            return [(utter_action, slots)]
        return [(utter_action, mine[0])] if utter_action in {EMERGENCY, FALLBACK} else questions

    def _fitting(self, name: str, named: dict[str, Any], asked: dict[str, Any], tracker: DialogueStateTracker) -> str:
        """The reply that fits best where the conversation stands, of those that may be said for one response."""
        if name in REFUSALS and "text" in asked and not any(character.isalpha() for character in str(asked["text"])):
            return NO_WORDS
        if name == FALLBACK:
            return self._fallback(asked, tracker)
        if name == OUT_OF_SCOPE and len(asked.get("questions") or []) == 1:
            return MANNERS.get(str(asked.get("act")), name)
        if name == EMERGENCY and not named.get("red_flag") and _safety_before(tracker) == "emergency":
            return STILL_URGENT
        if name == SYMPTOM and asked and not self._has_own_advice(named):
            return self._symptom(tracker)
        return name

    def _fallback(self, asked: dict[str, Any], tracker: DialogueStateTracker) -> str:
        """Which of the unsure replies fits: a second miss, one of these few, or nothing near."""
        if _safety_before(tracker) in {"fallback", "out_of_scope"}:
            return FALLBACK_AGAIN
        if any(question.get("unsure") for question in asked.get("questions") or []) or _two_near(asked):
            return WHICH
        return FALLBACK

    def _has_own_advice(self, named: dict[str, Any]) -> bool:
        """Whether a symptom with what is named (pregnancy, diabetes) has advice of its own, however it changes."""
        variations = self.responses.get(SYMPTOM) or []
        conditions = [condition for variation in variations for condition in variation.get("condition") or []]
        return any(
            condition["name"] in {"condition", "medicine"} and named.get(condition["name"]) == condition["value"]
            for condition in conditions
        )

    def _symptom(self, tracker: DialogueStateTracker) -> str:
        """The advice that fits how a symptom changes, or the one question that finds it out."""
        texts = _told_of_symptom(tracker)
        asked_before = _safety_before(tracker) == "symptom"
        level = self._symptoms.level(texts, asked_before) if any(texts) else symptoms.TABLE
        return SYMPTOM if level == symptoms.TABLE else f"utter_symptom_{level}"

    def _offered(self, utter_action: str, said: str, asked: dict[str, Any], tracker: DialogueStateTracker) -> list[str]:
        """The topics to offer as questions to tap, nearest first.

        After a refusal those nearest to the message; after "that is wrong" those next nearest to the message before; after
        an emergency what else the message asked.
        """
        questions = asked.get("questions") or []
        if utter_action == EMERGENCY:
            return [question["intent"] for question in questions if question["intent"].startswith(TOPIC)]
        answered: set[str] = set()
        if utter_action == REJECTED:
            earlier = [event for event in tracker.events if isinstance(event, UserUttered)][:-1]
            asked = next((event.parse_data for event in reversed(earlier) if _asked_a_topic(event.parse_data)), {})
            answered = {question["intent"] for question in asked.get("questions") or []}
        elif utter_action not in REFUSALS or len(questions) > 1 or said in {*MANNERS.values(), NO_WORDS}:
            return []
        return self._nearest(asked, answered)[: 2 if said == WHICH else OFFERED]

    def _invite(self, draft: Draft, output_channel: str) -> None:
        """Offer the candidacy check under an answer: a line that says how, and a button that says the same."""
        invitation = self.generate_from_slots(INVITE_CHECK, {}, output_channel)
        if invitation is not None:
            _lay_under(draft, [str(invitation["text"])])
            draft["invites"] = CHECK
            draft["buttons"] = [*(draft.get("buttons") or []), *(invitation.get("buttons") or [])]

    def _summary(self, tracker: DialogueStateTracker, output_channel: str) -> Draft | None:
        """The candidacy check's list of what to raise with a clinician, under it the caveat of the candidacy answer."""
        lines = [self._text(name, {}, output_channel) for name in summary(tracker.current_slot_values())]
        draft = self._compose([(SUMMARY, tracker.current_slot_values())], output_channel, {})
        if draft is not None:
            _lay_under(draft, lines)
        return draft

    def _about_last_answer(
        self, utter_action: str, asked: dict[str, Any], tracker: DialogueStateTracker, output_channel: str
    ) -> Draft | None:
        """What was wanted of the last answer: once more, its shortest form, or its sources; None when nothing was."""
        act = asked.get("act")
        last = _last_answer(tracker)
        if last is None:
            return None
        if utter_action == ASK_SOURCES or act == MORE:
            of_last = self._sources_of(last, output_channel)
            if of_last is not None and act == MORE:
                self._put_before(of_last, THAT_IS_ALL, output_channel)
                others = self.responses[THAT_IS_ALL][0]["metadata"]["offers"]
                of_last["offered"] = [f"{TOPIC}{topic}" for topic in others if topic not in last.metadata["topics"]][:OFFERED]
                of_last["buttons"] = self._buttons(of_last["offered"])
            return of_last
        if act == SIMPLER:
            questions = [
                question for question in _message_before(tracker, last).get("questions") or [] if _can_be_short(question)
            ]
            wanted: Wanted = [(f"utter_{question['intent']}", question) for question in questions]
            in_short = self._compose(wanted, output_channel, {}, short=True) if wanted else None
            if in_short is not None:
                in_short["form"] = SIMPLER
                self._put_before(in_short, IN_SHORT, output_channel)
                return in_short
        if act in {AGAIN, SIMPLER}:
            once_more: Draft = {key: value for key, value in last.metadata.items() if key not in _OF_THE_EVENT}
            once_more |= {key: value for key, value in last.data.items() if value} | {"text": last.text, "form": AGAIN}
            self._put_before(once_more, ONCE_MORE, output_channel)
            return once_more
        return None

    def _same_again(self, draft: Draft, wanted: Wanted, asked: dict[str, Any], output_channel: str) -> Draft:
        """What was said word for word before: in short, and with other questions to ask.

        What says when to call for help stays whole, as one of the things it lists may be what was asked; a sum is short as it is.
        """
        whole = self._placeholders["emergency_number"] in draft["body"] or any(named.get("sessions") for _, named in wanted)
        if not whole:
            draft = self._compose(wanted, output_channel, {}, bool(asked.get("shortened")), short=True) or draft
            draft["form"] = SIMPLER
            self._put_before(draft, IN_SHORT, output_channel)
        self._put_before(draft, SAME_ANSWER, output_channel)
        if draft.get("topics"):
            draft["offered"] = self._nearest(asked, without={f"{TOPIC}{topic}" for topic in draft["topics"]})
            draft["buttons"] = self._buttons(draft["offered"])
        return draft

    def _nearest(self, asked: dict[str, Any], without: set[str]) -> list[str]:
        """The topics most probable for a message, likest first, apart from some."""
        names = [entry["name"] for entry in asked.get("intent_ranking") or []]
        topics = [name for name in names if name.startswith(TOPIC) and f"utter_{name}" in self.responses]
        return [name for name in topics if name not in without][:OFFERED]

    def _sources_of(self, answer: BotUttered, output_channel: str) -> Draft | None:
        """Every source of an answer with how strong its kind is; None for an answer without."""
        if not answer.metadata.get("sources"):
            return None
        ids = answer.metadata["sources"]
        checked = self._text(SOURCES_OF_ANSWER, {}, output_channel, reviewed=readable(answer.metadata["reviewed"]))
        lines = [self.authorship(output_channel), checked]
        for source in ids:
            entry = self._sources.get(source) or {}
            strength = self._text(f"utter_source_kind_{str(entry.get('kind')).replace(' ', '_')}", {}, output_channel)
            facts = {
                "label": self._source_link(source)["label"],
                "citation": str(entry.get("citation") or ""),
                "strength": strength,
            }
            lines.append(self._text(SOURCE_OF_ANSWER, {}, output_channel, **facts))
        text = "\n".join(lines)
        return {"text": text, "body": text, "language": LANGUAGE, "source_links": [self._source_link(source) for source in ids]}

    def _put_before(self, draft: Draft, name: str, output_channel: str) -> None:
        """Begin a message with a line of its own."""
        line = self._text(name, {}, output_channel)
        for part in ("body", "text"):
            if not str(draft[part]).startswith(line):
                draft[part] = f"{line}\n{draft[part]}"


def _lay_under(draft: Draft, lines: list[str]) -> None:
    """Put lines at the end of a message's body, before the caveat."""
    under = str(draft["text"])[len(str(draft["body"])) :]
    draft["body"] = "\n".join([str(draft["body"]), *lines])
    draft["text"] = f"{draft['body']}{under}"


def _last_reply(tracker: DialogueStateTracker) -> BotUttered | None:
    """The last thing said before the present message."""
    events = list(tracker.events)
    present = max((index for index, event in enumerate(events) if isinstance(event, UserUttered)), default=len(events))
    return next((event for event in reversed(events[:present]) if isinstance(event, BotUttered)), None)


def _said_before(draft: Draft, tracker: DialogueStateTracker) -> bool:
    """Whether an answer is word for word the last one given, or advice on a symptom the last thing said."""
    advice = _last_reply(tracker) if draft.get("safety") == "symptom" else None
    last = _last_answer(tracker) if draft.get("topics") else advice
    return last is not None and str(last.text or "").endswith(str(draft["text"]))


def _told_of_symptom(tracker: DialogueStateTracker) -> list[str]:
    """What was written about the symptom, oldest first: the present message, and those before whose reply was about one."""
    texts: list[str] = []
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered) and event.metadata.get("safety") != "symptom":
            break
        if isinstance(event, UserUttered):
            texts.insert(0, str(event.text or ""))
        if len(texts) == _SYMPTOM_MESSAGES:
            break
    return texts


def _safety_before(tracker: DialogueStateTracker) -> str | None:
    before = _last_reply(tracker)
    return before.metadata.get("safety") if before is not None else None


def _last_answer(tracker: DialogueStateTracker) -> BotUttered | None:
    """The last answer as it was first given; "once more" and "in short" are forms of it."""
    said = (event for event in reversed(tracker.events) if isinstance(event, BotUttered))
    return next((event for event in said if event.metadata.get("topics") and not event.metadata.get("form")), None)


def _can_be_short(question: dict[str, Any]) -> bool:
    """Whether a question's answer has a shortest form; a sum is short as it is."""
    return str(question["intent"]).startswith(TOPIC) and not question.get("sessions")


def _message_before(tracker: DialogueStateTracker, reply: BotUttered) -> dict[str, Any]:
    """What was understood of the message that a reply answered."""
    events = list(tracker.events)
    before = events[: events.index(reply)]
    asking = next((event for event in reversed(before) if isinstance(event, UserUttered)), None)
    return asking.parse_data if asking is not None else {}


def _interrupted(tracker: DialogueStateTracker, asked: dict[str, Any]) -> bool:
    """Whether the check goes on after something else was asked in between."""
    return tracker.active_loop_name == CHECK and asked.get("act") not in {"check_answer", "start_check"}


def _two_near(asked: dict[str, Any]) -> bool:
    """Whether two topics are about equally likely, and likelier than anything else."""
    ranking = [entry for entry in asked.get("intent_ranking") or [] if entry["name"] != "nlu_fallback"]
    if len(ranking) < 2 or not all(str(entry["name"]).startswith(TOPIC) for entry in ranking[:2]):
        return False
    first, second = (float(entry.get("confidence") or 0.0) for entry in ranking[:2])
    return second >= _LIKELY and second >= _NEAR * first


def _asked_a_topic(parse_data: dict[str, Any]) -> bool:
    return any(question["intent"].startswith(TOPIC) for question in parse_data.get("questions") or [])
