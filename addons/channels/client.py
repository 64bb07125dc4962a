"""Sends to a platform's HTTP interface: with time limits, and again where the platform says to.

aiohttp, because Rasa brings it. The platforms' own libraries were weighed: aiogram 2 wants another aiohttp than Rasa does,
python-telegram-bot's HTTP client logs addresses that hold the token, Twilio's client sends nothing again after a 429, and Meta
has none for Python that does not block. Four kinds of request do not carry a library each.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from typing import Any

import aiohttp

# What one attempt may take in all, so that an answer that drips in cannot hold a person's queue.
TIME_LIMIT_SECONDS = 10.0
ATTEMPTS = 4
# Before the second attempt; twice as long before each further one.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0

logger = logging.getLogger(__name__)


class SendingFailed(Exception):
    """The platform did not take a request. The message names status and error code, and nothing of what was sent."""


class PlatformClient:
    """Requests to one platform with one account."""

    def __init__(
        self,
        platform: str,
        api_base: str,
        headers: Mapping[str, str] | None = None,
        busy_codes: Collection[int] = (),
    ) -> None:
        """Prepare; the connection is made with the first request, on the server's own event loop.

        Args:
            platform: its name, for messages.
            api_base: the address every path is joined to.
            headers: sent with every request.
            busy_codes: the platform's own error codes that mean "later", whatever the HTTP status.
        """
        self._platform = platform
        self._api_base = api_base
        self._headers = dict(headers or {})
        self._busy_codes = busy_codes
        self._session: aiohttp.ClientSession | None = None

    async def request(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """One request, up to four times.

        A repeated answer is harmless and a lost one is not, so a request without an answer is sent again too.

        Args:
            method: the HTTP method.
            path: joined to `api_base`.
            content: `json=`, `data=` or `params=`, as aiohttp takes them.

        Returns:
            The platform's answer.

        Raises:
            SendingFailed: it was refused, or every attempt failed.
        """
        problem = ""
        for attempt in range(ATTEMPTS):
            wait = FIRST_WAIT_SECONDS * 2**attempt * random.uniform(1, 1.5)
            try:
                status, headers, answer = await self._attempt(method, path, content)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                # The error's own text may hold the address, and with it the token.
                problem = type(error).__name__
            else:
                if status < 400:
                    return answer
                code = _error_code(answer)
                problem = f"status {status}, code {code}"
                if status != 429 and status < 500 and code not in self._busy_codes:
                    break
                wait = max(wait, _asked_wait(headers, answer))
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(min(wait, LONGEST_WAIT_SECONDS))
        raise SendingFailed(f"{self._platform} did not take a request: {problem}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _attempt(self, method: str, path: str, content: dict[str, Any]) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=TIME_LIMIT_SECONDS))
        async with self._session.request(method, f"{self._api_base}{path}", allow_redirects=False, **content) as response:
            body = await response.read()
            try:
                answer = await response.json(content_type=None) if body.strip() else {}
            except ValueError:
                answer = {}
            return response.status, response.headers, answer if isinstance(answer, dict) else {}


def _error_code(answer: Mapping[str, Any]) -> int | None:
    """The platform's own error code: Meta nests it, Telegram and Twilio do not."""
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else answer.get("error_code", answer.get("code"))
    return code if isinstance(code, int) else None


def _asked_wait(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float:
    """How many seconds the platform asked to wait: in the header, or as Telegram does in the body."""
    parameters = answer.get("parameters")
    asked = headers.get("Retry-After") or (parameters.get("retry_after") if isinstance(parameters, dict) else None)
    try:
        return float(asked or 0)
    except ValueError:
        return 0.0  # a date, which none of these platforms sends
