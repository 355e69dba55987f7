"""Reading back what was written."""

from __future__ import annotations

import random
from functools import partial

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import Existing, Found
from catalogsync.diff.compare import compare
from catalogsync.diff.describe import diff
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import RefusedError, TransientError
from catalogsync.protocols import Sink
from catalogsync.report import Discrepancy

from .options import Options
from .planner import Planned, Planner, conflict_text
from .recorder import Recorder
from .removing import repeated

__all__ = ["Verifier"]


@attrs.define(kw_only=True)
class Verifier:
    """Keeps a sample of what was written, and looks at it again at the end.

    Attributes:
        sink: Where the products are.
        planner: Finds them.
        options: Whether, and how many.
        recorder: Takes what differs.
    """

    sink: Sink
    planner: Planner
    options: Options
    recorder: Recorder
    _sample: list[Planned] = attrs.field(factory=list[Planned], init=False)
    _seen: int = attrs.field(default=0, init=False)
    _chance: random.Random = attrs.field(factory=random.Random, init=False)

    def note(self, written: Planned) -> None:
        """A product was written; each has the same chance to be in the sample."""
        if not self.options.verify:
            return
        self._seen += 1
        size = self.options.verify_sample
        if not size or len(self._sample) < size:
            self._sample.append(written)
            return
        place = self._chance.randrange(self._seen)
        if place < size:
            self._sample[place] = written

    async def run(self) -> None:
        """Read the sample back."""
        try:
            for written in batched(self._sample, self.sink.limits.find):
                products = [item.desired for item in written]
                existing = await repeated(
                    partial(self.planner.find, products),
                    "read back what was written",
                    self.recorder,
                    self.options,
                )
                for item in written:
                    self._compare(item, existing.get(item.desired.key))
        except TransientError as error:
            self.recorder.warn(f"what was written could not be read back: {error}")

    def _compare(self, written: Planned, existing: Found | None) -> None:
        differing: tuple[str, ...] = ("the whole product",)
        if isinstance(existing, Existing):
            try:
                differing = self._differing(written, existing)
            except RefusedError as error:
                differing = (error.reason,)
        if differing:
            found = Discrepancy(key=written.desired.key, fields=differing)
            self.recorder.discrepancies.append(found)

    def _differing(self, written: Planned, existing: Existing) -> tuple[str, ...]:
        desired = written.desired
        kept = LastApplied.parse(existing.last_applied) == LastApplied.parse(
            written.change.last_applied
        )
        last_applied = () if kept else ("last_applied",)
        book = self.planner.book
        references = book.resolve(desired) if book else None
        rules = self.planner.rules_after(desired.key)
        found = compare(desired, existing, references, rules=rules)
        new = (conflict_text(desired.key, text) for text in found.conflicts)
        conflicts = [text for text in new if text not in self.recorder.warnings]
        differing = [item.path for item in diff(found.change)] if found.change else []
        missing_parts = existing.missing_parts if found.change else ()
        return (*differing, *conflicts, *missing_parts, *last_applied)
