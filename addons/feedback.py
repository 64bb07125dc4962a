"""What a patient thought of a reply, as an event of the conversation.

It belongs to the conversation, so it is exported, erased and expires with it; it has no effect on what is said next. Whoever
reads stored conversations imports this module, because Rasa finds the class of a stored event by its name.
"""

from typing import Any, Literal

from rasa.shared.core.events import SkipEventInMDStoryMixin

Value = Literal["up", "down"]


class Feedback(SkipEventInMDStoryMixin):
    """A thumb under a reply; the newest one of a reply counts."""

    type_name = "feedback"

    def __init__(
        self,
        reply: str,
        value: Value | None,
        reason: str | None = None,
        timestamp: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Note the feedback.

        Args:
            reply: the reply's id.
            value: the thumb; None takes an earlier one back.
            reason: why, in the patient's words.
            timestamp: unix seconds; now when left out.
            metadata: what the channel wants stored with it.
        """
        super().__init__(timestamp, metadata)
        self.reply = reply
        self.value = value
        self.reason = reason

    def as_dict(self) -> dict[str, Any]:
        """The event as it is stored."""
        stored: dict[str, Any] = super().as_dict()
        return stored | {"reply": self.reply, "value": self.value, "reason": self.reason}

    @classmethod
    def _from_parameters(cls, parameters: dict[str, Any]) -> "Feedback":
        return cls(
            parameters["reply"],
            parameters["value"],
            parameters.get("reason"),
            parameters.get("timestamp"),
            parameters.get("metadata"),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Feedback):
            return NotImplemented
        return (self.reply, self.value, self.reason) == (other.reply, other.value, other.reason)

    def __hash__(self) -> int:
        return hash((self.reply, self.value, self.reason))
