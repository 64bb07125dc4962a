"""Looks at how varied the training examples of each intent are, and finds near-duplicates: examples written twice teach nothing.

Similarity is the cosine of the package's encoder. The taught one is no measure here: it was taught to bring an intent's messages
together. Writes docs/examples.md. Ends with an error when two examples are nearer to one another than `NEAR_DUPLICATE`.
"""

import re
import statistics
from dataclasses import dataclass

import numpy as np

from addons.configuration import ROOT
from addons.understanding.components import REMEMBERED_VECTORS, load_encoder
from addons.understanding.encoder import Vectors, encode_remembered
from addons.understanding.tidy import tidy
from commands.content import examples
from commands.terminal import CommandFailed, run_command, say

TABLE = ROOT / "docs" / "examples.md"
NEAR_DUPLICATE = 0.97
REMEMBERED = REMEMBERED_VECTORS.with_name("examples-vectors.npz")
# As many as are named at once; the next run shows the rest.
_SHOWN = 20

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Variety:
    """How varied the examples of one intent are.

    Attributes:
        intent: whose.
        count: how many examples.
        words: how many different words they use.
        lengths: words of the shortest tenth, the middle and the longest tenth of the examples.
        short: share of examples of one to four words, from 0 to 1.
        similarity: mean cosine of two examples, from -1 to 1; the lower, the more varied.
    """

    intent: str
    count: int
    words: int
    lengths: tuple[int, int, int]
    short: float
    similarity: float


def variety(intent: str, texts: list[str], vectors: Vectors) -> Variety:
    """Measure one intent.

    Args:
        intent: its name.
        texts: its examples, at least two.
        vectors: their vectors, one row each, of length 1.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    lengths = sorted(len(found) for found in words)
    count = len(texts)
    # All pairs but each example with itself.
    similarity = (float((vectors.sum(axis=0) ** 2).sum()) - count) / (count * (count - 1))
    return Variety(
        intent,
        count,
        len({word for found in words for word in found}),
        (lengths[count // 10], int(statistics.median(lengths)), lengths[count - 1 - count // 10]),
        sum(length <= 4 for length in lengths) / count,
        similarity,
    )


def near_duplicates(texts: list[str], vectors: Vectors) -> list[tuple[int, int]]:
    """The pairs of examples nearer to one another than `NEAR_DUPLICATE`, the earlier one first.

    Only those in plain letters: the encoder knows hardly any emoji or other script, so those all look alike to it.
    """
    plain = np.array([text.isascii() for text in texts])
    close = np.argwhere(np.triu((vectors @ vectors.T > NEAR_DUPLICATE) & plain & plain[:, None], k=1))
    return [(int(first), int(second)) for first, second in close]


def table(measured: list[Variety]) -> str:
    """Every intent in one row, for docs/examples.md."""
    lines = [
        "# The training examples, measured",
        "",
        "Written by `make examples`. Length is in words: a tenth of the examples is that short or shorter, half, a tenth that",
        "long or longer. Similarity is the mean cosine of two examples of the intent under the package's encoder: the lower,",
        "the more varied.",
        "",
        "| intent | examples | different words | length | of 1 to 4 words % | similarity |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.intent} | {each.count} | {each.words} | {each.lengths[0]}, {each.lengths[1]}, {each.lengths[2]} "
        f"| {100 * each.short:.0f} | {each.similarity:.2f} |"
        for each in measured
    ]
    return "\n".join([*lines, f"| all | {sum(each.count for each in measured)} | | | | |", ""])


def main() -> int:
    """The `make examples` command."""
    lines = [(text, intent) for intent, texts in examples().items() for text in texts]
    vectors = encode_remembered(load_encoder(taught=None), [tidy(text) for text, _ in lines], REMEMBERED)
    intents = np.array([intent for _, intent in lines])
    measured = [
        variety(str(intent), [text for text, each in lines if each == intent], vectors[intents == intent])
        for intent in dict.fromkeys(intents.tolist())
    ]
    TABLE.write_text(table(measured), encoding="utf-8")
    say(f"Wrote {TABLE}")
    pairs = near_duplicates([text for text, _ in lines], vectors)
    if pairs:
        named = [f"  {lines[first][1]}: {lines[first][0]!r}  {lines[second][1]}: {lines[second][0]!r}" for first, second in pairs]
        raise CommandFailed(
            f"{len(pairs)} pairs of examples nearly repeat one another (cosine over {NEAR_DUPLICATE}). "
            + "\n".join(["Remove or change one of each:", *named[:_SHOWN]])
        )
    return 0


if __name__ == "__main__":
    run_command(main)
