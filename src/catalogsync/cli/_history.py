"""Commands that read the state store: runs, failures, retry and explain."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import attrs

from catalogsync._lib.texts import counted, duration, natural
from catalogsync.catalog.changes import Change, Existing, ReferenceChange
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.config import Job
from catalogsync.engine import RetrySource, Run
from catalogsync.engine.pruning import is_removable
from catalogsync.errors import CatalogSyncError
from catalogsync.protocols import RemovingSink, Sink, Source, endpoint_of
from catalogsync.report import Report
from catalogsync.state import StateSettings
from catalogsync.state.protocols import (
    FailedProduct,
    HistoryEntry,
    Intent,
    RunRecord,
    StateStore,
    each_failure,
)

from ._changes import change_text, plan_summary
from ._output import shortened
from ._progress import Progress
from ._runs import STATUS, execute, keys_of
from ._session import INCOMPLETE, Session

__all__ = ["explain_product", "list_failures", "list_runs", "retry_job"]

T = TypeVar("T")
_LONG = 160
_STATUS = frozenset({Field.STATUS})


def list_runs(session: Session, job: str | None, limit: int) -> int:
    """List the latest runs."""
    runs = _query(session.store(), lambda store: store.runs(job=job, limit=limit))
    if job is not None and not runs:
        session.job(job)  # raises if there is no such job
    lines = [_run_line(record) for record in runs]
    session.terminal.out("\n".join(lines) or "no runs yet")
    return 0


def list_failures(session: Session, job: str) -> int:
    """List the failed products of a job; the status is 1 if there are any."""
    found = _query(
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
            yield sync.retry(failed, _shower(session, progress) if dry_run else None)

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


def _shower(
    session: Session, progress: Progress
) -> Callable[[Change | ReferenceChange], None]:
    return lambda change: progress.result(change_text(change, whole=session.verbose))


@attrs.frozen(kw_only=True)
class _Explanation:
    """The history of one product and what the next run would do to it.

    Attributes:
        key: Key of the product.
        history: Its outcomes, newest first.
        failure: Its current failure; None if it has not failed.
        preview: What the next run would do, or why that is unknown.
    """

    key: ProductKey
    history: Sequence[HistoryEntry]
    failure: FailedProduct | None
    preview: _Preview | CatalogSyncError

    @property
    def status(self) -> int:
        """The exit status."""
        if isinstance(self.preview, CatalogSyncError):
            return INCOMPLETE
        return STATUS.get(self.preview.report.status, INCOMPLETE)


@attrs.frozen(kw_only=True)
class _Preview:
    """What the next run would do to a product.

    Attributes:
        intent: An earlier write whose outcome is unknown.
        changes: The changes that it would make.
        report: Report of the plan.
        removal: How a run over the whole source would remove the product, if it left
            the source; empty: not at all.
    """

    intent: Intent | None
    changes: Sequence[Change | ReferenceChange]
    report: Report
    removal: str = ""


def explain_product(session: Session, job: Job, text: str) -> int:
    """Print the history of a product and what the next run would do to it."""
    explanation = asyncio.run(_explain(job, text))
    lines = _explanation_lines(explanation, whole=session.verbose)
    session.terminal.out("\n".join(lines))
    return explanation.status


async def _explain(job: Job, text: str) -> _Explanation:
    async with job.open_source() as source, job.open_store() as store:
        if store is None:
            raise AssertionError("a job of a file has a state store")
        (key,) = keys_of([text], source.name)
        failures = each_failure(store, job.name)
        found = [failure async for failure in failures if failure.key == key]
        explanation = partial(
            _Explanation,
            key=key,
            history=await store.history(job.name, key),
            failure=found[0] if found else None,
        )
        try:
            return explanation(preview=await _preview(job, source, store, key))
        except CatalogSyncError as error:
            return explanation(preview=error)


async def _preview(
    job: Job, source: Source, store: StateStore, key: ProductKey
) -> _Preview:
    changes: list[Change | ReferenceChange] = []
    async with job.open_sink() as sink:
        options = attrs.evolve(job.options, keys=(key,), limit=None, prune=None)
        sync = attrs.evolve(job.sync(source, sink, store), options=options)
        report = await sync.plan(changes.append)
        endpoint = endpoint_of(sink)
        intent = (await store.intents(endpoint, source.name)).get(key)
        removal = "" if report.counts.fetched else await _removal(job, sink, key)
        return _Preview(intent=intent, changes=changes, report=report, removal=removal)


async def _removal(job: Job, sink: Sink, key: ProductKey) -> str:
    """How a run would remove a product that left the source; empty: not at all."""
    prune = job.options.prune
    if prune is None or not isinstance(sink, RemovingSink):
        return ""
    existing = (
        await sink.find([Product(key=key, title=f"{key}")], fields=_STATUS)
    ).get(key)
    if not isinstance(existing, Existing) or not is_removable(
        existing, prune, job.name
    ):
        return ""
    return f"- {prune.action.value} {key}, when a run over the whole source does not find it"


def _explanation_lines(explanation: _Explanation, *, whole: bool) -> Iterator[str]:
    yield f"{explanation.key}: history"
    for entry in explanation.history:
        fields = f": {', '.join(entry.fields)}" if entry.fields else ""
        outcome = entry.outcome
        reason = f": {outcome.reason}" if outcome.reason else fields
        said = f' ("{outcome.said}")' if outcome.said else ""
        yield f"  {_when(entry.at)} {outcome.status.value}{reason}{said}"
    if not explanation.history:
        yield "  no recorded changes"
    if explanation.failure is not None:
        yield "currently failing:"
        yield from (f"  {line}" for line in _failure_lines(explanation.failure))
    if isinstance(explanation.preview, CatalogSyncError):
        yield f"cannot preview the next run: {explanation.preview}"
    else:
        yield from _preview_lines(explanation.preview, whole=whole)


def _preview_lines(preview: _Preview, *, whole: bool) -> Iterator[str]:
    if (intent := preview.intent) is not None:
        handle = f" (handle {intent.handle!r})" if intent.handle else ""
        yield f"an earlier write has an unknown outcome{handle}"
    yield "next run"
    texts = [change_text(change, whole=whole) for change in preview.changes]
    removal = [preview.removal] if preview.removal else []
    for text in (*texts, *removal, plan_summary(preview.report)):
        yield from (f"  {line}" for line in text.split("\n"))


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
    line = f"{_when(record.started_at)} {name} {record.run_id[:12]} {status}{took}"
    return f"{line}: {details}" if details else line


def _failure_lines(failure: FailedProduct) -> Iterator[str]:
    runs = counted(failure.attempts, "run")
    since = _when(failure.first_at)
    yield f"{failure.key}: {shortened(failure.reason, _LONG)}"
    if failure.said:
        yield f'    the sink said: "{shortened(failure.said, _LONG)}"'
    yield f"    failed in {runs} since {since}, last {_when(failure.last_at)}"


def _when(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _query(
    settings: StateSettings, question: Callable[[StateStore], Awaitable[T]]
) -> T:
    async def query() -> T:
        async with settings.open() as store:
            return await question(store)

    return asyncio.run(query())
