"""The state store, for any `Database`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, wraps
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.report import Report

from ._damage import Damage
from ._rows import (
    dump,
    entry_row,
    failure_row,
    fold,
    key_rows,
    read_absence,
    read_entry,
    read_failure,
    read_intent,
    read_key,
    read_listed,
    read_run,
    read_trigger,
    report_parameters,
    run_parameters,
)
from ._steps import Database, Row, Statement, Steps, Value, rows
from .protocols import (
    BusyError,
    FailedProduct,
    HistoryEntry,
    Intent,
    Lease,
    QueueSize,
    RunRecord,
    Trigger,
)

__all__ = ["DatabaseStore"]

P = ParamSpec("P")
T = TypeVar("T")

_ALL = 2**63 - 1
_DAY = 86400.0
_SANE = 2**62  # values of another type compare as larger, and later numbers need room


# The type of a method that is `async def`, as type checkers see it.
_Method: TypeAlias = (
    "Callable[Concatenate[DatabaseStore, P], CoroutineType[Any, Any, T]]"
)
_Steps: TypeAlias = "Callable[Concatenate[DatabaseStore, P], Steps[T]]"


def _reading(steps: _Steps[P, T]) -> _Method[P, T]:
    @wraps(steps)
    async def read(self: DatabaseStore, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.read(steps(self, *args, **kwargs))

    return cast("_Method[P, T]", read)


def _writing(steps: _Steps[P, T]) -> _Method[P, T]:
    @wraps(steps)
    async def write(self: DatabaseStore, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.write(steps(self, *args, **kwargs))

    return cast("_Method[P, T]", write)


@attrs.frozen(eq=False)
class DatabaseStore:
    """A `StateStore`, which documents the methods; `StateSettings.open` creates it.

    Attributes:
        database: Runs the statements.
    """

    database: Database = attrs.field(repr=False)
    _damage: Damage = attrs.field(factory=Damage, init=False, repr=False)

    def unreadable(self) -> Sequence[str]:
        """Descriptions of the damaged rows skipped since the last call."""
        return self._damage.take()

    def _select(
        self,
        table: str,
        sql: str,
        parameters: Mapping[str, Value],
        read: Callable[[Row], T],
        *,
        limit: int = _ALL,
    ) -> Steps[list[T]]:
        """The values of the first readable rows."""
        values: list[T] = []
        seen = 0
        while len(values) < limit:
            most = limit - len(values)
            page: dict[str, Value] = {"limit": most, "offset": seen}
            found = yield Statement(
                f"{sql} LIMIT :limit OFFSET :offset", {**parameters, **page}
            )
            values += self._damage.read(table, found, read)
            seen += len(found)
            if len(found) < most:
                break
        return values

    # --- runs ---

    @_writing
    def begin_run(self, record: RunRecord, /) -> Steps[None]:
        """Save that a run has started; a run that exists is left alone."""
        number = yield from _count()
        yield Statement(
            "INSERT INTO catalogsync_run (number, run_id, job, source, sink,"
            " started_at, partial, finished_at, status, report, summary) VALUES"
            " (:number, :run_id, :job, :source, :sink, :started_at, :partial,"
            " :finished_at, :status, :report, :summary)"
            " ON CONFLICT DO NOTHING",
            {"number": number, **run_parameters(record)},
        )

    @_writing
    def end_run(self, report: Report, /) -> Steps[None]:
        """Save the report of a run that has ended."""
        yield Statement(
            "UPDATE catalogsync_run SET finished_at = :finished_at, status = :status,"
            " report = :report, summary = :summary WHERE run_id = :run_id",
            {
                "run_id": report.run_id,
                "finished_at": report.started_at + report.duration_s,
                "status": report.status,
                **report_parameters(report),
            },
        )

    @_reading
    def runs(
        self, *, job: str | None = None, limit: int = 20
    ) -> Steps[Sequence[RunRecord]]:
        """The latest runs, with the summaries of their reports."""
        sql = (
            "SELECT run_id, job, source, sink, started_at, partial, finished_at, status,"
            " COALESCE(summary, report) FROM catalogsync_run WHERE job = COALESCE(CAST(:job AS TEXT), job)"
            " ORDER BY started_at DESC, number DESC"
        )
        return (
            yield from self._select(
                "catalogsync_run", sql, {"job": job}, read_listed, limit=limit
            )
        )

    @_reading
    def run(self, run_id: str, /) -> Steps[RunRecord | None]:
        """One run."""
        found = yield from self._select(
            "catalogsync_run",
            "SELECT run_id, job, source, sink, started_at, partial, finished_at, status,"
            " report FROM catalogsync_run WHERE run_id = :run_id",
            {"run_id": run_id},
            read_run,
        )
        return found[0] if found else None

    @_reading
    def last_whole(self, job: str, /) -> Steps[RunRecord | None]:
        """The latest complete run over all products."""
        sql = (
            "SELECT run_id, job, source, sink, started_at, partial, finished_at, status,"
            " COALESCE(summary, report) FROM catalogsync_run WHERE job = :job AND partial = 0"
            " AND status IN ('succeeded', 'degraded')"
            " ORDER BY started_at DESC, number DESC"
        )
        records = yield from self._select(
            "catalogsync_run", sql, {"job": job}, read_listed, limit=1
        )
        return records[0] if records else None

    @_writing
    def trim(self, *, days: float, runs: int) -> Steps[int]:
        """Delete old runs and their history."""
        old = yield Statement(
            "SELECT run_id FROM (SELECT run_id, started_at, row_number() OVER"
            " (PARTITION BY job ORDER BY started_at DESC, number DESC) AS place"
            " FROM catalogsync_run) AS ranked WHERE place > 1 AND (place > :runs"
            " OR started_at < {now} - CAST(:seconds AS DOUBLE PRECISION))"
            " AND run_id NOT IN (SELECT run_id FROM (SELECT run_id, row_number() OVER"
            " (PARTITION BY job ORDER BY started_at DESC, number DESC) AS place"
            " FROM catalogsync_run WHERE partial = 0"
            " AND status IN ('succeeded', 'degraded')) AS whole WHERE place = 1)",
            {"runs": runs, "seconds": days * _DAY},
        )
        forgotten = rows(row for row in old if isinstance(row[0], str))
        yield Statement(
            "DELETE FROM catalogsync_entry WHERE run_id IN (SELECT {0} FROM {rows})",
            forgotten,
        )
        yield Statement(
            "DELETE FROM catalogsync_run WHERE run_id IN (SELECT {0} FROM {rows})",
            forgotten,
        )
        return len(old)

    # --- outcomes of products ---

    @_writing
    def add_entries(self, job: str, entries: Sequence[HistoryEntry], /) -> Steps[None]:
        """Save outcomes of products."""
        last = yield from _count(len(entries))
        numbers = range(last - len(entries) + 1, last + 1)
        yield Statement(
            "INSERT INTO catalogsync_entry (job, number, run_id, source, id, noted_at,"
            " status, reason, said, fields) SELECT :job, CAST({0} AS BIGINT), {1}, {2},"
            " {3}, CAST({4} AS DOUBLE PRECISION), {5}, {6}, {7}, {8} FROM {rows}",
            {"job": job, **rows(map(entry_row, numbers, entries))},
        )

    @_reading
    def history(
        self, job: str, key: ProductKey, /, *, limit: int = 20
    ) -> Steps[Sequence[HistoryEntry]]:
        """The history of one product, newest first."""
        return (
            yield from self._select(
                "catalogsync_entry",
                "SELECT run_id, noted_at, status, reason, said, fields"
                " FROM catalogsync_entry WHERE job = :job AND source = :source"
                " AND {key} = {sought} ORDER BY number DESC",
                {"job": job, "source": key.source, "id": key.id},
                partial(read_entry, key),
                limit=limit,
            )
        )

    @_writing
    def put_failures(
        self, job: str, failures: Sequence[FailedProduct], /, *, endpoint: str = ""
    ) -> Steps[None]:
        """Save failed products."""
        yield Statement(
            "INSERT INTO catalogsync_failure AS kept (job, endpoint, source, id, reason,"
            " said, payload, attempts, first_at, last_at, run_id)"
            " SELECT :job, :endpoint, {0}, {1}, {2},"
            " {3}, {4}, CAST({5} AS BIGINT), CAST({6} AS DOUBLE PRECISION),"
            " CAST({7} AS DOUBLE PRECISION), {8} FROM {rows} WHERE true"
            " ON CONFLICT (job, endpoint, source, {key}) DO UPDATE SET reason = excluded.reason,"
            " said = excluded.said, payload = COALESCE(excluded.payload, kept.payload),"
            " attempts = kept.attempts + excluded.attempts,"
            " last_at = excluded.last_at, run_id = excluded.run_id",
            {
                "job": job,
                "endpoint": endpoint,
                **rows(map(failure_row, fold(failures))),
            },
        )

    @_writing
    def drop_failures(
        self, job: str, keys: Collection[ProductKey], /, *, endpoint: str | None = None
    ) -> Steps[None]:
        """Delete failed products."""
        yield Statement(
            "DELETE FROM catalogsync_failure WHERE job = :job AND (endpoint = ''"
            " OR endpoint = COALESCE(CAST(:endpoint AS TEXT), endpoint))"
            " AND (source, {key}) IN (SELECT {0}, {key1} FROM {rows})",
            {"job": job, "endpoint": endpoint, **rows(key_rows(keys))},
        )

    @_reading
    def failures(
        self,
        job: str,
        /,
        *,
        limit: int | None = None,
        after: ProductKey | None = None,
        payloads: bool = True,
        endpoint: str | None = None,
    ) -> Steps[Sequence[FailedProduct]]:
        """The failed products of a job."""
        source, id_ = (None, None) if after is None else (after.source, after.id)
        return (
            yield from self._select(
                "catalogsync_failure",
                "SELECT source, id, reason, said, CASE WHEN CAST(:payloads AS BIGINT) = 1"
                " THEN payload END, attempts, first_at, last_at, run_id"
                " FROM catalogsync_failure WHERE job = :job AND (endpoint = ''"
                " OR endpoint = COALESCE(CAST(:endpoint AS TEXT), endpoint))"
                " AND (CAST(:source AS TEXT)"
                " IS NULL OR (source, id) > (CAST(:source AS TEXT), CAST(:id AS TEXT)))"
                " ORDER BY source, id",
                {
                    "job": job,
                    "endpoint": endpoint,
                    "source": source,
                    "id": id_,
                    "payloads": int(payloads),
                },
                read_failure,
                limit=_ALL if limit is None else limit,
            )
        )

    @_reading
    def backlog(self, job: str, /) -> Steps[QueueSize]:
        """Numbers of queued triggers and failed products."""
        ((triggers, failures),) = yield Statement(
            "SELECT (SELECT COUNT(*) FROM catalogsync_trigger WHERE job = :job),"
            " (SELECT COUNT(*) FROM catalogsync_failure WHERE job = :job)",
            {"job": job},
        )
        return QueueSize(triggers=triggers, failures=failures)

    # --- products in the sink ---

    @_writing
    def put_intents(
        self, endpoint: str, run_id: str, handles: Mapping[ProductKey, str], /
    ) -> Steps[None]:
        """Save intents for creations that are about to start."""
        begun = [(key.source, key.id, handle) for key, handle in handles.items()]
        yield Statement(
            "INSERT INTO catalogsync_intent (endpoint, run_id, source, id, handle,"
            " began_at) SELECT :endpoint, :run_id, {0}, {1}, {2}, {now} FROM {rows}"
            " WHERE true ON CONFLICT (endpoint, source, {key}) DO UPDATE"
            " SET run_id = excluded.run_id, began_at = excluded.began_at",
            {"endpoint": endpoint, "run_id": run_id, **rows(begun)},
        )

    @_writing
    def drop_intents(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Steps[None]:
        """Delete intents of creations whose outcome is known."""
        yield Statement(
            "DELETE FROM catalogsync_intent WHERE endpoint = :endpoint"
            " AND (source, {key}) IN (SELECT {0}, {key1} FROM {rows})",
            {"endpoint": endpoint, **rows(key_rows(keys))},
        )

    @_reading
    def intents(
        self, endpoint: str, source: str, /
    ) -> Steps[Mapping[ProductKey, Intent]]:
        """The intents for products of a source in a sink."""
        intents = yield from self._select(
            "catalogsync_intent",
            "SELECT source, id, handle, run_id, {now} - began_at"
            " FROM catalogsync_intent WHERE endpoint = :endpoint AND source = :source",
            {"endpoint": endpoint, "source": source},
            read_intent,
        )
        return {intent.key: intent for intent in intents}

    @_writing
    def remember(self, endpoint: str, keys: Collection[ProductKey], /) -> Steps[None]:
        """Save that the sink has these products."""
        yield Statement(
            "INSERT INTO catalogsync_known (endpoint, source, id)"
            " SELECT :endpoint, {0}, {1} FROM {rows} WHERE true ON CONFLICT DO NOTHING",
            {"endpoint": endpoint, **rows(key_rows(keys))},
        )

    @_reading
    def remembered(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Steps[frozenset[ProductKey]]:
        """Those of these products that the sink had."""
        found = yield Statement(
            "SELECT source, id FROM catalogsync_known WHERE endpoint = :endpoint"
            " AND (source, {key}) IN (SELECT {0}, {key1} FROM {rows})",
            {"endpoint": endpoint, **rows(key_rows(keys))},
        )
        return frozenset(self._damage.read("catalogsync_known", found, read_key))

    @_writing
    def forget(self, endpoint: str, keys: Collection[ProductKey], /) -> Steps[None]:
        """Undo `remember`."""
        yield Statement(
            "DELETE FROM catalogsync_known WHERE endpoint = :endpoint"
            " AND (source, {key}) IN (SELECT {0}, {key1} FROM {rows})",
            {"endpoint": endpoint, **rows(key_rows(keys))},
        )

    @_writing
    def note_absences(
        self,
        job: str,
        endpoint: str,
        run_id: str,
        keys: Collection[ProductKey],
        /,
        *,
        source: str | None = None,
    ) -> Steps[frozenset[ProductKey]]:
        """Save which products a complete run did not find at the source."""
        where: dict[str, Value] = {"job": job, "endpoint": endpoint}
        noted = yield from _count()
        yield Statement(
            "INSERT INTO catalogsync_absence (job, endpoint, source, id, first_run, noted)"
            " SELECT :job, :endpoint, {0}, {1}, :run_id, :noted FROM {rows} WHERE true"
            " ON CONFLICT (job, endpoint, source, {key}) DO UPDATE SET noted = :noted",
            {**where, "run_id": run_id, "noted": noted, **rows(key_rows(keys))},
        )
        yield Statement(
            "DELETE FROM catalogsync_absence WHERE job = :job AND endpoint = :endpoint"
            " AND source = COALESCE(CAST(:source AS TEXT), source) AND noted <> :noted",
            {**where, "source": source, "noted": noted},
        )
        again = yield Statement(
            "SELECT source, id, first_run FROM catalogsync_absence"
            " WHERE job = :job AND endpoint = :endpoint AND source ="
            " COALESCE(CAST(:source AS TEXT), source) AND first_run <> :run_id",
            {**where, "source": source, "run_id": run_id},
        )
        return frozenset(self._damage.read("catalogsync_absence", again, read_absence))

    @_reading
    def absences(
        self, job: str, endpoint: str, /, *, source: str | None = None
    ) -> Steps[frozenset[ProductKey]]:
        """The absences of the last `note_absences`."""
        found = yield Statement(
            "SELECT source, id FROM catalogsync_absence WHERE job = :job"
            " AND endpoint = :endpoint AND source = COALESCE(CAST(:source AS TEXT), source)",
            {"job": job, "endpoint": endpoint, "source": source},
        )
        return frozenset(self._damage.read("catalogsync_absence", found, read_key))

    @_writing
    def drop_absences(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> Steps[None]:
        """Delete absences of products that the source has again."""
        yield Statement(
            "DELETE FROM catalogsync_absence WHERE job = :job AND endpoint = :endpoint"
            " AND (source, {key}) IN (SELECT {0}, {key1} FROM {rows})",
            {"job": job, "endpoint": endpoint, **rows(key_rows(keys))},
        )

    # --- leases and triggers ---

    @_writing
    def take_lease(
        self, name: str, owner: str, /, *, ttl: float, dead: str | None = None
    ) -> Steps[Lease | BusyError]:
        """Take a lease if it is free or has expired."""
        # A lease that ends later than its duration allows is from before the clock was
        # set back.
        yield Statement(
            "UPDATE catalogsync_lease SET ends_at = {now} + ttl"
            " WHERE name = :name AND NOT ends_at <= {now} + ttl",
            {"name": name},
        )
        existing = yield Statement(
            "SELECT owner FROM catalogsync_lease WHERE name = :name AND ends_at > {now}"
            " AND (CAST(:dead AS TEXT) IS NULL OR owner <> CAST(:dead AS TEXT))",
            {"name": name, "dead": dead},
        )
        if existing:
            holder = str(existing[0][0])
            return BusyError(f"{name} is locked by {holder}", holder=holder)
        token = yield from _count()
        yield Statement(
            "INSERT INTO catalogsync_lease (name, owner, token, ends_at, ttl) SELECT"
            " :name, :owner, :token, {now} + CAST(:ttl AS DOUBLE PRECISION), CAST(:ttl AS DOUBLE PRECISION)"
            " WHERE true ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " token = excluded.token, ends_at = excluded.ends_at, ttl = excluded.ttl",
            {"name": name, "owner": owner, "token": token, "ttl": ttl},
        )
        return Lease(name=name, owner=owner, token=token)

    @_writing
    def renew_lease(self, lease: Lease, /, *, ttl: float) -> Steps[bool]:
        """Renew a lease; False: another run has taken it."""
        mine: dict[str, Value] = {"name": lease.name, "token": lease.token}
        yield Statement(
            "UPDATE catalogsync_lease SET ends_at = {now} + CAST(:ttl AS DOUBLE PRECISION), ttl = CAST(:ttl AS DOUBLE PRECISION)"
            " WHERE name = :name AND token = :token",
            {**mine, "ttl": ttl},
        )
        found = yield Statement(
            "SELECT 1 FROM catalogsync_lease WHERE name = :name AND token = :token",
            mine,
        )
        return bool(found)

    @_writing
    def drop_lease(self, lease: Lease, /) -> Steps[None]:
        """Return a lease."""
        yield Statement(
            "DELETE FROM catalogsync_lease WHERE name = :name AND token = :token",
            {"name": lease.name, "token": lease.token},
        )

    @_writing
    def add_trigger(
        self, job: str, keys: Collection[ProductKey] = (), /, *, by: str = ""
    ) -> Steps[Trigger]:
        """Request a run of a job."""
        number = yield from _count()
        yield Statement(
            "INSERT INTO catalogsync_trigger (number, job, keys, asked_at, asked_by)"
            " VALUES (:number, :job, :keys, {now}, :by)",
            {"number": number, "job": job, "keys": dump(key_rows(keys)), "by": by},
        )
        (added,) = yield Statement(
            "SELECT number, job, keys, asked_at, asked_by FROM catalogsync_trigger"
            " WHERE number = :number",
            {"number": number},
        )
        return read_trigger(added)

    @_reading
    def triggers(self, job: str | None = None, /) -> Steps[Sequence[Trigger]]:
        """The queued triggers, oldest first."""
        return (
            yield from self._select(
                "catalogsync_trigger",
                "SELECT number, job, keys, asked_at, asked_by FROM catalogsync_trigger"
                " WHERE job = COALESCE(CAST(:job AS TEXT), job) ORDER BY number",
                {"job": job},
                read_trigger,
            )
        )

    @_writing
    def drop_triggers(self, ids: Collection[int], /) -> Steps[None]:
        """Delete triggers that a run has fulfilled."""
        yield Statement(
            "DELETE FROM catalogsync_trigger"
            " WHERE number IN (SELECT CAST({0} AS BIGINT) FROM {rows})",
            rows((number,) for number in ids),
        )


def _count(by: int = 1) -> Steps[int]:
    """Reserve numbers that the store has never used; returns the last one.

    A counter that was reset or deleted continues after the numbers in the tables.
    """
    (found,) = yield Statement(
        "SELECT (SELECT MAX(value) FROM catalogsync_counter WHERE value < :sane),"
        " (SELECT MAX(number) FROM catalogsync_run WHERE number < :sane),"
        " (SELECT MAX(number) FROM catalogsync_entry WHERE number < :sane),"
        " (SELECT MAX(number) FROM catalogsync_trigger WHERE number < :sane),"
        " (SELECT MAX(token) FROM catalogsync_lease WHERE token < :sane),"
        " (SELECT MAX(noted) FROM catalogsync_absence WHERE noted < :sane)",
        {"sane": _SANE},
    )
    value = by + max((n for n in found if isinstance(n, int)), default=0)
    yield Statement("DELETE FROM catalogsync_counter")
    yield Statement("INSERT INTO catalogsync_counter VALUES (:value)", {"value": value})
    return value
