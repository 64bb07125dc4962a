"""What a person reads on each platform: everything, within the platform's limits, the caveat beside every piece of an answer."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.channels.render import (
    Choice,
    Reply,
    choices_of,
    chosen,
    plain,
    segments,
    sms,
    sms_text,
    tapped,
    telegram,
    whatsapp,
)
from commands.renderings import GOLDEN, clinic_renderers, curated_messages, golden, renderers
from tests import platforms

PLATFORMS = ("telegram", "whatsapp", "messenger", "instagram", "sms")
PROBLEM: dict[str, Callable[[Any], str]] = {
    "telegram": platforms.telegram_problem,
    "whatsapp": platforms.whatsapp_problem,
    "messenger": platforms.messenger_problem,
    "instagram": platforms.instagram_problem,
    "sms": platforms.sms_problem,
}
RENDER = renderers("112", "Choose")
SAMPLES = json.loads((GOLDEN / "replies.json").read_text(encoding="utf-8"))
CAVEAT = "Evidence: low. Studies are small."
CHOICES = [{"title": f"Does number {word} help me?", "short_title": f"Number {word}"} for word in ("one", "two", "three", "four")]


def read(platform: str, message: Any) -> str:
    """A message's text as a person reads it."""
    if platform == "sms":
        return str(message)
    if platform == "telegram":
        return platforms.telegram_visible(message)
    if platform == "whatsapp":
        body = message["text"]["body"] if message["type"] == "text" else message["interactive"]["body"]["text"]
        return re.sub(r"\*(\S[^*\n]*)\*", r"\1", str(body))
    return str(message["text"])


def words(text: str) -> list[str]:
    return re.findall(r"\w+", sms_text(text))


@pytest.fixture(scope="module")
async def curated() -> list[tuple[str, dict[str, Any]]]:
    return await curated_messages()


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_every_curated_reply_is_accepted_and_keeps_its_caveat_and_red_flags_with_every_piece(
    platform: str, curated: list[tuple[str, dict[str, Any]]]
) -> None:
    render = clinic_renderers()[platform]
    assert len(curated) > 300
    for name, message in curated:
        shown = render(Reply.from_message(message))
        assert [PROBLEM[platform](part) for part in shown] == [""] * len(shown), name
        texts = [read(platform, part) for part in shown]
        body = [line for line in message["body"].split("\n") if line]
        assert not set(words(message["body"])) - {word for text in texts for word in words(text)}, f"{name}: something is lost"
        if not message.get("caveat"):
            continue
        sentences = re.split(r"(?<=[.!?]) ", " ".join(body))
        caveat = sms_text(message["caveat"])
        for text in texts:
            holds_answer = any(sms_text(sentence) in sms_text(text.replace("\n", " ")) for sentence in sentences)
            assert caveat in sms_text(text) or not holds_answer, f"{name}: a piece of an answer without its caveat"
        if len(message["topics"]) == 1:
            for line in (line for line in body if line.startswith("Call ")):
                pieces = [text for text in texts if caveat in sms_text(text)]
                assert all(sms_text(line) in sms_text(text) for text in pieces), f"{name}: a piece without its red flags"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_an_emergency_reply_is_one_message(platform: str, curated: list[tuple[str, dict[str, Any]]]) -> None:
    render = clinic_renderers()[platform]
    urgent = [message for _, message in curated if message.get("safety") == "emergency"]
    assert urgent
    assert all(len(render(Reply.from_message(message))) == 1 for message in urgent)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_sample_replies_look_as_they_did(platform: str) -> None:
    expected = (GOLDEN / f"{platform}.json").read_text(encoding="utf-8")
    assert golden()[f"{platform}.json"] == expected, "if this is meant, run `make renderings` and look at the difference"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_payload_is_never_shown_and_every_sample_is_accepted(platform: str, name: str) -> None:
    reply = Reply.from_message(SAMPLES[name])
    for message in RENDER[platform](reply):
        assert PROBLEM[platform](message) == ""
        assert not any(choice.token in read(platform, message) for choice in reply.choices)


@pytest.mark.parametrize("platform", PLATFORMS)
@settings(max_examples=15, deadline=None)
@given(
    body=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=2500).filter(str.strip),
    buttons=st.integers(0, 4),
)
def test_any_text_of_any_script_is_accepted_and_keeps_its_caveat(platform: str, body: str, buttons: int) -> None:
    message = {"body": body, "caveat": CAVEAT, "buttons": CHOICES[:buttons]}
    shown = RENDER[platform](Reply.from_message(message))
    assert [PROBLEM[platform](part) for part in shown] == [""] * len(shown)
    assert CAVEAT in read(platform, shown[0])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_long_answer_is_divided_at_sentence_ends_and_each_piece_has_caveat_and_red_flag(platform: str) -> None:
    sentences = [f"Sentence number {number} says one plain thing." for number in range(1, 150)]
    body = " ".join(sentences) + "\nCall 112 now for trouble breathing. Do the same for a fit."
    shown = RENDER[platform](Reply.from_message({"body": body, "caveat": CAVEAT, "sources_line": "Sources: A. Checked today."}))
    texts = [read(platform, part) for part in shown]
    assert len(texts) > 1
    for text in texts:
        piece, urgent, caveat, *rest = text.split("\n")
        assert piece.endswith("thing.")
        assert piece.startswith("Sentence number")
        assert urgent == "Call 112 now for trouble breathing. Do the same for a fit."
        assert caveat == CAVEAT
        assert bool(rest) == (text is texts[-1])
    assert " ".join(text.split("\n")[0] for text in texts) == " ".join(sentences)


def test_each_of_several_answers_keeps_its_own_red_flag_and_title() -> None:
    first, second = ("Here is a plain sentence. " * 30).strip(), ("There is another one too. " * 30).strip()
    body = f"Does it hurt?\n{first}\nCall 112 now for a fit.\nWhat does it cost?\n{second}"
    reply = Reply.from_message({"body": body, "caveat": CAVEAT, "topics": ["pain", "cost"]})
    one, two = sms(reply, "112")
    assert one == f"Does it hurt?\n{first}\nCall 112 now for a fit.\n{CAVEAT}"
    assert two == f"What does it cost?\n{second}\n{CAVEAT}"


def test_markdown_becomes_each_platforms_own_and_nothing_is_taken_for_a_mark() -> None:
    reply = Reply("Take **care**, *please*: 5 < 6 & 7 > 2.\n- One.\n- Two, see [the page](https://a.example/?b=1&c=2).")
    assert telegram(reply, "112")[0]["text"] == (
        "Take <b>care</b>, <i>please</i>: 5 &lt; 6 &amp; 7 &gt; 2.\n• One.\n"
        '• Two, see <a href="https://a.example/?b=1&amp;c=2">the page</a>.'
    )
    assert whatsapp(reply, "112", "Choose")[0]["text"]["body"] == (
        "Take *care*, _please_: 5 < 6 & 7 > 2.\n• One.\n• Two, see the page."
    )
    assert plain("snake_case_name, 2 * 3 * 4 and 5*") == "snake_case_name, 2 * 3 * 4 and 5*"


def test_source_labels_become_links_and_a_label_inside_another_stays_whole() -> None:
    links = [{"label": "Park 2008", "url": "https://doi.org/10.1/x_y_z"}, {"label": "Park 2008 notice"}]
    reply = Reply.from_message({"body": "B.", "caveat": CAVEAT, "sources_line": "Sources: Park 2008 · Park 2008 notice.",
                                "source_links": links})  # fmt: skip
    assert '<a href="https://doi.org/10.1/x_y_z">Park 2008</a> · Park 2008 notice.' in telegram(reply, "112")[0]["text"]
    assert whatsapp(reply, "112", "Choose")[0]["text"]["body"].endswith("\nPark 2008: https://doi.org/10.1/x_y_z")


def test_the_addresses_of_sources_never_cost_a_further_message() -> None:
    links = [{"label": "Park 2008", "url": "https://doi.org/" + "x" * 300}]
    reply = {"body": "x" * 3900, "caveat": CAVEAT, "sources_line": "Sources: Park 2008.", "source_links": links}
    (only,) = whatsapp(Reply.from_message(reply), "112", "Choose")
    assert "https" not in only["text"]["body"]


@pytest.mark.parametrize(("count", "form"), [(1, "button"), (3, "button"), (4, "list")])
def test_whatsapp_offers_three_as_buttons_and_more_as_a_list(count: int, form: str) -> None:
    (only,) = whatsapp(Reply.from_message({"body": "Which?", "buttons": CHOICES[:count]}), "112", "Choose")
    assert only["interactive"]["type"] == form


def test_whatsapp_numbers_the_choices_of_an_answer_too_long_for_buttons() -> None:
    (only,) = whatsapp(Reply.from_message({"body": "x " * 600, "caveat": CAVEAT, "buttons": CHOICES[:2]}), "112", "Choose")
    assert only["text"]["body"].endswith("1. Does number one help me?\n2. Does number two help me?")


@pytest.mark.parametrize("title", ["What happens in a whole session of it?", "x" * 21])
@pytest.mark.parametrize("platform", ["whatsapp", "messenger", "instagram"])
def test_a_title_that_fits_no_button_is_numbered_never_cut(platform: str, title: str) -> None:
    (only,) = RENDER[platform](Reply.from_message({"body": "Which?", "buttons": [{"title": title}]}))
    assert read(platform, only) == f"Which?\n1. {title}"


def test_telegram_has_one_button_a_row_with_the_whole_question_and_a_token() -> None:
    (only,) = telegram(Reply.from_message({"body": "Which?", "buttons": CHOICES[:2]}), "112")
    rows = only["reply_markup"]["inline_keyboard"]
    assert [[button["text"] for button in row] for row in rows] == [[choice["title"]] for choice in CHOICES[:2]]
    assert all(re.fullmatch("[0-9a-f]{16}", button["callback_data"]) for row in rows for button in row)


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("€" * 80, 1), ("€" * 81, 2), ("ا" * 70, 1), ("ا" * 71, 2), ("😀" * 36, 2)],
)
def test_sms_parts_are_counted_as_networks_count_them(text: str, count: int) -> None:
    assert segments(text) == count


def test_typographic_characters_do_not_double_the_price_of_an_sms() -> None:
    assert sms_text("It’s “mild” – ¡Hola! García, 20 °C…") == 'It\'s "mild" - ¡Hola! Garcia, 20  degC...'
    assert sms_text("не отвечает 😀") == "не отвечает 😀"


@pytest.mark.parametrize("typed", ["2", " 2. ", "#2", "(2)", "2️⃣", "2)", "٢"])
def test_a_number_means_the_question_with_that_number(typed: str) -> None:
    assert chosen(typed, choices_of(CHOICES)) == CHOICES[1]["title"]


@pytest.mark.parametrize("typed", ["5", "0", "2 weeks", "20", "22", "is it 2", "", "no"])
def test_a_number_that_means_something_else_is_left_alone(typed: str) -> None:
    assert chosen(typed, choices_of(CHOICES)) is None


@pytest.mark.parametrize(
    "typed", ["Does it work for scars?", "does it work for scars", "dose it wrok for scras", "It and scars", "it & scarrs"]
)
def test_a_title_means_its_question_even_mistyped(typed: str) -> None:
    question = Choice("Does it work for scars?", "It and scars")
    expected = None if typed in {"dose it wrok for scras", "it & scarrs"} else question.question
    assert chosen(typed, [Choice("Is it safe?", "Safety"), question]) == expected


@pytest.mark.parametrize("typed", ["Does it work for hair?", "Does it work?", "I am in pain and cannot see", "Is it sore?"])
def test_a_message_that_only_resembles_a_title_is_understood_by_itself(typed: str) -> None:
    assert chosen(typed, [Choice("Does it work for scars?"), Choice("Is it safe?", "Safety")]) is None


def test_a_tapped_token_finds_its_question_and_an_unknown_one_nothing() -> None:
    choices = choices_of(CHOICES)
    assert tapped(choices[2].token, choices) == CHOICES[2]["title"]
    assert tapped("0" * 16, choices) is None
