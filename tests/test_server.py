"""The assistant as a newcomer starts it: one command, then the README's conversation over HTTP, then Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from addons.configuration import ROOT
from commands.run import HOST, endpoints_with_free_port

pytestmark = pytest.mark.model
README = (ROOT / "README.md").read_text(encoding="utf-8")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def transcript() -> list[tuple[str, str]]:
    """The (You, Bot) turns of the README's conversation."""
    block = re.search(r"```text\n(You: .*?)```", README, re.DOTALL)
    assert block, "the README has no transcript"
    turns = re.split(r"(?m)^You: ", block.group(1))[1:]
    return [(turn.split("\nBot: ", 1)[0].strip(), turn.split("\nBot: ", 1)[1].strip()) for turn in turns]


def run(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def say(port: int, text: str, sender: str) -> list[dict[str, object]]:
    body = json.dumps({"sender": sender, "message": text}).encode()
    request = urllib.request.Request(f"http://{HOST}:{port}/webhooks/rest/webhook", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        replies: list[dict[str, object]] = json.load(answer)
    return replies


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[tuple[int, "subprocess.Popen[str]", list[str]]]:
    port = free_port()
    process = run("commands.run", PORT=str(port))
    assert process.stdout is not None
    said: list[str] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            break
        said.append(line.rstrip())
        if line.startswith("Ready"):
            break
    yield port, process, said
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def test_starting_prints_what_happens_and_the_address_and_no_noise(
    server: tuple[int, "subprocess.Popen[str]", list[str]],
) -> None:
    port, _, said = server
    assert said[-1].startswith(f"Ready: http://{HOST}:{port}")
    assert not [line for line in said if re.search(r"warn|deprecat|telemetry|tensorflow|sqlalchemy|traceback", line, re.I)]
    assert len(said) <= 4


def test_the_readmes_conversation_is_what_the_assistant_says(
    server: tuple[int, "subprocess.Popen[str]", list[str]],
) -> None:
    port = server[0]
    turns = transcript()
    assert len(turns) >= 3
    sender = uuid.uuid4().hex
    for typed, answer in turns:
        replies = say(port, typed, sender)
        assert "\n".join(str(reply["text"]) for reply in replies) == answer


def test_asking_for_a_person_reaches_the_action_server(
    server: tuple[int, "subprocess.Popen[str]", list[str]],
) -> None:
    assert len(say(server[0], "Can I talk to a person?", uuid.uuid4().hex)) == 1


def test_a_taken_port_is_one_clear_line(server: tuple[int, "subprocess.Popen[str]", list[str]]) -> None:
    process = run("commands.run", PORT=str(server[0]))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.strip() == (
        f"Stopped. Port {server[0]} is taken. Stop the program that uses it, or choose another: `PORT={server[0] + 1} make run`."
    )


def test_ctrl_c_stops_both_servers(server: tuple[int, "subprocess.Popen[str]", list[str]]) -> None:
    port, process, _ = server
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in output
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0
    assert not subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, text=True, check=False).stdout


def test_a_second_assistant_finds_a_port_of_its_own_for_its_actions() -> None:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with taken, endpoints_with_free_port() as (_, port):
        taken.bind((HOST, port))
        taken.listen()
        with endpoints_with_free_port() as (endpoints, other):
            assert other != port
            assert f"{HOST}:{other}" in endpoints.read_text(encoding="utf-8")
            assert endpoints.parent != ROOT
        assert not endpoints.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "validate", "--fail-on-warnings", "--max-history", "5"),
        ("test", "core", "--stories", "tests/test_stories.yml", "--fail-on-prediction-errors", "--out", "results/stories"),
    ],
    ids=["data validate", "test core"],
)
def test_rasas_own_checks_pass(model: Path, arguments: tuple[str, ...]) -> None:
    chosen = ("--model", str(model)) if arguments[0] == "test" else ()
    process = run("rasa", *arguments, *chosen)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
