"""The graph component that reads acts, and where the conversation stands, from Rasa's tracker."""

import time
from dataclasses import replace
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import REQUESTED_SLOT
from rasa.shared.core.events import BotUttered, Restarted, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.training_data.message import Message

from addons.configuration import ROOT
from addons.dialogue.acts import COST, TOPIC, Act, ActReader, Situation, read_phrases
from addons.dialogue.check import CHECK, SUBJECTS
from addons.understanding.components import CONTEXT_SECONDS, CONTEXT_TURNS

PHRASES = ROOT / "data" / "acts.yml"
ERASE_CONFIRM = "utter_erase_confirm"


@DefaultV1Recipe.register([DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER], is_trainable=False)
class ActDetector(GraphComponent):
    """Adds to each message what it does in the conversation, besides asking; stands after the question classifier."""

    def __init__(self) -> None:
        """Read the phrases."""
        self._reader = ActReader(read_phrases(PHRASES))

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "ActDetector":
        """Nothing to configure."""
        return cls()

    def process(self, messages: list[Message], tracker: DialogueStateTracker | None = None) -> list[Message]:
        """Set `act` on each message, with the intent and entities that go with it, and the sessions a sum is wanted for."""
        here = situation(tracker, time.time()) if tracker else Situation()
        for message in messages:
            text, questions = str(message.get("text") or ""), message.get("questions") or []
            named = [str(entity["value"]) for entity in message.get("entities") or []]
            act = self._reader.read(text, questions, named, here)
            if act:
                _apply(act, message)
            if tracker and _has_old_answers(tracker):
                _add_entity(message, "check_cleared", None)
            sessions = self._reader.sessions(text, questions, here)
            if sessions:
                _count(sessions, message)
        return messages


def situation(tracker: DialogueStateTracker, now: float) -> Situation:
    """Where a conversation stands, from what was said last, as far as it is recent.

    Args:
        tracker: the conversation before the present message.
        now: seconds since 1970.
    """
    asked = tracker.get_slot(REQUESTED_SLOT) if tracker.active_loop_name == CHECK else None
    here = Situation(check_asks=asked)
    turns = 0
    for event in reversed(tracker.events):
        if turns >= CONTEXT_TURNS or now - event.timestamp > CONTEXT_SECONDS:
            break
        if isinstance(event, SessionStarted | Restarted):
            break
        if isinstance(event, UserUttered):
            turns += 1
        elif isinstance(event, BotUttered):
            facts = event.metadata
            if turns == 0:
                here = replace(
                    here,
                    erase_asked=here.erase_asked or facts.get("utter_action") == ERASE_CONFIRM,
                    symptom_asked=here.symptom_asked or facts.get("safety") == "symptom",
                    invited=here.invited or facts.get("invites") == CHECK,
                )
            if facts.get("topics"):
                fewest, most = facts.get("sessions") or (None, None)
                counted = (fewest, most) if fewest and most else None
                return replace(here, last_answer=f"{TOPIC}{facts['topics'][-1]}", sessions=counted)
    return here


def _has_old_answers(tracker: DialogueStateTracker) -> bool:
    """Whether answers of a check that is over are still kept."""
    return tracker.active_loop_name != CHECK and any(tracker.get_slot(f"check_{subject}") is not None for subject in SUBJECTS)


def _add_entity(message: Message, name: str, value: Any) -> None:
    entity = {"entity": name, "value": value, "extractor": ActDetector.__name__}
    message.set("entities", [*(message.get("entities") or []), entity], add_to_output=True)


def _apply(act: Act, message: Message) -> None:
    message.set("act", act.name, add_to_output=True)
    for name, value in act.entities.items():
        _add_entity(message, name, value)
    if act.intent:
        questions = message.get("questions") or []
        same = next((question for question in questions if question["intent"] == act.intent), None)
        _ask(message, act.intent, same or (questions[0] if questions else {}))


def _count(sessions: tuple[int, int], message: Message) -> None:
    """Put the number of sessions on the question about cost."""
    questions = message.get("questions") or []
    if all(question["intent"] != COST for question in questions):
        _ask(message, COST, questions[0])
    counted = [{**q, "sessions": list(sessions)} if q["intent"] == COST else q for q in message.get("questions")]
    message.set("questions", counted, add_to_output=True)
    _add_entity(message, "sessions", sessions[1])


def _ask(message: Message, intent: str, question: dict[str, Any]) -> None:
    """Let the message ask for one intent, with what the question named."""
    leading = {"name": intent, "confidence": question.get("confidence", 1.0)}
    others = [entry for entry in message.get("intent_ranking") or [] if entry["name"] != intent]
    message.set("intent", leading, add_to_output=True)
    message.set("intent_ranking", [leading, *others], add_to_output=True)
    message.set("questions", [{**question, "intent": intent}], add_to_output=True)
