"""Commands that read the state store: runs, failures, retry and explain."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs

from catalogsync._lib.texts import counted, duration, natural
from catalogsync.catalog.changes import Change, Existing, ReferenceChange
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.config import Job
from catalogsync.diff.ownership import ManualEdit
from catalogsync.engine import Prune, RetrySource, Run
from catalogsync.engine.pruning import is_removable
from catalogsync.errors import CatalogSyncError
from catalogsync.mapping import RecordMapping
from catalogsync.protocols import (
    RemovingSink,
    SellOutSink,
    Sink,
    Source,
    endpoint_of,
)
from catalogsync.state.protocols import (
    FailedProduct,
    HistoryEntry,
    RunRecord,
    StateStore,
    each_failure,
)

from ._changes import change_text, plan_summary
from ._origins import Origins, when
from ._output import shortened
from ._preview import record_lines, sample_of
from ._progress import Progress
from ._runs import STATUS, execute, keys_of
from ._session import INCOMPLETE, Session, query

T = TypeVar("T")
_LONG = 160
_STATUS = frozenset({Field.STATUS})
_ALL = frozenset(Field)
_ENTRIES = 1000


def list_runs(session: Session, job: str | None, limit: int) -> int:
    """List the latest runs."""
    runs = query(session.store(), lambda store: store.runs(job=job, limit=limit))
    if job is not None and not runs:
        session.job(job)  # raises if there is no such job
    lines = [_run_line(record) for record in runs]
    session.terminal.out("\n".join(lines) or "no runs yet")
    return 0


def list_failures(session: Session, job: str) -> int:
    """List the failed products of a job; the status is 1 if there are any."""
    found = query(
        session.job_store(job), lambda store: store.failures(job, payloads=False)
    )
    for failure in sorted(found, key=lambda each: natural(str(each.key))):
        session.terminal.out("\n".join(_failure_lines(failure)))
    if not found:
        session.terminal.out(f"{job}: no failed products")
    return 1 if found else 0


def retry_job(
    session: Session, job: Job, texts: Sequence[str], *, dry_run: bool
) -> int:
    """Retry failed products and print the report; returns the exit status."""

    @asynccontextmanager
    async def opened(progress: Progress) -> AsyncGenerator[Run]:
        async with job.open() as (source, sink), job.open_store() as store:
            if store is None:
                raise AssertionError("a job of a file has a state store")
            keys = keys_of(texts, source.name) if texts else None
            sync = job.sync(source, sink, store, [progress])
            failed = await sync.failed(keys)
            if failed.gone and not dry_run:
                await store.drop_failures(job.name, failed.gone)
            for line in _left_out(failed, keys or (), dry_run=dry_run):
                progress.say(line)
            yield sync.retry(failed, progress.show if dry_run else None)
            if not dry_run:
                await job.deliver(store)

    return execute(session, opened)


def _left_out(
    failed: RetrySource, asked: Iterable[ProductKey], *, dry_run: bool
) -> Iterator[str]:
    """Why products are not retried."""
    verb = "would be" if dry_run else "is"
    for key in failed.gone:
        yield f"{key} left the source and {verb} dropped from the failures"
    for key in failed.lost:
        yield f"{key} cannot be retried: the source cannot read single products"
    known = {*failed.keys, *failed.gone, *failed.lost}
    for key in asked:
        if key not in known:
            yield f"{key} has not failed"


def explain_product(session: Session, job: Job, text: str) -> int:
    """Print the history of a product and what the next run would do to it."""
    return asyncio.run(_explain(session, job, text))


async def _explain(session: Session, job: Job, text: str) -> int:
    async with job.open_source() as source, job.open_store() as store:
        if store is None:
            raise AssertionError("a job of a file has a state store")
        (key,) = keys_of([text], source.name)
        lines = [f"{key}: history", *_history(await store.history(job.name, key))]
        async for failure in each_failure(store, job.name):
            if failure.key == key:
                lines += ["currently failing:", *_indented(_failure_lines(failure))]
        try:
            status, preview = await _preview(session, job, source, store, key)
            lines += preview
        except CatalogSyncError as error:
            status = INCOMPLETE
            lines.append(f"cannot preview the next run: {error}")
    session.terminal.out("\n".join(lines))
    return status


def _history(entries: Sequence[HistoryEntry]) -> Iterator[str]:
    for entry in entries:
        fields = f": {', '.join(entry.fields)}" if entry.fields else ""
        outcome = entry.outcome
        reason = f": {outcome.reason}" if outcome.reason else fields
        said = f' ("{outcome.said}")' if outcome.said else ""
        yield f"  {when(entry.at)} {outcome.status.value}{reason}{said}"
    if not entries:
        yield "  no recorded changes"


async def _preview(
    session: Session, job: Job, source: Source, store: StateStore, key: ProductKey
) -> tuple[int, list[str]]:
    """The exit status, and what the next run would do to a product, as lines."""
    changes: list[Change | ReferenceChange] = []
    lines: list[str] = []
    async with job.open_sink() as sink:
        options = attrs.evolve(job.options, keys=(key,), limit=None, prune=None)
        sync = attrs.evolve(job.sync(source, sink, store), options=options)
        report = await sync.plan(changes.append)
        intents = await store.intents(endpoint_of(sink), source.name)
        if (intent := intents.get(key)) is not None:
            handle = f" (handle {intent.handle!r})" if intent.handle else ""
            lines.append(f"an earlier write has an unknown outcome{handle}")
        texts = [change_text(change, whole=session.verbose) for change in changes]
        if not report.counts.fetched and await _is_removed(job, sink, key):
            how = "when a run over the whole source does not find it"
            prune = job.options.prune
            what = prune.action.value.replace("_", " ") if prune else ""
            texts.append(f"- {what} {key}, {how}")
        next_run = "\n".join([*texts, plan_summary(report)]).split("\n")
        lines += ["next run", *_indented(next_run)]
        products = [each for each in changes if not isinstance(each, ReferenceChange)]
        origins = _Origin(session=session, job=job, source=source, store=store, key=key)
        lines += await origins.lines(sink, products, report.manual_edits)
    return STATUS.get(report.status, INCOMPLETE), lines


@attrs.frozen(kw_only=True)
class _Origin:
    """Looks up where the values of a product come from."""

    session: Session
    job: Job
    source: Source
    store: StateStore
    key: ProductKey

    async def lines(
        self, sink: Sink, changes: Sequence[Change], edits: Sequence[ManualEdit]
    ) -> list[str]:
        """The raw records, and the values in the store with their origin."""
        whole, key = self.session.verbose, self.key
        sample = await sample_of(self.source, key)
        lines: list[str] = []
        if sample is not None and sample.records:
            lines.append("raw records" if len(sample.records) > 1 else "raw record")
            for record in sample.records:
                lines += _indented(record_lines(record, whole=whole))
        found = await sink.find([Product(key=key, title=f"{key}")], fields=_ALL)
        existing, result = found.get(key), sample.result if sample else None
        if not isinstance(existing, Existing):
            return lines
        mapping = getattr(self.job.source, "map", None)
        origins = Origins(
            existing=existing,
            desired=result if isinstance(result, Product) else None,
            mapping=mapping if isinstance(mapping, RecordMapping) else None,
            owns=self.job.options.owns,
            changes=changes,
            edits=edits,
            history=await self.store.history(self.job.name, key, limit=_ENTRIES),
            whole=whole,
        )
        return [*lines, "in the store", *origins.lines()]


async def _is_removed(job: Job, sink: Sink, key: ProductKey) -> bool:
    """Whether a run would remove a product that left the source."""
    prune = job.options.prune
    able = SellOutSink if prune is Prune.SOLD_OUT else RemovingSink
    if prune is None or not isinstance(sink, able):
        return False
    found = await sink.find([Product(key=key, title=f"{key}")], fields=_STATUS)
    existing = found.get(key)
    return isinstance(existing, Existing) and is_removable(existing, prune, job.name)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _run_line(record: RunRecord) -> str:
    report = record.report
    counts = attrs.asdict(report.counts) if report else {}
    if report and report.released:
        counts = {"released": report.counts.removed}
    parts = [f"{n} {name}" for name, n in counts.items() if n and name != "fetched"]
    status = record.status.value if record.status else "running (or crashed)"
    took = f" in {duration(report.duration_s)}" if report else ""
    name = record.job or "(no job)"
    why = "; ".join(
        shortened(text, _LONG) for text in (report.reasons if report else ())
    )
    details = "; ".join(text for text in (", ".join(parts), why) if text)
    line = f"{when(record.started_at)} {name} {record.run_id[:12]} {status}{took}"
    return f"{line}: {details}" if details else line


def _failure_lines(failure: FailedProduct) -> Iterator[str]:
    runs = counted(failure.attempts, "run")
    since = when(failure.first_at)
    yield f"{failure.key}: {shortened(failure.reason, _LONG)}"
    if failure.said:
        yield f'    the sink said: "{shortened(failure.said, _LONG)}"'
    yield f"    failed in {runs} since {since}, last {when(failure.last_at)}"
