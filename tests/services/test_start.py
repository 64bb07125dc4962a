"""A start that cannot serve patients ends, says why, and never looks like a working assistant; and what a working one exposes."""

import io
import json
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rasa.core.channels.channel import InputChannel

from addons.channels.connector import LARGEST_BODY_BYTES
from addons.channels.rest import RestChannel
from addons.channels.telegram import TelegramInput
from addons.model_file import record_checksum
from addons.serving import BODY_LIMIT_BYTES
from tests.connecting import BOT_TOKEN, SECRET_TOKEN, credentials, signed_request, typed
from tests.services.running import Assistant, free_port, wait_until

# Nobody listens there, so no message leaves this machine.
TELEGRAM = credentials("telegram", "http://127.0.0.1:9")
SQLITE = {"dialect": "sqlite", "db": "conversations.db"}
# The tables of docs/reliability.md: method and path, and what a stranger gets who names no
# website and has no session.
ROUTES = {
    ("GET", "/"): 200,
    ("GET", "/webhooks/rest/"): 200,
    ("POST", "/webhooks/rest/webhook"): 400,
    ("GET", "/webhooks/web/"): 200,
    ("GET", "/webhooks/web/config.json"): 200,
    ("POST", "/webhooks/web/session"): 403,
    ("POST", "/webhooks/web/messages"): 403,
    ("GET", "/webhooks/web/history"): 401,
    ("POST", "/webhooks/web/feedback"): 403,
    ("POST", "/webhooks/web/erase"): 403,
    ("GET", "/webhooks/web/livez"): 200,
    ("GET", "/webhooks/web/readyz"): 200,
}
# What Rasa exposes when its API is on, and guesses.
CLOSED = (
    "/status", "/version", "/domain", "/model", "/model/parse", "/model/train", "/conversations/a/tracker",
    "/conversations/a/messages", "/conversations/a/trigger_intent", "/webhooks/callback/webhook", "/webhooks/socketio/",
    "/webhooks/rest/webhook/x", "/webhooks/web/x",
    "/webhooks/web/../../conversations.db", "/socket.io/", "/docs", "/.env", "/conversations.db", "/../conversations.db",
)  # fmt: skip


def starts_not(assistant: Assistant) -> str:
    """Start it; it must end by itself with an error.

    Returns:
        What it wrote.
    """
    assistant.start(wait=False)
    try:
        assert assistant.end() == 1
    finally:
        assistant.kill()
    return assistant.written()


def sqlite(folder: Path) -> dict[str, Any]:
    return {**SQLITE, "db": str(folder / "conversations.db"), "journal": str(folder / "journal")}


def test_a_database_down_at_start_ends_the_start(model: Path, tmp_path: Path) -> None:
    store = {"dialect": "postgresql", "url": "127.0.0.1", "port": free_port(), "db": "x", "username": "u", "password": "s3cret"}
    written = starts_not(Assistant(tmp_path, model, store))
    assert "cannot be used" in written
    assert "s3cret" not in written


def test_a_misspelled_store_type_ends_the_start(model: Path, tmp_path: Path) -> None:
    written = starts_not(Assistant(tmp_path, model, {**sqlite(tmp_path), "type": "postgres"}))
    assert "`tracker_store` must have `type: addons.conversations.ConversationStore`" in written


@pytest.mark.parametrize("damage", ["missing", "cut off", "of another version"])
def test_a_damaged_model_ends_the_start(model: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / model.name
    if damage == "cut off":
        copy.write_bytes(model.read_bytes()[:100_000])
    elif damage == "of another version":
        with tarfile.open(copy, "w:gz") as archive, tarfile.open(model) as whole:
            for member in whole.getmembers():
                content = whole.extractfile(member)
                data = content.read() if content else b""
                if member.name.endswith("metadata.json"):
                    data = data.replace(b'"rasa_open_source_version": "3.6.21"', b'"rasa_open_source_version": "2.8.12"')
                    assert b"2.8.12" in data
                    member.size = len(data)
                archive.addfile(member, io.BytesIO(data) if content else None)
    if copy.exists():
        record_checksum(copy)
    written = starts_not(Assistant(tmp_path, copy, sqlite(tmp_path)))
    missing = f"Stopped. There is no model archive {copy}. Train (`make train`) and start again."
    assert (missing if damage == "missing" else "Stopped. No model could be loaded") in written


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("served")
    assistant = Assistant(folder, model, sqlite(folder))
    assistant.start()
    yield assistant
    assistant.kill()


def test_the_server_has_these_routes_and_no_others(served: Assistant) -> None:
    for (method, path), status in ROUTES.items():
        assert served.status(path, b"{}" if method == "POST" else None, method=method)[0] == status, path
        for other in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {method}:
            assert served.status(path, method=other)[0] in {404, 405}, (other, path)
    for path in CLOSED:
        for method in ("GET", "POST", "PUT"):
            assert served.status(path, b"{}" if method != "GET" else None, method=method)[0] in {400, 404, 405}, path


def test_no_answer_and_no_header_tells_a_version(served: Assistant) -> None:
    for path in ("/", "/nowhere", "/webhooks/rest/", "/webhooks/rest/webhook", "/webhooks/web/livez", "/webhooks/web/history"):
        try:
            with urllib.request.urlopen(served.address(path), timeout=20) as answer:
                told = str(answer.headers) + answer.read().decode()
        except urllib.error.HTTPError as error:
            told = str(error.headers) + error.read().decode()
        assert not [word for word in ("rasa", "sanic", "python", "3.6", "21.12", "traceback") if word in told.lower()]


def test_a_body_over_the_limit_is_refused(served: Assistant) -> None:
    too_large = b"x" * (BODY_LIMIT_BYTES + 1)
    status, answer = served.status("/webhooks/rest/webhook", too_large)
    assert status == 413
    assert json.loads(answer)["error"]["code"] == "too_large"
    # Where no body is taken at all, or no website is named, that is said first.
    for path in ("/", "/nowhere", "/webhooks/web/messages"):
        assert served.status(path, too_large)[0] in {403, 404, 405, 413}


def test_it_listens_on_loopback_only(served: Assistant) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {line.split()[1].split(":")[0] for line in listening if line.split()[1].endswith(f":{served.port:04X}")}
    assert addresses == {"0100007F"}


@pytest.fixture
def assistant(model: Path, tmp_path: Path) -> Iterator[Assistant]:
    """One that is not started yet."""
    running = Assistant(tmp_path, model, sqlite(tmp_path))
    yield running
    running.kill()


def use_channels(assistant: Assistant, channels: dict[type[InputChannel], dict[str, Any] | None]) -> None:
    settings = {f"{channel.__module__}.{channel.__qualname__}": block for channel, block in channels.items()}
    (assistant.folder / "credentials.yml").write_text(json.dumps(settings), encoding="utf-8")


def test_a_messaging_channel_that_runs_alone_has_a_private_log_a_larger_body_and_no_version(assistant: Assistant) -> None:
    use_channels(assistant, {TelegramInput: TELEGRAM})
    assistant.start()
    path = "/webhooks/telegram/webhook"
    assert assistant.status(path, b"x" * (BODY_LIMIT_BYTES + 1))[0] == 401
    status, answer = assistant.status(path, b"x" * (LARGEST_BODY_BYTES + 1))
    assert status == 413
    assert json.loads(answer)["error"]["code"] == "too_large"
    assert assistant.status("/") == (200, "The assistant is running.")
    body, headers = signed_request("telegram", typed("telegram", "does canary hurt", "1"))
    request = urllib.request.Request(assistant.address(path), body, headers)
    with urllib.request.urlopen(request, timeout=20) as accepted:
        assert accepted.status == 200
        assert "X-Request-Id" in accepted.headers
    wait_until(lambda: "telegram" in assistant.written().lower(), "the sending to fail")
    assert not [secret for secret in ("canary", "447700900123", BOT_TOKEN, SECRET_TOKEN) if secret in assistant.written()]


def test_beside_a_messaging_channel_the_others_keep_their_own_smaller_limit(assistant: Assistant) -> None:
    use_channels(assistant, {RestChannel: None, TelegramInput: TELEGRAM})
    assistant.start()
    too_large = b"x" * (BODY_LIMIT_BYTES + 1)
    status, answer = assistant.status("/webhooks/rest/webhook", too_large)
    assert status == 413
    assert json.loads(answer)["error"]["code"] == "too_large"
    assert assistant.status("/webhooks/telegram/webhook", too_large)[0] == 401
    assert assistant.status("/webhooks/rest/webhook", b'{"message": "hi"}')[0] == 200
