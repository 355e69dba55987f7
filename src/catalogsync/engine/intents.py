"""Intents: writes that may have begun, and have no outcome yet.

An intent is stored before the request and dropped when the product has an outcome. If
the process dies in between, the next run finds the intent: it does not mistake the half
of an update for a manual edit, gives a creation the same handle again, and waits where
an old request might still be creating the product.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import attrs

from catalogsync.catalog.changes import Change, Create, Delete, Release
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.state.protocols import Intent, StateStore

from .options import OnDeleted, Options

__all__ = ["Intents"]


@attrs.define(kw_only=True)
class Intents:
    """The intents of this run, and those that earlier runs left.

    Attributes:
        store: The state store; None: only those of this run are known.
    """

    store: StateStore | None
    endpoint: str
    run_id: str
    options: Options
    _known: dict[ProductKey, Intent] = attrs.field(
        factory=dict[ProductKey, Intent], init=False
    )
    _loaded_at: float = attrs.field(default=0.0, init=False)

    def __contains__(self, key: object) -> bool:
        return key in self._known

    async def load(self, store: StateStore, source: str) -> None:
        """Load those that earlier runs left."""
        self._known = dict(await store.intents(self.endpoint, source))
        self._loaded_at = time.monotonic()

    async def add(self, changes: Collection[Change]) -> None:
        """Note which products are about to be written, before they are."""
        # An interrupted update could be mistaken for a manual edit.
        updates = self.options.on_manual_edit is OnManualEdit.KEEP
        handles: dict[ProductKey, str] = {}
        for change in changes:
            if isinstance(change, Create):
                handles[change.key] = change.handle or ""
            elif updates:
                handles[change.key] = ""
        if self.store is not None:
            if handles:
                await self.store.put_intents(self.endpoint, self.run_id, handles)
            await self._forget(self.store, changes)
        for key, handle in handles.items():
            kept = self.handle(key) or handle
            self._known[key] = Intent(key=key, handle=kept, run_id=self.run_id)

    async def _forget(self, store: StateStore, changes: Collection[Change]) -> None:
        """Products that may be missing from now on, without a person's doing."""
        leaves = self.options.on_deleted is OnDeleted.LEAVE
        unsure = (Delete, Release, Create) if leaves else (Delete, Release)
        if keys := [change.key for change in changes if isinstance(change, unsure)]:
            await store.forget(self.endpoint, keys)

    def end(self, key: ProductKey) -> bool:
        """Forget an intent, because its product has an outcome; whether there was one."""
        return self._known.pop(key, None) is not None

    def handle(self, key: ProductKey) -> str:
        """The handle of an unfinished creation; empty: there is none."""
        intent = self._known.get(key)
        return intent.handle if intent else ""

    def ready_in(self, key: ProductKey) -> float:
        """Seconds until no request of an earlier run can still create this product.

        0: now. A run may have died after it sent the request, and the server may still
        be working on it.
        """
        intent = self._known.get(key)
        if intent is None or intent.run_id == self.run_id:
            return 0.0
        age = intent.age + time.monotonic() - self._loaded_at
        return max(0.0, self.options.grace - age)

    async def drop_absent(
        self, store: StateStore, job: str, has_seen: Callable[[ProductKey], bool]
    ) -> None:
        """Drop old intents of this job for products that left the source."""
        old = [
            intent
            for key, intent in self._known.items()
            if not has_seen(key) and not self.ready_in(key)
        ]
        runs = {id_: await store.run(id_) for id_ in {i.run_id for i in old}}
        jobs = {id_: record.job for id_, record in runs.items() if record}
        ours = {i.key for i in old if jobs.get(i.run_id, job) == job}
        if ours:
            await store.drop_intents(self.endpoint, ours)
