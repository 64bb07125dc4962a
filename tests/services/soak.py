"""Patients chat over plain HTTP and the website's channel while database, action server and assistant are killed at random; then
what they were told is compared with what is stored.

    python -m tests.services.soak --minutes 20
"""

import argparse
import collections
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from addons.configuration import ROOT
from commands.terminal import CommandFailed, run_command, say
from commands.train import trained_model
from tests.services.patients import ROUTES, Patient
from tests.services.running import HOST, ActionServer, Assistant, Postgres

QUESTIONS = ("does it hurt", "how much does it cost", "is it safe", "Can I talk to a person?", "how many sessions do I need")
PATIENTS_PER_ROUTE = 2
# Below what the website's channel takes of one address in a minute.
PAUSE_SECONDS = (1.0, 4.0)
FAULT_SECONDS = (5.0, 20.0)
MESSAGES_PER_CONVERSATION = 20
DATABASE = "soak"
# The beginning of utter_technical_apology.
APOLOGY = "something went wrong on our side"
LOG = ROOT / "results" / "soak" / "assistant.log"
# How long what waits in the journal may take to be written in the end.
SETTLE_SECONDS = 90.0


@dataclass
class Record:
    """What the patients saw.

    Attributes:
        acknowledged: the messages with a reply, as (conversation, text), in the order of each conversation.
        refused: messages answered with a stated error.
        cut_off: messages whose connection was refused or lost: the patient's side knows and says so.
        unanswered: messages with an empty answer or none at all in time. There must be none.
        slowest: seconds the slowest reply took.
    """

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0
    cut_off: int = 0
    unanswered: int = 0
    slowest: float = 0.0

    @property
    def sent(self) -> int:
        """All messages; one that is sent again counts again."""
        return len(self.acknowledged) + self.refused + self.cut_off + self.unanswered


def send(patient: Patient, text: str, message_id: str, record: Record) -> bool:
    """Send a message and note what came of it.

    Returns:
        Whether the patient knows what came of it; not when the connection was refused or lost.
    """
    began = time.monotonic()
    try:
        status, answer = patient.ask(text, message_id)
    except TimeoutError:
        record.unanswered += 1
        return True
    if status == 0:
        record.cut_off += 1
        return False
    if status != 200:
        record.refused += 1
    elif not answer:
        record.unanswered += 1
    elif any(APOLOGY in reply["text"] for reply in answer):
        record.refused += 1
    else:
        record.acknowledged.append((patient.conversation, text))
        record.slowest = max(record.slowest, time.monotonic() - began)
    return True


def chat(
    number: int, route: type[Patient], assistant: Assistant, record: Record, over: threading.Event, chance: random.Random
) -> None:
    """One patient, until it is over; a new conversation every twenty messages.

    On the website, a message whose connection was lost is sent again until something comes of it, as the widget does; the server
    may have answered it already, and must not store it twice.
    """
    patient = route(assistant)
    for count in itertools.count(1):
        text, message_id = f"{chance.choice(QUESTIONS)} {number}.{count}", f"message-{number}-{count}"
        known = False
        while not known:
            if over.wait(chance.uniform(*PAUSE_SECONDS)):
                return
            known = send(patient, text, message_id, record) or not patient.sends_again
        if count % MESSAGES_PER_CONVERSATION == 0:
            patient = route(assistant)


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
        routes = ROUTES * PATIENTS_PER_ROUTE
        with ThreadPoolExecutor(len(routes)) as people:
            chats = [
                people.submit(chat, number, route, assistant, record, over, random.Random(seed + number))
                for number, route in enumerate(routes)
            ]
            try:
                faults = break_things(postgres, actions, assistant, began + minutes * 60, chance)
            finally:
                over.set()
        for ended in chats:
            ended.result()
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
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.write_text(assistant.written(), encoding="utf-8")
        for server in (assistant, actions, postgres):
            server.kill()


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
