"""Records the requests of one run of the library, for `replay`.

A request is one line of JSON and then its body. In bodies and paths the ids that an
earlier answer told stand as a number between two marks, so that they can be sent to
an emptied store, which gives other ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import attrs

from catalogsync.http._client import HttpClient, Reply

from . import library

MARK = b"\x00"
_ID = re.compile(rb"\b[a-z]+_[0-9A-Z]{26}\b")
_LABELS = ("external_id", "value", "title", "catalogsync_id")


@attrs.define
class Exchange:
    """A request, its answer, and how many were answered when it was sent."""

    url: str
    method: str
    headers: dict[str, str]
    body: bytes
    after: int
    reply: bytes = b""


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Run the library once and write what it sent to the file *tape*."""
    exchanges: list[Exchange] = []
    answered = 0
    send = HttpClient.send

    async def recorded(self: HttpClient, method: str, path: str, **more: Any) -> Reply:
        nonlocal answered
        query = more.get("query", "")
        exchange = Exchange(
            url=str(self.url).rstrip("/") + path + ("?" + query if query else ""),
            method=method,
            headers=dict(more.get("headers") or {}),
            body=more.get("body") or b"",
            after=answered,
        )
        exchanges.append(exchange)
        reply = await send(self, method, path, **more)
        answered, exchange.reply = answered + 1, reply.body
        return reply

    HttpClient.send = recorded  # type: ignore[method-assign]
    told = await library.work(job)
    _write(Path(job["tape"]), exchanges)
    return told


def _write(tape: Path, exchanges: list[Exchange]) -> None:
    used = {id_ for e in exchanges for id_ in _ID.findall(e.url.encode() + e.body)}
    numbers: dict[bytes, int] = {}
    with tape.open("wb") as file:
        for exchange in exchanges:
            head = {
                "method": exchange.method,
                "url": _marked(exchange.url.encode(), numbers).decode(),
                "after": exchange.after,
                "login": "Authorization" in exchange.headers,
            }
            body = _marked(exchange.body, numbers)
            told = {}
            if exchange.method == "POST" and used:
                for label, id_ in named_ids(json.loads(exchange.reply)):
                    if id_.encode() in used:
                        told[label] = numbers.setdefault(id_.encode(), len(numbers))
            line = json.dumps({**head, "size": len(body), "told": told})
            file.write(line.encode() + b"\n" + body)


def _marked(text: bytes, numbers: dict[bytes, int]) -> bytes:
    def mark(found: re.Match[bytes]) -> bytes:
        number = numbers.get(found[0])
        return found[0] if number is None else MARK + b"%d" % number + MARK

    return _ID.sub(mark, text)


def named_ids(value: Any, label: str = "") -> Iterator[tuple[str, str]]:
    """The ids in an answer, with a label that the next answer will have, too."""
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from named_ids(item, label)
    elif isinstance(value, dict):
        row = cast("dict[str, Any]", value)
        known: dict[str, Any] = {**row, **(row.get("metadata") or {})}
        name = next((str(known[n]) for n in _LABELS if known.get(n)), "")
        for key, item in row.items():
            place = f"{label}/{name}.{key}"
            if not isinstance(item, str):
                yield from named_ids(item, place)
            elif key.endswith("id") and "_" in item:
                yield place, item
