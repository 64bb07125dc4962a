"""Stand-ins for the platforms' servers on loopback: they keep the documented limits and refuse what the platform would refuse."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from aiohttp import BasicAuth, web

Body = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]

TELEGRAM_TAGS = {"b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote", "tg-spoiler"}
GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)


class _TelegramHtml(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.visible = ""
        self.problem = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        if self._open and not self.problem:
            self.problem = f"Can't find end tag corresponding to start tag {self._open[-1]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TELEGRAM_TAGS:
            self.problem = f'Unsupported start tag "{tag}"'
        if tag == "a" and not (dict(attrs).get("href") or "").startswith(("https://", "http://", "tg://")):
            self.problem = "Wrong link"
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problem = f'Unmatched end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        self.visible += data


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def telegram_visible(message: Body) -> str:
    """The text of a sendMessage body as a person reads it."""
    return _TelegramHtml(message["text"]).visible if message.get("parse_mode") == "HTML" else str(message["text"])


def telegram_problem(message: Body) -> str:
    """Why the Bot API would refuse a sendMessage body; empty when it would not."""
    text = message["text"]
    if message.get("parse_mode") == "HTML":
        if re.search(r"&(?!(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);)", text):
            return "can't parse entities: unknown named entity"
        parsed = _TelegramHtml(text)
        if parsed.problem:
            return f"can't parse entities: {parsed.problem}"
        text = parsed.visible
    elif message.get("parse_mode"):
        return "unsupported parse_mode"
    if not text.strip():
        return "message text is empty"
    if units(text) > 4096:
        return "message is too long"
    for row in message.get("reply_markup", {}).get("inline_keyboard", []):
        for button in row:
            if not button.get("text"):
                return "text buttons are unallowed in the inline keyboard"
            if not 1 <= len(button.get("callback_data", "").encode()) <= 64:
                return "BUTTON_DATA_INVALID"
    return ""


def whatsapp_problem(message: Body) -> str:
    """Why the Cloud API would refuse a message object; empty when it would not."""
    if message.get("type") == "text":
        return "" if 1 <= units(message["text"]["body"]) <= 4096 else "text.body must be 1 to 4096 characters"
    if message.get("type") != "interactive":
        return f"unsupported type {message.get('type')}"
    interactive = message["interactive"]
    if not 1 <= units(interactive["body"]["text"]) <= 1024:
        return "interactive.body.text must be 1 to 1024 characters"
    if interactive["type"] == "button":
        buttons = [button["reply"] for button in interactive["action"]["buttons"]]
        if not 1 <= len(buttons) <= 3:
            return "buttons count must be 1 to 3"
        if any(not 1 <= units(button["title"]) <= 20 for button in buttons):
            return "button title must be 1 to 20 characters"
        if any(not 1 <= len(button["id"]) <= 256 for button in buttons):
            return "button id must be 1 to 256 characters"
        unique = {button["title"] for button in buttons}, {button["id"] for button in buttons}
        return "" if all(len(values) == len(buttons) for values in unique) else "duplicated button"
    if interactive["type"] == "list":
        rows = [row for section in interactive["action"]["sections"] for row in section["rows"]]
        if not 1 <= units(interactive["action"]["button"]) <= 20:
            return "list button must be 1 to 20 characters"
        if not 1 <= len(rows) <= 10:
            return "rows count must be 1 to 10"
        if any(not 1 <= units(row["title"]) <= 24 for row in rows):
            return "row title must be 1 to 24 characters"
        if any(not 1 <= len(row["id"]) <= 200 for row in rows):
            return "row id must be 1 to 200 characters"
        if any(not 1 <= units(row.get("description", "-")) <= 72 for row in rows):
            return "row description must be 1 to 72 characters"
        return "" if len({row["id"] for row in rows}) == len(rows) else "duplicated row id"
    return f"unsupported interactive type {interactive['type']}"


def _quick_replies_problem(message: Body) -> str:
    quick_replies = message.get("quick_replies", [])
    if len(quick_replies) > 13:
        return "quick_replies: at most 13"
    for quick_reply in quick_replies:
        if quick_reply.get("content_type") != "text":
            return "quick_replies: content_type"
        if not 1 <= units(quick_reply.get("title", "")) <= 20:
            return "quick_replies: title must be 1 to 20 characters"
        if not 1 <= len(quick_reply.get("payload", "")) <= 1000:
            return "quick_replies: payload must be 1 to 1000 characters"
    return ""


def messenger_problem(message: Body) -> str:
    """Why Messenger would refuse a message object; empty when it would not."""
    if not 1 <= units(message.get("text", "")) <= 2000:
        return "length of param message[text] must be 1 to 2000"
    return _quick_replies_problem(message)


def instagram_problem(message: Body) -> str:
    """Why Instagram would refuse a message object; empty when it would not."""
    if not 1 <= len(message.get("text", "").encode()) <= 1000:
        return "message text must be 1 to 1000 bytes"
    return _quick_replies_problem(message)


def sms_problem(text: str) -> str:
    """Why Twilio would refuse a body; empty when it would not. Ten parts is what it will join."""
    if not text.strip():
        return "21602 message body is required"
    if len(text) > 1600:
        return "21617 the concatenated message body exceeds the 1600 character limit"
    size, part = (len(text), 153) if set(text) <= GSM7 | set("^{}\\[~]|€") else (units(text), 67)
    return "" if size <= 10 * part else "more than ten parts"


def status(code: int, body: Body | None = None, headers: dict[str, str] | None = None) -> Fault:
    """The next request is answered with this status."""

    async def fault(_: web.Request) -> web.StreamResponse:
        return web.json_response(body or {}, status=code, headers=headers)

    return fault


def silence(seconds: float) -> Fault:
    """The next request is answered only after a while."""

    async def fault(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.json_response({}, status=500)

    return fault


def slow_drip(seconds: float) -> Fault:
    """The next request is answered a byte at a time."""

    async def fault(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for _ in range(int(seconds / 0.05)):
            await answer.write(b" ")
            await asyncio.sleep(0.05)
        return answer

    return fault


@dataclass
class Platform:
    """A platform's server.

    Attributes:
        sent: what was accepted for delivery, in order: the recipient and the message.
        refused: why requests were refused, in order.
        requests: method and path of every request.
        faults: what happens to the next requests instead.
        address: where it listens.
    """

    token: str
    sent: list[tuple[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    address: str = ""

    async def until(self, count: int, seconds: float = 10) -> list[tuple[str, Any]]:
        """Wait until so many messages were accepted.

        Raises:
            AssertionError: they were not, in time.
        """
        for _ in range(int(seconds / 0.01)):
            if len(self.sent) >= count:
                return self.sent
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(self.sent)} of {count} messages arrived; refused: {self.refused}")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self.faults:
            return await self.faults.popleft()(request)
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def accept(self, recipient: str, message: Any, problem: str) -> bool:
        """Note a message as sent, or why it is refused."""
        if problem:
            self.refused.append(problem)
        else:
            self.sent.append((recipient, message))
        return not problem

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Platform"]:
        """Listen on a free port of this machine."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


class Telegram(Platform):
    """The Bot API."""

    def _error(self, code: int, description: str) -> web.Response:
        return web.json_response({"ok": False, "error_code": code, "description": description}, status=code)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        _, bot, method = request.path.split("/")
        if bot != f"bot{self.token}":
            return self._error(401, "Unauthorized")
        body = await request.json() if request.can_read_body else {}
        if method == "getMe":
            return web.json_response({"ok": True, "result": {"id": 1, "is_bot": True, "username": "a_test_bot"}})
        if method == "getWebhookInfo":
            url = "https://clinic.example/webhooks/telegram/webhook"
            return web.json_response({"ok": True, "result": {"url": url, "pending_update_count": 0}})
        if method == "answerCallbackQuery":
            return web.json_response({"ok": True, "result": True})
        if method != "sendMessage":
            return self._error(404, "Not Found")
        problem = telegram_problem(body)
        if not self.accept(str(body["chat_id"]), body, problem):
            return self._error(400, f"Bad Request: {problem}")
        return web.json_response({"ok": True, "result": {"message_id": len(self.sent), "chat": {"id": body["chat_id"]}}})


class Graph(Platform):
    """The Graph API: WhatsApp, Messenger and Instagram by the id in the path."""

    WHATSAPP, PAGE, INSTAGRAM = "106540352242922", "1000001", "17841400000000001"

    def _error(self, http: int, code: int, message: str) -> web.Response:
        return web.json_response({"error": {"message": message, "type": "OAuthException", "code": code}}, status=http)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return self._error(401, 190, "Invalid OAuth access token")
        _, version, account, *rest = request.path.split("/")
        if not re.fullmatch(r"v\d+\.0", version) or account not in {self.WHATSAPP, self.PAGE, self.INSTAGRAM}:
            return self._error(400, 100, "Unsupported request")
        if request.method == "GET" and not rest:
            return web.json_response({"id": account})
        body = await request.json()
        if account == self.WHATSAPP:
            if body.get("messaging_product") != "whatsapp":
                return self._error(400, 100, "The parameter messaging_product is required.")
            recipient, message, problem = body["to"], body, whatsapp_problem(body)
        else:
            if account == self.PAGE and body.get("messaging_type") != "RESPONSE":
                return self._error(400, 100, "messaging_type is required")
            recipient, message = body["recipient"]["id"], body["message"]
            problem = messenger_problem(message) if account == self.PAGE else instagram_problem(message)
        if not self.accept(recipient, message, problem):
            return self._error(400, 100, f"(#100) {problem}")
        return web.json_response({"message_id": f"m_{len(self.sent)}", "messages": [{"id": f"wamid.{len(self.sent)}"}]})


class Twilio(Platform):
    """The Messages resource."""

    ACCOUNT = "AC" + "0" * 32

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != BasicAuth(self.ACCOUNT, self.token).encode():
            return web.json_response({"code": 20003, "message": "Authenticate", "status": 401}, status=401)
        account = f"/2010-04-01/Accounts/{self.ACCOUNT}"
        if request.path == f"{account}.json" and request.method == "GET":
            return web.json_response({"sid": self.ACCOUNT, "status": "active"})
        if request.path != f"{account}/Messages.json" or request.method != "POST":
            return web.json_response({"code": 20404, "message": "Not found", "status": 404}, status=404)
        form = await request.post()
        text = str(form["Body"])
        problem = sms_problem(text) or ("" if form.get("From") else "21603 a From is required")
        if not self.accept(str(form["To"]), text, problem):
            return web.json_response({"code": 21617, "message": problem, "status": 400}, status=400)
        return web.json_response({"sid": f"SM{len(self.sent):032d}", "status": "queued"}, status=201)


class Slack(Platform):
    """The Web API."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if request.path == "/auth.test":
            return web.json_response({"ok": True, "user": "assistant", "team": "Clinic"})
        if request.path != "/chat.postMessage":
            return web.json_response({"ok": False, "error": "unknown_method"})
        body = await request.json()
        if not self.accept(body["channel"], body, self._problem(body)):
            return web.json_response({"ok": False, "error": self.refused[-1]})
        return web.json_response({"ok": True, "ts": "1.2"})

    def _problem(self, body: Body) -> str:
        blocks = body.get("blocks") or []
        if not body.get("text") and not blocks:
            return "no_text"
        if len(body.get("text") or "") > 40_000:
            return "msg_too_long"
        for block in blocks:
            if block["type"] == "section" and not 1 <= len(block["text"]["text"]) <= 3000:
                return "invalid_blocks"
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                if len(block["elements"]) > 25 or len(element["text"]["text"]) > 75 or len(element["value"]) > 2000:
                    return "invalid_blocks"
        return ""
