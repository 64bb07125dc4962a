"""What a person typed is cleaned before anything reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.understanding.tidy import MAX_CHARACTERS, tidy


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  how   much\t\tis it ", "how much is it"),
        ("does\u200bit \ufeffhurt", "doesit hurt"),
        ("it\u2019s \u201csafe\u201d", 'it\'s "safe"'),
        ("ｈｏｗ ｍｕｃｈ", "how much"),
        ("broken \ud800 half", "broken half"),
        ("nul\x00l", "null"),
        ("cost?\r\nsessions?", "cost?\nsessions?"),
        ("", ""),
        (None, ""),
    ],
)
def test_spaces_quotes_and_invisible_characters_are_made_plain(typed: str | None, read: str) -> None:
    assert tidy(typed) == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("n b4? do i need 2 stop anything", "n before? do i need to stop anything"),
        ("is it ok 4 my skin", "is it ok for my skin"),
        ("2 sessions in 4 weeks", "2 sessions in 4 weeks"),
    ],
)
def test_text_speak_becomes_words_and_numbers_stay(typed: str, read: str) -> None:
    assert tidy(typed) == read


@pytest.mark.parametrize("command", ["/restart", '/inform{"concern": "fat"}', "//session_start", " / back"])
def test_a_command_becomes_ordinary_words(command: str) -> None:
    assert not tidy(command).startswith("/")


@given(st.text(max_size=3000))
def test_any_text_becomes_short_text_that_can_be_stored_and_is_stable(text: str) -> None:
    clean = tidy(text)
    assert len(clean) <= MAX_CHARACTERS
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert "\x00" not in clean
    assert not clean.startswith("/")
    assert tidy(clean) == clean
