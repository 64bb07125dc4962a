"""The website's channel on a real server on loopback, and a browser's two ways to talk to it: HTTP and a socket."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from rasa.core.run import configure_app
from sanic import Sanic
from websockets.legacy.client import WebSocketClientProtocol
from websockets.legacy.client import connect as websocket_connect

from addons.channels.web import WebChannel

HOST = "127.0.0.1"
PLACE = "/webhooks/web"
_new_ids = itertools.count(1)


def new_id() -> str:
    """A message id as a browser makes one."""
    return f"message-{next(_new_ids):06}"


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    body: Any
    headers: Any
    text: str

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.body["error"]["code"])


class Browser:
    """A page of one website, with the token of one visitor."""

    def __init__(self, base: str, http: aiohttp.ClientSession, origin: str | None) -> None:
        self.base = base
        self.http = http
        self.origin = origin
        self.token: str | None = None
        self.conversation = ""

    async def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.origin and "Origin" not in sent:
            sent["Origin"] = self.origin
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        async with self.http.request(
            method, f"{self.base}{PLACE}{path}", data=data, headers=sent, allow_redirects=False
        ) as response:
            content = await response.read()
            text = content.decode("utf-8", "replace")
            is_json = response.content_type == "application/json"
            return Answer(response.status, json.loads(text) if is_json else None, response.headers, text)

    async def open(self) -> Answer:
        answer = await self.call("POST", "/session")
        self.token, self.conversation = answer.body["token"], answer.body["conversation"]
        return answer

    async def ask(self, text: Any, message_id: str | None = None, **more: Any) -> Answer:
        return await self.call("POST", "/messages", {"id": message_id or new_id(), "text": text, **more})

    async def history(self) -> list[dict[str, Any]]:
        answer = await self.call("GET", "/history")
        assert answer.status == 200, answer.text
        messages: list[dict[str, Any]] = answer.body["messages"]
        return messages

    @asynccontextmanager
    async def socket(self, **auth: Any) -> "AsyncIterator[Socket]":
        address = f"{self.base.replace('http', 'ws', 1)}{PLACE}/socket.io/?EIO=4&transport=websocket"
        headers = {"Origin": self.origin} if self.origin else {}
        async with websocket_connect(address, extra_headers=headers, max_size=None) as connection:
            tab = Socket(connection)
            await tab.begin(auth or {"token": self.token})
            yield tab


class Socket:
    """A tab's socket: the few packets of the Engine.IO 4 and Socket.IO 5 protocols that a chat needs.

    Attributes:
        patience: seconds to wait for a packet.
    """

    patience = 10.0

    def __init__(self, connection: WebSocketClientProtocol) -> None:
        self.connection = connection
        self.events: list[tuple[str, Any]] = []
        self.refused: dict[str, Any] | None = None
        self._acks: dict[int, Any] = {}
        self._next = itertools.count()

    async def begin(self, auth: Any) -> None:
        assert (await self._read()).startswith("0{")
        await self.connection.send(f"40{json.dumps(auth)}")
        packet = await self._read()
        if packet.startswith("44"):
            self.refused = json.loads(packet[2:])
        else:
            assert packet.startswith("40"), packet

    async def emit(self, event: str, *payload: Any) -> Any:
        """Send an event and wait for what the server acknowledges it with."""
        number = next(self._next)
        await self.connection.send(f"42{number}{json.dumps([event, *payload])}")
        while number not in self._acks:
            await self._take()
        return self._acks.pop(number)

    async def ask(self, text: Any, message_id: str | None = None, **more: Any) -> Any:
        return await self.emit("message", {"id": message_id or new_id(), "text": text, **more})

    async def hear(self, event: str) -> Any:
        """Wait for an event."""
        while not any(name == event for name, _ in self.events):
            await self._take()
        place = next(index for index, (name, _) in enumerate(self.events) if name == event)
        return self.events.pop(place)[1]

    async def settle(self, seconds: float = 0.1) -> list[str]:
        """Everything heard within a while, by name."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.wait_for(self._take(), left)
            except asyncio.TimeoutError:
                break
        return [name for name, _ in self.events]

    async def _take(self) -> None:
        packet = await self._read()
        if packet.startswith("43"):
            digits = "".join(itertools.takewhile(str.isdigit, packet[2:]))
            (self._acks[int(digits)],) = json.loads(packet[2 + len(digits) :]) or [None]
        elif packet.startswith("42"):
            name, *data = json.loads(packet[2:])
            self.events.append((name, data[0] if data else None))

    async def _read(self) -> str:
        while True:
            packet = str(await asyncio.wait_for(self.connection.recv(), self.patience))
            if packet != "2":
                return packet
            await self.connection.send("3")


class Server:
    """A running server with the channel."""

    def __init__(self, base: str, http: aiohttp.ClientSession) -> None:
        self.base = base
        self._http = http

    def page(self, origin: str | None = "own") -> Browser:
        """A page that has no token yet: one of the server's own, of another website, or a program that names none (None)."""
        return Browser(self.base, self._http, self.base if origin == "own" else origin)

    async def visitor(self, origin: str | None = "own") -> Browser:
        """A page with a token of its own."""
        page = self.page(origin)
        await page.open()
        return page


@asynccontextmanager
async def serving(agent: Any, credentials: dict[str, Any] | None = None) -> AsyncIterator[Server]:
    """Serve the channel on a free port of this machine, as Rasa would.

    Args:
        agent: the assistant.
        credentials: the channel's block of credentials.yml.
    """
    Sanic.test_mode = True  # lets one process make the same application again
    app = configure_app([WebChannel.from_credentials(credentials)], enable_api=False)
    app.ctx.agent = agent
    app.ctx.checked = True  # a stand-in is neither a model nor a store, which the server would end over
    listening = socket.socket()
    listening.bind((HOST, 0))
    server = await app.create_server(sock=listening, access_log=False, return_asyncio_server=True)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.after_start()
    async with aiohttp.ClientSession() as http:
        try:
            yield Server(f"http://{HOST}:{listening.getsockname()[1]}", http)
        finally:
            for connection in list(server.connections):
                connection.abort()
            server.close()
            await server.before_stop()
