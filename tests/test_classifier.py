"""What the classifier, the refusal rules and the choice of thresholds do, on examples small enough to follow."""

from pathlib import Path

import numpy as np
import pytest

from addons.understanding.classifier import IntentClassifier, Labelled, Scored
from addons.understanding.rejection import FALLBACK, OUT_OF_SCOPE, Thresholds, judge
from commands.thresholds import MOST_WRONG, calibrate, choose, diagram, outcome, reliability, sharpened, write

TEXTS = ["what is the price", "how much money", "does it hurt", "is it painful", "weather today", "football score"]
INTENTS = ["faq_cost", "faq_cost", "faq_pain", "faq_pain", OUT_OF_SCOPE, OUT_OF_SCOPE]
EXAMPLES = Labelled(TEXTS, [[] for _ in TEXTS], INTENTS)
VECTORS = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)


def scored(probability: float, intent: str = "faq_cost", similarity: float = 0.9, out_of_scope: float = 0.0) -> Scored:
    others = [("faq_pain", 1 - probability - out_of_scope), (OUT_OF_SCOPE, out_of_scope)]
    ranking = sorted([(intent, probability), *others], key=lambda entry: -entry[1])
    return Scored(ranking, similarity, "an example", intent)


def test_words_of_the_corpus_are_learned_though_no_example_has_them() -> None:
    corpus = Labelled(["doubloons please"] * 4, [[]] * 4, ["faq_cost"] * 4)
    unlike = np.full((1, 3), 0.58, dtype=np.float32)
    with_corpus = IntentClassifier.fit(EXAMPLES, VECTORS, corpus).score(["doubloons"], [[]], unlike)[0]
    without = IntentClassifier.fit(EXAMPLES, VECTORS).score(["doubloons"], [[]], unlike)[0]
    assert with_corpus.intent == "faq_cost"
    assert dict(with_corpus.ranking)["faq_cost"] > dict(without.ranking)["faq_cost"]


def test_a_corpus_label_without_examples_is_named() -> None:
    with pytest.raises(ValueError, match="faq_unknown"):
        IntentClassifier.fit(EXAMPLES, VECTORS, Labelled(["what"], [[]], ["faq_unknown"]))


def test_a_saved_classifier_scores_as_before_and_may_be_sharper(tmp_path: Path) -> None:
    classifier = IntentClassifier.fit(EXAMPLES, VECTORS)
    classifier.save(tmp_path)
    before = classifier.score(TEXTS, EXAMPLES.mentions, VECTORS)
    same = IntentClassifier.load(tmp_path).score(TEXTS, EXAMPLES.mentions, VECTORS)
    sharper = IntentClassifier.load(tmp_path, 3.0).score(TEXTS, EXAMPLES.mentions, VECTORS)
    assert [score.intent for score in same] == [score.intent for score in before] == INTENTS
    assert same[0].probability == pytest.approx(before[0].probability, abs=2e-3)
    assert sharper[0].probability > same[0].probability


def test_the_nearest_examples_come_nearest_first_and_none_is_out_of_scope() -> None:
    nearest = IntentClassifier.fit(EXAMPLES, VECTORS).nearest(np.array([0.6, 0.8, 0.0], dtype=np.float32), 9)
    assert [intent for _, intent, _ in nearest] == ["faq_pain", "faq_pain", "faq_cost", "faq_cost"]
    assert nearest[0][2] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("score", "intent", "unsure"),
    [
        (scored(0.9), "faq_cost", False),
        (scored(0.5), FALLBACK, True),
        (scored(0.35, out_of_scope=0.3), FALLBACK, False),
        (scored(0.9, similarity=0.1), FALLBACK, False),
        (scored(0.55, out_of_scope=0.4), OUT_OF_SCOPE, False),
        (scored(0.3, out_of_scope=0.6), OUT_OF_SCOPE, False),
    ],
)
def test_between_sure_and_not_ours_lies_one_of_these(score: Scored, intent: str, unsure: bool) -> None:
    verdict = judge(score, Thresholds(similarity=0.2, probability=0.4, out_of_scope=0.38, sure=0.6))
    assert (verdict.intent, verdict.unsure) == (intent, unsure)
    assert verdict.rule


def test_what_became_of_an_example_is_told_apart() -> None:
    thresholds = Thresholds(0.0, 0.0, 1.0, 0.7)
    assert outcome(scored(0.8), "faq_cost", thresholds) == "right"
    assert outcome(scored(0.8), "faq_pain", thresholds) == "wrong"
    assert outcome(scored(0.6), "faq_pain", thresholds) == "offered"
    assert outcome(scored(0.6), "faq_diy", thresholds) == "missed"


def test_thresholds_keep_wrong_answers_within_what_was_stated() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.34, 1.0, 2000)
    scores = [scored(float(probability)) for probability in probabilities]
    intents = ["faq_cost" if rng.random() < probability else "faq_pain" for probability in probabilities]
    scores += [scored(0.2, out_of_scope=0.7)] * 100
    intents += [OUT_OF_SCOPE] * 100
    chosen = choose(scores, intents)
    ours = [(score, intent) for score, intent in zip(scores, intents) if intent != OUT_OF_SCOPE]
    wrong = np.mean([outcome(score, intent, chosen) == "wrong" for score, intent in ours])
    assert MOST_WRONG - 0.02 < wrong <= MOST_WRONG
    assert all(judge(score, chosen).intent == OUT_OF_SCOPE for score in scores[-100:])


def test_calibration_makes_the_sure_as_often_right_as_they_say() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.5, 0.99, 4000)
    intents = ["faq_cost" if rng.random() < share else "faq_pain" for share in true]
    timid = [sharpened(scored(float(share)), 0.4) for share in true]
    right = np.array([intent == "faq_cost" for intent in intents])
    sharpness = calibrate(timid, intents)
    assert sharpness == pytest.approx(2.5, abs=0.3)
    errors = [
        reliability(np.array([score.probability for score in scores]), right)[1]
        for scores in (timid, [sharpened(score, sharpness) for score in timid])
    ]
    assert errors[1] < 0.03 < errors[0]


def test_the_diagram_shows_a_bar_for_each_tenth_that_has_any() -> None:
    rows, error = reliability(np.array([0.15, 0.95, 0.95]), np.array([False, True, True]))
    assert [count for count, _, _ in rows] == [1, 2]
    assert error == pytest.approx((0.15 + 2 * 0.05) / 3)
    assert diagram(rows).count("<title>") == 2


def test_writing_thresholds_leaves_the_rest_of_the_configuration_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("pipeline:\n- name: X\n  # why\n  sure: 0\n  similarity: 0.5\n", encoding="utf-8")
    write({"sure": 0.61, "similarity": 0.0}, path)
    assert path.read_text(encoding="utf-8") == "pipeline:\n- name: X\n  # why\n  sure: 0.61\n  similarity: 0\n"
