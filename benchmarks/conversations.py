"""What a turn costs as a conversation grows: this project's conversation store beside Rasa's own, same model, same messages.

Both on SQLite. The same messages are sent at every place, so that the places differ in nothing else.
"""

import asyncio
import logging
import statistics
import tempfile
import time
from pathlib import Path

from rasa.core.agent import Agent, load_agent
from rasa.core.channels.channel import CollectingOutputChannel, UserMessage
from rasa.core.tracker_store import FailSafeTrackerStore, SQLTrackerStore, TrackerStore
from rasa.core.utils import AvailableEndpoints
from rasa.utils.log_utils import configure_structlog

from addons.configuration import ROOT
from addons.conversations import ConversationStore
from commands.assistant import ActionsInProcess
from commands.terminal import run_command, say
from commands.train import trained_model

MESSAGES = (
    "does it hurt",
    "how much does it cost",
    "is it safe",
    "how many sessions do I need",
    "what should I do after it",
)
TURNS = (3, 10, 30, 60, 100, 300)
# Rasa's own gets too slow to measure further in reasonable time.
STOCK_TURNS = (3, 10, 30, 60, 100)
ROUNDS = 3 * len(MESSAGES)


async def load(model: Path) -> Agent:
    """The assistant as it is served, but with its actions in this process."""
    configure_structlog(logging.ERROR)
    endpoints = AvailableEndpoints.read_endpoints(str(ROOT / "endpoints.yml"))
    endpoints.tracker_store = None
    endpoints.action = ActionsInProcess()
    return await load_agent(model_path=str(model), endpoints=endpoints)


async def measure(agent: Agent, store: TrackerStore, turns: tuple[int, ...]) -> dict[int, float]:
    """The median milliseconds of a turn at some places in a conversation, measured in turn so that noise falls on all alike.

    Args:
        agent: the assistant; its store is replaced.
        store: where the conversations go.
        turns: the places, counted from 1; the first is measured in fresh conversations, the others on average.
    """
    store.domain = agent.domain
    agent.tracker_store = agent.processor.tracker_store = FailSafeTrackerStore(store)

    async def turn(sender: str, number: int) -> float:
        message = UserMessage(MESSAGES[number % len(MESSAGES)], CollectingOutputChannel(), sender)
        began = time.perf_counter()
        await agent.handle_message(message)
        return 1000 * (time.perf_counter() - began)

    first, *later = turns
    for place in later:
        for number in range(place - ROUNDS // 2 - 1):
            await turn(f"at-{place}", number)
    costs: dict[int, list[float]] = {place: [] for place in turns}
    for number in range(ROUNDS):
        for filler in range(first - 1):
            await turn(f"begun-{number}", number + filler + 1)
        costs[first].append(await turn(f"begun-{number}", number))
        for place in later:
            costs[place].append(await turn(f"at-{place}", number))
    return {place: statistics.median(found) for place, found in costs.items()}


def table(own: dict[int, float], stock: dict[int, float]) -> list[str]:
    """The measured figures as the lines of a Markdown table."""
    first = TURNS[0]
    lines = ["| turn | this store, ms | times turn 3 | Rasa's own, ms | times turn 3 |", "|--:|--:|--:|--:|--:|"]
    for turn in TURNS:
        other = f"{stock[turn]:.1f} | {stock[turn] / stock[first]:.2f}" if turn in stock else "not measured | "
        lines.append(f"| {turn} | {own[turn]:.1f} | {own[turn] / own[first]:.2f} | {other} |")
    return lines


async def compare(model: Path) -> list[str]:
    """Measure one after the other."""
    agent = await load(model)
    with tempfile.TemporaryDirectory() as folder:
        store = ConversationStore(db=f"{folder}/own.db", journal=f"{folder}/journal")
        own = await measure(agent, store, TURNS)
        store.close()
        stock = await measure(agent, SQLTrackerStore(db=f"{folder}/stock.db"), STOCK_TURNS)
    return table(own, stock)


def main() -> int:
    """The `make benchmark-conversations` command."""
    for line in asyncio.run(compare(trained_model())):
        say(line)
    return 0


if __name__ == "__main__":
    run_command(main)
