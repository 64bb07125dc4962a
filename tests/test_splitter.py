"""A message is cut where one question may end and the next begin."""

import pytest
import spacy

from addons.understanding.splitter import parts

NLP = spacy.blank("en")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("will it bruise and what do i pay", ["will it bruise", "what do i pay"]),
        ("price? visits? bruises?", ["price", "visits", "bruises"]),
        ("tummy - price / visits", ["tummy", "price", "visits"]),
        ("is it sore\nhow long am i red", ["is it sore", "how long am i red"]),
        ("I am 60. Can I have it?", ["I am 60", "Can I have it"]),
        ("co-op members pay what", ["co-op members pay what"]),
        ("", []),
        ("?!", []),
    ],
)
def test_cuts_are_at_ends_of_sentences_list_marks_and_joining_words(text: str, expected: list[str]) -> None:
    assert [part.span.text for part in parts(NLP(text))] == expected


def test_a_part_knows_whether_it_asks() -> None:
    story, question = parts(NLP("My sister had it two summers ago in Nice with a doctor she knew. Does it last?"))
    assert not story.asks
    assert question.asks
