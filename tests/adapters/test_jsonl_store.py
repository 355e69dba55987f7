"""The file of the sink, through any history of writes, kills, closings and edits."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from catalogsync import Product, ProductKey
from catalogsync.adapters.jsonl._lines import Line, Place
from catalogsync.adapters.jsonl._store import Store
from catalogsync.errors import ConflictError

KEYS = [ProductKey(source, id_) for source in ("a", "b") for id_ in ("1", "10", "2")]


def line(key: ProductKey, title: str) -> bytes:
    return Line.of(Product(key=key, title=title), None).dumped()


class Histories(RuleBasedStateMachine):
    """What the store has is always what was written and not lost to an edit.

    A kill is a store that is dropped without closing it: its file handles go, and
    nothing else happens, as when a process ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "shop.jsonl"
        self.store = Store(self.path)
        self.saved: dict[Place, bytes] = {}
        self.there: dict[Place, bytes] = {}

    @initialize(has_file=st.booleans())
    def begin(self, has_file: bool) -> None:
        if has_file:
            self.path.write_bytes(b"")

    @rule(
        changes=st.dictionaries(
            st.sampled_from(KEYS), st.none() | st.text("xyz", min_size=1), min_size=1
        )
    )
    def write(self, changes: dict[ProductKey, str | None]) -> None:
        lines = {
            (key.source, key.id): None if title is None else line(key, title)
            for key, title in changes.items()
        }
        new = {p for p, data in lines.items() if data and p not in self.there}
        self.store.write(lines, new=frozenset(new))
        for place, data in lines.items():
            self.there.pop(place, None)
            if data is not None:
                self.there[place] = data

    @rule(key=st.sampled_from(KEYS), exists=st.booleans())
    def write_what_is_not_as_found(self, key: ProductKey, exists: bool) -> None:
        place = (key.source, key.id)
        new = frozenset({place} if place in self.there else ())
        try:
            self.store.write({place: line(key, "no")}, new=new)
        except ConflictError:
            return
        raise AssertionError(place)

    @rule()
    def close(self) -> None:
        self.store.close()
        self.saved = dict(self.there)
        self.store = Store(self.path)

    @rule(rubbish=st.booleans())
    def kill(self, rubbish: bool) -> None:
        self.store._forget()
        if rubbish:  # killed while the new file was written
            self.path.with_name("shop.jsonl.new").write_bytes(b'{"key":')
        self.store = Store(self.path)

    @rule(title=st.text("xyz", min_size=1), key=st.sampled_from(KEYS))
    def kill_and_edit(self, title: str, key: ProductKey) -> None:
        """A file that was edited since wins over what the killed run wrote."""
        self.store._forget()
        self.saved[key.source, key.id] = line(key, f"by hand {title} {len(self.saved)}")
        before = self.path.read_bytes() if self.path.exists() else None
        data = b"".join(self.saved.values())
        self.path.write_bytes(data if data != before else data + b"\n")
        self.there = dict(self.saved)
        self.store = Store(self.path)

    @invariant()
    def has_what_was_written(self) -> None:
        found = self.store.find(KEYS)
        assert {each.place: each.data for each in found} == self.there
        assert self.store.count() == len(self.there)
        for source in ("a", "b"):
            ids, after = [], ""
            while page := self.store.page(source, after, 2):
                ids += [each.place[1] for each in page]
                after = ids[-1]
            assert ids == sorted(i for s, i in self.there if s == source)

    @invariant()
    def the_file_is_whole_at_any_time(self) -> None:
        data = self.path.read_bytes() if self.path.exists() else b""
        lines = [each + b"\n" for each in data.split(b"\n") if each]
        assert sorted(lines) == sorted(self.saved.values())

    def teardown(self) -> None:
        self.store.close()
        self.saved = dict(self.there)
        self.the_file_is_whole_at_any_time()
        left = {each.name for each in self.folder.iterdir()}
        assert "shop.jsonl.changes" not in left
        shutil.rmtree(self.folder)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=15)
