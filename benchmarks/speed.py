"""How long understanding a message takes: every single question of tests/development, and one message of 15 words."""

import asyncio
import json
import logging
import statistics
import time

from rasa.core.agent import Agent
from rasa.utils.log_utils import configure_structlog

from addons.configuration import ROOT
from commands.terminal import run_command, say
from commands.train import trained_model

MESSAGES = ROOT / "tests" / "development" / "single.jsonl"
FIFTEEN_WORDS = "how long do i have to stay away from the gym after having it done please"
ROUNDS = 3
WARM_UP = 20


async def milliseconds(agent: Agent, texts: list[str]) -> list[float]:
    """How long each message took, shortest first."""
    taken = []
    for text in texts:
        started = time.perf_counter()
        await agent.parse_message(text)
        taken.append(1000 * (time.perf_counter() - started))
    return sorted(taken)


async def measure(agent: Agent) -> None:
    """Measure and print."""
    lines = MESSAGES.read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines] * ROUNDS
    await milliseconds(agent, texts[:WARM_UP])
    for name, sent in ((f"{len(lines)} single questions", texts), ("one message of 15 words", [FIFTEEN_WORDS] * 100)):
        taken = await milliseconds(agent, sent)
        median, slow = statistics.median(taken), taken[int(0.95 * len(taken))]
        say(f"{name}: {median:.1f} ms at the median, {slow:.1f} ms at the 95th percentile")


def main() -> int:
    """The `make benchmark-speed` command."""
    model = trained_model()
    configure_structlog(logging.ERROR)  # left alone, structlog prints every message, and that would be timed
    asyncio.run(measure(Agent.load(str(model))))
    say(f"The model archive has {model.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    run_command(main)
