"""The whole assistant on real servers while things break: what the patient gets, and what is stored."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from addons.configuration import ROOT
from addons.serving import ACTION_LIMIT_SECONDS
from tests.services.patients import ROUTES, Patient, SocketPatient, WebPatient
from tests.services.running import HOST, ActionServer, Assistant, Postgres, Proxy, wait_until

CANARY = "canary7491"
PERSON = f"Can I talk to a person? {CANARY}"
PAIN = f"does it hurt {CANARY}"


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    postgres.create("whole")
    return "whole"


@pytest.fixture(scope="module")
def between(postgres: Postgres) -> Iterator[Proxy]:
    way = Proxy(postgres.port)
    yield way
    way.close()


@pytest.fixture(scope="module")
def actions() -> Iterator[ActionServer]:
    server = ActionServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def assistant(
    model: Path, between: Proxy, database: str, actions: ActionServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("assistant")
    store = {"dialect": "postgresql", "url": HOST, "port": between.port, "db": database, "username": "assistant"}
    running = Assistant(
        folder,
        model,
        {**store, "journal": str(folder / "journal")},
        action_endpoint={"url": f"http://{HOST}:{actions.port}/webhook"},
    )
    running.start(LOG_LEVEL="INFO")
    yield running
    running.kill()


@pytest.fixture(params=ROUTES, ids=lambda route: route.__name__)
def patient(request: pytest.FixtureRequest, assistant: Assistant) -> Patient:
    """One patient; a test that takes this is run over every route."""
    found: Patient = request.param(assistant)
    return found


@pytest.fixture
def patients(assistant: Assistant) -> list[Patient]:
    """One patient on each route, where a fault is better shared."""
    return [route(assistant) for route in ROUTES]


@pytest.fixture(autouse=True)
def _canary_free_log(assistant: Assistant) -> Iterator[None]:
    """Nothing a patient wrote is in anything the assistant writes out, after every test of this file."""
    yield
    assert CANARY not in assistant.written()
    assert assistant.running() or assistant.log.exists()


@contextmanager
def outage(postgres: Postgres, between: Proxy) -> Iterator[None]:
    """The database is killed with every connection to it, and started again in the end."""
    postgres.kill()
    between.cut()
    try:
        yield
    finally:
        postgres.start()


def messages(postgres: Postgres, database: str, sender: str) -> list[str]:
    """What is stored of a patient's words, in order."""
    return [text for who, text in postgres.messages(database) if who == sender]


def slots(postgres: Postgres, database: str, sender: str) -> list[str]:
    return [
        name
        for who, name in postgres.ask(database, "select sender_id, action_name from events where type_name = 'slot'")
        if who == sender
    ]


def until_stored(postgres: Postgres, database: str, sender: str, wanted: int) -> list[str]:
    wait_until(lambda: len(messages(postgres, database, sender)) >= wanted, f"{wanted} stored turns")
    time.sleep(0.5)
    return messages(postgres, database, sender)


def has_answer(replies: list[dict[str, Any]]) -> bool:
    return any("Evidence:" in reply["text"] for reply in replies)


def shown(patient: WebPatient) -> list[str]:
    """The patient's own messages as the page shows them after a reload."""
    status, history = patient.history()
    assert status == 200
    return [message["text"] for message in history["messages"] if message["from"] == "user"]


def test_a_turn_is_stored_before_it_is_acknowledged(patient: Patient, postgres: Postgres, database: str) -> None:
    assert has_answer(patient.say(PAIN))
    assert messages(postgres, database, patient.conversation) == [PAIN]


def test_the_log_has_the_request_and_how_long_the_turn_took(assistant: Assistant) -> None:
    Patient(assistant).say(PAIN)
    assert re.search(r"INFO [0-9a-f]{32} addons\.conversations A turn took \d+ ms\. \d+", assistant.written())
    assert re.search(r"INFO [0-9a-f]{32} addons\.serving POST answered with 200 \d+", assistant.written())


def test_a_page_that_is_left_is_no_error_in_the_log(assistant: Assistant) -> None:
    patient = SocketPatient(assistant)
    patient.say(PAIN)
    # The line about the socket that ended before is written by now.
    patient.say(PAIN)
    assert "A request failed" not in assistant.written()


def test_a_database_killed_and_back_loses_no_turn(
    patients: list[Patient], postgres: Postgres, database: str, between: Proxy
) -> None:
    for patient in patients:
        patient.say(f"1 {PAIN}")
    with outage(postgres, between):
        for patient in patients:
            assert has_answer(patient.say(f"2 {PAIN}"))
            assert has_answer(patient.say(f"3 {PAIN}"))
    for patient in patients:
        assert until_stored(postgres, database, patient.conversation, 3) == [f"{number} {PAIN}" for number in (1, 2, 3)]
        assert has_answer(patient.say(f"4 {PAIN}"))
        assert len(messages(postgres, database, patient.conversation)) == 4


def test_a_page_in_an_outage_shows_the_last_turns_and_erases_nothing_without_saying_so(
    assistant: Assistant, postgres: Postgres, database: str, between: Proxy
) -> None:
    patient = WebPatient(assistant)
    patient.say(f"1 {PAIN}")
    with outage(postgres, between):
        patient.say(f"2 {PAIN}")
        assert shown(patient) == [f"1 {PAIN}", f"2 {PAIN}"]
        status, answer = patient.erase()
        assert (status, answer["error"]["code"]) == (500, "failed")
        assert assistant.status("/webhooks/web/livez")[0] == 200
        assert assistant.status("/webhooks/web/readyz")[0] == 503
    assert patient.erase()[0] == 200
    assert shown(patient) == []
    assert messages(postgres, database, patient.conversation) == []


def test_a_silent_database_freezes_nobody(
    assistant: Assistant, patient: Patient, postgres: Postgres, database: str, between: Proxy
) -> None:
    others = [type(patient)(assistant) for _ in range(4)]
    patient.say(f"1 {PAIN}")
    between.silent = True
    try:
        with ThreadPoolExecutor(4) as people:
            asked = [people.submit(other.say, PAIN) for other in others]
            time.sleep(0.3)
            began = time.monotonic()
            assert assistant.status("/")[0] == 200
            assert time.monotonic() - began < 1.5, "the whole server waited for the database"
            assert all(has_answer(found.result()) for found in asked)
        began = time.monotonic()
        assert has_answer(patient.say(f"2 {PAIN}"))
        assert time.monotonic() - began < 2
    finally:
        between.silent = False
        between.cut()
    assert until_stored(postgres, database, patient.conversation, 2) == [f"1 {PAIN}", f"2 {PAIN}"]
    for other in others:
        assert until_stored(postgres, database, other.conversation, 1) == [PAIN]


def test_a_slow_turn_is_a_warning(assistant: Assistant, between: Proxy) -> None:
    between.delay = 0.7
    try:
        assert has_answer(Patient(assistant).say(PAIN))
    finally:
        between.delay = 0.0
    assert re.search(r"WARNING \S+ addons\.conversations A slow turn took \d+ ms", assistant.written())


def test_without_the_action_server_the_reply_comes_and_the_wish_is_on_the_list(
    assistant: Assistant, patient: Patient, actions: ActionServer, postgres: Postgres, database: str
) -> None:
    actions.kill()
    try:
        assert "contact a clinic" in patient.say(PERSON)[0]["text"]
        assert has_answer(patient.say(PAIN))
    finally:
        actions.start()
    until_stored(postgres, database, patient.conversation, 2)
    assert "wants_person" not in slots(postgres, database, patient.conversation)
    listed = subprocess.run(
        [sys.executable, "-m", "commands.conversations", "--endpoints", str(assistant.folder / "endpoints.yml"), "waiting"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert patient.conversation in listed.stdout
    patient.say(PERSON)
    until_stored(postgres, database, patient.conversation, 3)
    assert "wants_person" in slots(postgres, database, patient.conversation)


def test_a_hanging_action_server_delays_the_reply_by_its_limit_only(patient: Patient, actions: ActionServer) -> None:
    actions.hang()
    try:
        began = time.monotonic()
        assert "contact a clinic" in patient.say(PERSON)[0]["text"]
        assert time.monotonic() - began < ACTION_LIMIT_SECONDS + 3
        assert has_answer(patient.say(PAIN))
    finally:
        actions.go_on()


def test_an_action_server_that_answers_nonsense_changes_nothing_for_the_patient(patient: Patient, actions: ActionServer) -> None:
    actions.kill()
    nonsense = socket.create_server((HOST, actions.port))
    threading.Thread(target=_answer_nonsense, args=(nonsense,), daemon=True).start()
    try:
        assert "contact a clinic" in patient.say(PERSON)[0]["text"]
    finally:
        nonsense.close()
        actions.start()


def _answer_nonsense(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\n???")
        connection.close()


def test_a_browser_that_hangs_up_does_not_lose_its_turn(assistant: Assistant, postgres: Postgres, database: str) -> None:
    body = json.dumps({"sender": "hung-up", "message": PAIN}).encode()
    with socket.create_connection((HOST, assistant.port)) as connection:
        head = f"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
    assert until_stored(postgres, database, "hung-up", 1) == [PAIN]


BAD_BODIES: list[tuple[bytes, int]] = [
    (b"[1]", 400),
    (b"null", 400),
    (b'"x"', 400),
    (b"", 400),
    (b"{", 400),
    (f'{{"message": "{CANARY} \xe9"}}'.encode("latin-1"), 400),
    (b"sender=me&message=hi", 400),
    (b"[" * 20000 + b"]" * 20000, 400),
    (b'{"sender": "bad", "message": 5}', 400),
    (b'{"sender": "bad", "message": {"a": 1}}', 400),
    (b'{"sender": "bad", "message": ["a"]}', 400),
    (b'{"sender": "bad"}', 400),
    (b'{"sender": "bad", "message": null}', 400),
    (b'{"sender": "bad", "message": ""}', 400),
    (b'{"sender": "bad", "message": "\\u0000\\ud800"}', 400),
    (b'{"sender": {"a": 1}, "message": "hi"}', 400),
    (b'{"sender": "\\ud800", "message": "hi"}', 400),
    (b'{"sender": "a\\u0000b", "message": "hi"}', 400),
    (b'{"sender": "' + b"x" * 300 + b'", "message": "hi"}', 400),
    (b'{"sender": "", "message": "hi"}', 400),
    (b'{"sender": "bad", "message": "hi", "metadata": "x"}', 400),
    (b'{"sender": "bad", "message": "hi", "metadata": {"n": NaN, "s": "\\ud800\\u0000"}}', 200),
    (b'{"sender": "bad", "message": "a \\ud83d\\ude00 \\u0000 \\ud800 b"}', 200),
    (b'{"sender": "bad", "message": "hi", "input_channel": "facebook"}', 200),
    (b'{"message": "hi"}', 200),
    (b'{"sender": "bad", "message": "' + b"word " * 5000 + b'"}', 200),
    (b'{"sender": "bad", "message": "' + b"x" * 70000 + b'"}', 413),
    (b'{"sender": "bad", "message": "/nlu_fallback{\\"a\\": [1]}"}', 200),
    (b'{"sender": "bad", "message": "/restart"}', 200),
    (b'{"sender": "bad", "message": "EXTERNAL: x"}', 200),
]


@pytest.mark.parametrize("stream", ["", "?stream=true"], ids=["whole", "stream"])
@pytest.mark.parametrize(("body", "expected"), BAD_BODIES, ids=[str(number) for number in range(len(BAD_BODIES))])
def test_bad_input_gets_a_stated_error_or_an_answer(assistant: Assistant, body: bytes, expected: int, stream: str) -> None:
    # Whatever place the words have in a body, they are not in the log; the fixture above reads it.
    body = body.replace(b'"hi"', f'"hi {CANARY}"'.encode()).replace(b'"bad"', f'"{CANARY}"'.encode())
    status, answer = assistant.status(f"/webhooks/rest/webhook{stream}", body)
    assert status == expected
    assert json.loads(answer.splitlines()[0])
    if expected != 200:
        assert json.loads(answer)["error"]["code"] in {"bad_request", "bad_text", "too_large"}
    assert assistant.running()


def test_the_channel_cannot_be_spoofed_and_strangers_share_no_conversation(
    assistant: Assistant, postgres: Postgres, database: str
) -> None:
    body = json.dumps({"message": PAIN, "input_channel": "facebook"}).encode()
    first, second = (json.loads(assistant.status("/webhooks/rest/webhook", body)[1])[0]["recipient_id"] for _ in range(2))
    assert first != second
    until_stored(postgres, database, second, 1)
    stored = postgres.ask(database, f"select data from events where sender_id = '{second}' and type_name = 'user'")
    assert [json.loads(data)["input_channel"] for (data,) in stored] == ["rest"]


def test_too_many_at_once_are_told_to_wait(assistant: Assistant, between: Proxy) -> None:
    between.delay = 0.3
    try:
        with ThreadPoolExecutor(40) as people:
            body = json.dumps({"message": PAIN}).encode()
            asked = [people.submit(assistant.status, "/webhooks/rest/webhook", body, 60) for _ in range(40)]
            answers = [found.result() for found in asked]
    finally:
        between.delay = 0.0
    assert {status for status, _ in answers} == {200, 503}
    refusal = json.loads(next(text for status, text in answers if status == 503))
    assert refusal["error"]["code"] == "busy"
    assert "112" in refusal["error"]["message"]


def test_sigterm_in_the_middle_of_a_turn_finishes_it(
    assistant: Assistant, patients: list[Patient], postgres: Postgres, database: str, between: Proxy
) -> None:
    for patient in patients:
        patient.say(f"1 {PAIN}")
        # What waits from an outage before is written by now.
        until_stored(postgres, database, patient.conversation, 1)
    between.delay = 0.2
    try:
        with ThreadPoolExecutor(len(patients)) as people:
            asked = [people.submit(patient.say, f"2 {PAIN}") for patient in patients]
            time.sleep(0.5)
            code = assistant.terminate()
            assert all(has_answer(found.result()) for found in asked)
    finally:
        between.delay = 0.0
        assistant.start(LOG_LEVEL="INFO")
    assert code == 0
    for patient in patients:
        assert until_stored(postgres, database, patient.conversation, 2) == [f"1 {PAIN}", f"2 {PAIN}"]


def test_sigkill_keeps_every_acknowledged_turn_also_those_of_an_outage(
    assistant: Assistant, patients: list[Patient], postgres: Postgres, database: str, between: Proxy
) -> None:
    for patient in patients:
        patient.say(f"1 {PAIN}")
    try:
        with outage(postgres, between):
            for patient in patients:
                patient.say(f"2 {PAIN}")
                assert patient.ask(f"3 {PAIN}", f"{patient.conversation[-8:]}-3")[0] == 200
            assistant.kill()
            assert [patient.ask(PAIN) for patient in patients] == [(0, None)] * len(patients)
    finally:
        assistant.start(LOG_LEVEL="INFO")
    said = [f"{number} {PAIN}" for number in (1, 2, 3)]
    for patient in patients:
        if isinstance(patient, WebPatient):
            # The page does not know whether its last message arrived, and sends it once more.
            status, replies = patient.ask(f"3 {PAIN}", f"{patient.conversation[-8:]}-3")
            assert status == 200
            assert has_answer(replies)
            assert shown(patient) == said
        assert until_stored(postgres, database, patient.conversation, 3) == said
