"""The command `inform`: delivers messages that are due, and lists what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from catalogsync._lib.texts import counted
from catalogsync.config import Job
from catalogsync.errors import MisconfiguredError
from catalogsync.state import Message, outbox_of

from ._origins import when
from ._session import Session

_WITHIN = 60.0


def inform_receivers(session: Session, job: Job) -> int:
    """Deliver what is due, and print what waits; the status is 1 if anything does."""
    if not job.inform:
        raise MisconfiguredError(f"jobs.{job.name}.inform", "names no receiver")
    messages = asyncio.run(_delivered(job))
    names = dict.fromkeys((*job.inform, *(message.receiver for message in messages)))
    for name in names:
        waiting = [message for message in messages if message.receiver == name]
        session.terminal.out(f"{name}: {_summary(waiting)}")
    return 1 if messages else 0


async def _delivered(job: Job) -> Sequence[Message]:
    """Deliver; returns the messages that are left."""
    async with job.open_store() as store:
        outbox = outbox_of(store, job.inform)
        if outbox is None:
            return ()
        await job.deliver(store, within=_WITHIN)
        return await outbox.messages(job.name)


def _summary(waiting: Sequence[Message]) -> str:
    if not waiting:
        return "all messages are delivered"
    products = sum(len(message.products) for message in waiting)
    what = f"{counted(len(waiting), 'message')} about {counted(products, 'product')}"
    since = f"{what}, waiting since {when(waiting[0].at)}"
    problem = next((m.problem for m in waiting if m.problem), "")
    return f"{since}: {problem}" if problem else since
