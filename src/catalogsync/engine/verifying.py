"""The verifier: reads back a sample of what was written."""

from __future__ import annotations

import random
from functools import partial

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.changes import Existing, Found, Write
from catalogsync.diff.describe import diff
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import RefusedError, TransientError
from catalogsync.protocols import Sink
from catalogsync.report import Discrepancy

from .options import Options
from .planner import Planner, conflict_text
from .recorder import Recorder

__all__ = ["Verifier"]


@attrs.define(kw_only=True)
class Verifier:
    """Samples written products, and compares them with the sink at the end.

    Attributes:
        options: Options of the run: whether to verify, and how many products.
    """

    sink: Sink
    planner: Planner
    options: Options
    recorder: Recorder
    _sample: list[Write] = attrs.field(factory=list[Write], init=False)
    _seen: int = attrs.field(default=0, init=False)
    _random: random.Random = attrs.field(factory=random.Random, init=False)

    def add(self, written: Write) -> None:
        """Offer a written product to the sample; all have the same chance."""
        if not self.options.verify:
            return
        self._seen += 1
        size = self.options.verify_sample
        if not size or len(self._sample) < size:
            self._sample.append(written)
            return
        place = self._random.randrange(self._seen)
        if place < size:
            self._sample[place] = written

    async def run(self) -> None:
        """Read the sample back and record what differs."""
        try:
            for written in batched(self._sample, self.sink.limits.find):
                products = [item.desired for item in written if item.desired]
                found = await self.recorder.repeated(
                    partial(self.planner.find, products),
                    "read back what was written",
                    self.options.retry,
                )
                for item in written:
                    self._verify(item, found.get(item.key))
        except TransientError as error:
            self.recorder.warn(f"could not read back what was written: {error}")

    def _verify(self, written: Write, found: Found | None) -> None:
        differing: tuple[str, ...] = ("the whole product",)
        if isinstance(found, Existing):
            try:
                differing = self._differing(written, found)
            except RefusedError as error:
                differing = (error.reason,)
        if differing:
            discrepancy = Discrepancy(key=written.key, fields=differing)
            self.recorder.discrepancies.append(discrepancy)

    def _differing(self, written: Write, existing: Existing) -> tuple[str, ...]:
        """Paths that differ, missing parts, and conflicts that are new."""
        kept = LastApplied.parse(existing.last_applied) == LastApplied.parse(
            written.last_applied
        )
        last_applied = () if kept else ("last_applied",)
        desired = written.desired or written.product
        result = self.planner.compare_written(desired, existing)
        texts = (conflict_text(written.key, text) for text in result.conflicts)
        conflicts = [text for text in texts if text not in self.recorder.warnings]
        differing = [item.path for item in diff(result.change)] if result.change else []
        missing_parts = existing.missing_parts if result.change else ()
        return (*differing, *conflicts, *missing_parts, *last_applied)
