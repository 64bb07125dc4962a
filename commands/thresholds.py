"""Makes confidence honest: finds how sharp the scores must be and below what a question is not answered, and writes config.yml.

The scores are out of fold: each training example is scored by a classifier that has not seen it, near-duplicates of one
another always in the same fold, and the corpus without whatever nearly repeats an example of the fold. No evaluation message
is read.

First the scores become probabilities (`sharpness`: the one under which the right labels are most probable). Of all thresholds
that refuse at most `RIGHT_LOSS` of the questions that would have been answered rightly, those that refuse the most that are not
ours win. `sure` is the lowest with which at most `MOST_WRONG` of our questions get the answer to another. Below
`probability` not even the three most probable topics hold the right one every second time.

Also writes docs/reliability.svg, and results/out-of-fold.json with every example that went wrong, for reading.
"""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.cluster import AgglomerativeClustering
from sklearn.model_selection import StratifiedGroupKFold

from addons.configuration import ROOT
from addons.understanding.classifier import IntentClassifier, Labelled, Scored
from addons.understanding.components import CORPUS_FOLDER, REMEMBERED_VECTORS, corpus, labelled, load_encoder
from addons.understanding.encoder import Vectors, encode_remembered
from addons.understanding.rejection import NOT_OURS, OUT_OF_SCOPE, Thresholds, judge
from commands.content import examples
from commands.terminal import run_command, say

FOLDS = 5
RIGHT_LOSS = 0.03
MOST_WRONG = 0.05
OFFERED = 3
# Closer than this (cosine), two examples are one example written twice.
NEAR_DUPLICATE = 0.9
SIMILARITIES = np.round(np.arange(0.0, 0.66, 0.05), 2)
SHARES = np.round(np.arange(0.05, 0.96, 0.01), 2)
BINS = 10
# Out-of-scope examples are many, but people mostly ask what is ours: so much do they count for calibration.
OUT_OF_SCOPE_WEIGHT = 0.3
REMEMBERED_CORPUS = REMEMBERED_VECTORS.with_name(f"{CORPUS_FOLDER.name}-{REMEMBERED_VECTORS.name}")
RESULT = ROOT / "results" / "out-of-fold.json"
DIAGRAM = ROOT / "docs" / "reliability.svg"

Numbers = npt.NDArray[np.float64]


def groups(vectors: Vectors) -> list[int]:
    """Group near-duplicates: complete linkage on cosine distance."""
    clustering = AgglomerativeClustering(
        n_clusters=None, distance_threshold=1 - NEAR_DUPLICATE, affinity="cosine", linkage="complete"
    )
    return [int(group) for group in clustering.fit_predict(vectors)]


def out_of_fold(taught: Labelled, vectors: Vectors, further: Labelled, further_vectors: Vectors) -> list[Scored]:
    """Score every example with a classifier fitted without it and its near-duplicates.

    Args:
        taught: the training examples.
        vectors: theirs, one row each.
        further: the corpus.
        further_vectors: theirs.
    """
    scored: list[Scored | None] = [None] * len(taught.texts)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (kept, held_out) in enumerate(folds.split(taught.texts, taught.intents, groups(vectors)), 1):
        say(f"Fold {number} of {FOLDS} ...")
        apart = np.flatnonzero((further_vectors @ vectors[held_out].T).max(axis=1) < NEAR_DUPLICATE)
        classifier = IntentClassifier.fit(taught.only(kept), vectors[kept], further.only(apart))
        test = taught.only(held_out)
        for index, score in zip(held_out, classifier.score(test.texts, test.mentions, vectors[held_out])):
            scored[index] = score
    return [score for score in scored if score is not None]


def sharpened(score: Scored, sharpness: float) -> Scored:
    """The same scores with another sharpness."""
    raised = np.array([max(probability, 1e-30) for _, probability in score.ranking]) ** sharpness
    shares = raised / raised.sum()
    return replace(score, ranking=[(intent, float(share)) for (intent, _), share in zip(score.ranking, shares)])


def calibrate(scored: Sequence[Scored], intents: Sequence[str]) -> float:
    """The sharpness under which the right labels are most probable (temperature scaling, Guo 2017)."""
    logs = np.log(np.array([[max(probability, 1e-30) for _, probability in score.ranking] for score in scored]))
    right = np.array([[name == intent for name, _ in score.ranking] for score, intent in zip(scored, intents)])
    weight = np.where(np.array(intents) == OUT_OF_SCOPE, OUT_OF_SCOPE_WEIGHT, 1.0)

    def surprise(sharpness: float) -> float:
        raised = sharpness * logs
        return float((weight * (np.log(np.exp(raised).sum(axis=1)) - raised[right])).mean())

    return round(float(minimize_scalar(surprise, bounds=(0.1, 5.0), method="bounded").x), 2)


def choose(scored: Sequence[Scored], intents: Sequence[str]) -> Thresholds:
    """The thresholds that keep to `RIGHT_LOSS` and `MOST_WRONG`; see the module's first lines."""
    ours = np.array([intent != OUT_OF_SCOPE for intent in intents])
    # `judge`, for all examples at once: thousands of combinations are tried.
    taught = np.array([score.intent == OUT_OF_SCOPE for score in scored])
    similarity = np.array([score.similarity for score in scored])
    probability = np.array([score.probability for score in scored])
    out_of_scope = np.array([dict(score.ranking)[OUT_OF_SCOPE] for score in scored])
    right = np.array([score.intent == intent for score, intent in zip(scored, intents)]) & ours
    best, best_refused = (0.0, 1.0), -1.0
    for least_similar, share in itertools.product(SIMILARITIES, SHARES):
        refused = taught | (similarity < least_similar) | (out_of_scope >= share)
        if refused[right].mean() <= RIGHT_LOSS and refused[~ours].mean() > best_refused:
            best, best_refused = (float(least_similar), float(share)), float(refused[~ours].mean())
    refused = taught | (similarity < best[0]) | (out_of_scope >= best[1])
    wrong = ours & ~right & ~refused
    sure = next(share for share in [*SHARES, 1.0] if (wrong & (probability >= share))[ours].mean() <= MOST_WRONG)
    among = np.array([intent in likely(score) for score, intent in zip(scored, intents)])
    hopeless = [share for share in SHARES if share <= sure and among[ours & ~refused & (probability < share)].mean() < 0.5]
    return Thresholds(best[0], float(max(hopeless, default=0.0)), best[1], float(sure))


def likely(score: Scored) -> list[str]:
    """What would be offered instead of an answer."""
    return [intent for intent, _ in score.ranking if intent not in NOT_OURS][:OFFERED]


def outcome(score: Scored, intent: str, thresholds: Thresholds) -> str:
    """What an example of ours comes to: right, offered, missed or wrong."""
    found = judge(score, thresholds).intent
    if found not in NOT_OURS:
        return "right" if found == intent else "wrong"
    return "offered" if intent in likely(score) else "missed"


def reliability(probability: Numbers, right: npt.NDArray[np.bool_]) -> tuple[list[tuple[int, float, float]], float]:
    """How sure against how often right.

    Returns:
        For each tenth of probability that has any: (messages, mean probability, share right); and the expected calibration error.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = [
        (int((bins == number).sum()), float(probability[bins == number].mean()), float(right[bins == number].mean()))
        for number in range(BINS)
        if (bins == number).any()
    ]
    return rows, sum(count * abs(sure - share) for count, sure, share in rows) / len(probability)


def diagram(rows: Sequence[tuple[int, float, float]]) -> str:
    """The reliability diagram as SVG: a bar for each tenth, the diagonal is perfect."""
    marks = "".join(
        f'<rect x="{40 + 300 * sure - 11:.0f}" y="{310 - 300 * share:.0f}" width="22" height="{300 * share:.0f}" fill="#4a7fb5">'
        f"<title>{count} examples: sure {100 * sure:.0f} %, right {100 * share:.0f} %</title></rect>"
        for count, sure, share in rows
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 350" font-family="sans-serif" font-size="12" role="img" '
        'aria-label="Reliability: how often right against how sure">\n'
        f'<rect width="360" height="350" fill="#fff"/>{marks}\n'
        '<path d="M40 10V310H340M40 310L340 10" fill="none" stroke="#333"/>\n'
        '<text x="190" y="340" text-anchor="middle">how sure (probability)</text>'
        '<text x="16" y="160" text-anchor="middle" transform="rotate(-90 16 160)">how often right</text>\n</svg>\n'
    )


def write(settings: dict[str, float], path: Path) -> None:
    """Put the settings into config.yml, leaving everything else as it is."""
    text = path.read_text(encoding="utf-8")
    for name, value in settings.items():
        text = re.sub(rf"(?m)^(  {name}:) .*$", rf"\1 {value:g}", text)
    path.write_text(text, encoding="utf-8")


def report(scored: Sequence[Scored], intents: Sequence[str], thresholds: Thresholds) -> dict[str, Any]:
    """Everything measured, with the examples that went wrong, surest first."""
    rows, error = reliability(
        np.array([score.probability for score in scored]),
        np.array([score.intent == intent for score, intent in zip(scored, intents)]),
    )
    ours = [(score, intent) for score, intent in zip(scored, intents) if intent != OUT_OF_SCOPE]
    outcomes = [outcome(score, intent, thresholds) for score, intent in ours]
    others = [judge(score, thresholds).intent in NOT_OURS for score, intent in zip(scored, intents) if intent == OUT_OF_SCOPE]
    figures = {f"ours: {name}": outcomes.count(name) / len(ours) for name in ("right", "offered", "wrong", "missed")}
    figures["ours: right or offered"] = figures["ours: right"] + figures["ours: offered"]
    figures["ours: most probable label right"] = float(np.mean([score.intent == intent for score, intent in ours]))
    figures["out of scope: refused, or choices offered"] = float(np.mean(others))
    return {
        "examples": {"ours": len(ours), "out of scope": len(others)},
        "figures": {name: round(100 * share, 1) for name, share in figures.items()},
        "expected calibration error": round(100 * error, 1),
        "reliability": rows,
    }


def main() -> int:
    """The `make thresholds` command."""
    lines = [(text, intent) for intent, texts in examples().items() for text in texts]
    taught = labelled([text for text, _ in lines], [intent for _, intent in lines])
    further = corpus(taught)
    encoder = load_encoder()
    say(f"Encoding {len(taught.texts)} examples and the corpus ...")
    vectors = encode_remembered(encoder, taught.texts, REMEMBERED_VECTORS)
    scored = out_of_fold(taught, vectors, further, encode_remembered(encoder, further.texts, REMEMBERED_CORPUS))
    sharpness = calibrate(scored, taught.intents)
    scored = [sharpened(score, sharpness) for score in scored]
    thresholds = choose(scored, taught.intents)
    write({"sharpness": sharpness, **vars(thresholds)}, ROOT / "config.yml")
    result = report(scored, taught.intents, thresholds)
    DIAGRAM.write_text(diagram(result["reliability"]), encoding="utf-8")
    mistakes = sorted(
        (
            {"text": text, "label": intent, "taken for": score.intent, "probability": round(score.probability, 3)}
            for text, intent, score in zip(taught.texts, taught.intents, scored)
            if score.intent != intent
        ),
        key=lambda mistake: -float(str(mistake["probability"])),
    )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**result, "mistakes": mistakes}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"Sharpness {sharpness}, {thresholds}: written to config.yml. Out of fold, {result['examples']}:")
    for name, value in result["figures"].items():
        say(f"  {name} {value} %")
    say(f"  expected calibration error {result['expected calibration error']} %; mistakes in {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    run_command(main)
