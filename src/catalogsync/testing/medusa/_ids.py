"""Ids as Medusa makes them: a prefix and a ULID."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class Ids:
    """Makes ids whose order within one millisecond is arbitrary."""

    def __init__(self, clock: Callable[[], float], seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._moment = -1
        self._head = ""

    def new(self, prefix: str) -> str:
        """A fresh id, such as ``prod_01M864...``."""
        moment = int(self._clock() * 1000)
        if moment != self._moment:
            self._moment, self._head = moment, _encode(moment, 5)
        return f"{prefix}_{self._head}{_encode(self._random.getrandbits(80), 8)}"

    def text(self, length: int) -> str:
        """Some lower-case letters and digits."""
        return "".join(
            self._random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length)
        )

    def now(self) -> str:
        """The time as Medusa writes it."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encode(number: int, pairs: int) -> str:
    shifts = range(10 * (pairs - 1), -1, -10)
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])
