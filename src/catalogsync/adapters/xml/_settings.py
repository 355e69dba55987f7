"""Settings of the source."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs

from catalogsync._lib.bounds import above
from catalogsync.errors import MisconfiguredError
from catalogsync.files import (
    FileSource,
    Upload,
    check_installed,
    check_marker,
    check_name,
    open_source,
    shown,
)
from catalogsync.mapping import RecordMapping

from ._opening import opened_xml
from ._tree import Tree

__all__ = ["XMLSettings"]

_NEEDED = ("fsspec", "duckdb", "lxml", "zstandard")
_STEP = re.compile(r"(?:[^\W\d][\w.-]*:)?[^\W\d][\w.-]*|\*")


def _paths(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _are_paths(_: object, __: object, value: tuple[str, ...]) -> None:
    for path in value:
        _check_path("records", path)
    if not value:
        raise MisconfiguredError("records", "must not be empty")


def _check_path(setting: str, path: str) -> None:
    if not all(_STEP.fullmatch(step) for step in path.removeprefix("/").split("/")):
        problem = f"must be names separated by `/`, such as `channel/item`, is {path!r}"
        raise MisconfiguredError(setting, problem)


def _outside(
    _: object, attribute: attrs.Attribute[Any], value: Mapping[str, str]
) -> None:
    for name, path in value.items():
        elements, at, _last = path.rpartition("/@")
        _check_path(f"{attribute.name}.{name}", elements if at else path)


def _tree(_: object, attribute: attrs.Attribute[Any], value: Tree | None) -> None:
    for path in value.nodes if value else ():
        _check_path(f"{attribute.name}.nodes", path)


@attrs.frozen(kw_only=True)
class XMLSettings:
    """An XML file as a source.

    Attributes:
        location: A path or an address (http, https, sftp, ftp, s3). `*` stands for any
            text; of several files, the newest is read. gzip, zip and Zstandard are
            uncompressed.
        name: Name of the source, for product keys; never change it while a store is in
            use.
        records: Path to the elements that are records, such as `channel/item`;
            several paths are alternatives. A path that begins with `/` begins at the
            root; `*` stands for any element.
        map: Where the fields of a product come from.
        namespaces: Namespaces by the prefix that `records` and `map` use. None are
            needed if the file's own prefixes never change.
        outside: Paths to texts outside of records, such as a currency in a header, by
            the name under which each record has them. `/@name` at the end stands for
            an attribute.
        category_tree: Where the file has a tree of categories that records refer to by
            id. A map looks ids up with `lookup = "category_tree"`; the levels of what is
            found are separated by `>`.
        complete: Whether the file has the whole catalog. If not, no run counts as one
            over all products, and none may prune.
        after_version: Number of the version after which an update of a BMEcat catalogue
            is accepted, whatever this job applied last. None: the version that the job
            applied last, which needs a state store and `complete = false`.
        member: The file in a zip archive with several; `*` stands for any text.
        settled: Seconds since the last change of the file after which it counts as
            complete; before, it is still being uploaded. None: at once.
        marker: Name of a file beside it that says that it is complete, such as `*.done`;
            `*` stands for its name, with or without the extension. None: no such file
            is needed.
        page_size: Products in a page.
        max_size: Most bytes to read, uncompressed.
    """

    location: str = attrs.field(repr=lambda text: repr(shown(text)))
    name: str = attrs.field(validator=check_name)
    records: str | tuple[str, ...] = attrs.field(converter=_paths, validator=_are_paths)
    map: RecordMapping
    namespaces: Mapping[str, str] = attrs.field(factory=dict[str, str])
    outside: Mapping[str, str] = attrs.field(factory=dict[str, str], validator=_outside)
    category_tree: Tree | None = attrs.field(default=None, validator=_tree)
    complete: bool = True
    after_version: int | None = None
    member: str | None = None
    settled: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(above(0))
    )
    marker: str | None = attrs.field(default=None, validator=check_marker)
    page_size: int = attrs.field(default=500, validator=attrs.validators.ge(1))
    max_size: int = attrs.field(default=8_000_000_000, validator=attrs.validators.ge(1))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[FileSource]:
        """Open the source for the length of a block; reads nothing yet.

        Raises:
            MissingExtraError: The extra `files` is not installed.
            MisconfiguredError: A file that the mapping names cannot be used.
        """
        check_installed("the source `xml`", _NEEDED)
        whole = self.complete and self.after_version is None
        settings = attrs.evolve(self, map=self.map.reloaded())
        records = partial(opened_xml, settings)
        upload = Upload(settled=self.settled, marker=self.marker)
        opening = open_source(settings, records, complete=whole, upload=upload)
        async with opening as source:
            yield source
