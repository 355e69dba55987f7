"""What the state store knows: runs, failed products, and one product's story."""

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
from typing import Any, TypeVar, cast

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
    reasons_of,
)

from ._changes import change_text, plan_summary
from ._output import shortened
from ._progress import Progress
from ._runs import STATUS, keys_of, tell_run
from ._session import INCOMPLETE, Session

__all__ = ["explain_product", "list_failures", "list_runs", "retry_job"]

T = TypeVar("T")
_LONG = 160
_STATUS = frozenset({Field.STATUS})


def list_runs(session: Session, job: str | None, limit: int) -> int:
    """List the latest runs."""
    runs = _ask(session.store(), lambda store: store.runs(job=job, limit=limit))
    if job is not None and not runs:
        session.job(job)  # one that is misspelt is told so
    lines = [_run_line(record) for record in runs]
    session.teller.result("\n".join(lines) or "no run is known")
    return 0


def list_failures(session: Session, job: str) -> int:
    """List the failed products of a job; the status is 1 if there are any."""
    found = _ask(
        session.job_store(job), lambda store: store.failures(job, payloads=False)
    )
    for failure in sorted(found, key=lambda each: natural(str(each.key))):
        session.teller.result("\n".join(_failure_lines(failure)))
    if not found:
        session.teller.result(f"{job}: no product is failed")
    return 1 if found else 0


def retry_job(
    session: Session, job: Job, texts: Sequence[str], *, dry_run: bool
) -> int:
    """Try failed products again, tell of it and give the exit status."""

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

    return tell_run(session, opened)


def _left_out(
    failed: RetrySource, asked: Iterable[ProductKey], *, dry_run: bool
) -> Iterator[str]:
    """Why products are not tried."""
    forgotten = "would be" if dry_run else "is"
    for key in failed.gone:
        yield f"{key} left the source and {forgotten} forgotten"
    for key in failed.lost:
        yield f"{key} cannot be tried: the source cannot be asked for it"
    known = {*failed.keys, *failed.gone, *failed.lost}
    for key in asked:
        if key not in known:
            yield f"{key} is not failed"


def _shower(
    session: Session, progress: Progress
) -> Callable[[Change | ReferenceChange], None]:
    return lambda change: progress.result(change_text(change, whole=session.verbose))


@attrs.frozen(kw_only=True)
class _Story:
    """What is known of one product.

    Attributes:
        key: Which product.
        history: What became of it, the last first.
        failure: If it is failed.
        now: What a run would do now, or why that cannot be told.
    """

    key: ProductKey
    history: Sequence[HistoryEntry]
    failure: FailedProduct | None
    now: _Now | CatalogSyncError

    @property
    def status(self) -> int:
        """The exit status."""
        if isinstance(self.now, CatalogSyncError):
            return INCOMPLETE
        return STATUS.get(self.now.report.status, INCOMPLETE)


@attrs.frozen(kw_only=True)
class _Now:
    """What a run would do to a product now.

    Attributes:
        intent: A write that began and has no known end.
        changes: What would be done.
        report: Of the plan.
        removal: What a run that reads the whole source would do to it, if it is gone
            there; empty: nothing.
    """

    intent: Intent | None
    changes: Sequence[Change | ReferenceChange]
    report: Report
    removal: str = ""


def explain_product(session: Session, job: Job, text: str) -> int:
    """Tell what happened to a product and what would happen now."""
    story = asyncio.run(_story(job, text))
    whole = session.verbose
    session.teller.result("\n".join(_story_lines(story, whole=whole)))
    return story.status


async def _story(job: Job, text: str) -> _Story:
    async with job.open_source() as source, job.open_store() as store:
        if store is None:
            raise AssertionError("a job of a file has a state store")
        (key,) = keys_of([text], source.name)
        failures = each_failure(store, job.name)
        found = [failure async for failure in failures if failure.key == key]
        story = partial(
            _Story,
            key=key,
            history=await store.history(job.name, key),
            failure=found[0] if found else None,
        )
        try:
            return story(now=await _now(job, source, store, key))
        except CatalogSyncError as error:
            return story(now=error)


async def _now(job: Job, source: Source, store: StateStore, key: ProductKey) -> _Now:
    changes: list[Change | ReferenceChange] = []
    async with job.open_sink() as sink:
        options = attrs.evolve(job.options, keys=(key,), limit=None, prune=None)
        sync = attrs.evolve(job.sync(source, sink, store), options=options)
        report = await sync.plan(changes.append)
        endpoint = endpoint_of(sink)
        intent = (await store.intents(endpoint, source.name)).get(key)
        removal = "" if report.counts.fetched else await _removal(job, sink, key)
        return _Now(intent=intent, changes=changes, report=report, removal=removal)


async def _removal(job: Job, sink: Sink, key: ProductKey) -> str:
    """What becomes of a product that the source does not have."""
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
    return f"- {prune.action.value} {key}, if a run reads the whole source without it"


def _story_lines(story: _Story, *, whole: bool) -> Iterator[str]:
    yield f"{story.key}: what happened"
    for entry in story.history:
        fields = f": {', '.join(entry.fields)}" if entry.fields else ""
        outcome = entry.outcome
        reason = f": {outcome.reason}" if outcome.reason else fields
        said = f' ("{outcome.said}")' if outcome.said else ""
        yield f"  {_when(entry.at)} {outcome.status.value}{reason}{said}"
    if not story.history:
        yield "  nothing is known of it, or it never changed"
    if story.failure is not None:
        yield "is failed"
        yield from (f"  {line}" for line in _failure_lines(story.failure))
    if isinstance(story.now, CatalogSyncError):
        yield f"what would happen now cannot be told: {story.now}"
    else:
        yield from _now_lines(story.now, whole=whole)


def _now_lines(now: _Now, *, whole: bool) -> Iterator[str]:
    if now.intent is not None:
        handle = f" (handle {now.intent.handle!r})" if now.intent.handle else ""
        yield f"a write began and has no known end{handle}"
    yield "what would happen now"
    texts = [change_text(change, whole=whole) for change in now.changes]
    removal = [now.removal] if now.removal else []
    for text in (*texts, *removal, plan_summary(now.report)):
        yield from (f"  {line}" for line in text.split("\n"))


def _run_line(record: RunRecord) -> str:
    report = cast("dict[str, Any]", record.report or {})
    counts: dict[str, int] = report.get("counts", {})
    if report.get("released"):
        counts = {"released": counts.get("removed", 0)}
    parts = [f"{n} {name}" for name, n in counts.items() if n and name != "fetched"]
    status = record.status.value if record.status else "going on, or its process died"
    seconds = report.get("duration_s")
    took = f" in {duration(seconds)}" if isinstance(seconds, float) else ""
    name = record.job or "(no job)"
    why = "; ".join(shortened(text, _LONG) for text in reasons_of(record))
    told = "; ".join(text for text in (", ".join(parts), why) if text)
    return f"{_when(record.started_at)} {name} {record.run_id[:12]} {status}{took}{': ' if told else ''}{told}"


def _failure_lines(failure: FailedProduct) -> Iterator[str]:
    runs = counted(failure.attempts, "run")
    since = _when(failure.first_at)
    yield f"{failure.key}: {shortened(failure.reason, _LONG)}"
    if failure.said:
        yield f'    the sink said: "{shortened(failure.said, _LONG)}"'
    yield f"    failed in {runs} since {since}, last {_when(failure.last_at)}"


def _when(at: float) -> str:
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _ask(settings: StateSettings, question: Callable[[StateStore], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with settings.open() as store:
            return await question(store)

    return asyncio.run(ask())
