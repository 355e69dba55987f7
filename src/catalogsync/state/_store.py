# ruff: noqa: S608 - statements are made of constants
"""The state store, for any `Database`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial, wraps
from itertools import starmap
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from catalogsync.catalog.drafts import Unchanged
from catalogsync.catalog.products import ProductKey
from catalogsync.report import Report

from ._counter import reserve
from ._images import SQLImages
from ._outbox import SQLOutbox
from ._rows import (
    ENTRIES,
    FAILURES,
    FAILURES_ALONE,
    HELD,
    INTENTS,
    LISTED,
    RUNS,
    TRIGGERS,
    Damage,
    Table,
    dump,
    dump_part,
    entry_row,
    failure_row,
    fold,
    key_rows,
    read_key,
    read_part,
    read_snapshot,
    read_unchanged,
    report_values,
    run_values,
    unchanged_row,
)
from ._sql import Database, Transaction, Value
from .held import Decision, HeldPlan
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

P = ParamSpec("P")
T = TypeVar("T")

_ALL = 2**63 - 1
_DAY = 86400.0

# Parts of statements. PostgreSQL needs the type of a parameter that may be NULL.
_IN_ROWS = "(source, {key}) IN (SELECT {0}, {key1} FROM {rows})"
_OF_JOB = "job = COALESCE(CAST(:job AS TEXT), job)"
_OF_SOURCE = "source = COALESCE(CAST(:source AS TEXT), source)"
_OF_ENDPOINT = (
    "(endpoint = '' OR endpoint = COALESCE(CAST(:endpoint AS TEXT), endpoint))"
)
_ABSENCES = (
    f"catalogsync_absence WHERE job = :job AND endpoint = :endpoint AND {_OF_SOURCE}"
)
_WHOLE = "partial = 0 AND status IN ('succeeded', 'degraded')"
_NEWEST = "ORDER BY started_at DESC, number DESC"
_TTL = "CAST(:ttl AS DOUBLE PRECISION)"

# A method that is `async def`, as type checkers see it, before and after decoration.
_Work: TypeAlias = "Callable[Concatenate[DatabaseStore, P], Coroutine[Any, Any, T]]"
_Method: TypeAlias = (
    "Callable[Concatenate[DatabaseStore, P], CoroutineType[Any, Any, T]]"
)


def _reading(work: _Work[P, T]) -> _Method[P, T]:
    """Run a method in a transaction of its own, which changes nothing."""

    @wraps(work)
    async def read(self: DatabaseStore, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.read(
            lambda sql: work(attrs.evolve(self, sql=sql), *args, **kwargs)
        )

    return cast("_Method[P, T]", read)


def _writing(work: _Work[P, T]) -> _Method[P, T]:
    """Run a method in a transaction of its own, as the only writer."""

    @wraps(work)
    async def write(self: DatabaseStore, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.database.write(
            lambda sql: work(attrs.evolve(self, sql=sql), *args, **kwargs)
        )

    return cast("_Method[P, T]", write)


@attrs.frozen(eq=False)
class DatabaseStore:
    """A `StateStore`, which documents the methods; `StateSettings.open` creates it."""

    database: Database = attrs.field(repr=False)
    _damage: Damage = attrs.field(factory=Damage, repr=False)
    _sql: Transaction | None = attrs.field(default=None, repr=False)

    @property
    def sql(self) -> Transaction:
        """The transaction of the current method, which its decorator began."""
        if self._sql is None:
            raise AssertionError("there is no transaction")
        return self._sql

    @property
    def outbox(self) -> SQLOutbox:
        """The outbox, in the same database."""
        return SQLOutbox(self.database, self._damage)

    @property
    def images(self) -> SQLImages:
        """The uploaded images, in the same database."""
        return SQLImages(self.database, self._damage)

    def unreadable(self) -> Sequence[str]:
        return self._damage.take()

    async def _select(
        self, table: Table[T], where: str, /, *, limit: int = _ALL, **parameters: Value
    ) -> list[T]:
        """The values of the first readable rows."""
        select = f"SELECT {table.columns} FROM {table.name} {where}"
        values: list[T] = []
        seen = 0
        while len(values) < limit:
            most = limit - len(values)
            page = {"most": most, "seen": seen, **parameters}
            found = await self.sql(f"{select} LIMIT :most OFFSET :seen", **page)
            values += self._damage.read(table.name, found, table.read)
            seen += len(found)
            if len(found) < most:
                break
        return values

    # --- runs ---

    @_writing
    async def begin_run(self, record: RunRecord, /) -> None:
        await self.sql(
            "INSERT INTO catalogsync_run (number, run_id, job, source, sink,"
            " started_at, partial, finished_at, status, report, summary) VALUES"
            " (:number, :run_id, :job, :source, :sink, :started_at, :partial,"
            " :finished_at, :status, :report, :summary) ON CONFLICT DO NOTHING",
            number=await self._count(),
            **run_values(record),
        )

    @_writing
    async def end_run(self, report: Report, /) -> None:
        await self.sql(
            "UPDATE catalogsync_run SET finished_at = :finished_at, status = :status,"
            " report = :report, summary = :summary WHERE run_id = :run_id",
            run_id=report.run_id,
            finished_at=report.started_at + report.duration_s,
            status=report.status,
            **report_values(report),
        )

    @_reading
    async def runs(
        self, *, job: str | None = None, limit: int = 20
    ) -> Sequence[RunRecord]:
        where = f"WHERE {_OF_JOB} {_NEWEST}"
        return await self._select(LISTED, where, limit=limit, job=job)

    @_reading
    async def run(self, run_id: str, /) -> RunRecord | None:
        found = await self._select(RUNS, "WHERE run_id = :run_id", run_id=run_id)
        return found[0] if found else None

    @_reading
    async def last_whole(self, job: str, /) -> RunRecord | None:
        where = f"WHERE job = :job AND {_WHOLE} {_NEWEST}"
        found = await self._select(LISTED, where, limit=1, job=job)
        return found[0] if found else None

    @_writing
    async def trim(self, *, days: float, runs: int) -> int:
        ranked = f"row_number() OVER (PARTITION BY job {_NEWEST}) AS place"
        # Frequent runs of lanes do not push out the full ones.
        alike = f"row_number() OVER (PARTITION BY job, partial {_NEWEST}) AS alike"
        old = await self.sql(
            f"SELECT run_id FROM (SELECT run_id, started_at, {ranked}, {alike}"
            " FROM catalogsync_run) AS ranked WHERE place > 1 AND (alike > :runs"
            " OR started_at < {now} - CAST(:seconds AS DOUBLE PRECISION))"
            f" AND run_id NOT IN (SELECT run_id FROM (SELECT run_id, {ranked}"
            f" FROM catalogsync_run WHERE {_WHOLE}) AS whole WHERE place = 1)",
            runs=runs,
            seconds=days * _DAY,
        )
        forgotten = [row for row in old if isinstance(row[0], str)]
        for table in ("entry", "held", "plan_part", "run"):
            where = "WHERE run_id IN (SELECT {0} FROM {rows})"
            await self.sql(f"DELETE FROM catalogsync_{table} {where}", forgotten)
        for aged in (
            "unchanged WHERE noted_at",
            "snapshot WHERE counted_at",
            "image WHERE file = 0 AND noted_at",
        ):
            await self.sql(
                f"DELETE FROM catalogsync_{aged}"
                " <= {now} - CAST(:seconds AS DOUBLE PRECISION)",
                seconds=days * _DAY,
            )
        return len(old)

    # --- outcomes of products ---

    @_writing
    async def add_entries(self, job: str, entries: Sequence[HistoryEntry], /) -> None:
        last = await self._count(len(entries))
        numbers = range(last - len(entries) + 1, last + 1)
        await self.sql(
            "INSERT INTO catalogsync_entry (job, number, run_id, source, id, noted_at,"
            " status, reason, said, fields) SELECT :job, CAST({0} AS BIGINT), {1}, {2},"
            " {3}, CAST({4} AS DOUBLE PRECISION), {5}, {6}, {7}, {8} FROM {rows}",
            map(entry_row, numbers, entries),
            job=job,
        )

    @_reading
    async def history(
        self, job: str, key: ProductKey, /, *, limit: int = 20
    ) -> Sequence[HistoryEntry]:
        of_key = "job = :job AND source = :source AND {key} = {sought}"
        where = f"WHERE {of_key} ORDER BY number DESC"
        asked = {"job": job, "source": key.source, "id": key.id}
        return await self._select(ENTRIES, where, limit=limit, **asked)

    @_writing
    async def put_failures(
        self, job: str, failures: Sequence[FailedProduct], /, *, endpoint: str = ""
    ) -> None:
        await self.sql(
            "INSERT INTO catalogsync_failure AS kept (job, endpoint, source, id, reason,"
            " said, payload, attempts, first_at, last_at, run_id)"
            " SELECT :job, :endpoint, {0}, {1}, {2},"
            " {3}, {4}, CAST({5} AS BIGINT), CAST({6} AS DOUBLE PRECISION),"
            " CAST({7} AS DOUBLE PRECISION), {8} FROM {rows} WHERE true"
            " ON CONFLICT (job, endpoint, source, {key}) DO UPDATE SET"
            " reason = excluded.reason, said = excluded.said,"
            " payload = COALESCE(excluded.payload, kept.payload),"
            " attempts = kept.attempts + excluded.attempts,"
            " last_at = excluded.last_at, run_id = excluded.run_id",
            map(failure_row, fold(failures)),
            job=job,
            endpoint=endpoint,
        )

    @_writing
    async def drop_failures(
        self, job: str, keys: Collection[ProductKey], /, *, endpoint: str | None = None
    ) -> None:
        where = f"WHERE job = :job AND {_OF_ENDPOINT} AND {_IN_ROWS}"
        delete = f"DELETE FROM catalogsync_failure {where}"
        await self.sql(delete, key_rows(keys), job=job, endpoint=endpoint)

    @_reading
    async def failures(
        self,
        job: str,
        /,
        *,
        limit: int | None = None,
        after: ProductKey | None = None,
        payloads: bool = True,
        endpoint: str | None = None,
    ) -> Sequence[FailedProduct]:
        source, id_ = (None, None) if after is None else (after.source, after.id)
        return await self._select(
            FAILURES if payloads else FAILURES_ALONE,
            f"WHERE job = :job AND {_OF_ENDPOINT} AND (CAST(:source AS TEXT) IS NULL"
            " OR (source, id) > (CAST(:source AS TEXT), CAST(:id AS TEXT)))"
            " ORDER BY source, id",
            limit=_ALL if limit is None else limit,
            job=job,
            endpoint=endpoint,
            source=source,
            id=id_,
        )

    @_reading
    async def backlog(self, job: str, /) -> QueueSize:
        ((triggers, failures),) = await self.sql(
            "SELECT (SELECT COUNT(*) FROM catalogsync_trigger WHERE job = :job),"
            " (SELECT COUNT(*) FROM catalogsync_failure WHERE job = :job)",
            job=job,
        )
        return QueueSize(triggers=triggers, failures=failures)

    # --- products in the sink ---

    @_writing
    async def put_intents(
        self, endpoint: str, run_id: str, handles: Mapping[ProductKey, str], /
    ) -> None:
        await self.sql(
            "INSERT INTO catalogsync_intent (endpoint, run_id, source, id, handle,"
            " began_at) SELECT :endpoint, :run_id, {0}, {1}, {2}, {now} FROM {rows}"
            " WHERE true ON CONFLICT (endpoint, source, {key}) DO UPDATE"
            " SET run_id = excluded.run_id, began_at = excluded.began_at",
            [(key.source, key.id, handle) for key, handle in handles.items()],
            endpoint=endpoint,
            run_id=run_id,
        )

    @_writing
    async def drop_intents(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        await self._drop("catalogsync_intent", endpoint, keys)

    @_reading
    async def intents(
        self, endpoint: str, source: str, /
    ) -> Mapping[ProductKey, Intent]:
        where = "WHERE endpoint = :endpoint AND source = :source"
        found = await self._select(INTENTS, where, endpoint=endpoint, source=source)
        return {intent.key: intent for intent in found}

    @_writing
    async def remember(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        await self.sql(
            "INSERT INTO catalogsync_known (endpoint, source, id)"
            " SELECT :endpoint, {0}, {1} FROM {rows} WHERE true ON CONFLICT DO NOTHING",
            key_rows(keys),
            endpoint=endpoint,
        )

    @_reading
    async def remembered(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> frozenset[ProductKey]:
        where = f"endpoint = :endpoint AND {_IN_ROWS}"
        select = f"SELECT source, id FROM catalogsync_known WHERE {where}"
        found = await self.sql(select, key_rows(keys), endpoint=endpoint)
        return frozenset(self._damage.read("catalogsync_known", found, read_key))

    @_writing
    async def forget(self, endpoint: str, keys: Collection[ProductKey], /) -> None:
        await self._drop("catalogsync_known", endpoint, keys)

    @_writing
    async def put_unchanged(
        self, endpoint: str, products: Mapping[ProductKey, Unchanged], /
    ) -> None:
        await self.sql(
            "INSERT INTO catalogsync_unchanged (endpoint, source, id, record, existing,"
            " outline, noted_at) SELECT :endpoint, {0}, {1}, {2}, {3}, {4}, {now}"
            " FROM {rows} WHERE true ON CONFLICT (endpoint, source, {key}) DO UPDATE"
            " SET record = excluded.record, existing = excluded.existing,"
            " outline = excluded.outline, noted_at = excluded.noted_at",
            starmap(unchanged_row, products.items()),
            endpoint=endpoint,
        )

    @_reading
    async def unchanged(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Mapping[ProductKey, Unchanged]:
        found = await self.sql(
            "SELECT source, id, record, existing, outline FROM catalogsync_unchanged"
            f" WHERE endpoint = :endpoint AND {_IN_ROWS}",
            key_rows(keys),
            endpoint=endpoint,
        )
        return dict(self._damage.read("catalogsync_unchanged", found, read_unchanged))

    @_writing
    async def put_snapshots(
        self, endpoint: str, counted_at: Mapping[ProductKey, float], /
    ) -> None:
        await self.sql(
            "INSERT INTO catalogsync_snapshot (endpoint, source, id, counted_at)"
            " SELECT :endpoint, {0}, {1}, CAST({2} AS DOUBLE PRECISION) FROM {rows}"
            " WHERE true ON CONFLICT (endpoint, source, {key}) DO UPDATE"
            " SET counted_at = excluded.counted_at"
            " WHERE excluded.counted_at > catalogsync_snapshot.counted_at",
            [(key.source, key.id, at) for key, at in counted_at.items()],
            endpoint=endpoint,
        )

    @_reading
    async def snapshots(
        self, endpoint: str, keys: Collection[ProductKey], /
    ) -> Mapping[ProductKey, float]:
        found = await self.sql(
            "SELECT source, id, counted_at FROM catalogsync_snapshot"
            f" WHERE endpoint = :endpoint AND {_IN_ROWS}",
            key_rows(keys),
            endpoint=endpoint,
        )
        return dict(self._damage.read("catalogsync_snapshot", found, read_snapshot))

    @_writing
    async def note_absences(
        self,
        job: str,
        endpoint: str,
        run_id: str,
        keys: Collection[ProductKey],
        /,
        *,
        source: str | None = None,
    ) -> frozenset[ProductKey]:
        noted = await self._count()
        sql = partial(self.sql, job=job, endpoint=endpoint, run_id=run_id, noted=noted)
        await sql(
            "INSERT INTO catalogsync_absence (job, endpoint, source, id, first_run, noted)"
            " SELECT :job, :endpoint, {0}, {1}, :run_id, :noted FROM {rows} WHERE true"
            " ON CONFLICT (job, endpoint, source, {key}) DO UPDATE SET noted = :noted",
            key_rows(keys),
        )
        await sql(f"DELETE FROM {_ABSENCES} AND noted <> :noted", source=source)
        select = f"SELECT source, id, first_run FROM {_ABSENCES}"
        again = await sql(f"{select} AND first_run <> :run_id", source=source)
        return frozenset(self._damage.read("catalogsync_absence", again, read_key))

    @_reading
    async def absences(
        self, job: str, endpoint: str, /, *, source: str | None = None
    ) -> frozenset[ProductKey]:
        select = f"SELECT source, id FROM {_ABSENCES}"
        found = await self.sql(select, job=job, endpoint=endpoint, source=source)
        return frozenset(self._damage.read("catalogsync_absence", found, read_key))

    @_writing
    async def drop_absences(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        await self._drop("catalogsync_absence", endpoint, keys, job)

    async def _drop(
        self,
        table: str,
        endpoint: str,
        keys: Collection[ProductKey],
        job: str | None = None,
    ) -> None:
        """Delete the rows of these products, of one job or of all."""
        of_job = "" if job is None else "job = :job AND "
        where = f"WHERE {of_job}endpoint = :endpoint AND {_IN_ROWS}"
        delete = f"DELETE FROM {table} {where}"
        await self.sql(delete, key_rows(keys), endpoint=endpoint, job=job)

    # --- leases and triggers ---

    @_writing
    async def take_lease(
        self, name: str, owner: str, /, *, ttl: float, dead: str | None = None
    ) -> Lease | BusyError:
        # A lease that ends later than its duration allows is from before the clock was
        # set back.
        await self.sql(
            "UPDATE catalogsync_lease SET ends_at = {now} + ttl"
            " WHERE name = :name AND NOT ends_at <= {now} + ttl",
            name=name,
        )
        existing = await self.sql(
            "SELECT owner FROM catalogsync_lease WHERE name = :name AND ends_at > {now}"
            " AND (CAST(:dead AS TEXT) IS NULL OR owner <> CAST(:dead AS TEXT))",
            name=name,
            dead=dead,
        )
        if existing:
            holder = str(existing[0][0])
            return BusyError(f"{name} is locked by {holder}", holder=holder)
        lease = Lease(name=name, owner=owner, token=await self._count())
        await self.sql(
            "INSERT INTO catalogsync_lease (name, owner, token, ends_at, ttl)"
            f" SELECT :name, :owner, :token, {{now}} + {_TTL}, {_TTL} WHERE true"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " token = excluded.token, ends_at = excluded.ends_at, ttl = excluded.ttl",
            ttl=ttl,
            **attrs.asdict(lease),
        )
        return lease

    @_writing
    async def renew_lease(self, lease: Lease, /, *, ttl: float) -> bool:
        sql = partial(self.sql, name=lease.name, token=lease.token)
        where = "WHERE name = :name AND token = :token"
        ends = f"ends_at = {{now}} + {_TTL}, ttl = {_TTL}"
        await sql(f"UPDATE catalogsync_lease SET {ends} {where}", ttl=ttl)
        return bool(await sql(f"SELECT 1 FROM catalogsync_lease {where}"))

    @_writing
    async def drop_lease(self, lease: Lease, /) -> None:
        where = "WHERE name = :name AND token = :token"
        delete = f"DELETE FROM catalogsync_lease {where}"
        await self.sql(delete, name=lease.name, token=lease.token)

    @_writing
    async def add_trigger(
        self, job: str, keys: Collection[ProductKey] = (), /, *, by: str = ""
    ) -> Trigger:
        number = await self._count()
        await self.sql(
            "INSERT INTO catalogsync_trigger (number, job, keys, asked_at, asked_by)"
            " VALUES (:number, :job, :keys, {now}, :by)",
            number=number,
            job=job,
            keys=dump(key_rows(keys)),
            by=by,
        )
        (added,) = await self._select(TRIGGERS, "WHERE number = :number", number=number)
        return added

    @_reading
    async def triggers(self, job: str | None = None, /) -> Sequence[Trigger]:
        where = f"WHERE {_OF_JOB} ORDER BY number"
        return await self._select(TRIGGERS, where, job=job)

    @_writing
    async def drop_triggers(self, ids: Collection[int], /) -> None:
        await self.sql(
            "DELETE FROM catalogsync_trigger"
            " WHERE number IN (SELECT CAST({0} AS BIGINT) FROM {rows})",
            [(number,) for number in ids],
        )

    # --- plans that wait for a person ---

    @_writing
    async def hold(self, plan: HeldPlan, /) -> None:
        await self._supersede(plan.job)
        await self.sql(
            "INSERT INTO catalogsync_held (number, run_id, job, held_at, held, decision,"
            " decided_by, decided_at) VALUES (:number, :run_id, :job, :held_at, :held,"
            " :decision, :by, :decided_at) ON CONFLICT DO NOTHING",
            number=await self._count(),
            **{**attrs.asdict(plan), "held": dump(attrs.asdict(plan.held))},
        )

    @_writing
    async def add_plan_part(self, run_id: str, number: int, data: bytes, /) -> None:
        await self.sql(
            "INSERT INTO catalogsync_plan_part (run_id, number, data) VALUES"
            " (:run_id, :number, :data) ON CONFLICT (run_id, number) DO UPDATE SET"
            " data = excluded.data",
            run_id=run_id,
            number=number,
            data=dump_part(data),
        )

    @_reading
    async def plan_part(self, run_id: str, number: int, /) -> bytes | None:
        found = await self.sql(
            "SELECT data FROM catalogsync_plan_part WHERE run_id = :run_id"
            " AND number = :number",
            run_id=run_id,
            number=number,
        )
        return read_part(found[0][0]) if found else None

    @_reading
    async def held_plans(
        self, *, job: str | None = None, limit: int = 20
    ) -> Sequence[HeldPlan]:
        where = f"WHERE {_OF_JOB} ORDER BY held_at DESC, number DESC"
        return await self._select(HELD, where, limit=limit, job=job)

    @_reading
    async def held_plan(self, run_id: str, /) -> HeldPlan | None:
        return await self._held_plan(run_id)

    async def _held_plan(self, run_id: str) -> HeldPlan | None:
        found = await self._select(HELD, "WHERE run_id = :run_id", run_id=run_id)
        return found[0] if found else None

    @_writing
    async def decide(
        self, run_id: str, decision: Decision, /, *, by: str
    ) -> HeldPlan | None:
        held = await self._held_plan(run_id)
        if held is None or held.decision not in {Decision.WAITING, decision}:
            return None
        await self.sql(
            "UPDATE catalogsync_held SET decision = :decision, decided_by = :by,"
            " decided_at = {now} WHERE run_id = :run_id AND decision = 'waiting'",
            run_id=run_id,
            decision=decision,
            by=by,
        )
        if decision is Decision.REJECTED:
            where = "WHERE run_id = :run_id"
            await self.sql(f"DELETE FROM catalogsync_plan_part {where}", run_id=run_id)
        return await self._held_plan(run_id)

    @_writing
    async def supersede(self, job: str, /) -> None:
        await self._supersede(job)

    async def _supersede(self, job: str) -> None:
        await self.sql(
            "UPDATE catalogsync_held SET decision = 'superseded'"
            " WHERE job = :job AND decision = 'waiting'",
            job=job,
        )
        await self.sql(
            "DELETE FROM catalogsync_plan_part WHERE run_id IN (SELECT run_id"
            " FROM catalogsync_held WHERE job = :job AND decision <> 'waiting')",
            job=job,
        )

    async def _count(self, by: int = 1) -> int:
        return await reserve(self.sql, by)
