"""Chooses the thresholds below which a question is refused, and writes them to config.yml.

The scores are out of fold: each training example is scored by a classifier that has not seen it, near-duplicates of one
another always in the same fold. No evaluation message is read. Of all thresholds that refuse at most `RIGHT_LOSS` of the
questions that would have been answered rightly, those that prevent the most wrong answers win: out-of-scope questions answered
at all, and ours answered with another topic, counted half and half.
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.cluster import AgglomerativeClustering
from sklearn.model_selection import StratifiedGroupKFold

from addons.configuration import ROOT
from addons.understanding.classifier import IntentClassifier, Scored
from addons.understanding.components import REMEMBERED_VECTORS, VOCABULARY_FOLDER, load_encoder, vocabulary
from addons.understanding.encoder import Vectors, encode_remembered
from addons.understanding.rejection import NOT_OURS, OUT_OF_SCOPE, Thresholds, judge
from addons.understanding.tidy import tidy
from addons.understanding.vocabulary import Mention, read_phrases
from commands.content import examples
from commands.terminal import run_command, say

FOLDS = 5
RIGHT_LOSS = 0.04
# Closer than this (cosine), two examples are one example written twice.
NEAR_DUPLICATE = 0.9
SIMILARITIES = np.round(np.arange(0.0, 0.66, 0.05), 2)
PROBABILITIES = np.round(np.arange(0.0, 0.41, 0.025), 3)
OUT_OF_SCOPE_PROBABILITIES = np.round(np.arange(0.04, 0.61, 0.01), 3)


def groups(vectors: Vectors) -> list[int]:
    """Group near-duplicates: complete linkage on cosine distance."""
    clustering = AgglomerativeClustering(
        n_clusters=None, distance_threshold=1 - NEAR_DUPLICATE, affinity="cosine", linkage="complete"
    )
    return [int(group) for group in clustering.fit_predict(vectors)]


def out_of_fold(
    texts: Sequence[str], mentions: Sequence[Sequence[Mention]], intents: Sequence[str], vectors: Vectors
) -> list[Scored]:
    """Score every example with a classifier fitted without it and its near-duplicates."""
    scored: list[Scored | None] = [None] * len(texts)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (taught, held_out) in enumerate(folds.split(texts, intents, groups(vectors)), 1):
        say(f"Fold {number} of {FOLDS} ...")
        classifier = IntentClassifier.fit(
            [texts[index] for index in taught],
            [mentions[index] for index in taught],
            [intents[index] for index in taught],
            vectors[taught],
        )
        found = classifier.score([texts[index] for index in held_out], [mentions[index] for index in held_out], vectors[held_out])
        for index, score in zip(held_out, found):
            scored[index] = score
    return [score for score in scored if score is not None]


def choose(scored: Sequence[Scored], intents: Sequence[str]) -> Thresholds:
    """The thresholds that prevent the most wrong answers for the loss allowed."""
    ours = np.array([intent != OUT_OF_SCOPE for intent in intents])
    # `judge`, for all examples at once: millions of combinations are tried.
    taught = np.array([score.intent == OUT_OF_SCOPE for score in scored])
    similarity = np.array([score.similarity for score in scored])
    probability = np.array([score.probability for score in scored])
    out_of_scope = np.array([dict(score.ranking)[OUT_OF_SCOPE] for score in scored])
    right = np.array([score.intent == intent for score, intent in zip(scored, intents)]) & ours
    best, best_prevented = Thresholds(0.0, 0.0, 1.0), -1.0
    for values in itertools.product(SIMILARITIES, PROBABILITIES, OUT_OF_SCOPE_PROBABILITIES):
        refused = taught | (similarity < values[0]) | (probability < values[1]) | (out_of_scope >= values[2])
        prevented = float(refused[~ours].mean() + refused[ours & ~right].mean()) / 2
        if refused[right].mean() <= RIGHT_LOSS and prevented > best_prevented:
            best, best_prevented = Thresholds(*(float(value) for value in values)), prevented
    return best


def write(thresholds: Thresholds, path: Path) -> None:
    """Put the thresholds into config.yml, leaving everything else as it is."""
    text = path.read_text(encoding="utf-8")
    for name, value in vars(thresholds).items():
        text = re.sub(rf"(?m)^(  {name}:) .*$", rf"\1 {value:g}", text)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """The `make thresholds` command."""
    taught = [(tidy(text), intent) for intent, lines in examples().items() for text in lines]
    texts, intents = [text for text, _ in taught], [intent for _, intent in taught]
    words = vocabulary(read_phrases(VOCABULARY_FOLDER))
    mentions = [words.mentions(words.read(text)) for text in texts]
    say(f"Encoding {len(texts)} examples ...")
    scored = out_of_fold(texts, mentions, intents, encode_remembered(load_encoder(), texts, REMEMBERED_VECTORS))
    thresholds = choose(scored, intents)
    write(thresholds, ROOT / "config.yml")
    judged = [judge(score, thresholds).intent for score in scored]
    ours = [(found, intent) for found, intent in zip(judged, intents) if intent != OUT_OF_SCOPE]
    others = [found for found, intent in zip(judged, intents) if intent == OUT_OF_SCOPE]
    say(f"{thresholds}, written to config.yml. Out of fold, of {len(ours)} examples that are ours:")
    say(f"  right topic {100 * np.mean([found == intent for found, intent in ours]):.1f} %")
    say(f"  wrong topic {100 * np.mean([found not in (intent, *NOT_OURS) for found, intent in ours]):.1f} %")
    say(f"  refused     {100 * np.mean([found in NOT_OURS for found, _ in ours]):.1f} %")
    say(f"Of {len(others)} out-of-scope examples refused {100 * np.mean([found in NOT_OURS for found in others]):.1f} %")
    return 0


if __name__ == "__main__":
    run_command(main)
