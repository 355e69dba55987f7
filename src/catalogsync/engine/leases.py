"""The lease of a run: two runs never write the same products at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import attrs

from catalogsync._lib.concurrency import uninterrupted
from catalogsync.state.protocols import BusyError, Coordination, Lease, LeaseLostError

from .options import Options, WhenBusy
from .owners import is_dead, mark_abandoned, unmark_abandoned

__all__ = ["RunLease"]

_POLL = 2.0


@attrs.define(kw_only=True)
class RunLease:
    """Takes a lease, renews it, and gives it back.

    Attributes:
        name: What the lease is for.
        owner: The run and its process, as in `owners`.
        stopping: Set when the run stops, so that it no longer waits.
    """

    store: Coordination
    name: str
    owner: str
    options: Options
    stopping: asyncio.Event
    _lease: Lease | None = attrs.field(default=None, init=False)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Hold the lease for the length of a block.

        Raises:
            BusyError: Another run holds it.
            StateError: The store cannot be used.
        """
        try:
            await self._take()
            yield
        finally:
            if self._lease is not None:
                # First, because a second cancellation may interrupt the rest.
                mark_abandoned(self.owner)
                await uninterrupted(self.store.drop_lease(self._lease))
                unmark_abandoned(self.owner)

    async def _take(self) -> None:
        """Take it, or wait for it if the options say so."""
        while (busy := await uninterrupted(self._try())) is not None:
            if self.options.when_busy is not WhenBusy.WAIT or self.stopping.is_set():
                raise busy
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_POLL, self.options.lease / 4)):
                    await self.stopping.wait()

    async def _try(self) -> BusyError | None:
        """Take it; at once if its holder is dead."""
        store, ttl = self.store, self.options.lease
        try:
            taken = await store.take_lease(self.name, self.owner, ttl=ttl)
            if isinstance(taken, BusyError) and is_dead(taken.holder):
                dead = taken.holder
                taken = await store.take_lease(
                    self.name, self.owner, ttl=ttl, dead=dead
                )
                unmark_abandoned(dead)
        except BaseException:
            mark_abandoned(self.owner)  # the store may have given us the lease
            raise
        if isinstance(taken, BusyError):
            return taken
        self._lease = taken
        return None

    async def confirm(self) -> None:
        """Renew it; without one, nothing happens.

        Raises:
            LeaseLostError: Another run took it.
        """
        ttl = self.options.lease
        if self._lease and not await self.store.renew_lease(self._lease, ttl=ttl):
            raise LeaseLostError(
                f"lease lost: not renewed for {ttl:g} s and taken by"
                " another run; nothing more is written"
            )
