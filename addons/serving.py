"""What holds for every request to the server, whichever channel it is for: its size, its number in the log, and that neither
versions nor stack traces are told to strangers.
"""

import argparse
import functools
import logging
import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import rasa.core.actions.action
from rasa.core.agent import Agent
from sanic import Blueprint, Sanic, response
from sanic.exceptions import PayloadTooLarge, ServiceUnavailable
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from addons.channels.turns import conversation_store, technical_texts
from addons.clinic import read_clinic
from addons.configuration import ROOT
from addons.conversations import ConversationStore
from addons.logs import REQUEST, keep_private, where
from addons.model_file import DamagedModel, check_checksum

BODY_LIMIT_BYTES = 64 * 1024
ACTION_LIMIT_SECONDS = 3
STORE = f"{ConversationStore.__module__}.{ConversationStore.__qualname__}"
HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_CODES = {404: "not_found", 413: "too_large", 503: "busy"}

logger = logging.getLogger(__name__)


def protect(blueprint: Blueprint, largest_body: int = BODY_LIMIT_BYTES) -> None:
    """Have the server that a blueprint is attached to protected when it has started; several blueprints may ask for it.

    Args:
        blueprint: a channel's.
        largest_body: bytes a request to this channel may have; the server itself takes the largest of all its channels.
    """

    async def limit(request: Request) -> None:
        if len(request.body) > largest_body:
            raise PayloadTooLarge("The body is too large.")

    blueprint.middleware(limit, "request")
    blueprint.listener("after_server_start")(functools.partial(_protect_server, largest_body))


async def _protect_server(largest_body: int, app: Sanic, _: Any) -> None:
    """Rasa starts without a model, or with a store that forgets, as if nothing were wrong: end loudly instead."""
    agent = getattr(app.ctx, "agent", None)
    if not isinstance(agent, Agent):
        return  # a stand-in, for trying a channel without a model
    if hasattr(app.ctx, "technical_texts"):  # protected already, by another channel
        app.config.REQUEST_MAX_SIZE = max(app.config.REQUEST_MAX_SIZE, largest_body)
        return
    if not agent.is_ready():
        sys.exit("Stopped. No model could be loaded; the lines above say why. Train (`make train`) and start again.")
    model = Path(agent.processor.model_path)
    if model.is_dir():
        # Where `--model` names nothing that exists, Rasa takes the newest archive of its models folder, with a warning only.
        sys.exit(f"Stopped. There is no model archive {_named_model()}. Train (`make train`) and start again.")
    try:
        check_checksum(model)
    except DamagedModel as damage:
        sys.exit(f"Stopped. {damage}")
    if not isinstance(conversation_store(agent), ConversationStore):
        sys.exit(f"Stopped. endpoints.yml: `tracker_store` must have `type: {STORE}`; Rasa took a store that forgets everything.")
    app.ctx.technical_texts = technical_texts(read_clinic(ROOT / "clinic.yml"))
    app.config.REQUEST_MAX_SIZE = largest_body
    # Rasa waits five minutes for an action server that hangs, and has no setting for it.
    rasa.core.actions.action.DEFAULT_REQUEST_TIMEOUT = ACTION_LIMIT_SECONDS
    app.register_middleware(_receive, "request")
    app.register_middleware(_answer, "response")
    app.error_handler.add(Exception, _failed)
    keep_private()


def _named_model() -> str:
    """The model the command line names: Rasa keeps only what it took in its place."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--model", default="models")
    return str(parser.parse_known_args()[0].model)


async def _receive(request: Request) -> HTTPResponse | None:
    given = request.headers.get(HEADER, "")
    request.ctx.number = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    request.ctx.began = time.monotonic()
    REQUEST.set(request.ctx.number)
    # Rasa's own page tells its version.
    return response.text("The assistant is running.") if request.path == "/" and request.method in {"GET", "HEAD"} else None


async def _answer(request: Request, answer: BaseHTTPResponse) -> None:
    # A request that is refused before it is read passes no request middleware.
    if hasattr(request.ctx, "number"):
        answer.headers[HEADER] = request.ctx.number
        milliseconds = round(1000 * (time.monotonic() - request.ctx.began))
        logger.info("%s answered with %d", request.method, answer.status, extra={"milliseconds": milliseconds})


def _failed(request: Request, error: Exception) -> HTTPResponse:
    """What a stranger is told when a request failed: the status and its plain name."""
    status = getattr(error, "status_code", 500)
    # Sanic's name for a caller that hung up, as every socket does in the end.
    hung_up = isinstance(error, ServiceUnavailable) and str(error) == "Cancelled"
    if status >= 500 and not hung_up:
        logger.error("A request failed: %s", where(error))
    code = _CODES.get(status, "bad_request" if status < 500 else "failed")
    message = request.app.ctx.technical_texts[code]
    return response.json({"error": {"code": code, "message": message}}, status=status, headers=getattr(error, "headers", None))
