"""Drives a connector from both ends: as the platform that calls its webhook, and as the platform it sends to."""

import asyncio
import base64
import functools
import hashlib
import hmac
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from rasa.core.channels.channel import register
from sanic import Sanic

from addons.channels.connector import Connector
from addons.channels.meta import MetaInput
from addons.channels.sms import SmsInput
from addons.channels.telegram import TelegramInput
from tests.platforms import Graph, Platform, Telegram, Twilio, telegram_visible

INBOUND = Path(__file__).parent / "inbound"
KEY = "a-key-of-more-than-thirty-two-characters"
APP_SECRET, VERIFY_TOKEN, SECRET_TOKEN, TOKEN = "app-secret-1", "verify-token-1", "telegram-secret-1", "access-token-1"
BOT_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
WEBHOOK_URL = "https://clinic.example/webhooks/sms/webhook"
PLATFORMS = ("whatsapp", "messenger", "instagram", "sms", "telegram")
_names = itertools.count()
# Sanic rewrites its own methods for the app that starts; only in this mode it can do so again for the next one.
Sanic.test_mode = True


@functools.cache
def fixtures(platform: str) -> dict[str, Any]:
    """Every kind of event a platform delivers, with the times made now."""
    text = (INBOUND / f"{platform}.json").read_text(encoding="utf-8")
    now = time.time()
    text = text.replace('"{now_int}"', str(int(now))).replace('"{now_ms}"', str(int(now * 1000))).replace("{now}", str(int(now)))
    found: dict[str, Any] = json.loads(text)
    return found


def new_platform(name: str) -> Platform:
    """The stand-in server for a platform."""
    if name == "telegram":
        return Telegram(BOT_TOKEN)
    return Twilio(TOKEN) if name == "sms" else Graph(TOKEN)


def credentials(name: str, api_base: str) -> dict[str, Any]:
    """A block that is right, and points to a stand-in server."""
    if name == "telegram":
        return {"access_token": BOT_TOKEN, "secret_token": SECRET_TOKEN, "conversation_key": KEY, "api_base": api_base}
    if name == "sms":
        return {
            "account_sid": Twilio.ACCOUNT, "auth_token": TOKEN, "sender": "+15005550006", "webhook_url": WEBHOOK_URL,
            "conversation_key": KEY, "api_base": api_base,
        }  # fmt: skip
    own = {"access_token": TOKEN, "api_base": api_base}
    return {
        "app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "conversation_key": KEY,
        "whatsapp": {"phone_number_id": Graph.WHATSAPP, **own},
        "messenger": {"page_id": Graph.PAGE, **own},
        "instagram": {"account_id": Graph.INSTAGRAM, **own},
    }  # fmt: skip


def new_channel(name: str, block: dict[str, Any]) -> Connector:
    """The connector of a platform, as the server makes it from a block."""
    kinds: dict[str, type[Connector]] = {"telegram": TelegramInput, "sms": SmsInput}
    channel = kinds.get(name, MetaInput).from_credentials(block)
    assert isinstance(channel, Connector)
    return channel


def typed(name: str, text: str, message_id: str, person: str = "447700900123", ago: float = 0) -> Any:
    """A delivery with one typed message.

    Args:
        name: the platform.
        text: what was typed.
        message_id: a number, as text.
        person: digits.
        ago: seconds since it was typed.
    """
    now = time.time() - ago
    if name == "sms":
        return {"From": f"+{person}", "To": "+15005550006", "Body": text, "MessageSid": f"SM{message_id}", "NumMedia": "0"}
    if name == "telegram":
        chat = {"id": int(person), "type": "private", "first_name": "A"}
        sender = {"id": int(person), "is_bot": False, "first_name": "A"}
        return {"update_id": int(message_id),
                "message": {"message_id": 1, "from": sender, "chat": chat, "date": int(now), "text": text}}  # fmt: skip
    if name == "whatsapp":
        message = {
            "from": person,
            "id": f"wamid.{message_id}",
            "timestamp": str(int(now)),
            "type": "text",
            "text": {"body": text},
        }
        value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": Graph.WHATSAPP}, "messages": [message]}
        return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}
    return _messaging(name, person, now, {"message": {"mid": f"m_{message_id}", "text": text}})


def tap(name: str, token: str, title: str, message_id: str, person: str = "447700900123") -> Any:
    """A delivery with one tap on a choice, whose message is not shown any more."""
    if name == "telegram":
        sender = {"id": int(person), "is_bot": False, "first_name": "A"}
        return {"update_id": int(message_id), "callback_query": {"id": "c1", "from": sender, "data": token, "chat_instance": "1"}}
    if name == "whatsapp":
        delivery = typed(name, "", message_id, person)
        message = delivery["entry"][0]["changes"][0]["value"]["messages"][0]
        message.pop("text")
        message.update(type="interactive", interactive={"type": "button_reply", "button_reply": {"id": token, "title": title}})
        return delivery
    message = {"mid": f"m_{message_id}", "text": title, "quick_reply": {"payload": token}}
    return _messaging(name, person, time.time(), {"message": message})


def _messaging(name: str, person: str, now: float, event: dict[str, Any]) -> Any:
    account, kind = (Graph.PAGE, "page") if name == "messenger" else (Graph.INSTAGRAM, "instagram")
    whole = {"sender": {"id": person}, "recipient": {"id": account}, "timestamp": int(now * 1000), **event}
    return {"object": kind, "entry": [{"id": account, "time": int(now * 1000), "messaging": [whole]}]}


def signed_request(name: str, delivery: Any) -> tuple[bytes, dict[str, str]]:
    """The body and headers with which a platform calls the webhook."""
    if name == "sms":
        signature = hmac.new(
            TOKEN.encode(), (WEBHOOK_URL + "".join(key + delivery[key] for key in sorted(delivery))).encode(), hashlib.sha1
        )
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return urlencode(delivery).encode(), {"X-Twilio-Signature": base64.b64encode(signature.digest()).decode(), **form}
    body = json.dumps(delivery).encode()
    if name == "telegram":
        return body, {"X-Telegram-Bot-Api-Secret-Token": SECRET_TOKEN}
    return body, {"X-Hub-Signature-256": meta_signature(body, APP_SECRET)}


def meta_signature(body: bytes, secret: str) -> str:
    """How Meta signs."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def shown(name: str, message: Any) -> str:
    """A sent message as a person reads it, with what its buttons say."""
    if name == "sms":
        return str(message)
    if name == "telegram":
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        return "\n".join([telegram_visible(message), *(button["text"] for row in rows for button in row)])
    if name == "whatsapp":
        if message["type"] == "text":
            return str(message["text"]["body"])
        action = message["interactive"]["action"]
        titles = [button["reply"]["title"] for button in action.get("buttons", [])]
        titles += [row["title"] for section in action.get("sections", []) for row in section["rows"]]
        return "\n".join([message["interactive"]["body"]["text"], *titles])
    return "\n".join([message["text"], *(quick_reply["title"] for quick_reply in message.get("quick_replies", []))])


class Server:
    """A running connector."""

    def __init__(self, name: str, address: str, session: aiohttp.ClientSession, channel: Any) -> None:
        self.name = name
        self.channel = channel
        self.webhook = f"{address}/webhooks/{channel.name()}/webhook"
        self._session = session

    async def deliver(self, delivery: Any) -> int:
        """Call the webhook as the platform does; gives the status."""
        return await self.post(*signed_request(self.name, delivery))

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        async with self._session.post(self.webhook, data=body, headers=headers) as response:
            await response.read()
            return response.status

    async def get(self, query: dict[str, str]) -> tuple[int, str]:
        async with self._session.get(self.webhook, params=query) as response:
            return response.status, await response.text()


def serving(name: str, api_base: str, agent: Any, block: dict[str, Any] | None = None) -> AbstractAsyncContextManager[Server]:
    """A connector behind a real HTTP server on a free port of this machine.

    Args:
        name: the platform.
        api_base: where it sends to.
        agent: what answers.
        block: its credentials, when they are not the usual ones.
    """
    return serving_channel(name, new_channel(name, block or credentials(name, api_base)), agent)


@asynccontextmanager
async def serving_channel(name: str, channel: Any, agent: Any) -> AsyncIterator[Server]:
    """Any channel of Rasa behind a real HTTP server.

    Args:
        name: the platform.
        channel: the input channel.
        agent: what answers.
    """
    app = Sanic(f"channel-test-{next(_names)}", configure_logging=False)
    app.config.ACCESS_LOG = False
    app.ctx.agent = agent
    register([channel], app, "/webhooks/")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server: Any = await app.create_server(sock=listening, return_asyncio_server=True)
    await server.startup()
    await server.before_start()
    await server.start_serving()
    async with aiohttp.ClientSession() as session:
        try:
            yield Server(name, f"http://127.0.0.1:{port}", session, channel)
        finally:
            await server.before_stop()
            server.close()
            await server.wait_closed()


async def settle(server: Server) -> None:
    """Wait until a connector has nothing left to do."""
    for _ in range(1000):
        if not server.channel._inbox._tasks:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the inbox did not get empty")
