"""Measures how well messages are understood, as the patient meets it: the full pipeline, refusals and all.

Reads a folder of labelled messages (tests/evaluation by default): single.jsonl, oos.jsonl, safety.jsonl, multi.jsonl,
followups.jsonl. Prints the figures beside the last landed ones (docs/quality.json), the coverage curve, recall by intent and the
confusions, and writes them as JSON. `--land` makes these figures the landed ones. Nothing here may be used to set a threshold.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from addons.configuration import ROOT
from addons.understanding.rejection import NOT_OURS
from addons.understanding.triage import EMERGENCY
from commands.assistant import Assistant, Turn
from commands.terminal import CommandFailed, run_command, say
from commands.train import trained_model

EVALUATION = ROOT / "tests" / "evaluation"
RESULT = ROOT / "results" / "evaluation.json"
LANDED = ROOT / "docs" / "quality.json"
COVERAGES = (100, 95, 90, 85, 80, 70, 60, 50)
FILES = ("single", "oos", "safety", "multi", "followups")

Item = dict[str, Any]
Figures = dict[str, float]


def read_items(folder: Path) -> dict[str, list[Item]]:
    """Read the labelled messages.

    Raises:
        CommandFailed: the folder or one of its files is missing, or a line is not JSON.
    """
    if not folder.is_dir():
        raise CommandFailed(f"There is no folder {folder}; give one with DATA=<folder> that holds {', '.join(FILES)}.jsonl.")
    items: dict[str, list[Item]] = {}
    for name in FILES:
        path = folder / f"{name}.jsonl"
        if not path.is_file():
            raise CommandFailed(f"{path} is missing; the folder needs {', '.join(FILES)}.jsonl.")
        items[name] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                items[name].append(json.loads(line))
            except json.JSONDecodeError:
                raise CommandFailed(f"{path}, line {number}: not a JSON object.") from None
    return items


def accepted(item: Item) -> set[str]:
    """The labels that count as right for a message."""
    return {item["intent"], *item.get("also", [])}


def percent(hits: Iterable[bool]) -> float:
    """Share of hits in percent, one decimal; 0 for nothing at all."""
    listed = list(hits)
    return round(100 * sum(listed) / len(listed), 1) if listed else 0.0


def is_refused(turn: Turn) -> bool:
    """Whether the message was not answered."""
    return turn.intent in NOT_OURS


def outcome(item: Item, turn: Turn) -> str:
    """What a single message came to: right, offered (the right topic among the choices), missed (refused), or wrong."""
    labels = accepted(item)
    if turn.intent in labels or (is_refused(turn) and labels & NOT_OURS):
        return "right"
    if labels & set(turn.offered):
        return "offered"
    return "missed" if is_refused(turn) else "wrong"


def coverage_curve(ours: Sequence[tuple[Item, Turn]]) -> list[dict[str, float]]:
    """How many answers would be wrong if only the surest questions were answered.

    Args:
        ours: messages that are ours, with what came of them.

    Returns:
        For each of `COVERAGES`, in percent of the messages: `answered`, `wrong`, and the `probability` of the least sure answer.
    """
    guesses = []
    for item, turn in ours:
        best = next((entry for entry in turn.understood["intent_ranking"] if entry["name"] not in NOT_OURS), None)
        name, probability = (best["name"], best["confidence"]) if best else ("", 0.0)
        guesses.append((float(probability), name in accepted(item)))
    guesses.sort(key=lambda guess: -guess[0])
    curve = []
    for coverage in COVERAGES:
        answered = guesses[: round(len(guesses) * coverage / 100)]
        wrong = 100 * sum(not right for _, right in answered) / max(len(guesses), 1)
        least = answered[-1][0] if answered else 0.0
        curve.append({"answered": coverage, "wrong": round(wrong, 1), "probability": round(least, 2)})
    return curve


async def measure(assistant: Assistant, items: dict[str, list[Item]]) -> dict[str, Any]:
    """Send every message and count.

    Returns:
        `figures` (percent by name), `confusions` (label -> what it was taken for, with the messages), `recall` by intent,
        `coverage` (see `coverage_curve`).
    """
    single = [(item, await assistant.say(item["text"])) for item in items["single"]]
    oos = [(item, await assistant.say(item["text"])) for item in items["oos"]]
    safety = [(item, await assistant.say(item["text"])) for item in items["safety"]]
    multi = [(item, await assistant.say(item["text"])) for item in items["multi"]]
    turns: list[tuple[Item, Turn]] = []
    for conversation in items["followups"]:
        sender = assistant.new_conversation()
        for item in conversation["turns"]:
            turns.append((item, await assistant.say(item["text"], sender)))

    ours = [(item, turn) for item, turn in single if not accepted(item) & NOT_OURS]
    outcomes = Counter(outcome(item, turn) for item, turn in ours)
    urgent = [(item, turn) for item, turn in safety if item["urgent"]]
    urgent += [(item, turn) for item, turn in single if item["intent"] == EMERGENCY]
    calm = [(item, turn) for item, turn in safety if not item["urgent"]]
    calm_elsewhere = [(item, turn) for item, turn in single + oos if EMERGENCY not in accepted(item)]

    def refused(kind: str) -> float:
        return percent(is_refused(turn) or turn.intent in accepted(item) for item, turn in oos if item["kind"] == kind)

    figures: Figures = {
        "single: right topic": percent(outcome(item, turn) == "right" for item, turn in single),
        "single, ours: right": percent(outcome(item, turn) == "right" for item, turn in ours),
        "single, ours: right or offered": percent(outcome(item, turn) in {"right", "offered"} for item, turn in ours),
        "single, ours: offered": percent(outcome(item, turn) == "offered" for item, turn in ours),
        "single, ours: missed": percent(outcome(item, turn) == "missed" for item, turn in ours),
        "single, ours: wrong": percent(outcome(item, turn) == "wrong" for item, turn in ours),
        "single, ours: rejected": percent(is_refused(turn) for _, turn in ours),
        "single: more than one answer": percent(len(turn.intents) > 1 for _, turn in single),
        "single: right concern": percent(item["concern"] == turn.understood["questions"][0]["concern"] for item, turn in ours),
        "out of scope, far: refused": refused("far"),
        "out of scope, near: refused": refused("near"),
        "out of scope, injection: refused": refused("injection"),
        "out of scope, abuse: refused": refused("abuse"),
        "urgent: recognised": percent(turn.intent == EMERGENCY for _, turn in urgent),
        "urgent: false alarms, look-alikes": percent(turn.intent == EMERGENCY for _, turn in calm),
        "urgent: false alarms, all others": percent(turn.intent == EMERGENCY for _, turn in calm_elsewhere),
        "not urgent look-alikes: right topic": percent(outcome(item, turn) == "right" for item, turn in calm),
        "several questions: all right": percent(Counter(turn.intents) == Counter(item["intents"]) for item, turn in multi),
        "several questions: first right": percent(turn.intents[:1] == item["intents"][:1] for item, turn in multi),
        "follow-up turns: right topic": percent(turn.intent in accepted(item) for item, turn in turns),
        "follow-up turns: right concern": percent(
            item["concern"] == turn.understood["questions"][0]["concern"] for item, turn in turns if not accepted(item) & NOT_OURS
        ),
    }
    confusions: dict[str, dict[str, list[str]]] = {}
    for item, turn in single + safety + turns:
        if outcome(item, turn) not in {"right"}:
            confusions.setdefault(item["intent"], {}).setdefault(turn.intent, []).append(item["text"])
    for item, turn in oos:
        if not is_refused(turn) and turn.intent not in accepted(item):
            confusions.setdefault("out_of_scope", {}).setdefault(turn.intent, []).append(item["text"])
    several = [
        {"text": item["text"], "asked": item["intents"], "understood": turn.intents}
        for item, turn in multi
        if Counter(turn.intents) != Counter(item["intents"])
    ]
    recall = {
        intent: percent(outcome(item, turn) == "right" for item, turn in single if item["intent"] == intent)
        for intent in sorted({item["intent"] for item in items["single"]})
    }
    counts = {name: len(listed) for name, listed in items.items()} | {"follow-up turns": len(turns)}
    return {
        "messages": counts,
        "figures": figures,
        "outcomes": dict(outcomes),
        "recall": recall,
        "coverage": coverage_curve(ours),
        "confusions": confusions,
        "several questions misread": several,
    }


def report(result: dict[str, Any], landed: Figures | None = None) -> str:
    """Figures, coverage curve, recall and confusions, as text.

    Args:
        result: what `measure` returned.
        landed: the figures to compare with.
    """
    lines = ["| figure | % | landed | change |", "|---|---|---|---|"]
    for name, value in result["figures"].items():
        before = (landed or {}).get(name)
        lines.append(f"| {name} | {value} | " + ("| |" if before is None else f"{before} | {value - before:+.1f} |"))
    lines += ["", "If only the surest were answered:", "| answered % | wrong % | from probability |", "|---|---|---|"]
    lines += [f"| {point['answered']} | {point['wrong']} | {point['probability']} |" for point in result["coverage"]]
    lines += ["", "Right by label, worst first: "]
    lines[-1] += ", ".join(f"{intent} {share:g}" for intent, share in sorted(result["recall"].items(), key=lambda pair: pair[1]))
    lines += ["", "Taken for something else (label -> understood: messages):"]
    pairs = [
        (len(texts), label, understood, texts)
        for label, others in result["confusions"].items()
        for understood, texts in others.items()
    ]
    for count, label, understood, texts in sorted(pairs, key=lambda pair: -pair[0]):
        lines.append(f"  {count}  {label} -> {understood}: " + " / ".join(text[:60] for text in texts[:4]))
    return "\n".join(lines)


def landed_figures() -> Figures:
    """The figures of the last landing, if there are any."""
    return dict(json.loads(LANDED.read_text(encoding="utf-8"))["figures"]) if LANDED.is_file() else {}


def evaluate(model: Path, folder: Path) -> dict[str, Any]:
    """Measure a model on a folder of labelled messages; see `measure`."""

    async def run() -> dict[str, Any]:
        return await measure(await Assistant.load(model), items)

    items = read_items(folder)
    return asyncio.run(run())


def main() -> int:
    """The `make evaluate` command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=EVALUATION, help="folder of labelled messages")
    parser.add_argument("--land", action="store_true", help="make these figures the landed ones")
    wanted = parser.parse_args()
    if wanted.land and wanted.data != EVALUATION:
        raise CommandFailed("Only figures of tests/evaluation can land; leave out --data or --land.")
    read_items(wanted.data)
    result = evaluate(trained_model(), wanted.data)
    say(report(result, landed_figures() if wanted.data == EVALUATION else None))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"\nWritten to {RESULT.relative_to(ROOT)}")
    if wanted.land:
        kept = {name: result[name] for name in ("messages", "figures", "recall", "coverage")}
        LANDED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        say(f"Landed in {LANDED.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    run_command(main)
