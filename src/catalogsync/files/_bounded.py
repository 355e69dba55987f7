"""A stream that ends with an error where it would have no end."""

from __future__ import annotations

import io
from typing import IO

from catalogsync.errors import MisconfiguredError

__all__ = ["Bounded"]

_FREE = 64 << 20
_MOST_TIMES = 250
_MB = 1_000_000


class Bounded(io.RawIOBase):
    """Passes the bytes of a stream on, up to a number.

    A compressed file that expands more than 250 times, after its first 64 MiB, is taken
    for a bomb.
    """

    def __init__(self, plain: IO[bytes], raw: IO[bytes], most: int, place: str) -> None:
        super().__init__()
        self._plain, self._raw, self._most, self._place = plain, raw, most, place
        self._count = 0

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Read as many bytes as the buffer can take, or fewer.

        Raises:
            MisconfiguredError: There are too many.
        """
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self._plain.read(len(view))
        view[: len(found)] = found
        self._count += len(found)
        self._check()
        return len(found)

    def _check(self) -> None:
        if self._count > self._most:
            problem = (
                f"{self._place} is larger than {self._most // _MB} MB; if that is right, "
                "raise max_size"
            )
            raise MisconfiguredError("location", problem)
        if self._plain is self._raw or self._count < _FREE:
            return
        if self._count > _MOST_TIMES * max(1, self._raw.tell()):
            problem = f"{self._place} expands more than {_MOST_TIMES} times: a bomb?"
            raise MisconfiguredError("location", problem)
