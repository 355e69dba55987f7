"""What becomes of JSON and of answers on their way: edits and troubles, drawn at random.

An edit changes one value in a JSON tree, a trouble one answer or several. Both are
plain values with no references to what they are used on, so that a failing case is
easily made smaller and can be written down.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from operator import getitem
from typing import Any, Literal, TypeAlias

import aiohttp
import attrs
from hypothesis import strategies as st

from .wire import Answer, Asked, Serve

How: TypeAlias = Literal["put", "drop", "deepen", "copy", "retype"]
Kind: TypeAlias = Literal[
    "edit",
    "forget",
    "repeat",
    "body",
    "cut",
    "flip",
    "insert",
    "status",
    "header",
    "broken off",
    "lost",
    "refused",
    "too slow",
]

ALWAYS = 1 << 30

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 1.5, -0.01, 1e-40, 1e31, 1e308, math.nan),
    *(2**31, 2**63, 2**64, -(2**70), 10**400),
    *("", " ", "x", "1", "0", "-1", "null", "\0", "\ud83d", "\ud83d\udca9", "\u202e"),
    *("e\u0301", "a\r\nb: c", "../../x?y#z", "%00", "prod_x", "dummyjson:1", "usd"),
    *("x" * 300, "9" * 5000, "2999-01-01T00:00:00.000Z", "2020-01-01", "0001-01-01"),
    *([], {}, [None], [[]], [{}], [1, 1], ["a", "a"], {"": 1}, {"id": 1}),
    *({"a": {"b": []}}, [{"id": "x"}, {"id": "x"}]),
)
_DEEP = (1, 2, 40)

_BODIES = (
    *(b"", b"null", b"[]", b"{}", b"1", b'"x"', b"[[]]", b"[null]", b"{", b"NaN"),
    *(b"<!DOCTYPE html><html><body>Bad Gateway</body></html>", b"\xff\xfe", b"\0"),
    *(b"\xef\xbb\xbf{}", b" " * 100, b"{" * 3000, b"[" * 3000 + b"]" * 3000),
    b'{"products": [], "total": 0, "skip": 0, "limit": 0, "count": 0, "offset": 0}',
    b'{"message": "no", "type": "invalid_data"}',
    b'{"message": "Product with handle: x, already exists.", "type": "invalid_data"}',
    b'{"message": "Inventory item with sku: x, already exists."}',
    b'{"message": "Field \'create, 1, title\' is required", "type": "invalid_data"}',
    b'{"message": "Field \'create, %s, x\'", "type": "x"}' % (b"9" * 5000),
    b'{"message": [], "type": {}}',
)
_STATUSES = (
    *(200, 201, 204, 206, 299, 300, 301, 304, 307, 400, 401, 403, 404, 405, 408),
    *(409, 413, 418, 422, 425, 429, 431, 451, 500, 501, 502, 503, 504, 511, 599),
)
_HEADERS = (
    *(("Retry-After", text) for text in ("0", "1", "3600", "-1", "x", "9" * 400)),
    ("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"),
    *(("Location", text) for text in ("", "/", "http://[", "https://evil.test/x?y")),
    *(("Date", text) for text in ("", "x", "Fri, 01 Jan 1999 00:00:00 GMT")),
    ("Date", "Fri, 01 Jan 2100 00:00:00 +9999"),
    *(("Content-Type", text) for text in ("text/html", "", "application/json;x")),
    ("Content-Encoding", "br"),
)


@attrs.frozen
class Edit:
    """A change of one value in a tree.

    Attributes:
        place: Which value, counted from the outside in, or by its path.
        how: What happens to it.
        value: What is put there; for a copy, where it is taken from.
    """

    place: int | tuple[str | int, ...]
    how: How
    value: Any = None

    def of(self, tree: Any) -> Any:
        """The tree with the change; the given one stays as it is."""
        root = [_copied(tree)]
        places = list(_places(root))
        parent, key = self._where(root, places)
        if self.how == "put":
            parent[key] = _copied(self.value)
        elif self.how != "drop":
            parent[key] = self._instead_of(parent[key], places)
        elif parent is not root:
            del parent[key]
        return root[0]

    def _where(self, root: Any, places: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        if isinstance(self.place, int):
            return places[self.place % len(places)]
        *path, key = (0, *self.place)
        return reduce(getitem, path, root), key

    def _instead_of(self, value: Any, places: Sequence[tuple[Any, Any]]) -> Any:
        match self.how:
            case "retype":
                return _retyped(value)
            case "deepen":
                for level in range(self.value):
                    value = {"x": value} if level % 2 else [value]
                return value
            case _:
                other, name = places[self.value % len(places)]
                return _copied(other[name])


def _copied(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


def _places(root: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each value by what holds it, from the outside in."""
    level: list[Any] = [root]
    while level:
        below: list[Any] = []
        for parent in level:
            keys = list(parent) if isinstance(parent, dict) else range(len(parent))
            for key in keys:
                yield parent, key
                if isinstance(parent[key], dict | list):
                    below.append(parent[key])
        level = below


def _retyped(value: Any) -> Any:
    match value:
        case str():
            return int(value) if value.isdecimal() and len(value) < 20 else [value]
        case dict():
            return [*value.values()]
        case list():
            return {str(n): item for n, item in enumerate(value)}
        case _:
            return str(value)


def dumped(tree: object) -> bytes:
    """As a careless server would write it."""
    return json.dumps(tree).encode()


def edits() -> st.SearchStrategy[list[Edit]]:
    """Some edits, most of them near the outside."""
    place = st.integers(0, 12) | st.integers(0, 2000)
    edit = st.one_of(
        st.builds(Edit, place, st.just("put"), st.sampled_from(VALUES)),
        st.builds(Edit, place, st.sampled_from(["drop", "retype"])),
        st.builds(Edit, place, st.just("deepen"), st.sampled_from(_DEEP)),
        st.builds(Edit, place, st.just("copy"), place),
    )
    return st.lists(edit, min_size=1, max_size=3)


@attrs.frozen
class Trouble:
    """What happens to some answers.

    Attributes:
        at: Number of the first answer.
        times: How many are spoiled.
        alike: Only those to requests for the same address as the first.
        kind: What happens.
        value: More about it.
        address: What the method and the path of the requests have in them.
    """

    at: int
    times: int
    alike: bool
    kind: Kind
    value: Any = None
    address: str = ""

    def of(self, answer: Answer) -> Answer:
        """The answer as it arrives."""
        if change := _CHANGES.get(self.kind):
            return attrs.evolve(answer, body=change(answer.body, self.value))
        match self.kind:
            case "status":
                return attrs.evolve(answer, status=self.value)
            case "header":
                name, text = self.value
                status = {"Retry-After": 503, "Location": 302}.get(name, answer.status)
                headers = {**answer.headers, name: text}
                return attrs.evolve(answer, headers=headers, status=status)
            case "broken off":
                body = _cut(answer.body, self.value)
                error = aiohttp.ClientPayloadError("cut")
                return attrs.evolve(answer, body=body, error=error, has_begun=True)
            case "too slow":
                return attrs.evolve(answer, error=TimeoutError())
            case _:
                return attrs.evolve(answer, error=aiohttp.ServerDisconnectedError())


def _cut(body: bytes, place: int) -> bytes:
    return body[: place % (len(body) + 1)]


def _edited(body: bytes, changes: Sequence[Edit]) -> bytes:
    tree = _parsed(body)
    if tree is None:
        return body
    for change in changes:
        tree = change.of(tree)
    return dumped(tree)


def _recounted(body: bytes, place: int, *, more: bool) -> bytes:
    """With a row more or less, and the numbers to match."""
    tree = _parsed(body)
    values = tree.values() if isinstance(tree, dict) else ()
    rows = next((value for value in values if value and isinstance(value, list)), None)
    if rows is None:
        return body
    if more:
        rows.append(rows[place % len(rows)])
    else:
        del rows[place % len(rows)]
    for name in ("count", "total", "limit"):
        if isinstance(tree.get(name), int):
            tree[name] += 1 if more else -1
    return dumped(tree)


def _scratched(
    body: bytes, scratches: Sequence[tuple[int, int]], *, more: bool
) -> bytes:
    found = bytearray(body)
    for place, byte in scratches:
        at = place % (len(found) + 1)
        found[at : at if more else at + 1] = bytes([byte])
    return bytes(found)


_CHANGES: Mapping[str, Callable[[bytes, Any], bytes]] = {
    "edit": _edited,
    "body": lambda _, value: value,
    "cut": _cut,
    "flip": partial(_scratched, more=False),
    "insert": partial(_scratched, more=True),
    "forget": partial(_recounted, more=False),
    "repeat": partial(_recounted, more=True),
}


def troubles(requests: int, *addresses: str) -> st.SearchStrategy[list[Trouble]]:
    """What happens to answers.

    Args:
        requests: About how many there are in a run.
        addresses: What those may be chosen by; an empty one chooses all.
    """
    place, byte = st.integers(0, 5000), st.integers(0, 255)
    scratches = st.lists(st.tuples(place, byte), min_size=1, max_size=4)
    kinds: list[tuple[str, st.SearchStrategy[Any]]] = [
        *[("edit", edits())] * 6,
        ("forget", place),
        ("repeat", place),
        ("body", st.sampled_from(_BODIES)),
        ("cut", place),
        ("flip", scratches),
        ("insert", scratches),
        ("status", st.sampled_from(_STATUSES)),
        ("header", st.sampled_from(_HEADERS)),
        ("broken off", place),
        ("lost", st.none()),
        ("refused", st.none()),
        ("too slow", st.none()),
    ]
    trouble = st.one_of(
        *(
            st.builds(
                Trouble,
                at=st.integers(0, requests),
                times=st.sampled_from([1, 1, 1, 2, 3, 5, ALWAYS]),
                alike=st.booleans(),
                kind=st.just(kind),
                value=value,
                address=st.sampled_from(addresses),
            )
            for kind, value in kinds
        )
    )
    return st.lists(trouble, min_size=1, max_size=3)


@attrs.define
class Spoiler:
    """A server whose answers are spoiled as it was ordered.

    Attributes:
        serve: The server.
        troubles: The order.
        lied: Whether an answer was wrong and in good form.
    """

    serve: Serve
    troubles: Sequence[Trouble] = ()
    lied: bool = False
    _count: int = 0
    _first: dict[int, str] = attrs.field(factory=dict)
    _times: Counter[int] = attrs.field(factory=Counter)

    def order(self, troubles: Sequence[Trouble]) -> None:
        """Start again with these."""
        self.troubles, self._count = troubles, 0
        self._first.clear()
        self._times.clear()

    async def __call__(self, asked: Asked) -> Answer:
        due = [t for n, t in enumerate(self.troubles) if self._is_due(n, t, asked)]
        self._count += 1
        if any(trouble.kind == "refused" for trouble in due):
            return Answer(0, {}, b"", aiohttp.ServerDisconnectedError())
        answer = spoiled = await self.serve(asked)
        for trouble in due:
            spoiled = trouble.of(spoiled)
        self.lied = self.lied or _is_lie(answer, spoiled)
        return spoiled

    def _is_due(self, number: int, trouble: Trouble, asked: Asked) -> bool:
        if self._count < trouble.at or self._times[number] >= trouble.times:
            return False
        address = f"{asked.method} {asked.url.path}"
        if trouble.address not in address:
            return False
        if trouble.alike and self._first.setdefault(number, address) != address:
            return False
        self._times[number] += 1
        return True


def _is_lie(before: Answer, after: Answer) -> bool:
    """Whether it is another answer in good form."""
    if (
        after.error is not None
        or after.status >= 500
        or after.status in {408, 425, 429}
    ):
        return False
    parsed = _parsed(after.body)
    if parsed is None:
        return after.status != before.status
    return (before.status, _parsed(before.body)) != (after.status, parsed)


def _parsed(body: bytes) -> Any:
    """What it says; None for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
