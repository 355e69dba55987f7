"""Recognising products that need no change, before they are built.

Planning is pure: the same record, the same row in the sink, the same rules and the same
version give the same answer. So the answer "unchanged" is kept in the state store, with
digests of both sides, and holds as long as both digests do. The reader builds only the
products whose records are new to it (`Recognizer.known`), and the planner asks the sink
only for the digests of the others (`Recognizer.confirmed`). The two digests are called
*record* and *row*: of what the source has, and of what the sink has.

A product is kept only if the run had nothing to say about it: no warning, no manual
edit, nothing that stays in the way. Losing what is kept costs time, never correctness.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync._lib.versions import installed_version
from catalogsync.catalog.changes import Existing
from catalogsync.catalog.drafts import Draft, Outline, Unchanged
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.diff.compare import References
from catalogsync.diff.ownership import Rules
from catalogsync.errors import RefusedError
from catalogsync.protocols import FingerprintingSink, Page, Sink

from . import promises
from .journal import Journal
from .references import ReferenceResolver

__all__ = ["Fetched", "Recognizer", "unique_drafts"]

# Products with rare sets of fields are compared as usual: one read each costs more.
_MOST_READS = 4
_MOST_OUTLINES = 1024


@attrs.frozen(kw_only=True)
class Fetched:
    """A product on its way from the reader to the planner.

    Attributes:
        key: Key of the product.
        product: The product; None: it is not built, because its record is known.
        draft: The draft it came from; None: there is none, its key appears twice on the
            page, or a transform has seen the product.
        known: What an earlier run kept about the same record.
        as_of: When the stock on its page was counted; None: the page does not say.
    """

    key: ProductKey
    product: Product | None = None
    draft: Draft | None = None
    known: Unchanged | None = None
    as_of: datetime | None = None


@attrs.define
class Recognizer:
    """Keeps products that need no change, and recognises them in the next run.

    Attributes:
        journal: Keeps them in the state store.
        references: Knows the ids of categories and tags; None if the sink has none.
    """

    journal: Journal
    references: ReferenceResolver | None
    _sink: FingerprintingSink | None = None
    _context: str = ""
    # Digests of outlines, and of the ids of their references.
    _outlines: dict[Outline, str] = attrs.field(factory=dict[Outline, str], init=False)
    _ids: dict[Outline, str] = attrs.field(factory=dict[Outline, str], init=False)

    @classmethod
    def of(
        cls,
        sink: Sink,
        journal: Journal,
        references: ReferenceResolver | None,
        rules: Rules,
        *,
        skips: bool,
    ) -> Recognizer:
        """The recognizer of a run.

        Args:
            sink: The sink; it recognises nothing without fingerprints.
            journal: The run's side of the state store.
            references: Knows the ids of categories and tags.
            rules: The rules that products are compared by.
            skips: Whether to recognise nothing: what a transform does is not known,
                a lane compares a part of each product only, and budgets within brands
                or categories need to know those of each product.
        """
        recognizes = not skips and journal.store is not None
        if not recognizes or not isinstance(sink, FingerprintingSink):
            return cls(journal, references)
        context = f"{installed_version('catalogsync')} {rules!r}".encode()
        return cls(journal, references, sink, digest_of(context).hex())

    async def known(self, drafts: Collection[Draft]) -> Mapping[ProductKey, Unchanged]:
        """What was kept about those of these drafts that are still the same."""
        if self._sink is None or not drafts:
            return {}
        kept = await self.journal.unchanged([draft.key for draft in drafts])
        return {
            draft.key: found
            for draft in drafts
            if (found := kept.get(draft.key)) is not None
            and found.record == self._record(draft, found.outline)
            and draft.key not in self.journal.intents
        }

    async def confirmed(self, group: Sequence[Fetched]) -> Collection[ProductKey]:
        """Those of these known products that the sink still has as they were.

        Raises:
            TransientError: The sink cannot be asked now.
        """
        by_fields: defaultdict[frozenset[Field], dict[ProductKey, Unchanged]]
        by_fields = defaultdict(dict)
        for item in group:
            if item.known is not None:
                by_fields[item.known.outline.fields][item.key] = item.known
        confirmed: set[ProductKey] = set()
        if self._sink is None:
            return confirmed
        most = sorted(by_fields.items(), key=lambda entry: -len(entry[1]))
        for fields, known in most[:_MOST_READS]:
            rows = await promises.fingerprints(self._sink, [*known], fields)
            confirmed.update(
                key
                for key, row in rows.items()
                if self._row(row, known[key].outline) == known[key].row
            )
        return confirmed

    def keep(
        self,
        item: Fetched,
        desired: Product,
        existing: Existing,
        fields: frozenset[Field],
    ) -> None:
        """Keep a product that needed no change.

        Args:
            item: As the reader delivered it.
            desired: The product, as the sink can hold it.
            existing: The result of `find`.
            fields: The fields that `find` read.
        """
        if self._sink is None or item.draft is None:
            return
        found = promises.fingerprint(self._sink, existing, fields)
        if found is None:
            return
        outline = Outline(
            fields=found.fields,
            categories=desired.categories,
            tags=desired.tags,
            type=desired.type,
            collection=desired.collection,
        )
        row = self._row(found.digest, outline)
        if row is not None:
            record = self._record(item.draft, outline)
            unchanged = Unchanged(record=record, row=row, outline=outline)
            self.journal.keep_unchanged(item.key, unchanged)

    def _record(self, draft: Draft, outline: Outline) -> str:
        """A record as text, with its outline: a damaged one must not pass for it."""
        text = self._outlines.get(outline)
        if text is None:
            lists = (sorted(outline.fields), outline.categories, outline.tags)
            parts = (*lists, *outline.groups.items())
            text = self._cached(self._outlines, outline, parts)
        return self._context + text + draft.digest.hex()

    def _row(self, digest: str, outline: Outline) -> str | None:
        """A row and the ids of its references as text; None: one was refused."""
        ids = self._ids.get(outline)
        if ids is None:
            found: References = {}
            try:
                if self.references is not None:
                    found = self.references.resolve(outline)
            except RefusedError:
                return None
            ids = self._cached(self._ids, outline, sorted(found.items()))
        return ids + digest

    @staticmethod
    def _cached(cache: dict[Outline, str], outline: Outline, value: object) -> str:
        """Keep the digest of a value that is the same for each product of an outline."""
        if len(cache) == _MOST_OUTLINES:
            cache.clear()
        digest = digest_of(repr(value).encode(errors="surrogatepass")).hex()
        cache[outline] = digest
        return digest


def unique_drafts(page: Page) -> dict[ProductKey, Draft]:
    """The drafts of a page, without those that share a key."""
    counts = Counter(item.key for item in page.products)
    return {
        item.key: item
        for item in page.products
        if isinstance(item, Draft) and counts[item.key] == 1
    }
