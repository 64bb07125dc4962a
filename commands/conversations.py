"""Finds, hands out and removes stored conversations.

    python -m commands.conversations purge --days 30 | erase ID | export ID | waiting [--answered ID]

It reads `tracker_store` of endpoints.yml (another file: --endpoints), and leaves the running assistant's journal alone.
"""

import argparse
import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from rasa.core.utils import AvailableEndpoints

from addons.configuration import ROOT, check_variables
from addons.conversations import RETENTION_DAYS, ConversationStore, ConversationsUnavailable, UnusableSender
from commands.terminal import CommandFailed, run_command, say


def open_store(endpoints: Path) -> ConversationStore:
    """The store an endpoints file names.

    Raises:
        CommandFailed: there is none, or its database cannot be reached.
    """
    check_variables(endpoints)
    block = AvailableEndpoints.read_endpoints(str(endpoints)).tracker_store
    if block is None:
        raise CommandFailed(f"{endpoints.name} names no `tracker_store`: nothing is stored.")
    settings: dict[str, Any] = {**block.kwargs, "journal": None}
    try:
        return ConversationStore(host=block.url, **settings)
    except ConversationsUnavailable as error:
        raise CommandFailed(str(error)) from None


async def work(store: ConversationStore, wanted: argparse.Namespace) -> None:
    """Do what the command line asks for, and print what came of it."""
    if wanted.what == "purge":
        conversations, events = await store.purge(wanted.days)
        say(f"Removed {conversations} conversations ({events} events) that had been idle for {wanted.days:g} days.")
    elif wanted.what == "erase":
        say(f"Removed {await store.erase(wanted.conversation)} events.")
    elif wanted.what == "export":
        say(json.dumps(await store.export(wanted.conversation), ensure_ascii=False, indent=1))
    elif wanted.answered:
        await store.answered(wanted.answered)
        say("Taken off the list.")
    else:
        found = await store.waiting()
        for conversation in found:
            asked = datetime.fromtimestamp(conversation["asked"]).strftime("%Y-%m-%d %H:%M")
            say(f"{asked}  {conversation['conversation']}  ({conversation['messages']} messages)")
        say(f"{len(found)} conversations wait for a person.")


def main() -> int:
    """The `make conversations-...` commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--endpoints", type=Path, default=ROOT / "endpoints.yml", help="the file that names the database")
    commands = parser.add_subparsers(dest="what", required=True)
    purge = commands.add_parser("purge", help="remove whole conversations that have been idle")
    purge.add_argument("--days", type=float, default=RETENTION_DAYS)
    for name in ("erase", "export"):
        commands.add_parser(name, help=f"{name} one conversation").add_argument("conversation")
    waiting = commands.add_parser("waiting", help="list the conversations whose patient asked for a person")
    waiting.add_argument("--answered", metavar="ID", help="take one off the list")
    wanted = parser.parse_args()
    store = open_store(wanted.endpoints)
    try:
        asyncio.run(work(store, wanted))
    except (ConversationsUnavailable, UnusableSender) as error:
        raise CommandFailed(str(error)) from None
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    run_command(main)
