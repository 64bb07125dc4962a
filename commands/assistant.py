"""The trained assistant in this process, spoken to through the entry every channel uses. For measuring and testing."""

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasa.core.agent import Agent, load_agent
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.core.utils import AvailableEndpoints
from rasa.utils.endpoints import EndpointConfig
from rasa.utils.log_utils import configure_structlog
from rasa_sdk.executor import ActionExecutor

from addons.configuration import ROOT


@dataclass(frozen=True)
class Turn:
    """One message and what came of it.

    Attributes:
        understood: what /model/parse would give: intent, intent_ranking, entities, questions.
        replies: the messages sent, each with `text` and perhaps `buttons`.
        metadata: the metadata of each reply's stored event.
    """

    understood: dict[str, Any]
    replies: list[dict[str, Any]]
    metadata: list[dict[str, Any]]

    @property
    def intent(self) -> str:
        """The intent the dialogue went by."""
        return str(self.understood["intent"]["name"])

    @property
    def intents(self) -> list[str]:
        """The intent of each question of the message, in the order asked."""
        return [question["intent"] for question in self.understood["questions"]]

    @property
    def offered(self) -> list[str]:
        """The intents offered as choices, nearest first."""
        return [intent for metadata in self.metadata for intent in metadata.get("offered") or []]

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "\n".join(str(reply.get("text") or "") for reply in self.replies)


class ActionsInProcess(EndpointConfig):
    """Stands where the action server's address would: runs the same actions here, without HTTP."""

    def __init__(self) -> None:
        """Register the actions of `actions/`."""
        super().__init__(url="in-process")
        self._executor = ActionExecutor()
        self._executor.register_package("actions")

    async def request(self, *_: Any, json: dict[str, Any], **__: Any) -> Any:
        """Run the action Rasa asks for.

        Args:
            json: the call an action server would get.
        """
        return await self._executor.run(json)


class Assistant:
    """A loaded model with the project's own answering; conversations are kept in memory, no server is needed."""

    def __init__(self, agent: Agent) -> None:
        """Wrap an agent; use `Assistant.load`."""
        self._agent = agent
        self._new_ids = itertools.count()

    @classmethod
    async def load(cls, model: Path, endpoints: Path = ROOT / "endpoints.yml") -> "Assistant":
        """Load a model archive.

        Args:
            model: the archive `commands.train` made.
            endpoints: the file whose `nlg` block names the answering class.
        """
        configure_structlog(logging.ERROR)  # left alone, structlog prints every turn
        available = AvailableEndpoints.read_endpoints(str(endpoints))
        available.tracker_store = None
        available.action = ActionsInProcess()
        return cls(await load_agent(model_path=str(model), endpoints=available))

    def new_conversation(self) -> str:
        """An id nobody has used."""
        return f"conversation-{next(self._new_ids)}"

    async def say(self, text: str, conversation: str | None = None) -> Turn:
        """Send one message.

        Args:
            text: what the person typed.
            conversation: whose; a new conversation when left out.
        """
        sender = conversation or self.new_conversation()
        channel = CollectingOutputChannel()
        before = await self._agent.tracker_store.retrieve(sender)
        seen = len(before.events) if before else 0
        await self._agent.handle_message(UserMessage(text, channel, sender))
        tracker = await self._agent.tracker_store.retrieve(sender)
        assert tracker is not None, "the turn was not stored"
        events = list(tracker.events)[seen:]
        metadata = [event.metadata for event in events if event.type_name == "bot"]
        # Rasa's own `latest_message` leaves out what answered a form.
        understood = [event.parse_data for event in events if event.type_name == "user"]
        assert understood, "the turn was not stored"
        return Turn(understood[-1], channel.messages, metadata)

    async def slots(self, conversation: str) -> dict[str, Any]:
        """What is remembered of a conversation.

        Args:
            conversation: its id; it must have begun.
        """
        tracker = await self._agent.tracker_store.retrieve(conversation)
        assert tracker is not None, "no such conversation"
        return dict(tracker.current_slot_values())
