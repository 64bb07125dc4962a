"""Which questions are not ours to answer.

Two tests, because they fail differently: a **far** question (weather, code) is unlike every example, whatever the probabilities
say; a **near** one (the price of a nose job) is worded just like ours, so what counts there is the probability and the taught
`out_of_scope` class, which sees what the vocabulary found: another treatment or illness named, and nothing of ours.
"""

from dataclasses import dataclass

from addons.understanding.classifier import Scored

OUT_OF_SCOPE = "out_of_scope"
FALLBACK = "nlu_fallback"
NOT_OURS = frozenset({OUT_OF_SCOPE, FALLBACK})


@dataclass(frozen=True)
class Thresholds:
    """Set by `make thresholds` on out-of-fold scores of the training data; kept in config.yml.

    Attributes:
        similarity: below it, the nearest example is too far for any answer (far).
        probability: below it, no intent is likely enough (near).
        out_of_scope: from it on, the taught `out_of_scope` class counts even when another intent is more probable.
        sure: from it on a question is answered; below, the few most probable topics are offered instead.
    """

    similarity: float
    probability: float
    out_of_scope: float
    sure: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a question counts as, and the rule that said so (for `make explain`).

    Attributes:
        intent: see `judge`.
        rule: why.
        unsure: it is ours, but which of a few topics is not sure enough to answer.
    """

    intent: str
    rule: str
    unsure: bool = False


def judge(scored: Scored, thresholds: Thresholds) -> Verdict:
    """Decide whether a question is answered, and as what.

    Args:
        scored: what the classifier thinks of it.
        thresholds: see `Thresholds`.

    Returns:
        The classifier's intent, `out_of_scope`, or `nlu_fallback` when nothing is near enough to say.
    """
    if scored.intent == OUT_OF_SCOPE:
        return Verdict(OUT_OF_SCOPE, "taught: out of scope is the most probable")
    if scored.similarity < thresholds.similarity:
        return Verdict(FALLBACK, "far: no training example is near")
    if dict(scored.ranking).get(OUT_OF_SCOPE, 0.0) >= thresholds.out_of_scope:
        return Verdict(OUT_OF_SCOPE, "near: out of scope is probable enough")
    if scored.probability < thresholds.probability:
        return Verdict(FALLBACK, "near: no intent is probable enough")
    if scored.probability < thresholds.sure:
        return Verdict(FALLBACK, "unsure: one of the few most probable", unsure=True)
    return Verdict(scored.intent, "accepted")
