"""Rate limits by client address."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from itertools import islice

import attrs

_MINUTE = 60.0
_MOST_ADDRESSES = 10_000
_IPV6_NETWORK = 64


def address_of(remote: str | None) -> str:
    """The address that identifies a client; for IPv6, its /64 network.

    A dual-stack socket shows an IPv4 client as `::ffff:192.0.2.1`.
    """
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return remote or ""
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_NETWORK), strict=False))
    return str(address)


@attrs.define
class Buckets:
    """A token bucket for each address, which fills within a minute.

    Attributes:
        per_minute: Number of requests per minute, in a burst or spread.
        clock: Seconds; replaced in tests.
    """

    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _full_at: dict[str, float] = attrs.field(factory=dict[str, float], init=False)

    def wait(self, address: str) -> float:
        """Seconds until the next request is allowed; 0: now."""
        empty_for = self._full_at.get(address, 0.0) - self.clock()
        return max(0.0, empty_for - _MINUTE + _MINUTE / self.per_minute)

    def spend(self, address: str) -> None:
        """Count a request."""
        now = self.clock()
        full_at = max(now, self._full_at.pop(address, now))
        if len(self._full_at) >= _MOST_ADDRESSES:
            self._make_room()
        self._full_at[address] = full_at + _MINUTE / self.per_minute

    def _make_room(self) -> None:
        """Drop the addresses that have been silent for longest."""
        for address in list(islice(self._full_at, _MOST_ADDRESSES // 10)):
            del self._full_at[address]
