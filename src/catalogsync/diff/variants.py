"""Comparing the variants of a desired product with those in the sink. No I/O."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from catalogsync.catalog.changes import Action, VariantChange
from catalogsync.catalog.products import (
    UNIQUE,
    UNSET,
    VARIANT_FIELDS,
    VARIANT_PLAIN,
    Field,
    Price,
    Product,
    StockLevel,
    Unset,
    Variant,
    evolve_unchecked,
)

from .edits import Edits
from .last_applied import LastApplied, digest
from .merging import put

__all__ = ["Variants", "dropped", "pass_on", "variants_after"]


def dropped(
    given: Product, edits: Edits, without: frozenset[Field]
) -> tuple[tuple[str, str], ...]:
    """As in `Comparison`; the last-applied state is parsed only if it may name some."""
    text = edits.existing.last_applied or ""
    return tuple(
        (id_, name)
        for field, name in UNIQUE.items()
        if field not in without and f'"{name}"' in text
        for id_ in _without_value(given.variants, name, edits.last_applied)
        if name in edits.last_applied.variants.get(id_, ())
    )


def _without_value(
    given: tuple[Variant, ...] | Unset, name: str, last_applied: LastApplied
) -> Iterable[str]:
    """The variants for which the source does not supply this value."""
    if isinstance(given, Unset):
        return last_applied.variants
    return [v.id for v in given if getattr(v, name) is UNSET]


def pass_on(
    values: Iterable[tuple[str, str]], product: Product, edits: Edits
) -> Product:
    """The product with *values* cleared that a variant had and a sibling gets."""
    desired = product.variants or ()
    existing = {v.id: v for v in edits.existing.product.variants or ()}
    cleared: dict[str, dict[str, None]] = {}
    for id_, name in values:
        value = getattr(existing.get(id_), name, None)
        is_needed = any(getattr(variant, name) == value for variant in desired)
        if value and is_needed and edits.last_applied.has(id_, name, value):
            cleared.setdefault(id_, {})[name] = None
    if not cleared:
        return product
    variants = (evolve_unchecked(v, **cleared.get(v.id, {})) for v in desired)
    return evolve_unchecked(product, variants=tuple(variants))


@attrs.define
class Variants:
    """The comparison of the variants of one product.

    Attributes:
        edits: Manual edits of the product.
        without: Fields that are not written.
        conflicts: Parts that are left out because data added in the store is in the way.
        unwritten: Variants that are not written as desired because another variant has
            their options: as they stay, or None if they are not created.
    """

    edits: Edits
    without: frozenset[Field]
    conflicts: list[str] = attrs.field(factory=list[str])
    unwritten: dict[str, Variant | None] = attrs.field(
        factory=dict[str, "Variant | None"]
    )

    def changes(
        self, desired: Sequence[Variant], existing: Mapping[str, Variant]
    ) -> tuple[VariantChange, ...]:
        """The changes that make *existing* variants, by id, the desired ones."""
        planned = self._without_taken(
            self._variant_changes(desired, existing), existing
        )
        return self._without_conflicts(tuple(planned), existing)

    def written(self, product: Product) -> Product:
        """The desired product as far as it is written."""
        if not self.unwritten:
            return product
        found = (self.unwritten.get(v.id, v) for v in product.variants or ())
        variants = tuple(variant for variant in found if variant is not None)
        return evolve_unchecked(product, variants=variants)

    def _without_conflicts(
        self, changes: tuple[VariantChange, ...], before: Mapping[str, Variant]
    ) -> tuple[VariantChange, ...]:
        """The changes without options that a variant added in the store has too."""
        while True:
            owners = _owners(changes, before)
            rest: list[VariantChange] = []
            for change in changes:
                other = owners.get(_combination(change.variant))
                if other is None or other == change.variant.id or not _reshapes(change):
                    rest.append(change)
                else:
                    rest += self._leave_out(change, other, before)
            if len(rest) == len(changes) and all(map(operator.is_, rest, changes)):
                return changes
            changes = tuple(rest)

    def _leave_out(
        self, change: VariantChange, other: str, before: Mapping[str, Variant]
    ) -> Iterator[VariantChange]:
        """Note a conflict; yields the rest of the change, without its options."""
        variant = change.variant
        options = ", ".join(f"{n}: {v}" for n, v in sorted(variant.options.items()))
        what = "is not created" if change.action is Action.ADD else "keeps its options"
        self.conflicts.append(
            f"variant {variant.id} {what}: variant {other}, which was added in the store,"
            f" has the same options ({options})"
        )
        if change.action is Action.ADD:
            self.unwritten[variant.id] = None
            return
        kept = before[variant.id].options
        self.unwritten[variant.id] = evolve_unchecked(variant, options=kept)
        fields = change.fields - {Field.OPTIONS}
        if fields:
            variant = evolve_unchecked(variant, options=kept)
            yield VariantChange(action=Action.UPDATE, variant=variant, fields=fields)

    def _variant_changes(
        self, desired: Sequence[Variant], existing: Mapping[str, Variant]
    ) -> Iterator[VariantChange]:
        for variant in desired:
            if variant.id not in existing:
                if not self._removed_by_others(variant):
                    yield VariantChange(action=Action.ADD, variant=variant)
                continue
            after, fields = self._variant(variant, existing[variant.id])
            if fields:
                yield VariantChange(action=Action.UPDATE, variant=after, fields=fields)
        yield from self._changes_of_gone(desired, existing)

    def _changes_of_gone(
        self, desired: Sequence[Variant], existing: Mapping[str, Variant]
    ) -> Iterator[VariantChange]:
        """Changes of variants of ours that left the source."""
        stay = {variant.id for variant in desired}
        for id_, variant in existing.items():
            if id_ in stay or not self.edits.last_applied.wrote_variant(id_):
                continue
            if Field.VARIANTS not in self.without:
                yield VariantChange(action=Action.REMOVE, variant=variant)
            elif cleared := self._passed_on(variant, desired):
                after = evolve_unchecked(
                    variant, **{UNIQUE[field]: None for field in cleared}
                )
                yield VariantChange(action=Action.UPDATE, variant=after, fields=cleared)

    def _passed_on(
        self, variant: Variant, desired: Sequence[Variant]
    ) -> frozenset[Field]:
        """Unique values of a variant that left the source and stays, which others need."""
        return frozenset(
            field
            for field, name in UNIQUE.items()
            if field not in self.without
            and (value := getattr(variant, name))
            and any(getattr(other, name) == value for other in desired)
            and self.edits.last_applied.has(variant.id, name, value)
        )

    def _without_taken(
        self, changes: Iterable[VariantChange], before: Mapping[str, Variant]
    ) -> Iterator[VariantChange]:
        """New variants without unique values that are not ours to take from another.

        A value that the source owns only on creation stays with the variant that has it.
        """
        fixed = [field for field in UNIQUE if field in self.without]
        if not fixed:
            yield from changes
            return
        changes = tuple(changes)
        removed = {c.variant.id for c in changes if c.action is Action.REMOVE}
        stay = [v for id_, v in before.items() if id_ not in removed]
        for change in changes:
            variant = change.variant
            for field in fixed if change.action is Action.ADD else ():
                name = UNIQUE[field]
                value = getattr(variant, name)
                holders = [v.id for v in stay if value and getattr(v, name) == value]
                if holders:
                    variant = evolve_unchecked(variant, **{name: UNSET})
                    self.conflicts.append(
                        f"variant {variant.id} is created without {field.value}"
                        f" {value!r}: variant {holders[0]} has it and keeps it"
                    )
            yield attrs.evolve(change, variant=variant)

    def _removed_by_others(self, variant: Variant) -> bool:
        """Whether a person removed this variant of ours, and it stays removed."""
        was_there = self.edits.last_applied.finished_variant(variant.id)
        before = digest(variant.id) if was_there else None
        path = f"variants.{variant.id}"
        return self.edits.keeps(path, before, old=None, new=variant.id)

    def _variant(
        self, desired: Variant, existing: Variant
    ) -> tuple[Variant, frozenset[Field]]:
        if desired == existing:
            return existing, frozenset()
        values: dict[Field, Any] = {
            field: new
            for field, name in VARIANT_PLAIN.items()
            if (new := getattr(desired, name)) is not UNSET
            and self._overwrites(existing, name, new)
        }
        options = self._options(desired, existing)
        if options is not None:
            values[Field.OPTIONS] = options
        prices = self._prices(desired, existing)
        if prices is not None:
            values[Field.PRICES] = prices
        stock = _stock(desired.stock, existing.stock or ())
        if stock is not None:
            values[Field.STOCK] = stock
        names = {VARIANT_FIELDS.get(f, f.value): v for f, v in values.items()}
        return evolve_unchecked(existing, **names), frozenset(values)

    def _overwrites(self, existing: Variant, name: str, new: object) -> bool:
        """Whether to write a plain field of a variant."""
        old = getattr(existing, name)
        path = f"variants.{existing.id}.{name}"
        before = self._before(existing.id, name)
        return new != old and not self.edits.keeps(path, before, old=old, new=new)

    def _before(self, variant: str, name: str) -> str | None:
        """The digest of the value that we wrote last to a variant."""
        return self.edits.last_applied.variants.get(variant, {}).get(name)

    def _options(self, desired: Variant, existing: Variant) -> Mapping[str, str] | None:
        """The options after the change, with those added in the store; None: no change.

        A source that supplies no options leaves them alone, unless we wrote some
        before.
        """
        if not desired.options and not self._wrote_options(existing):
            return None
        theirs = {
            title: value
            for title, value in existing.options.items()
            if title not in desired.options
            and not self.edits.last_applied.wrote_option(title, existing)
        }
        after = {**desired.options, **theirs}
        if after == existing.options:
            return None
        keeps = self.edits.keeps(
            f"variants.{existing.id}.options",
            self._before(existing.id, "options"),
            old=existing.options,
            new=desired.options,
        )
        return None if keeps else after

    def _wrote_options(self, existing: Variant) -> bool:
        titles = (
            self.edits.last_applied.wrote(Field.OPTIONS, title)
            for title in existing.options
        )
        return self.edits.last_applied.wrote_options(existing.id) or any(titles)

    def _prices(self, desired: Variant, existing: Variant) -> tuple[Price, ...] | None:
        if isinstance(desired.prices, Unset):
            return None
        there = existing.prices or ()
        existing_prices = {price.currency: price for price in there}
        ours = {
            price.currency: price
            for price in desired.prices
            if not self._keeps_price(existing.id, price, existing_prices)
        }
        supplied_in = {price.currency for price in desired.prices}
        stay = tuple(
            price
            for price in there
            if price.currency in supplied_in
            or not self.edits.last_applied.wrote_price(existing.id, price.currency)
        )
        kept = {c: price for c, price in existing_prices.items() if c in supplied_in}
        after = put(stay, kept | ours, lambda price: price.currency)
        return None if after == there else after

    def _keeps_price(
        self, variant: str, desired: Price, existing: Mapping[str, Price]
    ) -> bool:
        found = existing.get(desired.currency)
        if found == desired:
            return False
        return self.edits.keeps(
            f"variants.{variant}.prices.{desired.currency}",
            self._before(variant, desired.currency),
            old=found.amount if found else None,
            new=desired.amount,
        )


def _stock(
    desired: tuple[StockLevel, ...] | Unset, existing: tuple[StockLevel, ...]
) -> tuple[StockLevel, ...] | None:
    """The levels after the change; None: no change. Other locations stay."""
    ours = {level.location: level for level in desired or ()}
    after = put(existing, ours, lambda level: level.location)
    return None if after == existing else after


def _combination(variant: Variant) -> frozenset[tuple[str, str]]:
    return frozenset(variant.options.items())


def _reshapes(change: VariantChange) -> bool:
    """Whether a change sets the options of a variant."""
    return change.action is Action.ADD or Field.OPTIONS in change.fields


def variants_after(
    before: Mapping[str, Variant], changes: Iterable[VariantChange]
) -> dict[str, Variant]:
    """The variants by id, after these changes."""
    after = dict(before)
    for change in changes:
        if change.action is Action.REMOVE:
            after.pop(change.variant.id, None)
        else:
            after[change.variant.id] = change.variant
    return after


def _owners(
    changes: Iterable[VariantChange], before: Mapping[str, Variant]
) -> dict[frozenset[tuple[str, str]], str]:
    """The variant that has each combination of options after these changes.

    One that has them already comes before one that would get them.
    """
    reshaped = {change.variant.id for change in changes if _reshapes(change)}
    after = variants_after(before, changes).values()
    owners: dict[frozenset[tuple[str, str]], str] = {}
    for variant in sorted(after, key=lambda variant: variant.id in reshaped):
        if variant.options:
            owners.setdefault(_combination(variant), variant.id)
    return owners
