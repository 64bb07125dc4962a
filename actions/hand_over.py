"""Marks a conversation in which the patient asked for a person, so that a clinic can find and answer it."""

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

WANTS_PERSON = "wants_person"


class ActionHandOver(Action):
    """Runs after the stock reply has told the patient how to reach a person; says nothing itself."""

    def name(self) -> str:
        """The action's name in the domain."""
        return "action_hand_over"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[EventType]:
        """Set the mark."""
        return [SlotSet(WANTS_PERSON, True)]
