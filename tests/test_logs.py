"""A line of the log can be read by a person or by a program."""

import json
import logging

import pytest

from addons.logs import FORMAT_VARIABLE, Line


@pytest.fixture
def record() -> logging.LogRecord:
    found = logging.LogRecord("addons.serving", logging.INFO, "", 0, "%s answered\nwith %d", ("POST", 200), None)
    found.request, found.milliseconds = "0123", 42
    return found


def test_a_line_is_json_where_that_is_asked_for(record: logging.LogRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "json")
    line = json.loads(Line().format(record))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO", "request": "0123", "logger": "addons.serving", "message": "POST answered with 200", "milliseconds": 42,
    }  # fmt: skip


def test_a_line_is_one_line_of_text_otherwise(record: logging.LogRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FORMAT_VARIABLE, raising=False)
    assert Line().format(record).endswith("Z INFO 0123 addons.serving POST answered with 200 42")
