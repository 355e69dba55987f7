"""The command `preview`: records and the products they make; writes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast

from catalogsync._lib.texts import counted
from catalogsync.catalog.changes import Create
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.config import Job
from catalogsync.mapping import Record, Sample, Sampling
from catalogsync.protocols import LookupSource, Source

from ._changes import change_text
from ._output import shortened
from ._runs import keys_of
from ._session import Session
from ._signals import InterruptHandler, interrupts

__all__ = ["list_unmapped", "preview_job", "record_lines", "sample_of"]

_SHORT = 100
_WHOLE = 100_000


def preview_job(session: Session, job: Job, keys: Sequence[str], limit: int) -> int:
    """Print samples of a job's source; returns the exit status."""
    return asyncio.run(_preview(session, job, keys, limit))


def list_unmapped(
    session: Session, job: Job, keys: Sequence[str], limit: int | None
) -> int:
    """Print the categories that a map does not have; returns the exit status."""
    samples = asyncio.run(_of_job(session, job, keys, limit or sys.maxsize))
    counts = Counter(name for sample in samples for name in sample.unmapped)
    for name, count in counts.most_common():
        products = counted(count, "product")
        session.terminal.out(f"{shortened(name, _WHOLE)}: {products}")
    session.terminal.out(f"{counted(len(counts), 'category', 'categories')} unmapped")
    return 1 if counts else 0


async def _preview(session: Session, job: Job, keys: Sequence[str], limit: int) -> int:
    samples = await _of_job(session, job, keys, limit)
    rejected = 0
    for sample in samples:
        rejected += isinstance(sample.result, Rejected)
        session.terminal.out("\n".join(_lines(sample, whole=session.verbose)))
    made = counted(len(samples) - rejected, "product")
    session.terminal.out(f"{made}, {rejected} rejected")
    return 1 if rejected else 0


async def _of_job(
    session: Session, job: Job, keys: Sequence[str], limit: int
) -> Sequence[Sample]:
    task = cast("asyncio.Task[object]", asyncio.current_task())
    with interrupts(InterruptHandler(task=task, say=session.terminal.err)):
        async with job.open_source() as source:
            return await _samples(source, keys, limit)


async def _samples(source: Source, keys: Sequence[str], limit: int) -> Sequence[Sample]:
    """Samples; without records, if the source cannot show them."""
    chosen = keys_of(keys, source.name)
    if isinstance(source, Sampling):
        return await source.samples(limit, keys=[key.id for key in chosen])
    found: list[Sample] = []
    cursors: list[str | None] = [None]
    while cursors and len(found) < limit:
        page = await source.read(cursors.pop(0))
        cursors += page.next
        found += [
            Sample(records=(), result=_built(result))
            for result in (*page.products, *page.rejected)
            if not chosen or result.key in chosen
        ]
    return found[:limit]


def _built(item: Product | Draft | Rejected) -> Product | Rejected:
    """What a record becomes."""
    return item.build() if isinstance(item, Draft) else item


def _lines(sample: Sample, *, whole: bool) -> Iterator[str]:
    most = _WHOLE if whole else _SHORT
    for record in sample.records:
        yield from _record_lines(record, most)
    if isinstance(sample.result, Product):
        yield _product_text(sample.result, whole=whole)
    else:
        yield f"! rejected {shortened(str(sample.result), _WHOLE)}"
    yield ""


def record_lines(record: Record, *, whole: bool) -> list[str]:
    """A record as lines: where it is, and its values."""
    return [*_record_lines(record, _WHOLE if whole else _SHORT)]


async def sample_of(source: Source, key: ProductKey) -> Sample | None:
    """One product with its records, if the source can look it up; None: it cannot.

    Without records, if the source cannot show them.

    Raises:
        TransientError: The source cannot be read now.
    """
    if isinstance(source, Sampling):
        found = await source.samples(1, keys=[key.id])
        return found[0] if found else None
    if not isinstance(source, LookupSource):
        return None
    page = await source.get([key])
    return next((Sample(records=(), result=_built(p)) for p in page.products), None)


def _record_lines(record: Record, most: int) -> Iterator[str]:
    yield shortened(record.where, most)
    for name, value in record.values.items():
        if value is not None and value != "":
            yield f"    {shortened(name, most)}: {shortened(str(value), most)}"


def _product_text(product: Product, *, whole: bool) -> str:
    created = Create(product=product, fields=frozenset(Field), last_applied="")
    return change_text(created, whole=whole).replace("+ create", "= product", 1)
