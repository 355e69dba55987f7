"""The circuit breaker: when to give up a sink that keeps failing."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from catalogsync.retry import RetryPolicy

from .options import Options

__all__ = ["Breaker"]

_SEVERAL = 2


@attrs.define(kw_only=True)
class Breaker:
    """Collects evidence against a sink since its last success.

    One failure may be the fault of one product, and an outage may be short. So giving
    up takes several products, in several calls, over some time, without a success.

    Attributes:
        products: How many products must have failed.
        seconds: How much time must lie between the first failure and the last, each
            after all retries.
        clock: Returns the time in seconds.
    """

    products: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _products: int = attrs.field(default=0, init=False)
    _calls: int = attrs.field(default=0, init=False)
    _first: float = attrs.field(default=0.0, init=False)
    _latest: float = attrs.field(default=0.0, init=False)
    _last: str = attrs.field(default="", init=False)

    @classmethod
    def of(cls, options: Options) -> Breaker:
        """A breaker that is as patient as the options say."""
        seconds = options.give_up_after
        if seconds is None:
            seconds = options.retry.patience
        return cls(products=options.give_up_products, seconds=seconds)

    def failed(self, products: int, error: Exception, *, calls: int = 1) -> None:
        """Count calls that failed for so many products, after all retries."""
        self._latest = self.clock()
        if not self._calls:
            self._first = self._latest
        self._calls += calls
        self._products += products
        self._last = str(error)

    def worked(self) -> None:
        """Forget the evidence: a call succeeded."""
        self._products = self._calls = 0

    @property
    def is_suspect(self) -> bool:
        """Whether the sink failed several times in a row."""
        return self._calls >= _SEVERAL

    @property
    def is_enough(self) -> bool:
        """Whether too many products failed for it to be their own fault."""
        return self.is_suspect and self._products >= self.products

    @property
    def _is_late(self) -> bool:
        return self.is_suspect and self._latest - self._first >= self.seconds

    def policy(self, usual: RetryPolicy) -> RetryPolicy:
        """The retry policy for the next call.

        Once enough time has passed, retrying the same products proves nothing more;
        what counts is whether other products fail too. So there is one attempt only.
        """
        return attrs.evolve(usual, attempts=1) if self._is_late else usual

    @property
    def verdict(self) -> str:
        """Why the sink is given up; empty: it is not."""
        if not (self.is_enough and self._is_late):
            return ""
        failed = f"the sink failed {self._products} products in a row"
        return f"gave up: {failed}; its last error: {self._last}"
