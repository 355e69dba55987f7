"""Reading back what was written."""

from __future__ import annotations

import random
from functools import partial

import attrs

from catalogsync.batching import batched
from catalogsync.changes import Held, Ours
from catalogsync.differences import diff
from catalogsync.errors import RefusedError, TransientError
from catalogsync.planning import compare
from catalogsync.protocols import Sink
from catalogsync.receipt import Receipt
from catalogsync.report import Discrepancy

from .options import Options
from .removing import repeated
from .survey import Planned, Survey, conflict_text
from .tally import Tally

__all__ = ["Verifier"]


@attrs.define(kw_only=True)
class Verifier:
    """Keeps a sample of what was written, and looks at it again at the end.

    Attributes:
        sink: Where the products are.
        survey: Finds them.
        options: Whether, and how many.
        tally: Takes what differs.
    """

    sink: Sink
    survey: Survey
    options: Options
    tally: Tally
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
                products = [item.wanted for item in written]
                held = await repeated(
                    partial(self.survey.find, products),
                    "read back what was written",
                    self.tally,
                    self.options,
                )
                for item in written:
                    self._compare(item, held.get(item.wanted.key))
        except TransientError as error:
            self.tally.warn(f"what was written could not be read back: {error}")

    def _compare(self, written: Planned, held: Held | None) -> None:
        differing: tuple[str, ...] = ("the whole product",)
        if isinstance(held, Ours):
            try:
                differing = self._differing(written, held)
            except RefusedError as error:
                differing = (error.reason,)
        if differing:
            found = Discrepancy(key=written.wanted.key, fields=differing)
            self.tally.discrepancies.append(found)

    def _differing(self, written: Planned, held: Ours) -> tuple[str, ...]:
        wanted = written.wanted
        kept = Receipt.parse(held.receipt) == Receipt.parse(written.change.receipt)
        receipt = () if kept else ("receipt",)
        book = self.survey.book
        references = book.resolve(wanted) if book else None
        rules = self.survey.rules_after(wanted.key)
        found = compare(wanted, held, references, rules=rules)
        new = (conflict_text(wanted.key, text) for text in found.conflicts)
        conflicts = [text for text in new if text not in self.tally.warnings]
        differing = [item.path for item in diff(found.change)] if found.change else []
        gaps = held.gaps if found.change else ()
        return (*differing, *conflicts, *gaps, *receipt)
