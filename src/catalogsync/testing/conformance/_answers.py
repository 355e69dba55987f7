"""Promises about bad answers, for sources and sinks whose test server has faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from catalogsync.errors import (
    CatalogSyncError,
    MisconfiguredError,
    TransientError,
    UnauthorizedError,
)
from catalogsync.testing.faults import Fault, reset, status, truncated

from ._promise import NotApplicableError, Promise, Setup, broken, expect, promise, same


class Asking(Protocol):
    """A source or sink that can be made to send requests."""

    @property
    def setup(self) -> Setup[object]: ...

    async def prepare(self) -> None:
        """Make sure that there is something to ask for."""
        ...

    async def ask(self) -> None:
        """Ask for it, and nothing else."""
        ...


async def _error(kit: Asking, fault: Fault) -> CatalogSyncError:
    """What the adapter raises while a fault strikes every request."""
    faults = kit.setup.faults
    if faults is None:
        raise NotApplicableError("the test gives no `faults`")
    await kit.prepare()
    faults.add(fault)
    seen: CatalogSyncError | None = None
    try:
        await kit.ask()
    except CatalogSyncError as error:
        seen = error
    finally:
        faults.clear()
    if seen is None:
        broken("no error, although each answer was bad in this way")
    for secret in kit.setup.secrets:
        expect(secret not in repr(seen), "the error shows a secret")
    return seen


async def busy_server(kit: Asking) -> None:
    """A 503 is a `TransientError`."""
    error = await _error(kit, status(503))
    expect(isinstance(error, TransientError), f"raised {error!r}")


async def asked_to_wait(kit: Asking) -> None:
    """A 429 is a `TransientError` with the seconds of its `Retry-After`."""
    error = await _error(kit, status(429, headers={"Retry-After": "7"}))
    expect(isinstance(error, TransientError), f"raised {error!r}")
    same(getattr(error, "retry_after", None), 7.0, "`retry_after`")


async def lost_connection(kit: Asking) -> None:
    """A connection that breaks is a `TransientError`."""
    error = await _error(kit, reset())
    expect(isinstance(error, TransientError), f"raised {error!r}")


async def cut_answer(kit: Asking) -> None:
    """An answer whose end is missing is a `TransientError`, and never a short page."""
    error = await _error(kit, truncated(keep=0.5))
    expect(isinstance(error, TransientError), f"raised {error!r}")


async def rejected_credentials(kit: Asking) -> None:
    """A 401 that stays, even after a new login, stops the run."""
    error = await _error(kit, status(401))
    stops = isinstance(error, UnauthorizedError | MisconfiguredError)
    expect(stops, f"raised {error!r}")


async def recovers(kit: Asking) -> None:
    """After an error, the same adapter works again."""
    await _error(kit, status(503))
    await kit.ask()


_MEND: dict[Callable[[Asking], Awaitable[None]], str] = {
    busy_server: "Raise TransientError for 408, 425, 429 and 5xx; `catalogsync.http` does.",
    asked_to_wait: "Pass the seconds of Retry-After to TransientError(retry_after=...).",
    lost_connection: "Turn the client's connection errors into TransientError.",
    cut_answer: "Raise BrokenReplyError if an answer cannot be parsed or is too short; text in lines must end with a line break.",
    rejected_credentials: "Raise UnauthorizedError (without a login: MisconfiguredError) for 401 and 403.",
    recovers: "Keep no broken connection, token or half-read answer after an error.",
}


def register(*lists: list[Promise[Any]]) -> None:
    """Add these promises to lists."""
    for into in lists:
        for check, mend in _MEND.items():
            promise(into, mend=mend)(check)
