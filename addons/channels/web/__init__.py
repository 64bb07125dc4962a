"""The channel `web`: the chat on a website, its widget, its demo page. docs/web-channel.md tells its protocol and settings."""

import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from rasa.core.agent import Agent
from rasa.core.channels.channel import InputChannel, UserMessage
from sanic import Blueprint, Sanic
from sanic.exceptions import PayloadTooLarge
from sanic.request import Request
from sanic.response import HTTPResponse, raw

from addons.channels.turns import technical_texts
from addons.channels.web.chat import Chat
from addons.channels.web.messages import read_json
from addons.channels.web.pages import DEMO_PAGE, common_headers, data_headers, file_headers, read_files
from addons.channels.web.refusal import STATUS, Refused
from addons.channels.web.sessions import Session, Sessions
from addons.channels.web.settings import Settings, read_settings
from addons.channels.web.sockets import LARGEST_PACKET, Sockets
from addons.channels.web.visitors import Allowance, Visitors
from addons.logs import where
from addons.serving import protect

# Of a request's body, in bytes.
LARGEST_BODY = LARGEST_PACKET
# A browser hears a refusal only if its body is taken off the line, so as much is taken; beyond that the line is cut.
_LARGEST_DISCARDED = 1024 * 1024
_BEARER = "Bearer "

logger = logging.getLogger(__name__)

Answer = tuple[int, dict[str, Any]]
Endpoint = Callable[[Request], Awaitable[Answer]]
Route = Callable[[Request], Coroutine[Any, Any, HTTPResponse]]


class WebChannel(InputChannel):
    """The input channel Rasa is given in credentials.yml: `addons.channels.web.WebChannel:`, with or without settings."""

    def __init__(self, settings: Settings) -> None:
        """Make the channel.

        Args:
            settings: checked settings.

        Raises:
            ConfigurationError: the session key, a file of wording or a file of the widget cannot be used.
        """
        self._settings = settings
        self._sessions = Sessions(settings)
        self._visitors = Visitors(settings)
        self._words = technical_texts(settings.clinic)
        self._files = read_files()
        self._headers = common_headers(settings)
        self._requests = Allowance(settings.limits.requests_per_minute_per_address)
        self._new_sessions = Allowance(settings.limits.sessions_per_minute_per_address)
        self._sockets = Sockets(self._sessions, self._visitors, settings.limits, self._error)
        self._chat = Chat(self.name(), settings, self._sockets.tell)
        self._sockets.attach(self._chat.message)

    @classmethod
    def name(cls) -> str:
        """The channel's name, and its place under /webhooks/."""
        return "web"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> "WebChannel":
        """Make the channel from its block of credentials.yml.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        return cls(read_settings(credentials))

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The channel's routes.

        Args:
            on_new_message: Rasa's way in; not used, because it says nothing about what became of a message.
        """
        blueprint = _Blueprint("web", __name__)
        protect(blueprint)
        methods = ["GET", "POST", "OPTIONS"]
        for path, endpoint in {
            "/config.json": self._get(self._config),
            "/session": self._post(self._open_session),
            "/messages": self._post(self._message),
            "/history": self._get(self._history),
            "/feedback": self._post(self._feedback),
            "/erase": self._post(self._erase),
            "/livez": self._probe(self._alive),
            "/readyz": self._probe(self._ready),
        }.items():
            blueprint.add_route(endpoint, path, methods=methods, stream=True, name=path.strip("/").replace(".", "_"))

        async def socket(request: Request) -> HTTPResponse:
            return await self._socket(request)

        async def config_module(request: Request) -> HTTPResponse:
            return await self._config_module(request)

        async def file(request: Request, name: str = "") -> HTTPResponse:
            return self._file(request, name)

        blueprint.add_route(socket, "/socket.io/", methods=methods, stream=True, strict_slashes=True)
        blueprint.add_route(config_module, "/config.js", methods=methods, stream=True)
        blueprint.add_route(file, "/", methods=methods, stream=True, name="demo_page")
        blueprint.add_route(file, "/<name:path>", methods=methods, stream=True, name="file")
        blueprint.middleware("response")(self._add_headers)
        blueprint.listener("before_server_stop")(self._chat.finish)
        return blueprint

    # What each address does.

    async def _config(self, request: Request) -> Answer:
        return 200, self._chat.config()

    async def _config_module(self, request: Request) -> HTTPResponse:
        """The settings as a script: a website whose policy lets our script in need not let it connect as well."""
        try:
            if request.method == "OPTIONS":
                return _empty()
            if request.method != "GET":
                raise Refused("not_found")
            await self._admit(request, origin_needed=False)
            headers = {"cross-origin-resource-policy": "cross-origin", "cache-control": "no-cache"}
            script = f"export default {json.dumps(self._chat.config())};\n"
            return raw(script.encode(), headers=headers, content_type="text/javascript; charset=utf-8")
        except Refused as refused:
            return self._refusal(refused)

    async def _open_session(self, request: Request) -> Answer:
        token = _bearer_token(request)
        known: Session | None = self._sessions.read(token) if token else None
        if known is None:
            self._new_sessions.take(self._visitors.address_of(request))
        if request.body and not isinstance(read_json(request.body), dict):
            raise Refused("bad_request")
        token, session = self._sessions.mint(known.conversation if known else None)
        return 200 if known else 201, {"token": token, "conversation": session.conversation, "expires": session.expires}

    async def _message(self, request: Request) -> Answer:
        session = self._sessions.read(_bearer_token(request))
        address = self._visitors.address_of(request)
        return 200, await self._chat.message(_agent(request), session, read_json(request.body), address)

    async def _history(self, request: Request) -> Answer:
        return 200, await self._chat.history(_agent(request), self._sessions.read(_bearer_token(request)))

    async def _feedback(self, request: Request) -> Answer:
        session = self._sessions.read(_bearer_token(request))
        address = self._visitors.address_of(request)
        return 200, await self._chat.feedback(_agent(request), session, read_json(request.body), address)

    async def _erase(self, request: Request) -> Answer:
        session = self._sessions.read(_bearer_token(request))
        return 200, await self._chat.erase(_agent(request), session, self._visitors.address_of(request))

    async def _alive(self, request: Request) -> Answer:
        return 200, {"alive": True}

    async def _ready(self, request: Request) -> Answer:
        ready = await self._chat.readiness(request.app.ctx.agent)
        return 200 if all(ready.values()) else 503, ready

    async def _socket(self, request: Request) -> HTTPResponse:
        try:
            if request.method == "OPTIONS":
                return _empty()
            # Browsers name no origin in plain reads of our own pages, which polling consists of.
            polls = request.method == "GET" and "upgrade" not in request.headers
            await self._admit(request, origin_needed=not polls)
            return await self._sockets.handle(request)
        except Refused as refused:
            return self._refusal(refused)
        except Exception as error:
            logger.error("A request of a socket failed: %s", where(error))
            return self._refusal(Refused("failed"))

    def _file(self, request: Request, name: str) -> HTTPResponse:
        if not name and not request.path.endswith("/"):
            # The demo page names its files relative to its folder.
            return _empty(308, {"location": f"{request.path.rsplit('/', 1)[-1]}/"})
        name = name or DEMO_PAGE
        file = self._files.get(name)
        if request.method != "GET" or file is None:
            return _empty() if request.method == "OPTIONS" else self._refusal(Refused("not_found"))
        headers = dict(file_headers(name, file, self._settings))
        if request.headers.get("if-none-match") == file.etag:
            return _empty(304, headers)
        return raw(file.content, headers=headers, content_type=file.content_type)

    # What is the same for all of them.

    def _get(self, endpoint: Endpoint) -> Route:
        return self._endpoint("GET", endpoint)

    def _post(self, endpoint: Endpoint) -> Route:
        return self._endpoint("POST", endpoint)

    def _probe(self, endpoint: Endpoint) -> Route:
        return self._endpoint("GET", endpoint, admit=False)

    def _endpoint(self, method: str, endpoint: Endpoint, admit: bool = True) -> Route:
        """An endpoint as a route: whoever may not come in is refused, and every failure is an answer.

        Args:
            method: the only method it takes, besides the browser's OPTIONS.
            endpoint: what it does.
            admit: whether visitors are checked and counted; probes are not visitors.
        """

        async def serve(request: Request) -> HTTPResponse:
            try:
                if request.method == "OPTIONS":
                    return _empty()
                if request.method != method:
                    raise Refused("not_found")
                if admit:
                    await self._admit(request, origin_needed=method == "POST")
                status, answer = await endpoint(request)
                return _json(status, answer)
            except Refused as refused:
                return self._refusal(refused)
            except Exception as error:
                logger.error("A request to %s failed: %s", request.path, where(error))
                return self._refusal(Refused("failed"))

        return serve

    async def _admit(self, request: Request, origin_needed: bool) -> None:
        """Check the origin, count the request, and read its body.

        Raises:
            Refused: `foreign_origin`, `too_many` or `too_large`.
        """
        stream = request.stream
        assert stream is not None, "every route of the channel streams"
        stream.request_max_size = _LARGEST_DISCARDED
        self._visitors.check_origin(request, origin_needed)
        self._requests.take(self._visitors.address_of(request))
        body = bytearray()
        try:
            async for chunk in stream:
                body += chunk[: LARGEST_BODY + 1 - len(body)]
        except PayloadTooLarge:
            raise Refused("too_large") from None
        if len(body) > LARGEST_BODY:
            raise Refused("too_large")
        request.body = bytes(body)

    def _error(self, refused: Refused) -> dict[str, Any]:
        """A refusal as it is sent."""
        error: dict[str, Any] = {"code": refused.code, "message": self._words[refused.code]}
        if refused.retry_after is not None:
            error["retry_after"] = refused.retry_after
        return {"error": error}

    def _refusal(self, refused: Refused) -> HTTPResponse:
        headers = {"retry-after": str(refused.retry_after)} if refused.retry_after is not None else {}
        return _json(STATUS[refused.code], self._error(refused), headers)

    async def _add_headers(self, request: Request, response: HTTPResponse) -> None:
        """Add the safe headers, and for an allowed website the permission to read the answer."""
        for name, value in {**data_headers(), **self._headers}.items():
            response.headers.setdefault(name, value)
        # Rasa's own layer for other websites puts these on answers that name none.
        for name in ("access-control-allow-credentials", "access-control-expose-headers"):
            response.headers.pop(name, None)
        response.headers["vary"] = "Origin"
        origin = request.headers.get("origin")
        if origin and self._visitors.is_allowed(origin, request.headers.get("host", "")):
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-expose-headers"] = "Retry-After"
            if request.method == "OPTIONS":
                response.headers["access-control-allow-methods"] = "GET, POST"
                response.headers["access-control-allow-headers"] = "Authorization, Content-Type"
                response.headers["access-control-max-age"] = "600"


class _Blueprint(Blueprint):
    """Tells the application, once it is known, what the sockets need of it."""

    def register(self, app: Sanic, options: dict[str, Any]) -> None:
        app.enable_websocket()  # type: ignore[no-untyped-call]
        app.config.WEBSOCKET_MAX_SIZE = LARGEST_PACKET
        super().register(app, options)  # type: ignore[no-untyped-call]


def _agent(request: Request) -> Agent:
    return request.app.ctx.agent


def _bearer_token(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    return header.removeprefix(_BEARER).strip() if header.startswith(_BEARER) else None


def _json(status: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> HTTPResponse:
    return raw(json.dumps(answer).encode(), status=status, headers=headers or {}, content_type="application/json")


def _empty(status: int = 204, headers: dict[str, str] | None = None) -> HTTPResponse:
    return HTTPResponse(status=status, headers=headers or {}, content_type="text/plain")
