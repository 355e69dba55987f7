"""A sink that reads and writes what it is asked for, and not more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from catalogsync import Action, Change, Existing, Field, MemorySink, Outcome, ProductKey
from catalogsync.catalog.changes import Found, Update
from catalogsync.catalog.drafts import Fingerprint
from catalogsync.catalog.products import (
    VARIANT_FIELDS,
    Product,
    Variant,
    evolve_unchecked,
)
from catalogsync.diff.ownership import narrowed


@attrs.define(kw_only=True)
class Narrow(MemorySink):
    """Reads the fields it is asked for, writes those of the change, knows digests.

    Attributes:
        asked: The fields of each `find`.
        wrote: What each update wrote, as paths.
    """

    asked: list[frozenset[Field]] = attrs.field(factory=list[frozenset[Field]])
    wrote: list[str] = attrs.field(factory=list[str])

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        self.asked.append(fields)
        found = await MemorySink.find(self, desired, fields=fields)
        return {key: self._narrowed(each, fields) for key, each in found.items()}

    def _narrowed(self, found: Found, fields: frozenset[Field]) -> Found:
        assert isinstance(found, Existing)
        if Field.OPTIONS in fields:
            return found
        product = narrowed(found.product, fields)
        if Field.TITLE not in fields:
            product = evolve_unchecked(product, title="")
        return attrs.evolve(found, product=product)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        for change in changes:
            if isinstance(change, Update):
                self._update(change)
            else:
                await MemorySink.write(self, [change])
        return [change.done() for change in changes]

    def _update(self, change: Update) -> None:
        product = self.products[change.key]
        values = {
            field.value: getattr(change.product, field.value)
            for field in change.fields - {Field.VARIANTS}
            if hasattr(product, field.value)
        }
        variants = {variant.id: variant for variant in product.variants or ()}
        for item in change.variants:
            match item.action:
                case Action.ADD:
                    variants[item.variant.id] = item.variant
                case Action.REMOVE:
                    del variants[item.variant.id]
                case _:
                    there = variants[item.variant.id]
                    variants[there.id] = _written(there, item.variant, item.fields)
                    self.wrote += [f"{change.key.id}.{f}" for f in item.fields]
        self.wrote += [f"{change.key.id}.{name}" for name in values]
        if change.variants:
            values["variants"] = tuple(variants.values())
        self.products[change.key] = evolve_unchecked(product, **values)
        self.last_applied[change.key] = change.last_applied

    def fingerprint(
        self, existing: Existing, /, *, fields: frozenset[Field]
    ) -> Fingerprint | None:
        return Fingerprint(self._print(existing.product.key), frozenset(Field))

    async def fingerprints(
        self, keys: Sequence[ProductKey], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, str]:
        return {key: self._print(key) for key in keys if key in self.products}

    def _print(self, key: ProductKey) -> str:
        return f"{self.products[key]}{self.last_applied.get(key)}"


def _written(there: Variant, new: Variant, fields: frozenset[Field]) -> Variant:
    names = {VARIANT_FIELDS.get(field, field.value) for field in fields}
    return evolve_unchecked(there, **{name: getattr(new, name) for name in names})
