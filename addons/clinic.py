"""The clinic's own settings (clinic.yml), checked before anyone is told them."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from addons.configuration import ConfigurationError, read_mapping

_DEFAULT_EMERGENCY_NUMBER = "112, 911 or 999"
_NUMBER = re.compile(r"[0-9+() ,or-]{3,40}")
_LINK = re.compile(r"https://\S+")


@dataclass(frozen=True)
class Clinic:
    """What a clinic may set; an empty string is "not set"."""

    name: str = ""
    country: str = ""
    emergency_number: str = _DEFAULT_EMERGENCY_NUMBER
    phone: str = ""
    booking_link: str = ""
    opening_hours: str = ""

    def placeholders(self) -> dict[str, str]:
        """The values responses may name in braces: `{emergency_number}` and one `{clinic_<field>}` for each other field."""
        return {
            field.name if field.name == "emergency_number" else f"clinic_{field.name}": getattr(self, field.name)
            for field in fields(self)
        }


def read_clinic(path: Path) -> Clinic:
    """Read and check clinic.yml.

    Raises:
        ConfigurationError: an unknown name, a value that is not text, or one that cannot be what it says.
    """
    known = {field.name for field in fields(Clinic)}
    values: dict[str, str] = {}
    for name, value in read_mapping(path).items():
        if name not in known:
            raise ConfigurationError(path, f"`{name}` is not a setting; there are: {', '.join(sorted(known))}.")
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise ConfigurationError(path, f'`{name}` must be text in quotes, such as {name}: "{value}".')
        if "{" in value or "}" in value:
            raise ConfigurationError(path, f"`{name}` must not contain braces.")
        values[name] = value.strip()
    clinic = Clinic(**values)
    for name in ("emergency_number", "phone"):
        if getattr(clinic, name) and not _NUMBER.fullmatch(getattr(clinic, name)):
            raise ConfigurationError(path, f'`{name}` must be a telephone number, such as "112".')
    if clinic.booking_link and not _LINK.fullmatch(clinic.booking_link):
        raise ConfigurationError(path, "`booking_link` must be an address that starts with https://.")
    return clinic
