"""Requests that may be in flight: intents of writes, and how long to wait for them.

An *intent* is stored before the request and dropped when the product has an outcome. If
the process dies in between, the next run finds the intent: it does not mistake the half
of an update for a manual edit, gives a creation the same handle again, and waits where
an old request might still be creating the product.

A request that we gave up may still be carried out. So incomplete products, and
creations that a dead process began, are left alone until that cannot be the case any
more (`Options.grace`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

import attrs

from catalogsync.catalog.changes import Change, Create, Delete, Release
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.errors import ConflictError, TransientError
from catalogsync.state.protocols import Intent, StateStore

from .batches import existing_of, is_repair
from .options import OnDeleted, Options

__all__ = ["Grace", "Intents"]


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
            elif updates and not self._is_left(change.key):
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
        if self._is_left(key):
            return False
        return self._known.pop(key, None) is not None

    def _is_left(self, key: ProductKey) -> bool:
        """Whether an intent is left to a run over all fields.

        A lane does not look at the fields that an interrupted write may have left.
        """
        intent = self._known.get(key) if self.options.only is not None else None
        return intent is not None and intent.run_id != self.run_id

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


@attrs.frozen
class Grace:
    """Decides how long a product is left alone.

    Attributes:
        seconds: How long a request that we gave up may still be carried out.
        collides: Whether a second creation is refused (`Limits.collides`).
        intents: Know the creations that earlier runs began.
    """

    seconds: float
    collides: bool
    intents: Intents

    def may_be_in_flight(self, change: Change) -> bool:
        """Whether an old request may still be creating or completing a product."""
        waits = not self.collides and self.intents.ready_in(change.key)
        return is_repair(change) or bool(waits)

    def check(self, changes: Sequence[Change], before: Sequence[Change]) -> None:
        """Leave products alone that an old request may still be changing.

        Raises:
            ConflictError: There are such products among those that are planned again;
                its `retry_after` says when to try them.
        """
        known = {change.key: change for change in before}
        waits = [
            wait
            for change in changes
            if (wait := self._ready_in(change, known[change.key])) is not None
        ]
        if waits:
            problem = "incomplete, or an earlier request may still be creating it"
            keys = ", ".join(str(change.key) for change in changes[:3])
            raise ConflictError(f"{problem}: {keys}", retry_after=max(waits) or None)

    def _ready_in(self, change: Change, before: Change) -> float | None:
        """Seconds until a product may be created or repaired; None: now.

        A sink that knows the age of an incomplete product answers by that. Otherwise
        the product is repaired when two looks in a row find it unchanged.
        """
        existing, previous = existing_of(change), existing_of(before)
        if existing is None:
            if self.collides:
                return None
            return self.intents.ready_in(change.key) or None
        if not is_repair(change):
            return None
        if existing.age is not None and existing.age < self.seconds:
            return self.seconds - existing.age
        is_unchanged = previous is not None and (
            existing.product == previous.product
            and existing.missing_parts == previous.missing_parts
        )
        return None if is_unchanged else 0.0

    def after(self, change: Change, error: TransientError) -> TransientError:
        """The error, with a wait where a second creation would make a duplicate.

        An error without a reason is an answer, and so is a conflict: then the request
        is over and there is nothing to wait for. Neither is there after one that the
        sink did not begin.
        """
        answered = (
            error.unexplained or not error.begun or isinstance(error, ConflictError)
        )
        if answered or self.collides or not isinstance(change, Create):
            return error
        wait = max(self.seconds, error.retry_after or 0.0)
        return TransientError(str(error), retry_after=wait)
