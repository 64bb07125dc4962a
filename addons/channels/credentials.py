"""Reads a channel's block of the credentials file, and refuses to start without real secrets."""

import base64
import hashlib
import hmac
import re
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rasa.shared.exceptions import RasaException

from addons.configuration import ROOT, ConfigurationError

_UNSET = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_PLACEHOLDER = re.compile(
    r"<.*>|\W*|(your|my|some|the)[-_ ].*|.*(change[-_ ]?me|placeholder).*|example|dummy|todo|secret|token|password"
    r"|(?P<one>.)(?P=one)*",
    re.IGNORECASE,
)
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
SHORTEST_KEY = 32


class CredentialsError(ConfigurationError, RasaException):
    """A channel cannot start with what its block says. Rasa shows this kind of error as one line, without a traceback."""


class Block:
    """One channel's settings, checked as they are read."""

    def __init__(self, channel: str, values: Mapping[str, Any] | None, variables: Mapping[str, str]) -> None:
        """Wrap a block.

        Args:
            channel: the block's name in the file, for messages.
            values: what the file says under it.
            variables: for each setting the environment variable that credentials.production.yml takes it from.
        """
        self._channel = channel
        self._values = values or {}
        self._variables = variables

    def has(self, *names: str) -> bool:
        """Whether any of these settings is given at all."""
        return any(self._values.get(name) for name in names)

    def text(self, name: str, pattern: str = r"\S+", shape: str = "") -> str:
        """A setting that must be there.

        Args:
            name: the setting.
            pattern: what it must look like, whole.
            shape: that pattern in words, for the message.

        Raises:
            CredentialsError: it is missing, a placeholder, or does not look like what it should be.
        """
        value = str(self._values.get(name) or "").strip()
        unset = _UNSET.fullmatch(value)
        variable = next(filter(None, unset.groups()), "") if unset else self._variables.get(name, "")
        way_out = f"set the variable {variable} and start again." if variable else "give it a value and start again."
        if not value or unset:
            raise self._error(name, f"is not set; {way_out}")
        if _PLACEHOLDER.fullmatch(value):
            raise self._error(name, f"is a placeholder, not a real value; {way_out}")
        if not re.fullmatch(pattern, value):
            raise self._error(name, f"must be {shape}; {way_out}")
        return value

    def secret(self, name: str) -> str:
        """A secret of at least eight characters without spaces.

        Raises:
            CredentialsError: as `text`.
        """
        return self.text(name, r"\S{8,}", "at least 8 characters without spaces")

    def conversation_key(self) -> bytes:
        """The key that turns phone numbers and account ids into conversation ids.

        Raises:
            CredentialsError: as `text`, or it is short enough to be guessed.
        """
        name = "conversation_key"
        return self.text(name, rf"\S{{{SHORTEST_KEY},}}", f"at least {SHORTEST_KEY} random characters").encode()

    def address(self, name: str, default: str) -> str:
        """The address of an API, without a slash at its end.

        Raises:
            CredentialsError: it is not HTTPS, and not on this machine either.
        """
        value = self.text(name) if self.has(name) else default
        parts = urlsplit(value)
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)) or not parts.hostname:
            raise self._error(name, "must start with https:// (http:// only on this machine).")
        return value.rstrip("/")

    def within(self, name: str, variables: Mapping[str, str]) -> "Block":
        """The settings one level down; empty when the file has none.

        Args:
            name: the setting that holds them.
            variables: as for this block.
        """
        values = self._values.get(name)
        return Block(f"{self._channel}: {name}", values if isinstance(values, dict) else {}, variables)

    def _error(self, name: str, problem: str) -> CredentialsError:
        return CredentialsError(credentials_file(), f"`{name}` of the block `{self._channel}` {problem}")


def credentials_file() -> Path:
    """The file the server was told to read (`--credentials`), for messages."""
    arguments = sys.argv[1:]
    told = [value for option, value in pairwise(arguments) if option == "--credentials"]
    return ROOT / (told[-1] if told else "credentials.yml")


def pseudonym(prefix: str, address: str, key: bytes) -> str:
    """The conversation id of a person: the same for the same address, and without the key nobody can tell which.

    Args:
        prefix: the platform, so that no two platforms share a conversation.
        address: phone number or account id on the platform.
        key: the secret.
    """
    digest = hmac.new(key, f"{prefix}:{address}".encode(), hashlib.sha256).digest()[:16]
    return f"{prefix}:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
