# ruff: noqa: S608 - statements are made of constants
"""The memory of uploaded images, for any `Database`; `ImageMemory` documents it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync.catalog.images import StoredImage
from catalogsync.errors import InvalidValueError

from ._rows import Damage
from ._sql import Database, Row, Transaction

_TABLE = "catalogsync_image"
_COLUMNS = "url, file_id, digest, etag, modified"
_IN_ROWS = "endpoint = :endpoint AND address IN (SELECT {0} FROM {rows})"
_DAY = "86400"


@attrs.frozen(eq=False)
class SQLImages:
    """An `ImageMemory` in a table of a `DatabaseStore`."""

    _database: Database = attrs.field(repr=False)
    _damage: Damage = attrs.field(repr=False)

    async def images(
        self, endpoint: str, addresses: Collection[str], /
    ) -> Mapping[str, StoredImage]:
        by_digest = {_digest(address): address for address in addresses}

        async def work(sql: Transaction) -> Mapping[str, StoredImage]:
            rows = [(digest,) for digest in by_digest]
            found = await sql(
                f"SELECT address, {_COLUMNS} FROM {_TABLE} WHERE {_IN_ROWS}",
                rows,
                endpoint=endpoint,
            )
            await sql(
                f"UPDATE {_TABLE} SET noted_at = {{now}} WHERE {_IN_ROWS}"
                f" AND noted_at < {{now}} - {_DAY}",
                rows,
                endpoint=endpoint,
            )
            read = self._damage.read(_TABLE, found, _addressed)
            return {by_digest[digest]: image for digest, image in read}

        return await self._database.write(work)

    async def image_with(self, endpoint: str, digest: str, /) -> StoredImage | None:
        async def work(sql: Transaction) -> StoredImage | None:
            found = await sql(
                f"SELECT {_COLUMNS} FROM {_TABLE} WHERE endpoint = :endpoint"
                " AND digest = :digest ORDER BY file DESC, address LIMIT 1",
                endpoint=endpoint,
                digest=digest,
            )
            read = self._damage.read(_TABLE, found, _image)
            return attrs.evolve(read[0], etag="", modified="") if read else None

        return await self._database.read(work)

    async def put_images(
        self, endpoint: str, images: Mapping[str, StoredImage], /
    ) -> None:
        async def work(sql: Transaction) -> None:
            await sql(
                f"INSERT INTO {_TABLE} (endpoint, address, {_COLUMNS}, file, noted_at)"
                " SELECT :endpoint, {0}, {1}, {2}, {3}, {4}, {5},"
                " CAST({6} AS BIGINT), {now} FROM {rows} WHERE true"
                " ON CONFLICT (endpoint, address) DO UPDATE SET url = excluded.url,"
                " file_id = excluded.file_id, digest = excluded.digest,"
                " etag = excluded.etag, modified = excluded.modified,"
                " file = excluded.file, noted_at = excluded.noted_at",
                [
                    (_digest(address), *attrs.astuple(image), int(address == image.url))
                    for address, image in images.items()
                ],
                endpoint=endpoint,
            )

        await self._database.write(work)


def _digest(address: str) -> str:
    return digest_of(address.encode(errors="surrogatepass")).hex()


def _image(row: Row) -> StoredImage:
    if not all(isinstance(value, str) for value in row):
        raise InvalidValueError("", "a column is not text")
    url, file_id, digest, etag, modified = row
    return StoredImage(
        url=url, file_id=file_id, digest=digest, etag=etag, modified=modified
    )


def _addressed(row: Row) -> tuple[str, StoredImage]:
    return str(row[0]), _image(row[1:])
