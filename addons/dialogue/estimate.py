"""What a number of sessions may come to: sessions times a price, the clinic's own first, then what is published."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from addons.clinic import Price
from addons.configuration import ConfigurationError, read_yaml

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "couple of": 2, "dozen": 12,
}  # fmt: skip
_NUMBER = rf"(\d{{1,3}}|{'|'.join(_WORDS)})"
_RANGE = rf"{_NUMBER}(?:\s*(?:-|\u2013|to|or)\s*{_NUMBER})?"
_VISITS = r"(?:sessions?|sesh\w*|sessons?|visits?|treatments?|appointments?|appts?|rounds?|shots?|goes|times|injection sessions)"
# "2 weeks between sessions" counts weeks.
_SPAN = r"(?:weeks?|wks?|months?|days?|years?|hours?|hrs?|mins?|minutes?|more|different|other|out)\b"
_COUNTED = re.compile(rf"(?<![\w$\u20ac\u00a3.])x?{_RANGE}\s*x?\s*(?:(?!{_SPAN})\w+ ){{0,2}}?{_VISITS}\b", re.IGNORECASE)
_COURSE = re.compile(rf"\b(?:course|pack(?:age)?|set|series|block) of {_RANGE}\b", re.IGNORECASE)
_BARE = re.compile(rf"^(?:(?:and|n|nd|so|what about|how about|for|ok|say|with|if|its|x|about)\s+)*{_RANGE}\s*x?\b", re.IGNORECASE)
_TAKEN = re.compile(
    rf"\b(?:got|get|had|have|having|did|do|need|buy|bought|book|take|took|want)\s+(?:(?:about|around|like|only|just)\s+)?{_RANGE}"
    r"(?=\s*(?:$|[?!.,]|(?:of|for|on|in|then|what|how|would|is|altogether|total)\b))",
    re.IGNORECASE,
)
_UNITS = re.compile(
    r"^\s*(?:%|years?|yrs?|yo\b|weeks?|months?|days?|hours?|mins?|minutes?|ml|mg|cc|kg|lbs?|euros?|dollars?|usd|eur)", re.I
)
# One session is what the cost answer tells anyway; more than these is no course of treatment but a slip or a joke.
FEWEST_SESSIONS, MOST_SESSIONS = 2, 60


@dataclass(frozen=True)
class Line:
    """One sum: `price` for one session, `total` for all, both with their currency, and the price's `what`."""

    what: str
    price: Price
    fewest: int
    most: int

    @property
    def total(self) -> str:
        """The price of all sessions, such as "900-1,200 EUR"."""
        return Price(self.what, self.price.low * self.fewest, self.price.high * self.most, self.price.currency).amount

    @property
    def sessions(self) -> str:
        """The number of sessions as it is written, "6" or "6 to 8"."""
        return str(self.fewest) if self.fewest == self.most else f"{self.fewest} to {self.most}"


def sessions_named(text: str, bare: bool = False) -> tuple[int, int] | None:
    """The number of sessions a message names: (fewest, most), equal for a single number.

    Args:
        text: the message.
        bare: whether a number without "sessions" counts too ("and for 8?", "if I had 8"), as it does right after a price.
    """
    found = _COURSE.search(text) or _COUNTED.search(text)
    if not found and bare:
        found = _BARE.match(text)
        if found and _UNITS.match(text[found.end() :]):
            return None
        found = found or _TAKEN.search(text)
    if not found:
        return None
    numbers = [_WORDS.get(number.lower()) or int(number) for number in found.groups() if number]
    fewest, most = min(numbers), max(numbers)
    return (fewest, most) if fewest >= FEWEST_SESSIONS and most <= MOST_SESSIONS else None


def estimate(sessions: tuple[int, int], prices: Sequence[Price]) -> list[Line]:
    """The sums for a number of sessions, one for each price.

    Args:
        sessions: fewest and most.
        prices: what one session costs, in the order to say them.
    """
    return [Line(price.what, price, *sessions) for price in prices]


@dataclass(frozen=True)
class Published:
    """A published price, and which concerns it is told for: all but `not_for`, or `only_for` where that is set."""

    price: Price
    not_for: tuple[str, ...] = ()
    only_for: tuple[str, ...] = ()

    def fits(self, concern: str | None) -> bool:
        """Whether it is told for a concern (None: none was named)."""
        return concern not in self.not_for and (not self.only_for or concern in self.only_for)


def read_published(path: Path) -> list[Published]:
    """Read the published prices of one session.

    Args:
        path: data/published_prices.yml.

    Raises:
        ConfigurationError: an entry lacks something.
    """
    try:
        return [
            Published(
                Price(entry["what"], float(entry["low"]), float(entry["high"]), entry["currency"]),
                tuple(entry.get("not_for") or ()),
                tuple(entry.get("only_for") or ()),
            )
            for entry in read_yaml(path)
        ]
    except (KeyError, TypeError, ValueError) as problem:
        raise ConfigurationError(path, f"each price needs what, low, high and currency ({problem}).") from None
