"""How well messages are understood may not get worse: floors under the figures of `make evaluate`.

Raise a floor when a change lands that holds it; they stand a little below the figures of docs/quality.md, because one message
more or less is not a trend.
"""

from pathlib import Path
from typing import Any

import pytest

from addons.understanding.rejection import NOT_OURS
from commands.assistant import Assistant
from commands.evaluate import EVALUATION, measure, outcome, percent, read_items, report
from commands.terminal import CommandFailed

FLOORS = {
    "single: right topic": 82.0,
    "single, ours: right or offered": 92.0,
    "out of scope, far: refused": 95.0,
    "out of scope, near: refused": 80.0,
    "urgent: recognised": 97.0,
    "several questions: all right": 65.0,
    "follow-up turns: right topic": 82.0,
    "single: right concern": 90.0,
}
CEILINGS = {
    # What is not answered is nearly always offered among a few choices; what is neither counts as missed.
    "single, ours: missed": 4.0,
    "single, ours: wrong": 6.0,
    "single: more than one answer": 2.0,
    "urgent: false alarms, look-alikes": 4.0,
    "urgent: false alarms, all others": 3.0,
}

DEVELOPMENT = Path(__file__).parent / "development"
DEVELOPMENT_FLOORS = {
    "several questions: all right": 80.0,
    "several questions: first right": 88.0,
    "follow-up turns: right topic": 90.0,
    "follow-up turns: right concern": 95.0,
    "urgent: recognised": 97.0,
    "not urgent look-alikes: right topic": 80.0,
}
DEVELOPMENT_CEILINGS = {"urgent: false alarms, look-alikes": 4.0, "single: more than one answer": 6.0}


async def check_bounds(assistant: Assistant, folder: Path, floors: dict[str, float], ceilings: dict[str, float]) -> None:
    result = await measure(assistant, read_items(folder))
    figures = result["figures"]
    below = {name: figures[name] for name, floor in floors.items() if figures[name] < floor}
    above = {name: figures[name] for name, ceiling in ceilings.items() if figures[name] > ceiling}
    assert not below, report(result)
    assert not above, report(result)


@pytest.mark.model
async def test_the_development_messages_are_understood_no_worse_than_their_floors(assistant: Assistant) -> None:
    await check_bounds(assistant, DEVELOPMENT, DEVELOPMENT_FLOORS, DEVELOPMENT_CEILINGS)


def test_no_message_is_in_both_the_development_and_the_evaluation_set() -> None:
    def texts(folder: Path) -> set[str]:
        items = read_items(folder)
        several = {turn["text"] for conversation in items["followups"] for turn in conversation["turns"][:1]}
        said = several | {item["text"].lower() for name in ("multi", "safety", "oos") for item in items[name]}
        # Three words or fewer ("hi") are what anybody says; they cannot be kept apart.
        return {text for text in said if len(text.split()) > 3}

    assert not texts(DEVELOPMENT) & texts(EVALUATION)


@pytest.mark.model
async def test_understanding_is_no_worse_than_its_floors(assistant: Assistant) -> None:
    await check_bounds(assistant, EVALUATION, FLOORS, CEILINGS)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="There is no folder"):
        read_items(tmp_path / "nowhere")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"single\.jsonl is missing"):
        read_items(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    for path in EVALUATION.glob("*.jsonl"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "oos.jsonl").write_text('{"text": "x"}\n{oops\n', encoding="utf-8")
    with pytest.raises(CommandFailed, match=r"oos\.jsonl, line 2: not a JSON object"):
        read_items(tmp_path)


class SaidTurn:
    """A turn as the assistant would return it, for the arithmetic of the figures."""

    def __init__(self, intent: str, offered: list[str]) -> None:
        self.intent, self.offered = intent, offered


@pytest.mark.parametrize(
    ("understood", "offered", "expected"),
    [
        ("faq_cost", [], "right"),
        ("faq_pain", [], "right"),
        ("nlu_fallback", ["faq_diy", "faq_cost"], "offered"),
        ("nlu_fallback", ["faq_diy"], "missed"),
        ("faq_diy", [], "wrong"),
    ],
)
def test_what_came_of_a_message_is_told_apart(understood: str, offered: list[str], expected: str) -> None:
    item: dict[str, Any] = {"text": "?", "intent": "faq_cost", "also": ["faq_pain"]}
    assert outcome(item, SaidTurn(understood, offered)) == expected  # type: ignore[arg-type]
    assert {"out_of_scope", "nlu_fallback"} == NOT_OURS


def test_shares_are_percent() -> None:
    assert percent([True, False, False]) == 33.3
    assert percent([]) == 0.0
