"""Plain HTTP for scripts and other servers: the address and the shapes of Rasa's own `rest` channel, without its traps.

Rasa's answers a malformed body with nothing, puts all who name no sender into one conversation, lets anyone fire commands, and
with `?stream=true` never ends an answer that failed.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from rasa.core.channels.channel import InputChannel, UserMessage
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from addons.channels.turns import Turns, readable, technical_texts
from addons.clinic import read_clinic
from addons.configuration import ROOT, ConfigurationError
from addons.conversations import usable_sender
from addons.serving import protect

TURNS = 16
RETRY_SECONDS = 2
_STATUS = {"bad_request": 400, "bad_text": 400, "busy": 503}
_REPLY_KEYS = ("text", "buttons", "image", "attachment", "custom")


class Refused(Exception):
    """A request that gets no turn; the code names the text in data/safety/technical.yml."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


class RestChannel(InputChannel):
    """`POST /webhooks/rest/webhook` with `{"sender": ..., "message": ...}` answers with the list of replies."""

    def __init__(self, turns: int = TURNS) -> None:
        """Read what is said when a message is refused.

        Args:
            turns: messages answered or waiting at one moment; above that the answer is "busy".
        """
        clinic = read_clinic(ROOT / "clinic.yml")
        self._texts = technical_texts(clinic)
        self._turns = Turns(self.name(), clinic)
        self._limit = turns

    @classmethod
    def name(cls) -> str:
        """The channel's name as it is stored, and its place under /webhooks/."""
        return "rest"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> "RestChannel":
        """Make the channel from its block of credentials.yml.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        settings = credentials or {}
        turns = settings.get("turns", TURNS)
        if set(settings) - {"turns"} or not isinstance(turns, int) or turns < 1:
            raise ConfigurationError(ROOT / "credentials.yml", "the rest channel has one setting, `turns`: a number from 1.")
        return cls(turns)

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The channel's routes.

        Args:
            on_new_message: Rasa's way in; not used, because it says nothing about what became of a message.
        """
        blueprint = Blueprint(f"rest_{self.name()}", __name__)
        protect(blueprint)

        async def health(request: Request) -> HTTPResponse:
            return response.json({"status": "ok"})

        async def receive(request: Request) -> HTTPResponse:
            try:
                sender, text, metadata = _read(request.body)
                if self._turns.running >= self._limit:
                    raise Refused("busy")
            except Refused as refused:
                return self._refusal(refused.code)
            turn = await self._turns.run(request.app.ctx.agent, sender, text, uuid.uuid4().hex, metadata)
            replies = [
                {"recipient_id": sender, **{key: reply[key] for key in _REPLY_KEYS if reply.get(key)}} for reply in turn.replies
            ]
            if request.args.get("stream", "").lower() == "true":
                lines = "".join(json.dumps(reply) + "\n" for reply in replies)
                return response.text(lines, content_type="text/event-stream")
            return response.json(replies)

        blueprint.add_route(health, "/", methods=["GET"])
        blueprint.add_route(receive, "/webhook", methods=["POST"])
        return blueprint

    def _refusal(self, code: str) -> HTTPResponse:
        busy = code == "busy"
        error = {"code": code, "message": self._texts[code], **({"retry_after": RETRY_SECONDS} if busy else {})}
        headers = {"Retry-After": str(RETRY_SECONDS)} if busy else None
        return response.json({"error": error}, status=_STATUS[code], headers=headers)


def _read(body: bytes) -> tuple[str, str, dict[str, Any]]:
    """The sender, text and metadata of a request.

    Raises:
        Refused: it is not what the channel takes.
    """
    try:
        payload = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refused("bad_request") from None
    if not isinstance(payload, dict):
        raise Refused("bad_request")
    sender = payload.get("sender")
    if sender is None:
        # A conversation of its own: strangers must not share one.
        sender = uuid.uuid4().hex
    text, metadata = payload.get("message"), payload.get("metadata")
    metadata = {} if metadata is None else metadata
    if not usable_sender(sender) or not isinstance(text, str) or not isinstance(metadata, dict):
        raise Refused("bad_request")
    if not readable(text):
        raise Refused("bad_text")
    return sender, text, metadata
