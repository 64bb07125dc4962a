"""A file a person got wrong is answered with one line that says what to do."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from rasa.core.channels.console import STREAM_READING_TIMEOUT_ENV

from addons.channels.turns import TIME_LIMIT_SECONDS
from addons.clinic import Clinic, Reviewer, read_clinic
from addons.configuration import ROOT, ConfigurationError, check_variables, read_mapping, read_yaml


def write(folder: Path, text: str) -> Path:
    path = folder / "clinic.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_chat_in_the_terminal_waits_longer_than_a_turn_may_take() -> None:
    variables = dict(line.split("=", 1) for line in (ROOT / "quiet.env").read_text(encoding="utf-8").splitlines())
    assert int(variables[STREAM_READING_TIMEOUT_ENV]) > TIME_LIMIT_SECONDS


def test_broken_yaml_names_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"clinic\.yml, line 3: not valid YAML"):
        read_yaml(write(tmp_path, "name: 'x'\nphone: [1, 2\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yml: this file is missing"):
        read_yaml(tmp_path / "nowhere.yml")


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clinic.yml"
    path.write_bytes("name: Café".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_yaml(path)


def test_a_list_where_names_are_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`name: value`"):
        read_mapping(write(tmp_path, "- a\n"))


def test_an_unset_variable_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a: 1\ntoken: ${TELEGRAM_TOKEN}\n")
    with pytest.raises(ConfigurationError, match="line 2: the variable TELEGRAM_TOKEN is not set"):
        check_variables(path, {})
    check_variables(path, {"TELEGRAM_TOKEN": "x"})


def test_an_empty_clinic_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_clinic(write(tmp_path, "")) == Clinic()
    assert "112" in Clinic().emergency_number


def test_a_clinics_prices_are_read_with_their_range_and_concern(tmp_path: Path) -> None:
    clinic = read_clinic(
        write(
            tmp_path,
            "languages: [English, French]\n"
            "prices:\n- {what: Face, price: 1200, currency: EUR}\n"
            "- {what: Scalp, price: [150, 199.5], currency: EUR, concern: hair_loss}\n",
        )
    )
    assert clinic.placeholders()["clinic_languages"] == "English, French"
    assert [price.amount for price in clinic.prices] == ["1,200 EUR", "150\u2013199.5 EUR"]
    assert [price.what for price in clinic.prices_for("fat")] == ["Face"]
    assert len(clinic.prices_for(None)) == 2


def test_a_reviewer_is_read_with_credentials_and_day_with_or_without_quotes(tmp_path: Path) -> None:
    for day in ("2026-11-25", "'2026-11-25'"):
        text = f"reviewed_by:\n  name: A. Reviewer\n  credentials: MD, GMC 0000000\n  date: {day}\n"
        clinic = read_clinic(write(tmp_path, text))
        assert clinic.reviewed_by == Reviewer("A. Reviewer", "MD, GMC 0000000", date(2026, 11, 25))
    assert clinic.placeholders()["clinic_reviewed_by"] == "A. Reviewer, MD, GMC 0000000"
    assert clinic.placeholders()["clinic_reviewed_on"] == "25 November 2026"


def test_no_reviewer_is_named_as_shipped_or_when_the_lines_are_left_empty(tmp_path: Path) -> None:
    assert read_clinic(ROOT / "clinic.yml").reviewed_by is None
    assert read_clinic(write(tmp_path, "reviewed_by:\n")).reviewed_by is None


def test_a_review_cannot_lie_in_the_future(tmp_path: Path) -> None:
    text = f"reviewed_by: {{name: A, credentials: MD, date: {date.today() + timedelta(days=1)}}}\n"
    with pytest.raises(ConfigurationError, match="`reviewed_by: date` lies in the future; write the day the review was finished"):
        read_clinic(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("phnoe: '1'\n", "`phnoe` is not a setting"),
        ("phone: 5551234\n", "`phone` must be text in quotes"),
        ("phone: 'ask us'\n", "`phone` must be a telephone number"),
        ("booking_link: 'http://x.example'\n", "`booking_link` must be an address that starts with https"),
        ("name: 'The {best} clinic'\n", "`name` must not contain braces"),
        ("country: Narnia\n", "`country` is 'Narnia'; it must be one of: brazil, canada"),
        ("emergency_number: 'or or'\n", "`emergency_number` must name a number to call"),
        ("languages: English\n", "`languages` must be a list"),
        ("prices: {face: 100}\n", "`prices` must be a list"),
        ("prices: [{what: Face, price: 100}]\n", r"`prices\[1\]` needs `what`, `price` and `currency`"),
        ("prices: [{what: Face, price: cheap, currency: EUR}]\n", r"`prices\[1\]`: `price` must be a number"),
        ("prices: [{what: Face, price: [200, 100], currency: EUR}]\n", "the lower first"),
        ("prices: [{what: Face, price: 100, currency: euro}]\n", "three capital letters"),
        ("prices: [{what: Face, price: 100, currency: EUR, concern: wings}]\n", "must be one of: cellulite"),
        ("reviewed_by: A. Reviewer\n", "`reviewed_by` needs `name`, `credentials` and `date`"),
        ("reviewed_by: {name: A. Reviewer, date: 2026-11-25}\n", "or leave all three empty"),
        ("reviewed_by: {name: A, credentials: MD, date: 2026-11-25, fee: 5}\n", "`reviewed_by` needs"),
        ("reviewed_by: {name: 5, credentials: MD, date: 2026-11-25}\n", "`reviewed_by: name` must be text in quotes"),
        ("reviewed_by: {name: A, credentials: MD, date: last week}\n", "`reviewed_by: date` must be a day as year-month-day"),
    ],
)
def test_a_wrong_clinic_setting_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_clinic(write(tmp_path, text))
