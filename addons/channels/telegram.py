"""Telegram, through the Bot API over HTTP."""

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from rasa.core.channels.channel import UserMessage
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text

from addons.channels.client import PlatformClient, SendingFailed
from addons.channels.connector import Connector, Inbound, Responder, parsed, readable_events, refused
from addons.channels.credentials import Block
from addons.channels.inbox import Inbox
from addons.channels.meta import same
from addons.channels.render import telegram
from addons.clinic import read_clinic
from addons.configuration import ROOT

VARIABLES = {
    "access_token": "TELEGRAM_ACCESS_TOKEN",
    "secret_token": "TELEGRAM_SECRET_TOKEN",
    "conversation_key": "CONVERSATION_KEY",
}
# What every Telegram app sends by a button when a person opens the bot for the first time.
_START = "/start"
_HELLO = "hello"
_MEDIA = (
    "photo", "video", "voice", "audio", "document", "sticker", "animation", "video_note", "location", "venue", "contact", "poll",
    "dice", "story", "paid_media",
)  # fmt: skip


class TelegramInput(Connector):
    """The channel `addons.channels.telegram.TelegramInput` of a credentials file."""

    @classmethod
    def name(cls) -> str:
        """The webhook is `/webhooks/telegram/webhook`."""
        return "telegram"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> "TelegramInput":
        """Make the channel from its block.

        Raises:
            CredentialsError: a setting is missing, a placeholder or malformed; the message names file and variable.
        """
        return cls(Block("addons.channels.telegram.TelegramInput", credentials, VARIABLES))

    def __init__(self, block: Block) -> None:
        """Read the settings.

        Args:
            block: `access_token` (from BotFather), `secret_token` (ours, given to Telegram with the webhook), `conversation_key`.

        Raises:
            CredentialsError: as `from_credentials`.
        """
        token = block.text("access_token", r"\d+:[\w-]{30,}", "a bot token from BotFather, such as 110201543:AAHd...")
        self._secret = block.text("secret_token", r"[\w-]{16,256}", "16 to 256 letters, digits, _ and -")
        self.client = PlatformClient("telegram", f"{block.address('api_base', 'https://api.telegram.org')}/bot{token}")
        clinic = read_clinic(ROOT / "clinic.yml")
        inbox = Inbox()
        render = functools.partial(telegram, emergency_number=clinic.emergency_number)
        self._responder = Responder("telegram", "tg", block.conversation_key(), clinic, inbox, render, self.send)
        super().__init__(inbox, [self.client])

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The webhook.

        Args:
            on_new_message: not used; turns need the reply, which Rasa's handler does not give.
        """
        routes = self._new_blueprint()

        @routes.post("/webhook")
        async def receive(request: Request) -> HTTPResponse:
            header = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
            if refusal := refused(request, lambda _: same(header, self._secret)):
                return refusal
            update = parsed(request.body)
            if update is None:
                return text("", status=400)
            jobs = self._responder.jobs(request.app.ctx.agent, readable_events([update], inbound))
            tap = update.get("callback_query")
            if jobs and isinstance(tap, dict):
                # Beside the answer, not before it: until then the button looks stuck.
                jobs.append((f"tap {tap.get('id')}", functools.partial(self._release, tap.get("id"))))
            return self._take(jobs, text(""))

        return routes

    async def send(self, address: str, message: dict[str, Any]) -> None:
        """Send one rendered message.

        Args:
            address: the chat's id.
            message: as the renderer gives it.

        Raises:
            SendingFailed: it could not be sent.
        """
        await self.client.request("POST", "/sendMessage", json={"chat_id": int(address), **message})

    def checks(self) -> dict[str, Callable[[], Awaitable[str]]]:
        """Ask Telegram for the bot and where it sends updates."""
        return {"telegram": self._check}

    async def _check(self) -> str:
        bot = (await self.client.request("GET", "/getMe"))["result"]
        webhook = (await self.client.request("GET", "/getWebhookInfo"))["result"]
        problem = f", last error: {webhook['last_error_message']}" if webhook.get("last_error_message") else ""
        return f"@{bot['username']}, webhook {webhook.get('url') or 'not set'}{problem}"

    async def _release(self, tap: Any) -> None:
        with contextlib.suppress(SendingFailed):  # too old by now; the answer itself goes its own way
            await self.client.request("POST", "/answerCallbackQuery", json={"callback_query_id": tap})


def inbound(update: dict[str, Any]) -> Inbound | None:
    """A message or a tap in a private chat; None for edits, channels, memberships, and groups, where others would read along.

    Args:
        update: as Telegram sent it.
    """
    message_id = str(update["update_id"])
    tap = update.get("callback_query")
    if tap:
        shown = tap.get("message") or {}
        if (shown.get("chat") or {"type": "private"})["type"] != "private":
            return None
        return Inbound(str(tap["from"]["id"]), message_id, _title(shown, tap["data"]), token=str(tap["data"]))
    message = update.get("message")
    if not message or message["chat"]["type"] != "private" or message["from"].get("is_bot"):
        return None
    media = any(message.get(kind) for kind in _MEDIA)
    said = str(message.get("text") or message.get("caption") or "")
    if not said and not media:
        return None
    said = _HELLO if said.split("@")[0].split(" ")[0] == _START else said
    return Inbound(str(message["chat"]["id"]), message_id, said, media=media, sent_at=float(message["date"]))


def _title(message: dict[str, Any], token: str) -> str:
    """What stands on the button that was tapped."""
    rows = (message.get("reply_markup") or {}).get("inline_keyboard") or []
    return next((str(button["text"]) for row in rows for button in row if button.get("callback_data") == token), "")
