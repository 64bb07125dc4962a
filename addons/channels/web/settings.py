"""The website's settings: what the operator sets in credentials.yml, what the clinic sets under `website:` in clinic.yml."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from addons.clinic import Clinic, read_clinic
from addons.configuration import ROOT, ConfigurationError, read_mapping

CREDENTIALS = ROOT / "credentials.yml"
WORDING = ROOT / "data" / "channels" / "website.yml"
TOPICS = ROOT / "data" / "topics"
POSITIONS = ("bottom-right", "bottom-left")
STARTERS = ("effectiveness", "serious_risks", "cost", "candidacy")
# WCAG 2.2, 1.4.3: text needs at least this much against what is behind it.
CONTRAST = 4.5
_PREFIX = "utter_website_"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Limits:
    """How much is taken from one visitor, and from all. "A minute" means: that many at once, and that many again each minute.

    Attributes:
        messages_per_minute: of one conversation, feedback and erasing included.
        messages_per_minute_per_address: of one network address; a whole hospital may share one.
        sessions_per_minute_per_address: new conversations.
        requests_per_minute_per_address: everything but messages: history, settings, connects.
        turns: messages answered or waiting at one moment; above that the answer is "busy".
        sockets: open connections in all.
        sockets_per_address: open connections of one address.
    """

    messages_per_minute: int = 20
    messages_per_minute_per_address: int = 120
    sessions_per_minute_per_address: int = 30
    requests_per_minute_per_address: int = 300
    turns: int = 50
    sockets: int = 2000
    sockets_per_address: int = 100


@dataclass(frozen=True)
class Website:
    """How the widget looks and what it says by itself, as `GET config.json` gives it."""

    title: str
    subtitle: str
    welcome: str
    position: str
    locale: str
    primary: str
    on_primary: str
    consent: dict[str, str] | None
    starters: list[str]
    privacy_link: str | None
    answers_link: str | None


@dataclass(frozen=True)
class Settings:
    """Everything the channel needs to know.

    Attributes:
        address: where browsers find this server, such as `https://bot.example`; empty on one's own machine.
        origins: the websites that may embed the widget or talk to the chat, besides this server's own pages.
        trusted_proxies: the proxies whose `X-Forwarded-For` is believed.
        session_hours: how long a session token is valid.
    """

    address: str
    origins: tuple[str, ...]
    trusted_proxies: tuple[Network, ...]
    session_hours: float
    limits: Limits
    website: Website
    clinic: Clinic


def read_settings(credentials: Mapping[str, Any] | None) -> Settings:
    """Check the channel's block of credentials.yml and the clinic's settings.

    Args:
        credentials: the block, None when it is empty: then everything works on this machine, without a secret.

    Raises:
        ConfigurationError: a setting is unknown or cannot be what it says; the message names it and says what to do.
    """
    given = dict(credentials or {})
    _check_known("", given, {"address", "origins", "trusted_proxies", "session_hours", "limits", "clinic"}, CREDENTIALS)
    clinic_path = ROOT / str(given.get("clinic") or "clinic.yml")
    clinic = read_clinic(clinic_path)
    address = str(given.get("address") or "")
    if address and origin_of(address) != address:
        raise _wrong(CREDENTIALS, "address", "must be the server's address without a path, such as https://bot.example")
    hours = given.get("session_hours", 24)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 30:
        raise _wrong(CREDENTIALS, "session_hours", "must be a number of hours between 0 and 720, such as 24")
    return Settings(
        address=address,
        origins=_origins(given.get("origins")),
        trusted_proxies=_networks(given.get("trusted_proxies")),
        session_hours=float(hours),
        limits=_limits(given.get("limits")),
        website=_website(clinic, clinic_path),
        clinic=clinic,
    )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2.2 defines it, 1 to 21.

    Args:
        one: `#rrggbb`.
        other: `#rrggbb`.
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _wrong(path: Path, name: str, problem: str) -> ConfigurationError:
    where = f"web channel: `{name}`" if path == CREDENTIALS else f"`website: {name}`"
    return ConfigurationError(path, f"{where} {problem}.")


def _check_known(name: str, given: Mapping[str, Any], known: set[str], path: Path) -> None:
    for unknown in given.keys() - known:
        raise _wrong(path, f"{name}{unknown}", f"is not a setting; there are: {', '.join(sorted(known))}")


def origin_of(text: str) -> str:
    """The origin in an address as a browser sends it; empty when it is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return ""
    default = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")


def _origins(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(CREDENTIALS, "origins", "must be a list of websites, such as [https://clinic.example]")
    for origin in value:
        if not isinstance(origin, str) or origin_of(origin) != origin:
            raise _wrong(
                CREDENTIALS, "origins", f"has {origin!r}; each must be an address without a path, such as https://clinic.example"
            )
    return tuple(value)


def _networks(value: object) -> tuple[Network, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(CREDENTIALS, "trusted_proxies", "must be a list of addresses or networks, such as [10.0.0.0/24]")
    networks = []
    for network in value:
        try:
            networks.append(ip_network(str(network)))
        except ValueError:
            problem = f"has {network!r}; each must be an address or a network, such as 10.0.0.0/24"
            raise _wrong(CREDENTIALS, "trusted_proxies", problem) from None
    return tuple(networks)


def _limits(value: object) -> Limits:
    if value is None:
        return Limits()
    known = {limit.name for limit in fields(Limits)}
    if not isinstance(value, dict):
        raise _wrong(CREDENTIALS, "limits", f"must hold `name: number` lines, with the names {', '.join(sorted(known))}")
    _check_known("limits: ", value, known, CREDENTIALS)
    for name, number in value.items():
        if type(number) is not int or number < 1:
            raise _wrong(CREDENTIALS, f"limits: {name}", "must be a whole number above 0")
    return Limits(**value)


def _website(clinic: Clinic, path: Path) -> Website:
    given = dict(clinic.website)
    known = {setting.name for setting in fields(Website)}
    _check_known("", given, known, path)
    placeholders = clinic.placeholders()
    wording = {
        name.removeprefix(_PREFIX): str(drafts[0]["text"]).format_map(placeholders)
        for name, drafts in read_mapping(WORDING)["responses"].items()
    }

    def text(name: str, default: str) -> str:
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise _wrong(path, name, "must be text in quotes")
        return str(value or default).strip()

    position, locale, primary = text("position", POSITIONS[0]), text("locale", "en"), text("primary", "#0b5c6b")
    if position not in POSITIONS:
        raise _wrong(path, "position", f"must be one of: {', '.join(POSITIONS)}")
    if not _LOCALE.fullmatch(locale):
        raise _wrong(path, "locale", "must be a language tag, such as en or en-GB")
    on_primary = text("on_primary", "#ffffff")
    for name, colour in (("primary", primary), ("on_primary", on_primary)):
        if not _COLOUR.fullmatch(colour):
            raise _wrong(path, name, 'must be a colour in quotes, such as "#0b5c6b"')
    if "on_primary" not in given:
        on_primary = max(("#ffffff", "#000000"), key=lambda colour: contrast(colour, primary))
    if contrast(primary, on_primary) < CONTRAST:
        raise _wrong(path, "on_primary", f"cannot be read on `primary`: the contrast must be at least {CONTRAST}; leave it out")
    return Website(
        title=text("title", wording["title"]),
        subtitle=text("subtitle", wording["subtitle"]),
        welcome=text("welcome", wording["welcome"]),
        position=position,
        locale=locale,
        primary=primary,
        on_primary=on_primary,
        consent=_consent(given.get("consent"), wording, clinic, path),
        starters=_starters(given.get("starters"), path),
        privacy_link=_link("privacy_link", given.get("privacy_link"), path),
        answers_link=_link("answers_link", given.get("answers_link"), path),
    )


def _consent(value: object, wording: dict[str, str], clinic: Clinic, path: Path) -> dict[str, str] | None:
    if value is False:
        return None
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise _wrong(path, "consent", "must be the text to agree to, in quotes, or false for none")
    default = f"{wording['consent']} {wording['reviewed' if clinic.reviewed_by else 'not_reviewed']}"
    return {"text": str(value or default).strip(), "accept": wording["accept"]}


def _starters(value: object, path: Path) -> list[str]:
    """The questions offered before the first message: titles of topics, so that each has an answer."""
    topics = value if value is not None else list(STARTERS)
    if not isinstance(topics, list) or len(topics) > len(STARTERS):
        raise _wrong(path, "starters", "must be a list of at most four topics, such as [cost, pain]")
    titles = []
    for topic in topics:
        if topic not in _topics():
            raise _wrong(path, "starters", f"has {topic!r}, which is no topic; there are: {', '.join(_topics())}")
        titles.append(_title(topic))
    return titles


@functools.cache
def _title(topic: str) -> str:
    return str(read_mapping(TOPICS / f"{topic}.yml")["responses"][f"utter_faq_{topic}"][0]["metadata"]["title"])


def _topics() -> list[str]:
    return sorted(file.stem for file in TOPICS.glob("*.yml"))


def _link(name: str, value: object, path: Path) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"https://[^\s\"<>]+", value):
        raise _wrong(path, name, "must be an address that starts with https://")
    return str(value)
