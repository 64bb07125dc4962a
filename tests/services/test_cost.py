"""A long conversation does not cost ever more."""

from pathlib import Path

from addons.conversations import ConversationStore
from benchmarks.conversations import load, measure

LIMIT = 1.2
# Other programs may run beside this one; one quiet measurement is enough to show it.
ATTEMPTS = 3


async def test_turn_300_costs_at_most_a_fifth_more_than_turn_3(model: Path, tmp_path: Path) -> None:
    agent = await load(model)
    ratios = []
    for attempt in range(ATTEMPTS):
        store = ConversationStore(db=str(tmp_path / f"{attempt}.db"))
        costs = await measure(agent, store, (3, 300))
        store.close()
        ratios.append(costs[300] / costs[3])
        if ratios[-1] <= LIMIT:
            return
    raise AssertionError(f"turn 300 costs {min(ratios):.2f} times turn 3")
