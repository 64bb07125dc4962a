"""Patients who write to a running assistant: over plain HTTP, and over the website's channel by HTTP or by a socket."""

import asyncio
import json
import uuid
from typing import Any

import aiohttp
from websockets.exceptions import WebSocketException

from addons.channels.web.refusal import STATUS
from tests.services.running import Assistant
from tests.web_client import PLACE, Browser

LIMIT_SECONDS = 60.0


class Patient:
    """Somebody who uses the plain HTTP channel.

    Attributes:
        conversation: the id under which the conversation is stored.
        sends_again: whether this route knows a message that is sent a second time.
    """

    sends_again = False

    def __init__(self, assistant: Assistant) -> None:
        """Begin a conversation of one's own.

        Args:
            assistant: whom to ask.
        """
        self.conversation = uuid.uuid4().hex
        self._assistant = assistant

    def ask(self, text: str, message_id: str | None = None) -> tuple[int, Any]:
        """Send a message.

        Args:
            text: what is asked.
            message_id: the message's id, where the route has ids; a new one when left out.

        Returns:
            200 and the replies; another status and the stated error; 0 and None when the connection was refused or lost.

        Raises:
            TimeoutError: nothing came within `LIMIT_SECONDS`.
        """
        return self._call("/webhooks/rest/webhook", {"sender": self.conversation, "message": text})

    def say(self, text: str) -> list[dict[str, Any]]:
        """Send a message that must be answered.

        Returns:
            The replies.
        """
        status, replies = self.ask(text)
        assert status == 200, (type(self).__name__, status, replies)
        assert replies, type(self).__name__
        said: list[dict[str, Any]] = replies
        return said

    def _call(self, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        body = json.dumps(content).encode() if content is not None else None
        status, answer = self._assistant.status(path, body, LIMIT_SECONDS, headers=headers)
        return status, json.loads(answer) if status else None


class WebPatient(Patient):
    """Somebody on the website whose browser uses HTTP."""

    sends_again = True

    def __init__(self, assistant: Assistant) -> None:
        super().__init__(assistant)
        self._token = ""

    def ask(self, text: str, message_id: str | None = None) -> tuple[int, Any]:
        if not self._token:
            status, session = self._website("/session", {})
            if status != 201:
                return status, session
            self._token, self.conversation = session["token"], session["conversation"]
        status, answer = self._send({"id": message_id or uuid.uuid4().hex, "text": text})
        return status, answer["replies"] if status == 200 else answer

    def history(self) -> tuple[int, Any]:
        """What the page shows after a reload.

        Returns:
            The status, and `{messages}` or the stated error.
        """
        return self._website("/history")

    def erase(self) -> tuple[int, Any]:
        """Have the conversation removed.

        Returns:
            The status, and `{erased}` or the stated error.
        """
        return self._website("/erase", {})

    def _website(self, path: str, content: Any = None) -> tuple[int, Any]:
        session = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return self._call(PLACE + path, content, Origin=self._assistant.address(""), **session)

    def _send(self, message: dict[str, str]) -> tuple[int, Any]:
        return self._website("/messages", message)


class SocketPatient(WebPatient):
    """Somebody on the website whose browser uses a socket; a new one for each message, as after a lost connection."""

    def _send(self, message: dict[str, str]) -> tuple[int, Any]:
        return asyncio.run(self._send_over_socket(message))

    async def _send_over_socket(self, message: dict[str, str]) -> tuple[int, Any]:
        base = self._assistant.address("")
        try:
            async with aiohttp.ClientSession() as http:
                page = Browser(base, http, base)
                page.token = self._token
                async with page.socket() as tab:
                    tab.patience = LIMIT_SECONDS
                    answer = tab.refused["data"] if tab.refused else await tab.emit("message", message)
        except asyncio.TimeoutError:
            raise TimeoutError from None
        except (OSError, WebSocketException):
            return 0, None
        return STATUS[answer["error"]["code"]] if "error" in answer else 200, answer


ROUTES = (Patient, WebPatient, SocketPatient)
