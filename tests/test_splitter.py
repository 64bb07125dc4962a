"""A message is cut where one question may end and the next begin."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from addons.understanding.splitter import Link, Part, asks, says_nothing_new, sentences
from addons.understanding.tidy import tidy
from addons.understanding.vocabulary import Mention

NLP = spacy.blank("en")


def cut(text: str) -> list[list[str]]:
    return [[part.text for part in sentence.parts] for sentence in sentences(NLP(tidy(text)))]


def only_part(text: str) -> Part:
    [sentence] = sentences(NLP(text))
    [part] = sentence.parts
    return part


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("will it bruise and what do i pay", [["will it bruise", "what do i pay"]]),
        ("price? visits? bruises?", [["price"], ["visits"], ["bruises"]]),
        ("price?visits?bruises?", [["price"], ["visits"], ["bruises"]]),
        ("tummy - price / visits", [["tummy"], ["price"], ["visits"]]),
        ("price/visits/bruises", [["price", "visits", "bruises"]]),
        ("tummy: price, visits", [["tummy"], ["price", "visits"]]),
        ("bruises n healing", [["bruises", "healing"]]),
        ("is it sore\nhow long am i red", [["is it sore"], ["how long am i red"]]),
        ("- price\n- bruises", [["price"], ["bruises"]]),
        ("* price\n• bruises", [["price"], ["bruises"]]),
        ("1. price 2. bruises 3. is it sore", [["price"], ["bruises"], ["is it sore"]]),
        ("1) price 2) bruises", [["price"], ["bruises"]]),
        ("first, the price. second, is it sore", [["the price"], ["is it sore"]]),
        ("Firstly what is it, secondly is it sore", [["what is it"], ["is it sore"]]),
        ("I am 60. Can I have it?", [["I am 60"], ["Can I have it"]]),
        ("co-op members pay what", [["co-op members pay what"]]),
        ("pros and cons", [["pros and cons"]]),
        ("pins and needles and bruises", [["pins and needles", "bruises"]]),
        ("", []),
        ("?!", []),
        ("💉?", []),
    ],
)
def test_cuts_are_at_ends_of_sentences_list_marks_and_joining_words(text: str, expected: list[list[str]]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what to do before and after", ["what to do before", "what to do after"]),
        ("tips for before n after the jab", ["tips for before the jab", "tips for after the jab"]),
        ("pre and post care", ["pre care", "post care"]),
        ("before and after?", ["before", "after"]),
        ("any before and after photos", ["any before and after photos"]),
        ("shave before or after", ["shave before or after"]),
    ],
)
def test_before_and_after_share_the_words_around_them(text: str, expected: list[str]) -> None:
    assert cut(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is it what does it cost", ["what is it", "what does it cost"]),
        ("is it sore will it bruise", ["is it sore", "will it bruise"]),
        ("wats it cost hows it work", ["wats it cost hows it work"]),
        ("how long does it take", ["how long does it take"]),
        ("who can do it", ["who can do it"]),
        ("tell me what it is", ["tell me what it is"]),
        ("what else should i know", ["what else should i know"]),
    ],
)
def test_a_question_runs_on_into_the_next_only_where_a_new_one_begins(text: str, expected: list[str]) -> None:
    assert cut(text) == [expected]


def test_what_parts_two_stretches_is_kept() -> None:
    links = [part.link for part in sentences(NLP("is it sore, and will it bruise or itch"))[0].parts]
    assert links == [Link.END, Link.AND, Link.OR]


def test_a_part_knows_whether_it_asks() -> None:
    story, question = sentences(NLP("My sister had it two summers ago in Nice with a doctor she knew. Does it last?"))
    assert not story.whole.asks
    assert question.whole.asks
    assert question.whole.leads


@pytest.mark.parametrize("text", ["i take aspirin is that ok", "my mum wonders what it costs", "tell me about it", "any bruises"])
def test_a_telling_sentence_asks_when_it_turns_into_a_question(text: str) -> None:
    assert only_part(text).asks


@pytest.mark.parametrize(
    "text", ["i am sixty years old", "before i decide", "the lady there said lovely things to me", "if i may ask"]
)
def test_what_is_only_told_or_announced_asks_nothing(text: str) -> None:
    assert not only_part(text).asks


def test_keywords_are_bare_and_question_words_alone_are_elliptic() -> None:
    assert only_part("recovery time").bare
    assert not only_part("how long is recovery").bare
    assert only_part("for how long").elliptic
    assert not only_part("how much").elliptic


def test_mentions_belong_to_the_part_they_stand_in() -> None:
    text = "price for arms and is it sore"
    arms = Mention("body_area", "arms", "arms", 10, 14)
    first, second = sentences(NLP(text))[0].parts
    assert first.mentions([arms]) == [arms]
    assert second.mentions([arms]) == []


def test_words_that_only_name_things_say_nothing_new() -> None:
    arms = Mention("body_area", "arms", "arms", 11, 15)
    assert says_nothing_new(NLP("and for my arms"), [arms])
    assert not says_nothing_new(NLP("and why my arms"), [arms])
    assert not says_nothing_new(NLP("??"), [])


def test_a_message_asks_by_mark_or_words_but_not_by_keywords() -> None:
    assert asks(NLP("sore?"))
    assert asks(NLP("is it sore"))
    assert not asks(NLP("still sore"))


@given(
    st.text(max_size=1200)
    | st.lists(st.sampled_from(["cost", "and", "?", "1.", "before", "after", "is it", "-", "\n", "💉", ","])).map(" ".join)
)
def test_any_text_is_cut_into_parts_that_stand_in_it(text: str) -> None:
    doc = NLP(tidy(text))
    for sentence in sentences(doc):
        assert sentence.parts
        for part in sentence.parts:
            assert part.text.strip()
            assert all(0 <= start < end <= len(doc.text) for start, end in part.stretches)
