"""Settings of the source and the sink."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from catalogsync._lib.bounds import at_least
from catalogsync.catalog.products import ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError

from ._sink import JSONLSink, open_sink
from ._source import JSONLSource

__all__ = ["JSONLSinkSettings", "JSONLSourceSettings"]


def _source_name(_: object, __: object, value: str) -> None:
    try:
        ProductKey(value, "1")
    except InvalidValueError as error:
        raise MisconfiguredError("name", error.problem) from None


def _a_file(_: object, __: object, value: str) -> None:
    if not value or "\x00" in value or Path(value).is_dir():
        raise MisconfiguredError("path", f"must be the path of a file, is {value!r}")


@attrs.frozen(kw_only=True)
class JSONLSourceSettings:
    """A file of products, one line of JSON each, as a source.

    Attributes:
        path: The file, as the sink `jsonl` writes it; relative to the working
            directory.
        name: Name of the source, as in the keys in the file: `shop` for `shop:1`. The
            lines of other sources are left out.
        page_size: Lines in a page.
    """

    path: str = attrs.field(validator=_a_file)
    name: str = attrs.field(validator=_source_name)
    page_size: int = attrs.field(default=500, validator=at_least(1))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[JSONLSource]:
        """Open the source for the length of a block; reads nothing yet."""
        yield JSONLSource(
            path=Path(self.path), name=self.name, page_size=self.page_size
        )


@attrs.frozen(kw_only=True)
class JSONLSinkSettings:
    """A file of products, one line of JSON each, as a sink.

    Attributes:
        path: The file, relative to the working directory; its folder must exist. While
            a run writes, a second file beside it, `NAME.changes`, has what is new.
        name: Name of the sink, for reports and logs.
        batch: Most products in one write.
    """

    path: str = attrs.field(validator=_a_file)
    name: str = "jsonl"
    batch: int = attrs.field(default=500, validator=at_least(1))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[JSONLSink]:
        """Open the sink for the length of a block; the file is written at its end.

        Raises:
            MisconfiguredError: At the end: the file cannot be written.
        """
        async with open_sink(Path(self.path), self.name, self.batch) as sink:
            yield sink
