"""What the running assistant writes to its log: where something happened, never what a patient wrote.

Rasa and its libraries put messages, slots and sender ids into warnings, errors and stack traces. Once the assistant serves,
their lines at INFO and above are replaced by the place in the code they come from; lines of our own are kept as they are.
"""

import contextvars
import json
import logging
import os
import sys
import time
import traceback
import warnings
from typing import Any

import structlog

FORMAT_VARIABLE = "LOG_FORMAT"
OWN = ("addons", "commands")
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="-")

logger = logging.getLogger(__name__)

_plain_record = logging.getLogRecordFactory()


class Line(logging.Formatter):
    """One line a record: time, level, request, where, what. As JSON when the variable LOG_FORMAT is `json`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "request": getattr(record, "request", "-"),
            "logger": record.name,
            "message": " ".join(record.getMessage().split()),
        }
        if hasattr(record, "milliseconds"):
            line["milliseconds"] = record.milliseconds
        if os.environ.get(FORMAT_VARIABLE) == "json":
            return json.dumps(line)
        return " ".join(str(value) for value in line.values())


def keep_private() -> None:
    """Begin to hold back what libraries log at INFO and above; called when the assistant starts to serve."""
    logging.setLogRecordFactory(_private_record)
    processors = structlog.get_config()["processors"]
    if _only_the_event not in processors:
        # The list itself is changed: loggers in use hold on to it.
        processors.insert(0, _only_the_event)
    warnings.simplefilter("ignore")  # their texts quote messages too, and they bypass the log
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Line())


def where(error: BaseException | None) -> str:
    """An exception's type and the line it came from, without its message: that may quote a patient."""
    if error is None:
        return "no exception"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno} ({frames[-1].name})" if frames else ""
    return f"{type(error).__name__}{place}"


def _private_record(
    name: str,
    level: int,
    path: str,
    line: int,
    message: Any,
    arguments: Any,
    exc_info: Any,
    func: str | None = None,
    sinfo: str | None = None,
    **more: Any,
) -> logging.LogRecord:
    if level >= logging.INFO:
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if name.split(".")[0] not in OWN:
            message, arguments, sinfo = f"logged at {path}:{line}", None, None
        if error is not None:
            message, exc_info = f"{message}: {where(error)}", None
    record = _plain_record(name, level, path, line, message, arguments, exc_info, func, sinfo, **more)
    record.request = REQUEST.get()
    return record


def _only_the_event(_: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor: of Rasa's structured lines only the event's name is kept, at INFO and above."""
    if method == "debug":
        return event
    level = logging.getLevelName(method.replace("exception", "error").upper())
    wanted = event.get("exc_info") or method == "exception"
    error = wanted if isinstance(wanted, BaseException) else sys.exc_info()[1] if wanted else None
    name = str(event.get("event"))
    said = name if name.replace(".", "").replace("_", "").isalnum() and len(name) < 100 else "a structured line"
    logger.log(level if isinstance(level, int) else logging.ERROR, "Rasa: %s%s", said, f" ({where(error)})" if error else "")
    raise structlog.DropEvent
