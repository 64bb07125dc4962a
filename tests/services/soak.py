"""Patients chat while database, action server and assistant are killed at random; then what they were told is compared with
what is stored.

    python -m tests.services.soak --minutes 20
"""

import argparse
import collections
import contextlib
import itertools
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from addons.configuration import ROOT
from commands.terminal import CommandFailed, run_command, say
from commands.train import trained_model
from tests.services.running import HOST, ActionServer, Assistant, Postgres

QUESTIONS = ("does it hurt", "how much does it cost", "is it safe", "Can I talk to a person?", "how many sessions do I need")
PATIENTS = 3
PAUSE_SECONDS = (0.5, 2.5)
FAULT_SECONDS = (5.0, 20.0)
ANSWER_LIMIT_SECONDS = 60.0
DATABASE = "soak"
# The beginning of utter_technical_apology.
APOLOGY = "something went wrong on our side"
LOG = ROOT / "results" / "soak" / "assistant.log"
# How long a network is tried again after it was refused, as the website's chat does.
SETTLE_SECONDS = 90.0


@dataclass
class Record:
    """What the patients saw.

    Attributes:
        acknowledged: the messages with a reply, as (sender, text), in the order of each sender.
        refused: messages answered with a stated error.
        cut_off: messages whose connection was refused or lost: the patient's side knows and says so.
        unanswered: messages with an empty answer or none at all in time. There must be none.
    """

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0
    cut_off: int = 0
    unanswered: int = 0
    slowest: float = 0.0

    @property
    def sent(self) -> int:
        """All messages."""
        return len(self.acknowledged) + self.refused + self.cut_off + self.unanswered


def chat(number: int, assistant: Assistant, record: Record, over: threading.Event, chance: random.Random) -> None:
    """One patient, until it is over; a new conversation every twenty messages."""
    for count in itertools.count():
        if over.wait(chance.uniform(*PAUSE_SECONDS)):
            return
        sender, text = f"patient-{number}-{count // 20}", f"{chance.choice(QUESTIONS)} {number}.{count}"
        body = json.dumps({"sender": sender, "message": text}).encode()
        began = time.monotonic()
        status, answer = assistant.status("/webhooks/rest/webhook", body, ANSWER_LIMIT_SECONDS)
        took = time.monotonic() - began
        if status == 200 and APOLOGY in answer:
            record.refused += 1
        elif status == 200 and json.loads(answer):
            record.acknowledged.append((sender, text))
            record.slowest = max(record.slowest, took)
        elif status >= 400 and "error" in answer:
            record.refused += 1
        elif status == 0 and took < ANSWER_LIMIT_SECONDS:
            record.cut_off += 1
        else:
            record.unanswered += 1


def break_things(
    postgres: Postgres, actions: ActionServer, assistant: Assistant, until: float, chance: random.Random
) -> dict[str, int]:
    """Break one thing after the other, and mend it after a few seconds.

    Returns:
        How often each was broken.
    """

    def restart(server: Postgres | ActionServer) -> None:
        server.kill()
        time.sleep(chance.uniform(1, 8))
        server.start()

    def pause(server: Postgres | ActionServer) -> None:
        server.hang()
        time.sleep(chance.uniform(1, 8))
        server.go_on()

    def restart_assistant() -> None:
        assistant.kill()
        assistant.start()

    def restart_assistant_in_an_outage() -> None:
        postgres.kill()
        time.sleep(chance.uniform(3, 6))
        assistant.kill()
        postgres.start()
        assistant.start()

    faults: dict[str, Callable[[], None]] = {
        "database killed": lambda: restart(postgres),
        "database stopped in its tracks": lambda: pause(postgres),
        "action server killed": lambda: restart(actions),
        "action server stopped in its tracks": lambda: pause(actions),
        "assistant killed": restart_assistant,
        "assistant killed while the database was down": restart_assistant_in_an_outage,
    }
    counts: collections.Counter[str] = collections.Counter()
    while time.monotonic() < until:
        time.sleep(chance.uniform(*FAULT_SECONDS))
        name = chance.choice(list(faults))
        faults[name]()
        counts[name] += 1
    return dict(counts)


def compare(acknowledged: list[tuple[str, str]], stored: list[tuple[str, str]]) -> dict[str, int]:
    """How many acknowledged messages are not stored, stored more than once, or stored out of order."""
    times = collections.Counter(stored)
    place = {message: number for number, message in reversed(list(enumerate(stored)))}
    of_sender: dict[str, list[int]] = collections.defaultdict(list)
    for message in acknowledged:
        if message in place:
            of_sender[message[0]].append(place[message])
    return {
        "lost": sum(message not in times for message in acknowledged),
        "duplicated": sum(number - 1 for number in times.values()),
        "out of order": sum(later < earlier for places in of_sender.values() for earlier, later in itertools.pairwise(places)),
    }


def soak(minutes: float, seed: int, folder: Path) -> dict[str, object]:
    """Run it.

    Returns:
        The figures.
    """
    chance = random.Random(seed)
    (folder / "database").mkdir()
    postgres, actions = Postgres(folder / "database"), ActionServer()
    store = {"dialect": "postgresql", "url": HOST, "port": postgres.port, "db": DATABASE, "username": "assistant"}
    assistant = Assistant(
        folder,
        trained_model(),
        {**store, "journal": str(folder / "journal")},
        action_endpoint={"url": f"http://{HOST}:{actions.port}/webhook"},
    )
    record, over = Record(), threading.Event()
    try:
        postgres.start()
        postgres.create(DATABASE)
        actions.start()
        assistant.start()
        say(f"Running for {minutes:g} minutes (seed {seed}) ...")
        began = time.monotonic()
        patients = [
            threading.Thread(target=chat, args=(number, assistant, record, over, random.Random(seed + number)))
            for number in range(PATIENTS)
        ]
        for patient in patients:
            patient.start()
        faults = break_things(postgres, actions, assistant, began + minutes * 60, chance)
        over.set()
        for patient in patients:
            patient.join()
        lasted = (time.monotonic() - began) / 60
        found = {"lost": len(record.acknowledged)}
        until = time.monotonic() + SETTLE_SECONDS
        while found["lost"] and time.monotonic() < until:
            time.sleep(1)
            found = compare(record.acknowledged, postgres.messages(DATABASE))
        missing = set(record.acknowledged) - set(postgres.messages(DATABASE))
        say("\n".join(f"Lost: {sender}: {text}" for sender, text in sorted(missing)))
        return {
            "minutes": round(lasted, 1),
            "messages sent": record.sent,
            "answered": len(record.acknowledged),
            "refused with a stated error": record.refused,
            "connection refused or lost, because the assistant was down": record.cut_off,
            "unanswered": record.unanswered,
            **found,
            "slowest answer, seconds": round(record.slowest, 1),
            "faults": sum(faults.values()),
            **{f"- {name}": number for name, number in sorted(faults.items())},
        }
    finally:
        over.set()
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.write_text(assistant.written(), encoding="utf-8")
        for server in (assistant, actions):
            server.kill()
        with contextlib.suppress(ProcessLookupError):
            postgres.go_on()
        postgres.kill()


def main() -> int:
    """The `make soak` command.

    Raises:
        CommandFailed: a message was lost, repeated, or left without a reply or an error.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        figures = soak(wanted.minutes, wanted.seed, Path(folder))
    say("\n".join(["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in figures.items())]))
    if figures["lost"] or figures["duplicated"] or figures["out of order"] or figures["unanswered"]:
        raise CommandFailed("The figures above are not what they must be: lost, duplicated, out of order, unanswered must be 0.")
    return 0


if __name__ == "__main__":
    run_command(main)
