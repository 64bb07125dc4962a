"""Session tokens: who holds one owns the conversation in it, and nobody can name another's."""

import logging
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from addons.channels.web.refusal import Refused
from addons.channels.web.settings import CREDENTIALS, Settings
from addons.configuration import ConfigurationError

KEY_VARIABLE = "WEB_SESSION_KEY"
_ALGORITHM = "HS256"
_SHORTEST_KEY = 32
_LONGEST_TOKEN = 1024
_CONVERSATION = re.compile(r"web:[0-9a-f]{32}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """What a valid token says.

    Attributes:
        conversation: the sender id, `web:` and 128 random bits.
        expires: unix seconds.
    """

    conversation: str
    expires: int


class Sessions:
    """Mints and reads the tokens."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        """Find the key: `WEB_SESSION_KEY`, or a random one on one's own machine.

        Args:
            settings: the address is the tokens' audience, so that a token of another server with the same key is none here.
            environment: where the variable is looked up. Several keys may be given, with commas between: the first signs,
                all are believed, so that a key can be replaced without ending anybody's chat.

        Raises:
            ConfigurationError: the variable is unset although `address` is set, or a key is too short.
        """
        keys = [key.strip() for key in environment.get(KEY_VARIABLE, "").split(",") if key.strip()]
        if any(len(key) < _SHORTEST_KEY for key in keys):
            raise ConfigurationError(
                CREDENTIALS,
                f"web channel: a key in {KEY_VARIABLE} has fewer than {_SHORTEST_KEY} characters; "
                f"make one with `openssl rand -hex 32`.",
            )
        if not keys and settings.address:
            raise ConfigurationError(
                CREDENTIALS,
                f"web channel: `address` is set, so the variable {KEY_VARIABLE} must be too; "
                f"set it (`export {KEY_VARIABLE}=$(openssl rand -hex 32)`) and start again.",
            )
        if not keys:
            logger.warning("%s is not set, so chats on the website end when this server stops.", KEY_VARIABLE)
        self._keys = keys or [secrets.token_hex(32)]
        self._audience = f"web {settings.address or 'this machine'}"
        self._seconds = round(settings.session_hours * 3600)

    def mint(self, conversation: str | None = None) -> tuple[str, Session]:
        """A token for a conversation.

        Args:
            conversation: the conversation to go on with; a new one when left out.
        """
        session = Session(conversation or f"web:{secrets.token_hex(16)}", int(time.time()) + self._seconds)
        claims = {"sub": session.conversation, "aud": self._audience, "exp": session.expires}
        return jwt.encode(claims, self._keys[0], algorithm=_ALGORITHM), session

    def read(self, token: object) -> Session:
        """Check a token.

        Raises:
            Refused: `no_token`, `expired`, or `bad_token` for one this server never made.
        """
        if token is None or token == "":
            raise Refused("no_token")
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
            raise Refused("bad_token")
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token, key, algorithms=[_ALGORITHM], audience=self._audience, options={"require": ["sub", "aud", "exp"]}
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise Refused("expired") from None
            except (jwt.InvalidTokenError, UnicodeError):
                raise Refused("bad_token") from None
            if not _CONVERSATION.fullmatch(claims["sub"]):
                raise Refused("bad_token")
            return Session(claims["sub"], claims["exp"])
        raise Refused("bad_token")


def check_not_expired(session: Session) -> None:
    """Check a session that was valid once, such as that of an open socket.

    Raises:
        Refused: `expired`.
    """
    if time.time() >= session.expires:
        raise Refused("expired")
