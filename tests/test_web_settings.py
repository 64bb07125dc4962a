"""The website's settings: none are needed, and a wrong one is met with a sentence that helps."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from addons.channels.turns import technical_texts
from addons.channels.web import pages
from addons.channels.web.pages import file_headers, read_files
from addons.channels.web.refusal import STATUS, Refused
from addons.channels.web.sessions import Sessions
from addons.channels.web.settings import contrast, read_settings
from addons.channels.web.visitors import Allowance
from addons.clinic import Clinic
from addons.configuration import ConfigurationError

SHORT = "too short"


def with_website(folder: Path, lines: str) -> dict[str, Any]:
    """A channel's block that names a clinic.yml with these lines under `website:`."""
    path = folder / "clinic.yml"
    indented = "".join(f"  {line}\n" for line in lines.splitlines())
    path.write_text(f'emergency_number: "999"\nwebsite:\n{indented}', encoding="utf-8")
    return {"clinic": str(path)}


def test_the_book_of_answers_is_served_when_it_was_written_with_only_its_own_script_and_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tmp_path / "answers.html"
    monkeypatch.setattr(pages, "ANSWER_BOOK", book)
    assert b"make answers" in read_files()["answers.html"].content
    book.write_text("<style>b{}</style><script>1</script>", encoding="utf-8")
    served = read_files()["answers.html"]
    assert served.content == book.read_bytes()
    policy = file_headers("answers.html", served, read_settings(None))["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(b"1").digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_no_setting_is_needed() -> None:
    settings = read_settings(None)
    assert settings.origins == ()
    assert settings.website.title
    assert settings.website.consent
    assert len(settings.website.starters) == 4


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ({"origin": ["https://clinic.example"]}, "`origin` is not a setting; there are: address"),
        ({"address": "bot.example"}, "`address` must be the server's address without a path"),
        ({"address": "https://bot.example/chat"}, "`address` must be"),
        ({"origins": "https://clinic.example"}, "`origins` must be a list"),
        ({"origins": ["clinic.example"]}, "`origins` has 'clinic.example'"),
        ({"origins": ["*"]}, "`origins` has '*'"),
        ({"origins": ["https://clinic.example/"]}, "`origins` has"),
        ({"origins": ["https://me@clinic.example"]}, "`origins` has"),
        ({"origins": [5]}, "`origins` has 5"),
        ({"trusted_proxies": ["proxy"]}, "`trusted_proxies` has 'proxy'"),
        ({"trusted_proxies": "10.0.0.1"}, "`trusted_proxies` must be a list"),
        ({"session_hours": 0}, "`session_hours` must be a number of hours"),
        ({"session_hours": "a day"}, "`session_hours` must be"),
        ({"limits": 5}, "`limits` must hold"),
        ({"limits": {"messages": 5}}, "`limits: messages` is not a setting"),
        ({"limits": {"turns": 0}}, "`limits: turns` must be a whole number above 0"),
        ({"limits": {"turns": True}}, "`limits: turns` must be"),
    ],
    ids=str,
)
def test_a_wrong_setting_of_the_operator_is_named_with_its_file(credentials: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=r"credentials\.yml: web channel: ") as raised:
        read_settings(credentials)
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("titel: x", "`website: titel` is not a setting; there are: "),
        ("title: 5", "`website: title` must be text"),
        ("position: left", "`website: position` must be one of: bottom-right, bottom-left"),
        ("locale: English", "`website: locale` must be a language tag"),
        ("primary: blue", "`website: primary` must be a colour"),
        ('primary: "#808080"\non_primary: "#ffffff"', "`website: on_primary` cannot be read on `primary`"),
        ("consent: true", "`website: consent` must be the text to agree to"),
        ("starters: [prices]", "`website: starters` has 'prices', which is no topic; there are: aftercare"),
        ("starters: [cost, pain, diy, uses, recovery]", "`website: starters` must be a list of at most four"),
        ("privacy_link: http://clinic.example", "`website: privacy_link` must be an address that starts with https://"),
        ("answers_link: 'javascript:alert(1)'", "`website: answers_link` must be"),
    ],
    ids=str,
)
def test_a_wrong_setting_of_the_clinic_is_named_with_its_file(tmp_path: Path, lines: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=r"clinic\.yml") as raised:
        read_settings(with_website(tmp_path, lines))
    assert named in str(raised.value)


def test_website_must_hold_settings(tmp_path: Path) -> None:
    (tmp_path / "clinic.yml").write_text("website: blue\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="`website` must hold"):
        read_settings({"clinic": str(tmp_path / "clinic.yml")})


def test_the_clinics_settings_reach_the_widget(tmp_path: Path) -> None:
    lines = 'title: "Ask us"\nprimary: "#ffd400"\nposition: bottom-left\nconsent: false\nstarters: [pain]\nlocale: en-GB'
    website = read_settings(with_website(tmp_path, lines)).website
    assert (website.title, website.position, website.consent, website.locale) == ("Ask us", "bottom-left", None, "en-GB")
    assert (website.primary, website.on_primary) == ("#ffd400", "#000000")
    assert website.starters == ["Does it hurt?"]
    assert "999" in website.welcome


def test_before_the_first_message_a_visitor_is_told_whether_a_clinician_reviewed_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "clinic.yml"
    path.write_text("reviewed_by: {name: A. Reviewer, credentials: MD, date: 2026-11-25}\n", encoding="utf-8")
    by_default, named = read_settings(None).website.consent, read_settings({"clinic": str(path)}).website.consent
    assert by_default
    assert named
    assert by_default["text"].endswith("No clinician has reviewed them for this clinic yet.")
    assert named["text"].endswith("A. Reviewer, MD, reviewed them for this clinic on 25 November 2026.")


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#123456", "#123456") == pytest.approx(1)


def test_a_public_server_needs_a_key_and_says_how_to_make_one() -> None:
    public, private = read_settings({"address": "https://bot.example"}), read_settings(None)
    with pytest.raises(ConfigurationError, match=r"WEB_SESSION_KEY.*openssl rand -hex 32"):
        Sessions(public, {})
    for settings in (public, private):
        with pytest.raises(ConfigurationError, match="fewer than 32 characters"):
            Sessions(settings, {"WEB_SESSION_KEY": SHORT})


def test_without_a_key_a_token_is_good_only_until_the_server_stops(caplog: pytest.LogCaptureFixture) -> None:
    token, session = Sessions(read_settings(None), {}).mint()
    assert "WEB_SESSION_KEY is not set" in caplog.text
    with pytest.raises(Refused, match="bad_token"):
        Sessions(read_settings(None), {}).read(token)
    assert token not in caplog.text
    assert session.conversation not in caplog.text


def test_every_refusal_has_words_that_name_the_emergency_number_where_somebody_may_be_waiting() -> None:
    words = technical_texts(Clinic(emergency_number="112"))
    assert set(STATUS) | {"apology", "text_only", "choose"} == set(words)
    assert [code for code in STATUS if "112" not in words[code]] == ["foreign_origin", "not_found"]


def test_an_allowance_fills_again_with_time_and_forgets_who_stayed_away() -> None:
    clock = [0.0]
    allowance = Allowance(6, lambda: clock[0])
    for _ in range(6):
        allowance.take("a")
    with pytest.raises(Refused) as refused:
        allowance.take("a")
    assert refused.value.retry_after == 10
    allowance.take("b")
    clock[0] = 10.0
    allowance.take("a")
    with pytest.raises(Refused):
        allowance.take("a")
    for number in range(10_000):
        allowance.take(str(number))
    clock[0] = 100.0
    allowance.take("a")
    assert len(allowance._buckets) == 1


def test_a_file_no_page_needs_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "panel.js").write_text("", encoding="utf-8")
    (tmp_path / "notes.py").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="move what no page needs"):
        read_files((tmp_path,))
