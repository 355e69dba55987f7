"""Ids in Medusa's form: a prefix and a ULID."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class Ids:
    """Generates ids whose order within one millisecond is arbitrary."""

    def __init__(self, clock: Callable[[], float], seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._moment: int = -1
        self._head = self._text = ""

    def new(self, prefix: str) -> str:
        """A new id, such as ``prod_01M864...``."""
        self._look_at_the_clock()
        return f"{prefix}_{self._head}{_encode(self._random.getrandbits(80), 8)}"

    def now(self) -> str:
        """The current time in Medusa's format."""
        self._look_at_the_clock()
        return self._text

    def milliseconds(self) -> int:
        """The current time in milliseconds since the epoch."""
        self._look_at_the_clock()
        return self._moment

    def _look_at_the_clock(self) -> None:
        moment = int(self._clock() * 1000)
        if moment != self._moment:
            self._moment, self._head = moment, _encode(moment, 5)
            time = datetime.fromtimestamp(moment / 1000, UTC)
            text = time.isoformat(timespec="milliseconds")
            self._text = text.replace("+00:00", "Z")

    def text(self, length: int) -> str:
        """Some lower-case letters and digits."""
        return "".join(
            self._random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length)
        )


def _encode(number: int, pairs: int) -> str:
    shifts = range(10 * (pairs - 1), -1, -10)
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])
