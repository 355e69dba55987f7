"""The records of a running DummyJSON server: serialised once, but mutable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from typing import Any, TypeAlias, cast, overload

Record: TypeAlias = dict[str, Any]

try:
    import orjson
except ImportError:

    def dump(value: object, /) -> bytes:
        """Serialise to JSON as compact as JavaScript makes it."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    load: Callable[[bytes], Any] = json.loads
else:

    def dump(value: object, /) -> bytes:
        """Serialise to JSON as compact as JavaScript makes it."""
        return orjson.dumps(value)

    load = orjson.loads


class _Entry:
    """One record: its bytes, or the object itself once a test has accessed it."""

    __slots__ = ("_id", "_raw", "_selected", "live")

    def __init__(self, record: Record) -> None:
        # Copied, because orjson's result occupies several times its size.
        self._raw = bytes(memoryview(dump(record)))
        self._id: Any = record.get("id")
        self._selected: tuple[Sequence[str], bytes] | None = None
        self.live: Record | None = None

    @property
    def id(self) -> Any:
        """The record's id."""
        return self._id if self.live is None else self.live.get("id")

    def selected(self, names: Sequence[str]) -> bytes:
        """The record with these fields, serialised; cached while it is unchanged."""
        if self.live is None and self._selected and self._selected[0] == names:
            return self._selected[1]
        record = self.record
        chosen = {name: record[name] for name in names if name in record}
        raw = bytes(memoryview(dump(chosen)))
        self._selected = (names, raw)
        return raw

    @property
    def raw(self) -> bytes:
        return self._raw if self.live is None else dump(self.live)

    @property
    def record(self) -> Record:
        """The record, for reading only."""
        if self.live is not None:
            return self.live
        record: Record = load(self._raw)
        return record

    def expose(self) -> Record:
        """The record, for reading and changing."""
        self.live = self.record
        return self.live


class Records(MutableSequence[Record]):
    """The products of a running server, as a list that a test may change.

    It copies the records passed to it. A record that a test accesses here may be changed
    in place; from then on, it is serialised for each answer. All others are serialised
    once.

    Args:
        records: The products to begin with.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._entries = [_Entry(record) for record in records]
        self._index: dict[str, _Entry] | None = None
        self._ascending: bool | None = None

    @property
    def ascending(self) -> bool:
        """Whether the records are in the order of their ids, which are numbers."""
        if self._ascending is None:
            ids = [entry.id for entry in self._entries]
            numbers = all(isinstance(id_, int) for id_ in ids)
            self._ascending = numbers and ids == sorted(ids)
        return self._ascending

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        self._ascending = None
        if isinstance(index, slice):
            return [entry.expose() for entry in self._entries[index]]
        return self._entries[index].expose()

    @overload
    def __setitem__(self, index: int, value: Record) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[Record]) -> None: ...

    def __setitem__(self, index: int | slice, value: Record | Iterable[Record]) -> None:
        self._index = self._ascending = None
        if isinstance(index, slice):
            self._entries[index] = [
                _Entry(record) for record in cast("Iterable[Record]", value)
            ]
        else:
            self._entries[index] = _Entry(cast("Record", value))

    def __delitem__(self, index: int | slice) -> None:
        self._index = self._ascending = None
        del self._entries[index]

    def insert(self, index: int, value: Record) -> None:
        """Put a record before the one at ``index``."""
        self._index = self._ascending = None
        self._entries.insert(index, _Entry(value))

    def by_id(self, product_id: int) -> Record:
        """The record with this id, which may be changed in place.

        Raises:
            KeyError: There is no such record.
        """
        self._ascending = None
        entry = self.find(str(product_id))
        if entry is None:
            raise KeyError(product_id)
        return entry.expose()

    def find(self, product_id: str) -> _Entry | None:
        """The first entry with this id, as written in a path."""
        if self._index is None:
            self._index = {}
            for entry in self._entries:
                self._index.setdefault(str(entry.record["id"]), entry)
        found = self._index.get(product_id)
        if found is not None and str(found.record["id"]) == product_id:
            return found
        # A test may have changed an id in place.
        changed = (entry for entry in self._entries if entry.live is not None)
        return next((e for e in changed if str(e.record["id"]) == product_id), None)

    @property
    def entries(self) -> list[_Entry]:
        """The records that the server sends, in order; read-only."""
        return self._entries
