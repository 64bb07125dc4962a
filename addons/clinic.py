"""The clinic's own settings (clinic.yml), checked before anyone is told them."""

import re
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from addons.configuration import ROOT, ConfigurationError, read_mapping
from addons.sentences import day_in_words

_DEFAULT_EMERGENCY_NUMBER = "112, 911 or 999"
_NUMBER = re.compile(r"[0-9+() ,or-]{3,40}")
_CALLABLE = re.compile(r"\+?\d[\d ()-]*\d")
_LINK = re.compile(r"https://\S+")
_CURRENCY = re.compile(r"[A-Z]{3}")
_COUNTRIES = ROOT / "data" / "vocabulary" / "country.yml"
_CONCERNS = ROOT / "data" / "vocabulary" / "concern.yml"
# Values of the vocabulary that name no country or concern of their own.
_NO_VALUE = {"look_alike", "other"}


@dataclass(frozen=True)
class Price:
    """What one session costs at the clinic.

    Attributes:
        what: the treatment as the clinic calls it.
        low: the lowest price of one session, in `currency`.
        high: the highest; the same as `low` for a fixed price.
        currency: three capital letters of ISO 4217.
        concern: the concern it is for; empty when it is for any.
    """

    what: str
    low: float
    high: float
    currency: str
    concern: str = ""

    @property
    def amount(self) -> str:
        """The price or range, such as "150 EUR" or "150-200 EUR"."""
        span = f"{self.low:,g}" if self.low == self.high else f"{self.low:,g}\u2013{self.high:,g}"
        return f"{span} {self.currency}"


@dataclass(frozen=True)
class Reviewer:
    """The clinician who reviewed the answers for the clinic.

    Attributes:
        name: as the clinician signs.
        credentials: profession and registration, such as a clinician's name is followed by.
        date: the day the review was finished.
    """

    name: str
    credentials: str
    date: date


@dataclass(frozen=True)
class Clinic:
    """What a clinic may set; an empty string or tuple is "not set"."""

    name: str = ""
    country: str = ""
    emergency_number: str = _DEFAULT_EMERGENCY_NUMBER
    phone: str = ""
    booking_link: str = ""
    opening_hours: str = ""
    languages: tuple[str, ...] = ()
    prices: tuple[Price, ...] = field(default=())
    reviewed_by: Reviewer | None = None
    # Checked by the website's channel, whose settings they are.
    website: dict[str, Any] = field(default_factory=dict)

    def placeholders(self) -> dict[str, str]:
        """The values responses may name in braces: `{emergency_number}` and one `{clinic_<field>}` for each other setting."""
        reviewer = self.reviewed_by
        values = {name: getattr(self, name) for name in _texts()} | {
            "languages": ", ".join(self.languages),
            "reviewed_by": f"{reviewer.name}, {reviewer.credentials}" if reviewer else "",
            "reviewed_on": day_in_words(reviewer.date) if reviewer else "",
        }
        return {name if name == "emergency_number" else f"clinic_{name}": value for name, value in values.items()}

    def calls(self) -> list[str]:
        """The numbers to call in an emergency, each fit for a `tel:` link."""
        return [re.sub(r"[^\d+]", "", number) for number in _CALLABLE.findall(self.emergency_number)]

    def prices_for(self, concern: str | None) -> list[Price]:
        """The clinic's prices for a concern and those for any; all of them when no concern is named.

        Args:
            concern: a value of the `concern` vocabulary, or None.
        """
        return [price for price in self.prices if concern is None or price.concern in ("", concern)]


def read_clinic(path: Path) -> Clinic:
    """Read and check clinic.yml.

    Raises:
        ConfigurationError: an unknown name, a value of the wrong kind, or one that cannot be what it says.
    """
    known = {setting.name for setting in fields(Clinic)}
    values: dict[str, Any] = {}
    for name, value in read_mapping(path).items():
        if name not in known:
            raise ConfigurationError(path, f"`{name}` is not a setting; there are: {', '.join(sorted(known))}.")
        if value is None or value == "":
            continue
        if name == "languages":
            values[name] = _languages(path, value)
        elif name == "prices":
            values[name] = _prices(path, value)
        elif name == "reviewed_by":
            values[name] = _reviewer(path, value)
        elif name == "website":
            if not isinstance(value, dict):
                raise ConfigurationError(path, "`website` must hold indented `name: value` lines.")
            values[name] = value
        else:
            values[name] = _text(path, name, value)
    clinic = Clinic(**values)
    for name in ("emergency_number", "phone"):
        if getattr(clinic, name) and not _NUMBER.fullmatch(getattr(clinic, name)):
            raise ConfigurationError(path, f'`{name}` must be a telephone number, such as "112".')
    if not clinic.calls():
        raise ConfigurationError(path, '`emergency_number` must name a number to call, such as "112".')
    if clinic.booking_link and not _LINK.fullmatch(clinic.booking_link):
        raise ConfigurationError(path, "`booking_link` must be an address that starts with https://.")
    if clinic.country:
        _check_listed(path, "country", clinic.country, _COUNTRIES)
    return clinic


def _texts() -> list[str]:
    return [setting.name for setting in fields(Clinic) if setting.type is str]


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(path, f'`{name}` must be text in quotes, such as {name}: "{value}".')
    if "{" in value or "}" in value:
        raise ConfigurationError(path, f"`{name}` must not contain braces.")
    return value.strip()


def _check_listed(path: Path, name: str, value: str, vocabulary: Path) -> None:
    listed = read_mapping(vocabulary).keys() - _NO_VALUE
    if value not in listed:
        raise ConfigurationError(path, f"`{name}` is {value!r}; it must be one of: {', '.join(sorted(listed))}.")


def _languages(path: Path, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(path, "`languages` must be a list, such as [English, French].")
    return tuple(_text(path, "languages", language) for language in value)


def _prices(path: Path, value: object) -> tuple[Price, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(path, "`prices` must be a list with `- what: ...` for each treatment.")
    return tuple(_price(path, f"prices[{number}]", entry) for number, entry in enumerate(value, 1))


def _price(path: Path, name: str, entry: object) -> Price:
    wanted = {"what", "price", "currency"}
    if not isinstance(entry, dict) or not wanted <= set(entry) <= wanted | {"concern"}:
        raise ConfigurationError(path, f"`{name}` needs `what`, `price` and `currency`, and may have `concern`; nothing else.")
    amounts = entry["price"] if isinstance(entry["price"], list) else [entry["price"]]
    numbers = [float(amount) for amount in amounts if type(amount) in (int, float) and 0 < amount < 1_000_000]
    if len(numbers) != len(amounts) or len(numbers) not in (1, 2) or numbers != sorted(numbers):
        raise ConfigurationError(path, f"`{name}`: `price` must be a number, or two in square brackets, the lower first.")
    if not isinstance(entry["currency"], str) or not _CURRENCY.fullmatch(entry["currency"]):
        raise ConfigurationError(path, f"`{name}`: `currency` must be three capital letters, such as EUR.")
    concern = _text(path, f"{name}: concern", entry.get("concern") or "")
    if concern:
        _check_listed(path, f"{name}: concern", concern, _CONCERNS)
    return Price(_text(path, f"{name}: what", entry["what"]), numbers[0], numbers[-1], entry["currency"], concern)


def _reviewer(path: Path, value: object) -> Reviewer | None:
    wanted = {"name", "credentials", "date"}
    given = {name: entry for name, entry in value.items() if entry not in (None, "")} if isinstance(value, dict) else None
    if given == {}:
        return None
    if given is None or given.keys() != wanted:
        raise ConfigurationError(
            path, "`reviewed_by` needs `name`, `credentials` and `date`, each on a line of its own; or leave all three empty."
        )
    return Reviewer(
        _text(path, "reviewed_by: name", given["name"]),
        _text(path, "reviewed_by: credentials", given["credentials"]),
        _past_day(path, "reviewed_by: date", given["date"]),
    )


def _past_day(path: Path, name: str, value: object) -> date:
    # YAML reads a date without quotes as a date.
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise ConfigurationError(path, f"`{name}` must be a day as year-month-day, such as 2026-11-25.") from None
    if day > date.today():
        raise ConfigurationError(path, f"`{name}` lies in the future; write the day the review was finished.")
    return day
