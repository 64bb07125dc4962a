"""The chat over socket.io: the same as over plain HTTP, and the tabs of a conversation hear of each other."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from rasa.core.agent import Agent
from sanic.request import Request
from sanic.response import HTTPResponse
from socketio import AsyncServer
from socketio.exceptions import ConnectionRefusedError as SocketRefused

from addons.channels.web.refusal import Refused
from addons.channels.web.sessions import Session, Sessions, check_not_expired
from addons.channels.web.settings import Limits
from addons.channels.web.visitors import Visitors
from addons.logs import where

# A message of 1,000 characters in JSON escapes takes 12 kB.
LARGEST_PACKET = 16 * 1024
RETRY_SECONDS = 10

logger = logging.getLogger(__name__)

Words = Callable[[Refused], dict[str, Any]]


class Sockets:
    """The open sockets, each in the room of its conversation."""

    def __init__(
        self, sessions: Sessions, visitors: Visitors, limits: Limits, words: Callable[[Refused], dict[str, Any]]
    ) -> None:
        """Make the socket server; `attach` gives it the chat.

        Args:
            sessions: reads the tokens.
            visitors: tells the visitors' addresses.
            limits: how many sockets there may be.
            words: makes `{error: ...}` of a refusal.
        """
        # Origins are checked before a request gets there, in one place with those of plain HTTP.
        self._server = AsyncServer(
            async_mode="sanic",
            cors_allowed_origins=[],
            max_http_buffer_size=LARGEST_PACKET,
            namespaces=["/"],
            logger=_without_content("sockets"),
            engineio_logger=_without_content("transport"),
        )
        self._sessions = sessions
        self._visitors = visitors
        self._limits = limits
        self._words = words
        self._open: dict[str, tuple[Session, str, Agent]] = {}
        self._transports: Counter[str] = Counter()

    def attach(self, message: Callable[..., Any]) -> None:
        """Register what happens on a socket.

        Args:
            message: `Chat.message`.
        """

        async def connect(socket: str, environ: dict[str, Any], auth: Any = None) -> None:
            request: Request = environ["sanic.request"]
            try:
                session = self._sessions.read(auth.get("token") if isinstance(auth, dict) else None)
            except Refused as refused:
                error = self._words(refused)["error"]
                raise SocketRefused(error["message"], error) from None
            self._open[socket] = (session, self._visitors.address_of(request), request.app.ctx.agent)
            await self._server.enter_room(socket, session.conversation)

        async def disconnect(socket: str, *_: Any) -> None:
            self._open.pop(socket, None)

        async def on_message(socket: str, *payload: Any) -> dict[str, Any]:
            try:
                session, address, agent = self._open[socket]
                check_not_expired(session)
                answer: dict[str, Any] = await message(agent, session, payload[0] if len(payload) == 1 else None, address, socket)
            except Refused as refused:
                return self._words(refused)
            except Exception as error:
                logger.error("A message of a socket failed: %s", where(error))
                return self._words(Refused("failed"))
            return answer

        async def on_anything_else(*_: Any) -> dict[str, Any]:
            return self._words(Refused("not_found"))

        self._server.on("connect", connect)
        self._server.on("disconnect", disconnect)
        self._server.on("message", on_message)
        self._server.on("*", on_anything_else)

    async def tell(self, event: str, data: Any, conversation: str, leave_out: str | None) -> None:
        """Send an event to the sockets of a conversation.

        Args:
            event: its name.
            data: what JSON can hold.
            conversation: whose.
            leave_out: a socket that knows already.
        """
        await self._server.emit(event, data, room=conversation, skip_sid=leave_out)

    async def handle(self, request: Request) -> HTTPResponse:
        """Serve one request of the socket's transport; of a websocket, as long as it lasts.

        Args:
            request: its body has been read, its origin checked.

        Raises:
            Refused: `busy` or `too_many`: there are as many sockets as may be, in all or of this address.
        """
        address = self._visitors.address_of(request)
        if "sid" not in parse_qs(request.query_string) and len(self._server.eio.sockets) >= self._limits.sockets:
            raise Refused("busy", RETRY_SECONDS)
        if self._transports[address] >= self._limits.sockets_per_address:
            raise Refused("too_many", RETRY_SECONDS)
        self._transports[address] += 1
        try:
            response: HTTPResponse = await self._server.handle_request(request)
            return response
        finally:
            self._transports[address] -= 1
            if not self._transports[address]:
                del self._transports[address]


def _without_content(name: str) -> logging.Logger:
    """A logger for the socket library, whose error lines may hold what was sent: they keep the line's kind and no more."""
    quiet = logging.getLogger(f"{__name__}.{name}")
    quiet.setLevel(logging.ERROR)
    quiet.filters = [_drop_content]
    return quiet


def _drop_content(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    record.msg = f"The socket library met a problem: {where(error) if error else record.funcName}"
    record.args, record.exc_info, record.exc_text = (), None, None
    return True
