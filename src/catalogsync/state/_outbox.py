# ruff: noqa: S608 - statements are made of constants
"""The outbox, for any `Database`; `Outbox` documents the methods."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import uuid4

import attrs

from catalogsync.catalog.outcomes import WrittenProduct
from catalogsync.catalog.products import ProductKey

from ._counter import reserve
from ._rows import (
    MESSAGES,
    UNCONFIRMED,
    WRITTEN,
    Damage,
    key_rows,
    written_json,
    written_row,
)
from ._sql import Database, Transaction, Value
from .outbox import GivenUp, Message

_COLUMNS = "source, id, status, fields, handle, sink_id"
_IN_ROWS = "(source, {key}) IN (SELECT {0}, {key1} FROM {rows})"
_OF_RECEIVER = "job = :job AND receiver = :receiver AND given_up = 0"
_SECONDS = "CAST(:seconds AS DOUBLE PRECISION)"


@attrs.frozen(eq=False)
class SQLOutbox:
    """An `Outbox` in the tables of a `DatabaseStore`."""

    _database: Database = attrs.field(repr=False)
    _damage: Damage = attrs.field(repr=False)

    async def put_unconfirmed(
        self, job: str, endpoint: str, products: Sequence[WrittenProduct], /
    ) -> None:
        async def work(sql: Transaction) -> None:
            await sql(
                f"INSERT INTO catalogsync_unconfirmed (job, endpoint, {_COLUMNS})"
                " SELECT :job, :endpoint, {0}, {1}, {2}, {3}, {4}, {5} FROM {rows}"
                " WHERE true ON CONFLICT (job, endpoint, source, {key}) DO UPDATE SET"
                " status = excluded.status, fields = excluded.fields,"
                " handle = excluded.handle, sink_id = excluded.sink_id",
                map(written_row, {each.key: each for each in products}.values()),
                job=job,
                endpoint=endpoint,
            )

        await self._database.write(work)

    async def unconfirmed(self, job: str, endpoint: str, /) -> Sequence[WrittenProduct]:
        async def work(sql: Transaction) -> Sequence[WrittenProduct]:
            found = await sql(
                f"SELECT {UNCONFIRMED.columns} FROM catalogsync_unconfirmed"
                " WHERE job = :job AND endpoint = :endpoint ORDER BY source, id",
                job=job,
                endpoint=endpoint,
            )
            return self._damage.read(UNCONFIRMED.name, found, UNCONFIRMED.read)

        return await self._database.read(work)

    async def drop_unconfirmed(
        self, job: str, endpoint: str, keys: Collection[ProductKey], /
    ) -> None:
        async def work(sql: Transaction) -> None:
            await _drop(sql, job, endpoint, keys)

        await self._database.write(work)

    async def confirm(
        self, job: str, endpoint: str, products: Sequence[WrittenProduct], /
    ) -> None:
        async def work(sql: Transaction) -> None:
            last = await reserve(sql, len(products))
            numbers = range(last - len(products) + 1, last + 1)
            rows = (
                (number, *written_row(product))
                for number, product in zip(numbers, products, strict=True)
            )
            await sql(
                f"INSERT INTO catalogsync_written (number, job, {_COLUMNS})"
                " SELECT CAST({0} AS BIGINT), :job, {1}, {2}, {3}, {4}, {5}, {6}"
                " FROM {rows}",
                rows,
                job=job,
            )
            await _drop(sql, job, endpoint, [product.key for product in products])

        await self._database.write(work)

    async def pack(
        self, job: str, receivers: Collection[str], /, *, most: int, least: int = 1
    ) -> int:
        async def work(sql: Transaction) -> int:
            found = await sql(
                f"SELECT number, {WRITTEN.columns} FROM catalogsync_written"
                " WHERE job = :job ORDER BY number LIMIT :most",
                job=job,
                most=most,
            )
            if len(found) < max(1, least):
                return 0
            rows = [row[1:] for row in found]
            products = self._damage.read(WRITTEN.name, rows, WRITTEN.read)
            for receiver in dict.fromkeys(receivers) if products else ():
                await _add(sql, job, receiver, products)
            await sql(
                "DELETE FROM catalogsync_written WHERE job = :job AND number <= :last",
                job=job,
                last=found[-1][0],
            )
            return len(found)

        packed = 0
        while found := await self._database.write(work):
            packed += len(set(receivers))
            if found < most:
                break
        return packed

    async def take(self, job: str, receiver: str, /, *, hold: float) -> Message | None:
        async def work(sql: Transaction) -> Message | None:
            found = await sql(
                f"SELECT number, {MESSAGES.columns} FROM catalogsync_message"
                f" WHERE {_OF_RECEIVER} AND due_at <= {{now}} ORDER BY number LIMIT 1",
                job=job,
                receiver=receiver,
            )
            for row in found:
                await sql(
                    f"UPDATE catalogsync_message SET due_at = {{now}} + {_SECONDS}"
                    " WHERE number = :number",
                    number=row[0],
                    seconds=hold,
                )
            rows = [row[1:] for row in found]
            read = self._damage.read(MESSAGES.name, rows, MESSAGES.read)
            return read[0] if read else None

        return await self._database.write(work)

    async def postpone(self, id_: str, /, *, wait: float, problem: str) -> None:
        async def work(sql: Transaction) -> None:
            await sql(
                "UPDATE catalogsync_message SET attempts = attempts + 1,"
                f" problem = :problem, due_at = {{now}} + {_SECONDS} WHERE id = :id",
                id=id_,
                seconds=wait,
                problem=problem,
            )

        await self._database.write(work)

    async def delivered(self, id_: str, /) -> None:
        async def work(sql: Transaction) -> None:
            await sql("DELETE FROM catalogsync_message WHERE id = :id", id=id_)

        await self._database.write(work)

    async def give_up(
        self,
        job: str,
        receiver: str,
        /,
        *,
        age: float,
        problem: str,
        only: str | None = None,
    ) -> int:
        async def work(sql: Transaction) -> int:
            old = (
                f"{_OF_RECEIVER} AND id = COALESCE(CAST(:only AS TEXT), id)"
                f" AND packed_at <= {{now}} - {_SECONDS}"
            )
            asked: dict[str, Value] = {
                "job": job,
                "receiver": receiver,
                "seconds": age,
                "only": only,
            }
            counted = f"SELECT COUNT(*) FROM catalogsync_message WHERE {old}"
            ((number,),) = await sql(counted, **asked)
            await sql(
                "UPDATE catalogsync_message SET given_up = 1, products = '[]',"
                f" problem = :problem WHERE {old}",
                **asked,
                problem=problem,
            )
            return int(number)

        return await self._database.write(work)

    async def take_given_up(self, job: str, /) -> Sequence[GivenUp]:
        async def work(sql: Transaction) -> Sequence[GivenUp]:
            where = "FROM catalogsync_message WHERE job = :job AND given_up = 1"
            found = await sql(
                "SELECT receiver, COUNT(*), CAST(SUM(size) AS BIGINT), MAX(problem)"
                f" {where} GROUP BY receiver ORDER BY receiver",
                job=job,
            )
            await sql(f"DELETE {where}", job=job)
            return [
                GivenUp(receiver=who, messages=n, products=size, problem=problem)
                for who, n, size, problem in found
            ]

        return await self._database.write(work)

    async def messages(self, job: str, /) -> Sequence[Message]:
        async def work(sql: Transaction) -> Sequence[Message]:
            found = await sql(
                f"SELECT {MESSAGES.columns} FROM catalogsync_message"
                " WHERE job = :job AND given_up = 0 ORDER BY number",
                job=job,
            )
            return self._damage.read(MESSAGES.name, found, MESSAGES.read)

        return await self._database.read(work)


async def _drop(
    sql: Transaction, job: str, endpoint: str, keys: Collection[ProductKey]
) -> None:
    where = f"job = :job AND endpoint = :endpoint AND {_IN_ROWS}"
    delete = f"DELETE FROM catalogsync_unconfirmed WHERE {where}"
    await sql(delete, key_rows(keys), job=job, endpoint=endpoint)


async def _add(
    sql: Transaction, job: str, receiver: str, products: Sequence[WrittenProduct]
) -> None:
    await sql(
        "INSERT INTO catalogsync_message (number, id, job, receiver, products, size,"
        " packed_at, due_at, attempts, problem, given_up) VALUES (:number, :id, :job,"
        " :receiver, :products, :size, {now}, {now}, 0, '', 0)",
        number=await reserve(sql),
        id=f"msg_{uuid4().hex}",
        job=job,
        receiver=receiver,
        products=written_json(products),
        size=len(products),
    )
