"""What comes in is checked here before anything sees it, and what goes out gets its shape here (docs/web-channel.md)."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from addons.channels.turns import LANGUAGE, Reply, readable
from addons.channels.web.refusal import Refused

LONGEST_TEXT = 1000
# The type of the event a thumb is stored as, beside the conversation's own events; no rule sees it.
FEEDBACK = "feedback"
_LONGEST_REASON = 500
_LONGEST_PAGE = 200
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_REPLY_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


@dataclass(frozen=True)
class Asked:
    """A message that may be asked.

    Attributes:
        id: the browser's id of it.
        text: at most `LONGEST_TEXT` characters.
        metadata: `locale` and `page`, where they were sent and are what they say.
    """

    id: str
    text: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Rated:
    """Feedback that may be stored.

    Attributes:
        reply: the reply's id.
        value: the thumb; None takes an earlier one back.
        reason: why, in the patient's words.
    """

    reply: str
    value: Literal["up", "down"] | None
    reason: str | None


def read_json(body: bytes) -> Any:
    """Read a request's body.

    Raises:
        Refused: `bad_request`: not UTF-8, not JSON, not-a-number values, or nested without end.
    """
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused("bad_request") from None


def read_message(payload: Any) -> Asked:
    """Check `{id, text, metadata?}`.

    Raises:
        Refused: `bad_request` for another shape, `bad_text` for half characters or nothing to read, `too_long`.
    """
    given = _fields(payload, {"id", "text"}, {"metadata"})
    if not isinstance(given["id"], str) or not _ID.fullmatch(given["id"]):
        raise Refused("bad_request")
    text = _text(given["text"], LONGEST_TEXT)
    if not text:
        raise Refused("bad_text")
    return Asked(given["id"], text, _metadata(given.get("metadata")))


def read_feedback(payload: Any) -> Rated:
    """Check `{reply, value, reason?}`.

    Raises:
        Refused: `bad_request`, `bad_text` or `too_long`.
    """
    given = _fields(payload, {"reply", "value"}, {"reason"})
    reply, value, reason = given["reply"], given["value"], given.get("reason")
    if not isinstance(reply, str) or not _REPLY_ID.fullmatch(reply):
        raise Refused("bad_request")
    if value not in ("up", "down", None):
        raise Refused("bad_request")
    return Rated(reply, value, _text(reason, _LONGEST_REASON) or None if reason is not None else None)


def reply_message(reply: Reply, feedback: str | None = None) -> dict[str, Any]:
    """A reply as the widget gets it.

    Args:
        reply: as the turn gave it, or as `stored_replies` reads it.
        feedback: the thumb the patient gave it.
    """
    return {
        "id": reply["id"],
        "from": "assistant",
        "text": reply.get("text") or "",
        "body": reply.get("body") or reply.get("text") or "",
        "caveat": reply.get("caveat"),
        "evidence": reply.get("evidence"),
        "sources": [
            {"label": source["label"], "url": source.get("url"), "kind": source.get("kind")}
            for source in reply.get("source_links") or []
        ],
        "sources_line": reply.get("sources_line"),
        "next": [{"title": button["title"]} for button in reply.get("buttons") or [] if button.get("title")],
        "safety": reply.get("safety"),
        "call": reply.get("call") or [],
        "language": reply.get("language") or LANGUAGE,
        "time": reply["timestamp"],
        "feedback": feedback,
        "failed": bool(reply.get("failed")),
    }


def user_message(message_id: str, text: str, time: float) -> dict[str, Any]:
    """A patient's message as the widget gets it.

    Args:
        message_id: the browser's id of it.
        text: as it was stored.
        time: unix seconds.
    """
    return {"id": message_id, "from": "user", "text": text, "time": time}


def feedback_by_reply(events: Iterable[dict[str, Any]]) -> dict[str, str | None]:
    """The newest thumb of each reply that has one.

    Args:
        events: as `Conversations.history` gives them.
    """
    return {event["reply"]: event["value"] for event in events if event["event"] == FEEDBACK}


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _fields(payload: Any, needed: set[str], possible: set[str]) -> dict[str, Any]:
    if not isinstance(payload, dict) or not needed <= payload.keys() <= needed | possible:
        raise Refused("bad_request")
    return payload


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise Refused("bad_request")
    # One character is never normalised into more than 3 by NFC, so this bounds the work without refusing what would fit.
    if len(value) > 4 * longest:
        raise Refused("too_long")
    if any(unicodedata.category(character) == "Cs" for character in value):
        raise Refused("bad_text")
    text = readable(value)
    if len(text) > longest:
        raise Refused("too_long")
    return text


def _metadata(value: Any) -> dict[str, str]:
    """The two things a browser may tell us about itself; whatever else it sends is dropped."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused("bad_request")
    kept = {}
    locale, page = value.get("locale"), value.get("page")
    if isinstance(locale, str) and _LOCALE.fullmatch(locale):
        kept["locale"] = locale
    if isinstance(page, str) and (path := _path(page)):
        kept["page"] = path
    return kept


def _path(page: str) -> str | None:
    """The path of a page: what stands behind `?` or `#` may name a person."""
    try:
        path = urlsplit(page).path
    except ValueError:
        return None
    return path[:_LONGEST_PAGE] if path.startswith("/") and path.isprintable() else None
