"""Where a request comes from, whether that website may talk to us, and how much is taken from it."""

import logging
import math
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from sanic.request import Request

from addons.channels.web.refusal import Refused
from addons.channels.web.settings import Network, Settings

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MINUTE = 60.0
# Buckets that have been full again are forgotten; looking for them is not worth it before there are this many.
_MANY_BUCKETS = 10_000

logger = logging.getLogger(__name__)


class Visitors:
    """Tells the addresses and websites of requests."""

    def __init__(self, settings: Settings) -> None:
        """Take the allow-list and the proxies.

        Args:
            settings: `address`, `origins` and `trusted_proxies` count.
        """
        self._address = settings.address
        self._origins = {*settings.origins, settings.address} - {""}
        self._proxies = settings.trusted_proxies
        self._said: set[str] = set()

    def check_origin(self, request: Request, needed: bool) -> None:
        """Check that the page the request comes from may talk to us.

        Without a set `address` the server's own pages are those of a browser on this machine.

        Args:
            request: the request; browsers put the page's origin in a header no page can forge.
            needed: whether a request without one is refused: browsers leave it out of plain reads from our own pages only.

        Raises:
            Refused: `foreign_origin`.
        """
        origin = request.headers.get("origin")
        if origin is None and not needed:
            return
        if origin is None or not self.is_allowed(origin, request.headers.get("host", "")):
            self._say_once("A request from a website that is not in `origins` of credentials.yml was refused.")
            raise Refused("foreign_origin")

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether a website may talk to us.

        Args:
            origin: the `Origin` header.
            host: the `Host` header.
        """
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return not self._address and parts.hostname in _LOOPBACK and parts.netloc == host

    def address_of(self, request: Request) -> str:
        """The network address limits count by: the visitor's, or an IPv6 visitor's /64 network.

        `X-Forwarded-For` is believed as far as trusted proxies wrote it, from the nearest outwards.
        """
        peer = request.ip or ""
        forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
        if forwarded and not self._proxies:
            self._say_once("Requests come through a proxy; all visitors count as one until `trusted_proxies` names it.")
        while forwarded and self._is_trusted(peer):
            peer = forwarded.pop()
        try:
            address = ip_address(peer)
        except ValueError:
            return "unknown"
        return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(_holds(network, address.packed, address.version) for network in self._proxies)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            logger.warning(line)


def _holds(network: Network, packed: bytes, version: int) -> bool:
    return network.version == version and ip_address(packed) in network


class Allowance:
    """Token buckets: so many at once, and so many again each minute, for each key."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        """Make the buckets, all full.

        Args:
            per_minute: what a bucket holds, and what flows in each minute.
            now: seconds on a clock that never goes back.
        """
        self._full = float(per_minute)
        self._per_second = per_minute / _MINUTE
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> None:
        """Take one.

        Args:
            key: whose bucket.

        Raises:
            Refused: `too_many`, with the seconds until there is one again.
        """
        now = self._now()
        if len(self._buckets) >= _MANY_BUCKETS:
            self._buckets = {k: (left, at) for k, (left, at) in self._buckets.items() if now - at < _MINUTE}
        left, at = self._buckets.get(key, (self._full, now))
        left = min(self._full, left + (now - at) * self._per_second)
        if left < 1:
            raise Refused("too_many", math.ceil((1 - left) / self._per_second))
        self._buckets[key] = (left - 1, now)
