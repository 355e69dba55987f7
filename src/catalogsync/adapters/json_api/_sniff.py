"""Examining an API and proposing settings for it; what is not certain is asked.

A guess about pages counts only if the API confirms it: the second page must begin with
another record than the first, and a size must be the number of records that come back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import attrs
from yarl import URL

from catalogsync.errors import CatalogSyncError, MisconfiguredError
from catalogsync.http import HttpOptions, base_url, open_http
from catalogsync.mapping import Proposal, guess, paths_of

from ._auth import Fixed
from ._client import ApiClient, Ask, Parameters, with_parameters
from ._paths import JsonPath, best_list
from ._source import joined
from ._walks import next_link, whole

__all__ = ["sniff"]

_TOTALS = ("total", "totalcount", "totalitems", "totalresults", "totalrecords", "count")
_HEADERS = ("X-Total-Count", "X-WP-Total", "X-Total", "Total-Count")
_CURSORS = {
    "nextcursor": "cursor",
    "endcursor": "after",
    "next": "cursor",
    "cursor": "cursor",
    "nextpagetoken": "page_token",
    "nexttoken": "next_token",
}
_ADDRESSES = ("next", "nexturl", "nextpageurl", "nextlink", "href")
_COUNTED = (
    ("page", "page"),
    ("offset", "offset"),
    ("offset", "skip"),
    ("offset", "start"),
    ("page", "p"),
)
_SIZES = ("limit", "per_page", "page_size", "size", "pageSize", "count", "first")
_ADDRESS = re.compile(r"https?://|/|\?")
_FEW = 2
_SAMPLE = 500


@attrs.frozen(kw_only=True)
class _First:
    """The first answer."""

    url: URL
    body: object = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    items: str
    records: Sequence[Mapping[str, object]] = attrs.field(repr=False)


async def sniff(address: str) -> Proposal | None:
    """Examine an API.

    Args:
        address: Address of a list of products, without parameters for pages.

    Returns:
        The proposal, or None if the answer is not JSON with a list of objects.

    Raises:
        MisconfiguredError: No field of a record could be a key or a title.
        UnauthorizedError: The API asks for credentials.
        TransientError: It cannot be reached now.
    """
    url = base_url("url", address)
    async with open_http(url.origin(), HttpOptions()) as http:
        client = ApiClient(http=http, auth=Fixed.of(None, http), sent={})
        first = await _first(client, url)
        if first is None:
            return None
        facts = [f"{http.url}{url.raw_path}: JSON, {_where(first)}"]
        questions: list[str] = []
        settings = [f"items = {_text(first.items)}"] if first.items else []
        total = _total(first)
        settings += [line for line, _ in total]
        facts += [f"total: {place}" for _, place in total]
        paging, why = await _paging(client, first, bool(total))
        if paging:
            settings.append(f"paging = {{ {', '.join(paging)} }}")
        facts += why
        if not paging and _may_go_on(first):
            questions.append(
                "are there more pages? for example: paging = { style ="
                ' "page", parameter = "page" }'
            )
        found = guess(paths_of(first.records), first.records)
        _check_found(found.missing, first)
        lookup = await _lookup(client, first, found.lines)
        return Proposal(
            facts=(*facts, *lookup[1:], *found.facts),
            questions=(*questions, *found.questions),
            type="json_api",
            place="url",
            settings=(*settings, *lookup[:1]),
            map=tuple(found.lines),
        )


async def _first(client: ApiClient, url: URL) -> _First | None:
    reply = await client.ask(Ask(path=url.raw_path, query=url.raw_query_string))
    try:
        body = client.body(reply, graphql=False)
    except MisconfiguredError:
        raise
    except CatalogSyncError:
        return None
    items = best_list(body)
    if items is None:
        return None
    return _First(
        url=url,
        body=body,
        headers=reply.headers,
        items=items,
        records=_records(body, items)[:_SAMPLE],
    )


def _records(body: object, items: str) -> list[Mapping[str, object]]:
    found = JsonPath.of("items", items).search(body)
    if not isinstance(found, list):
        return []
    listed = cast("list[object]", found)
    return [cast("Mapping[str, object]", r) for r in listed if isinstance(r, Mapping)]


def _where(first: _First) -> str:
    place = f" at `{first.items}`" if first.items else ""
    return f"{len(first.records)} records{place}"


def _check_found(missing: Sequence[str], first: _First) -> None:
    if missing:
        some = ", ".join(f"`{name}`" for name in paths_of(first.records)[:20])
        problem = f"no field looks like it; the fields are: {some}"
        raise MisconfiguredError(f"map.{missing[0]}", problem)


def _values(
    body: object, path: str = "", depth: int = 0
) -> Iterator[tuple[str, object]]:
    """Single values in an answer, outside of lists, by path."""
    if not isinstance(body, Mapping) or depth > 3:
        return
    for name, value in cast("Mapping[str, object]", body).items():
        step = name if name.isidentifier() else _text(name)
        inner = f"{path}.{step}" if path else step
        if isinstance(value, Mapping):
            yield from _values(cast("object", value), inner, depth + 1)
        elif not isinstance(value, list):
            yield inner, value


def _plain(path: str) -> str:
    """The last name of a path, without signs and in lower case."""
    last = path.rpartition(".")[2]
    return "".join(mark for mark in last.lower() if mark.isalnum())


def _total(first: _First) -> list[tuple[str, str]]:
    """The line of the setting and where it is; empty: there is no total."""
    count = len(first.records)
    for path, value in _values(first.body):
        number, name = whole(value), _plain(path)
        if number is None or name not in _TOTALS:
            continue
        if number > count or (number == count and name != "count"):
            return [(f"total = {_text(path)}", f"`{path}` says {number}")]
    for header in _HEADERS:
        if whole(first.headers.get(header)) is not None:
            return [(f"total_header = {_text(header)}", f"header {header}")]
    return []


async def _paging(
    client: ApiClient, first: _First, total: bool
) -> tuple[list[str], list[str]]:
    """Parts of the setting, and why."""
    if next_link(joined(first.headers, "Link")):
        return ['style = "link"'], ["pages: header Link"]
    for path, value in _values(first.body):
        if not isinstance(value, str) or not value:
            continue
        name = _plain(path)
        if name in _ADDRESSES and "next" in path.lower() and _ADDRESS.match(value):
            parts = ['style = "next"', f"next = {_text(path)}"]
            return parts, [f"pages: address at `{path}`"]
        if name not in _CURSORS:
            continue
        parameter = await _cursor(client, first, _CURSORS[name], value)
        if parameter:
            parts = ['style = "cursor"', f"next = {_text(path)}"]
            parts += [f"parameter = {_text(parameter)}"]
            fact = f"pages: cursor at `{path}`, parameter `{parameter}`"
            return [*parts, *await _size(client, first)], [fact]
    if not total and not _may_go_on(first):
        return [], []
    return await _counted(client, first)


async def _cursor(client: ApiClient, first: _First, name: str, value: str) -> str:
    """The parameter that leads to the second page; empty: none of the known ones."""
    for parameter in dict.fromkeys(
        (name, "cursor", "after", "page_token", "pageToken")
    ):
        if await _is_other(client, first, {parameter: value}):
            return parameter
    return ""


async def _counted(client: ApiClient, first: _First) -> tuple[list[str], list[str]]:
    count = len(first.records)
    named = {_plain(path): path.rpartition(".")[2] for path, _ in _values(first.body)}
    likely = sorted(_COUNTED, key=lambda each: each[1] not in named)
    for style, parameter in likely:
        at = 2 if style == "page" else count
        if await _is_other(client, first, {parameter: at}):
            parts = [f'style = "{style}"', f"parameter = {_text(parameter)}"]
            fact = f"pages: `{parameter}={at}` begins with another record"
            return [*parts, *await _size(client, first)], [fact]
    return [], []


async def _size(client: ApiClient, first: _First) -> list[str]:
    """The parameter for the size of a page, which the API must obey."""
    if len(first.records) > _FEW:
        for name in _SIZES:
            if len(await _asked(client, first, {name: _FEW})) == _FEW:
                return [f"size_parameter = {_text(name)}"]
    return ['size_parameter = ""', f"size = {len(first.records)}"]


async def _is_other(client: ApiClient, first: _First, more: Parameters) -> bool:
    found = await _asked(client, first, more)
    return bool(found) and found[0] not in first.records


async def _asked(
    client: ApiClient, first: _First, more: Parameters
) -> list[Mapping[str, object]]:
    """The records of an answer; none if the API refuses."""
    query = with_parameters(first.url.raw_query_string, more)
    try:
        reply = await client.ask(Ask(path=first.url.raw_path, query=query))
        return _records(client.body(reply, graphql=False), first.items)
    except CatalogSyncError:
        return []


async def _lookup(
    client: ApiClient, first: _First, lines: Sequence[str]
) -> tuple[str, ...]:
    """The line of the setting and why, if a single product can be looked up."""
    keys = [line for line in lines if line.startswith("key = ")]
    if not keys or not first.records or first.items.count(".") > 1:
        return ()
    path = json.loads(keys[0].removeprefix("key = ")) if '"' in keys[0] else ""
    key = first.records[0].get(path) if isinstance(path, str) else None
    if not isinstance(key, int | str) or not str(key).isalnum():
        return ()
    target = f"{first.url.raw_path.rstrip('/')}/{key}"
    try:
        found: object = client.body(await client.ask(Ask(path=target)), graphql=False)
    except CatalogSyncError:
        return ()
    if not isinstance(found, Mapping):
        return ()
    if cast("Mapping[str, object]", found).get(path) != key:
        return ()
    shown = f"{first.url.raw_path.rstrip('/')}/{{id}}"
    return f"lookup = {_text(shown)}", f"single products: {shown}"


def _may_go_on(first: _First) -> bool:
    """Whether the number of records looks like the size of a page."""
    count = len(first.records)
    return count >= 10 and (count % 10 == 0 or count % 12 == 0 or count in {15, 25})


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
