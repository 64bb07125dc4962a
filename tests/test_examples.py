"""The training examples are measured for variety, and those written twice are found."""

import numpy as np

from addons.understanding.encoder import Vectors
from commands.examples import near_duplicates, table, variety


def unit(*angles: float) -> Vectors:
    """Vectors of length 1 in the plane."""
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles], dtype=np.float32)


def test_examples_in_the_same_words_are_less_varied() -> None:
    alike = variety("faq_cost", ["how much", "how much now", "how much"], unit(0.0, 0.1, 0.0))
    varied = variety("faq_cost", ["price", "is it dear where you are, and why", "refund?"], unit(0.0, 1.0, 2.0))
    assert (alike.words, varied.words) == (3, 10)
    assert alike.similarity > 0.9 > 0.3 > varied.similarity
    assert (alike.short, round(varied.short, 2)) == (1.0, 0.67)
    assert varied.lengths == (1, 1, 8)


def test_two_examples_that_nearly_repeat_one_another_are_a_pair_and_emoji_never_are() -> None:
    texts = ["price", "prices", "pain", "👍", "👎"]
    assert near_duplicates(texts, unit(0.0, 0.1, 1.5, 3.0, 3.0)) == [(0, 1)]


def test_the_table_has_a_row_for_each_intent_and_their_sum() -> None:
    page = table([variety("faq_cost", ["price", "prices"], unit(0.0, 0.1)), variety("faq_pain", ["ow", "ouch"], unit(0.0, 0.1))])
    assert all(row in page for row in ("| faq_cost | 2 |", "| faq_pain | 2 |", "| all | 4 |"))
