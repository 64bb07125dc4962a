"""How well this pipeline and the stock `rasa init` configuration understand the same public messages, in one run.

Each set is a folder with train.csv and test.csv (columns text, label; the label out_of_scope marks test messages to refuse).
Both pipelines are trained on train.csv alone by the same call and asked through the same call; this one's encoder is first taught
on train.csv (encoder/teach.py), and its training time counts that. The confidence compared is
each one's own: DIET's, and here the probability times the similarity to the nearest example. No threshold is set on a test.
"""

import argparse
import asyncio
import csv
import json
import logging
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rasa.core.agent import Agent
from rasa.model_training import train_nlu
from rasa.utils.log_utils import configure_structlog
from sklearn.metrics import roc_auc_score

from addons.configuration import ROOT, read_mapping
from addons.understanding.components import QuestionClassifier
from addons.understanding.rejection import OUT_OF_SCOPE
from commands.terminal import CommandFailed, run_command, say

RESULT = ROOT / "results" / "understanding.json"
ENCODERS = ROOT / "results" / "encoders"
TEACH = (str(ROOT / "encoder" / ".venv" / "bin" / "python"), "-W", "ignore", str(ROOT / "encoder" / "teach.py"))
# One setting for all sets, with more rounds than for our corpus because the sets are small; no other was tried on a test file.
TEACHING = ("--rounds", "12", "--labels", "24", "--per-label", "4")
# As the sets' own papers print them: in-scope accuracy with no threshold, AUROC of in-scope against out-of-scope.
PUBLISHED = {
    "hint3-curekart": "Rasa 1.10 ConveRT+DIET 84.1 / 80.1, Dialogflow 75.0 / 85.6, LUIS 73.7 / 72.4, "
    "Haptik 80.8 / 85.0, BERT 83.6 / 82.4 (HINT3, Arora 2020)",
    "banking77-10shot": "USE+ConveRT 85.2, CPFT 87.2, ICDA 89.8 (accuracy)",
}


@dataclass(frozen=True)
class Figures:
    """What one pipeline reached on one set; shares in percent."""

    data: str
    pipeline: str
    accuracy: float
    auroc: float | None
    accuracy_at_90: float | None
    training_seconds: float
    milliseconds: float


def read_csv(path: Path) -> list[tuple[str, str]]:
    """Read (text, label) rows.

    Raises:
        CommandFailed: the file is missing.
    """
    if not path.is_file():
        raise CommandFailed(f"{path} is missing; a set is a folder with train.csv and test.csv (columns text, label).")
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def one_line(text: str) -> str:
    """A message as one line of a training file."""
    return " ".join(text.split())


def write_training_file(examples: Sequence[tuple[str, str]], path: Path) -> dict[str, str]:
    """Write Rasa training data.

    Returns:
        The labels by the intent names used: Rasa does not take every label for a name.
    """
    labels = sorted({label for _, label in examples})
    names = {label: f"intent_{number}" for number, label in enumerate(labels)}
    by_label: dict[str, list[str]] = {label: [] for label in labels}
    for text, label in examples:
        # Brackets would be read as entity annotations, braces as their values.
        by_label[label].append(one_line(text).translate(str.maketrans("[]{}", "()()")))
    blocks = [
        {"intent": names[label], "examples": "".join(f"- {text}\n" for text in dict.fromkeys(texts) if text)}
        for label, texts in by_label.items()
    ]
    path.write_text(yaml.safe_dump({"version": "3.1", "nlu": blocks}, allow_unicode=True), encoding="utf-8")
    return {name: label for label, name in names.items()}


def own_configuration(encoder: Path) -> dict[str, Any]:
    """This project's pipeline without what belongs to its own subject: its thresholds, its corpus and its taught encoder.

    Args:
        encoder: the weights to use instead.
    """
    configuration = read_mapping(ROOT / "config.yml")
    own = {"encoder": str(encoder), "corpus": False}
    configuration["pipeline"] = [
        {"name": component["name"]} | (own if component["name"].endswith(QuestionClassifier.__name__) else {})
        for component in configuration["pipeline"]
    ]
    return configuration


def teach(data: Path) -> tuple[Path, float]:
    """Teach an encoder on a set's training file.

    Returns:
        Its weights, and how many seconds it took.

    Raises:
        CommandFailed: teaching failed.
    """
    ENCODERS.mkdir(parents=True, exist_ok=True)
    weights = ENCODERS / f"{data.name}.onnx"
    started = time.perf_counter()
    done = subprocess.run([*TEACH, *TEACHING, "--messages", str(data / "train.csv"), "--output", str(weights)], check=False)
    if done.returncode:
        raise CommandFailed(f"Teaching the encoder on {data.name} failed; see the lines above.")
    return weights, time.perf_counter() - started


def best_guess(parsed: dict[str, Any]) -> tuple[str, float]:
    """The most probable intent and the confidence in it, refusals left aside."""
    first = next((entry for entry in parsed["intent_ranking"] if entry["name"] != "nlu_fallback"), None)
    if first is None:  # nothing to read in the message
        return "", 0.0
    similarity = parsed["questions"][0]["similarity"] if "questions" in parsed else 1.0
    return first["name"], first["confidence"] * similarity


async def measure(data: Path, pipeline: str) -> Figures:
    """Train one pipeline, `this` or `stock`, on one set and ask it every test message."""
    test = read_csv(data / "test.csv")
    with tempfile.TemporaryDirectory() as folder:
        configuration, teaching_seconds = ROOT / "benchmarks" / "stock.yml", 0.0
        if pipeline == "this":
            encoder, teaching_seconds = teach(data)
            configuration = Path(folder) / "own.yml"
            configuration.write_text(yaml.safe_dump(own_configuration(encoder)), encoding="utf-8")
        training_file = Path(folder) / "nlu.yml"
        labels = write_training_file(read_csv(data / "train.csv"), training_file)
        started = time.perf_counter()
        model = train_nlu(str(configuration), str(training_file), output=folder)
        training_seconds = teaching_seconds + time.perf_counter() - started
        if model is None:
            raise CommandFailed(f"Training the {pipeline} pipeline on {data.name} failed; see the lines above.")
        agent = Agent.load(model)
        await agent.parse_message("warm up")
        guesses, milliseconds = [], []
        for text, _ in test:
            started = time.perf_counter()
            parsed = await agent.parse_message(one_line(text))
            milliseconds.append(1000 * (time.perf_counter() - started))
            guesses.append(best_guess(parsed))
    right = np.array([labels.get(name) == label for (name, _), (_, label) in zip(guesses, test)])
    ours = np.array([label != OUT_OF_SCOPE for _, label in test])
    confidence = np.array([confidence for _, confidence in guesses])
    auroc = accuracy_at_90 = None
    if not ours.all():
        auroc = 100 * float(roc_auc_score(ours, confidence))
        threshold = np.quantile(confidence[~ours], 0.9)
        accuracy_at_90 = 100 * float((right & (confidence > threshold))[ours].mean())
    return Figures(
        data.name,
        pipeline,
        round(100 * float(right[ours].mean()), 1),
        None if auroc is None else round(auroc, 1),
        None if accuracy_at_90 is None else round(accuracy_at_90, 1),
        round(training_seconds, 1),
        round(float(np.median(milliseconds)), 1),
    )


def report(found: Sequence[Figures]) -> str:
    """The figures as a Markdown table, the published ones below."""
    lines = [
        "| set | pipeline | accuracy, in scope | AUROC | accuracy at 90 % out-of-scope recall | training s | ms a message |",
        "|---|---|---|---|---|---|---|",
    ]
    for figures in found:
        shown = ["-" if value is None else str(value) for value in asdict(figures).values()]
        lines.append(f"| {' | '.join(shown)} |")
    published = [f"{name}: {PUBLISHED[name]}" for name in dict.fromkeys(figures.data for figures in found) if name in PUBLISHED]
    return "\n".join([*lines, "", "Published: ", *published])


def main() -> int:
    """The `make benchmark-understanding` command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "eval" / "public")
    configure_structlog(logging.ERROR)  # left alone, structlog prints every message, and that would be timed
    parser.add_argument("--only", help="one pipeline: this or stock")
    wanted = parser.parse_args()
    sets = sorted(path for path in wanted.data.glob("*") if path.is_dir()) if wanted.data.is_dir() else []
    if not sets:
        raise CommandFailed(f"No public sets in {wanted.data}. Give their folder with DATA=<folder>.")
    found = []
    for data in sets:
        for name in ("this", "stock"):
            if wanted.only in (None, name):
                say(f"{data.name}: the {name} pipeline ...")
                found.append(asyncio.run(measure(data, name)))
                say(str(found[-1]))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(figures) for figures in found], indent=1) + "\n", encoding="utf-8")
    say(report(found))
    return 0


if __name__ == "__main__":
    run_command(main)
