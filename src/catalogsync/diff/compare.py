"""Comparing a desired product with an existing one: the smallest change. No I/O.

Both are compared field by field. The source's values win in the fields that it
supplies. In lists (prices, images, variants, ...) elements that were added in the store
stay, and elements that we wrote and the source has dropped are removed: the
last-applied state tells the two apart. It also tells a manual edit from a change of the
source: the source still has the value that we wrote last, but the sink has another one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import attrs

from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Create,
    Existing,
    FieldDiff,
    Update,
    VariantChange,
    Write,
    by_name,
    for_display,
)
from catalogsync.catalog.products import (
    UNIQUE,
    UNSET,
    VARIANT_FIELDS,
    VARIANT_TEXTS,
    Category,
    Field,
    Image,
    Json,
    Price,
    Product,
    ProductStatus,
    StockLevel,
    Unset,
    Variant,
    evolve_unchecked,
    unchecked,
)

from .last_applied import LastApplied, digest, place_of, write_last_applied
from .ownership import ManualEdit, OnManualEdit, Rules, without_unowned

__all__ = ["Comparison", "compare", "plan"]

References: TypeAlias = Mapping[Field, tuple[str, ...]]
"""The elements of `categories` and `tags`, by the sink's ids."""

K = TypeVar("K")
T = TypeVar("T")

_PLAIN = (
    Field.TITLE,
    Field.DESCRIPTION,
    Field.BRAND,
    Field.THUMBNAIL,
    Field.WEIGHT,
    Field.DIMENSIONS,
)
_LISTS = (Field.IMAGES, Field.CATEGORIES, Field.TAGS, Field.ATTRIBUTES)
_PRODUCT_FIELDS = {
    field: field.value for field in (*_PLAIN, Field.STATUS, *_LISTS, Field.VARIANTS)
}
_RULES, _NO_LAST_APPLIED = Rules(), LastApplied()


def supplied(product: Product) -> frozenset[Field]:
    """The fields that the source supplies."""
    fields = {
        field
        for field, name in _PRODUCT_FIELDS.items()
        if getattr(product, name) is not UNSET
    }
    for variant in product.variants or ():
        if variant.options:
            fields.add(Field.OPTIONS)
        for field, name in VARIANT_FIELDS.items():
            if getattr(variant, name) is not UNSET:
                fields.add(field)
    return frozenset(fields)


def own_references(product: Product) -> References:
    """The categories and tags of a product, for a sink without references."""
    references: dict[Field, tuple[str, ...]] = {}
    if not isinstance(product.categories, Unset):
        references[Field.CATEGORIES] = tuple(c.id for c in product.categories)
    if not isinstance(product.tags, Unset):
        references[Field.TAGS] = product.tags
    return references


@attrs.frozen
class Comparison:
    """The result of a comparison.

    Attributes:
        change: The change; None: nothing has to be written.
        manual_edits: Our values that people edited, whether they are kept or not.
        conflicts: Parts that the change leaves out because data added in the store is in
            the way, with reasons.
        dropped: Id and field of variants whose unique value we wrote and the source no
            longer supplies. The value stays until another product needs it.
    """

    change: Write | None
    manual_edits: tuple[ManualEdit, ...] = ()
    conflicts: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


def plan(
    desired: Product,
    existing: Existing | None,
    references: References | None = None,
    *,
    rules: Rules | None = None,
) -> Write | None:
    """Work out the smallest change.

    Args:
        desired: The product as the sink can hold it (after `shape`).
        existing: The product in the sink; None: there is none.
        references: For a `ReferencingSink`: the sink's ids of the product's categories
            and tags. None for other sinks.
        rules: Who owns which field; None: the source owns all fields that it supplies.

    Returns:
        The change, or None if nothing has to be written.
    """
    return compare(desired, existing, references, rules=rules).change


def compare(
    desired: Product,
    existing: Existing | None,
    references: References | None = None,
    *,
    rules: Rules | None = None,
) -> Comparison:
    """Like `plan`, with the manual edits and conflicts that were found."""
    rules = rules or _RULES
    given = desired
    # An incomplete product counts as still being created: fields that are written only
    # on creation are written, and nothing in it can be a manual edit.
    creating = existing is None or bool(existing.missing_parts)
    found = existing.product if existing is not None else None
    desired = without_unowned(desired, found, rules, creating=creating)
    without = rules.without(creating=creating)
    if references is not None and not without.isdisjoint(references):
        references = {f: ids for f, ids in references.items() if f not in without}
    if existing is not None:
        return _Comparison(
            given, desired, existing, references, rules, without
        ).result()
    elements = own_references(desired) if references is None else references
    last_applied = write_last_applied(
        desired,
        elements,
        _NO_LAST_APPLIED,
        places=_places(desired, references),
        without=without,
        job=rules.job,
    )
    change = Create(
        product=desired,
        fields=supplied(desired),
        references=references or {},
        last_applied=last_applied,
        desired=given,
    )
    return Comparison(change)


def _places(desired: Product, references: References | None) -> tuple[Category, ...]:
    """Categories, if they are part of the product itself in this sink."""
    return () if references is not None else desired.categories or ()


@attrs.define(slots=False)
class _Comparison:
    """The comparison of one desired product with one existing product.

    Attributes:
        given: The desired product with all fields.
        desired: The desired product without fields that the source does not own.
        existing: The existing product.
        references: The sink's ids of categories and tags; None: it has none.
        rules: Who owns which field.
        without: Fields that are not written.
        values: New values of the product's attributes.
        merged: The sink's ids of categories and tags after the change.
        fields: The fields of the change.
        manual_edits: Manual edits found so far.
        conflicts: Conflicts found so far.
        unwritten: Variants that are not written as desired because another variant has
            their options: as they stay, or None if they are not created.
    """

    given: Product
    desired: Product
    existing: Existing
    references: References | None
    rules: Rules
    without: frozenset[Field]
    values: dict[str, Any] = attrs.field(factory=dict[str, Any])
    merged: dict[Field, tuple[str, ...]] = attrs.field(
        factory=dict[Field, tuple[str, ...]]
    )
    fields: set[Field] = attrs.field(factory=set[Field])
    manual_edits: list[ManualEdit] = attrs.field(factory=list[ManualEdit])
    conflicts: list[str] = attrs.field(factory=list[str])
    unwritten: dict[str, Variant | None] = attrs.field(
        factory=dict[str, "Variant | None"]
    )

    @property
    def _is_marked(self) -> bool:
        return LastApplied.is_marked(self.existing.last_applied or "")

    @property
    def _is_anothers(self) -> bool:
        """Whether a job of another name wrote it last."""
        job = self.rules.job
        is_ours = not job or LastApplied.names(self.existing.last_applied or "", job)
        return not is_ours and self.last_applied.job not in {None, "", job}

    @cached_property
    def last_applied(self) -> LastApplied:
        return LastApplied.parse(self.existing.last_applied)

    @cached_property
    def last_applied_after(self) -> str:
        elements = self.references
        if elements is None:
            elements = own_references(self.desired)
        return write_last_applied(
            self._written(),
            elements,
            self.last_applied,
            places=_places(self.desired, self.references),
            without=self.without,
            there=[variant.id for variant in self.existing.product.variants or ()],
            job=self.rules.job,
        )

    @cached_property
    def dropped(self) -> tuple[tuple[str, str], ...]:
        """As in `Comparison`; the last-applied state is parsed only if it may name some."""
        given, text = self.given.variants, self.existing.last_applied or ""
        return tuple(
            (id_, name)
            for field, name in UNIQUE.items()
            if field not in self.without and f'"{name}"' in text
            for id_ in self._without_value(given, name)
            if name in self.last_applied.variants.get(id_, ())
        )

    def _without_value(
        self, given: tuple[Variant, ...] | Unset, name: str
    ) -> Iterable[str]:
        """The variants for which the source does not supply this value."""
        if isinstance(given, Unset):
            return self.last_applied.variants
        return [v.id for v in given if getattr(v, name) is UNSET]

    def _pass_on(self) -> None:
        """Clear values that the source dropped from a variant and a sibling gets."""
        desired = self.desired.variants or ()
        existing = {v.id: v for v in self.existing.product.variants or ()}
        cleared: dict[str, dict[str, None]] = {}
        for id_, name in self.dropped:
            value = getattr(existing.get(id_), name, None)
            is_needed = any(getattr(variant, name) == value for variant in desired)
            if value and is_needed and self.last_applied.has(id_, name, value):
                cleared.setdefault(id_, {})[name] = None
        if cleared:
            variants = (evolve_unchecked(v, **cleared.get(v.id, {})) for v in desired)
            self.desired = evolve_unchecked(self.desired, variants=tuple(variants))

    def result(self) -> Comparison:
        if self.dropped:
            self._pass_on()
        self._plain()
        self._status()
        self._images()
        self._attributes()
        self._elements(Field.CATEGORIES)
        self._elements(Field.TAGS)
        variants = self._variants()
        found = Comparison(
            None, tuple(self.manual_edits), tuple(self.conflicts), self.dropped
        )
        if not self.fields and not self._is_forced():
            return found
        kind = Adopt if self.existing.foreign else Update
        change = kind(
            product=evolve_unchecked(self.existing.product, **self.values),
            fields=frozenset(self.fields),
            variants=variants,
            references={} if self.references is None else self.merged,
            last_applied=self.last_applied_after,
            existing=self.existing,
            desired=self.given,
        )
        return attrs.evolve(found, change=change)

    def _written(self) -> Product:
        """The desired product as far as it is written."""
        if not self.unwritten:
            return self.desired
        found = (self.unwritten.get(v.id, v) for v in self.desired.variants or ())
        variants = tuple(variant for variant in found if variant is not None)
        return evolve_unchecked(self.desired, variants=variants)

    def _is_forced(self) -> bool:
        """Whether there is something to write although no field differs."""
        if self.existing.missing_parts or self.existing.foreign:
            return True
        if self._is_marked and (
            self.last_applied.unpublished or self.last_applied.writing
        ):
            return True
        # A product that another job wrote is this job's now. Unless its state says so,
        # the other job would remove it.
        if self._is_anothers:
            return True
        if (
            self.rules.on_manual_edit is not OnManualEdit.KEEP
            or self.existing.last_applied is None
        ):
            return False
        # Both sides changed to the same value. Unless the last-applied state says so, the
        # next change of the source would look like a manual edit.
        after = LastApplied.parse(self.last_applied_after)
        return attrs.evolve(after, job=self.last_applied.job) != self.last_applied

    def _set(self, field: Field, value: object) -> None:
        self.values[field.value] = value
        self.fields.add(field)

    def _keeps(
        self,
        path: str,
        before: str | None,
        *,
        old: object,
        new: object,
        keep: bool | None = None,
    ) -> bool:
        """Whether a value that differs is a manual edit that stays.

        Args:
            path: Path of the value.
            before: Digest of the value that we wrote last; None: we wrote none.
            old: The value in the sink.
            new: The value of the source.
            keep: Whether manual edits stay; None: what the rules say about products.
        """
        if before is None or self.existing.missing_parts or before != digest(new):
            return False
        if self.rules.edited is not None and path not in self.rules.edited:
            return False
        kept = self.rules.on_manual_edit is OnManualEdit.KEEP if keep is None else keep
        diff = FieldDiff(path=path, old=for_display(old), new=for_display(new))
        self.manual_edits.append(ManualEdit(key=self.desired.key, diff=diff, kept=kept))
        return kept

    def _plain(self) -> None:
        for field in _PLAIN:
            name = _PRODUCT_FIELDS[field]
            value, existing = (
                getattr(self.desired, name),
                getattr(self.existing.product, name),
            )
            if value is UNSET or value == existing:
                continue
            before = self.last_applied.fields.get(field)
            if not self._keeps(name, before, old=existing, new=value):
                self._set(field, value)

    def _status(self) -> None:
        """Publish what we unpublished; otherwise write it only if the job owns it."""
        desired, existing = self.desired.status, self.existing.product.status
        unpublished = self._is_marked and self.last_applied.unpublished
        unpublished = unpublished and existing is not ProductStatus.PUBLISHED
        if unpublished:
            is_ours = self.rules.writes(Field.STATUS, creating=True)
            desired = self.given.status if is_ours else UNSET
            desired = desired or ProductStatus.PUBLISHED
        elif Field.STATUS in self.without:
            return
        if desired is UNSET or desired == existing:
            return
        before = None if unpublished else self.last_applied.fields.get(Field.STATUS)
        if not self._keeps("status", before, old=existing, new=desired):
            self._set(Field.STATUS, desired)

    def _images(self) -> None:
        desired, existing = self.desired.images, self.existing.product.images or ()
        if isinstance(desired, Unset) or desired == existing:
            return
        new, old = [image.url for image in desired], [image.url for image in existing]
        urls = _merge_ordered(
            new, old, lambda url: self.last_applied.wrote(Field.IMAGES, url)
        )
        if urls is None:
            return
        same = self._listed_before(Field.IMAGES) == [digest(url) for url in new]
        if not self._keeps_list(Field.IMAGES, old, new, same=same):
            self._set(Field.IMAGES, tuple(unchecked(Image, url=url) for url in urls))

    def _listed_before(self, field: Field) -> list[str]:
        return list(self.last_applied.lists.get(field, ()))

    def _keeps_list(
        self, field: Field, old: Iterable[str], new: Iterable[str], *, same: bool
    ) -> bool:
        """Like `_keeps`, for a list; *same*: the source has the list that we wrote."""
        items = list(new)
        before = digest(items) if same and field in self.last_applied.lists else None
        return self._keeps(field.value, before, old=list(old), new=items)

    def _attributes(self) -> None:
        desired, there = self.desired.attributes, self.existing.product.attributes or {}
        if isinstance(desired, Unset) or _same(desired, there):
            return
        existing = by_name(there)
        theirs = {
            name: value
            for name, value in existing.items()
            if name in desired or not self.last_applied.wrote_attribute(name)
        }
        ours = {
            name: value
            for name, value in desired.items()
            if not self._keeps_attribute(name, value, existing)
        }
        target = {**theirs, **ours}
        if not _same(target, there):
            self._set(Field.ATTRIBUTES, target)

    def _keeps_attribute(
        self, name: str, value: Json, existing: Mapping[str, Json]
    ) -> bool:
        if name in existing and _same(value, existing[name]):
            return False
        before = self.last_applied.attributes.get(name)
        path = f"attributes.{name}"
        return self._keeps(path, before, old=existing.get(name), new=value)

    def _elements(self, field: Field) -> None:
        """Categories or tags, by the sink's ids if it has any."""
        if self.references is not None:
            existing = tuple(self.existing.references.get(field, ()))
            desired = self.references.get(field)
        else:
            existing = own_references(self.existing.product).get(field, ())
            desired = own_references(self.desired).get(field)
        if desired is None:
            return
        target = _merge(desired, existing, lambda e: self.last_applied.wrote(field, e))
        if target is None and not self._renamed(field):
            return
        same = set(self._listed_before(field)) == set(map(digest, desired))
        names = self.existing.references.get(field)
        theirs = for_display(getattr(self.existing.product, field)) or ()
        old = theirs if names is None else names.values()
        new = for_display(getattr(self.desired, field))
        if target is not None and self._keeps_list(field, old, new, same=same):
            return
        self.merged[field] = existing if target is None else target
        self._set(field, self._listed(field, self.merged[field]))

    def _renamed(self, field: Field) -> bool:
        """Whether a category differs, if categories are part of the product itself."""
        if self.references is not None or field is not Field.CATEGORIES:
            return False
        existing = {c.id: c for c in self.existing.product.categories or ()}
        return any(existing.get(c.id, c) != c for c in self._categories)

    @cached_property
    def _categories(self) -> tuple[Category, ...]:
        """The desired categories, with the manual edits that stay."""
        existing = {c.id: c for c in self.existing.product.categories or ()}
        return tuple(
            existing[c.id] if c.id in existing and self._stays(c, existing[c.id]) else c
            for c in self.desired.categories or ()
        )

    def _stays(self, desired: Category, existing: Category) -> bool:
        if desired == existing:
            return False
        path, before = f"categories.{desired.id}", self.last_applied.place(desired.id)
        old, new = place_of(existing), place_of(desired)
        keep = self.rules.on_manual_edit is not OnManualEdit.OVERWRITE
        return self._keeps(path, before, old=old, new=new, keep=keep)

    def _listed(self, field: Field, target: Sequence[str]) -> object:
        """The list for the product itself, which does not contain the sink's ids."""
        if self.references is not None:
            return getattr(self.desired, field)
        if field is Field.TAGS:
            return tuple(target)
        known = {
            category.id: category
            for category in (
                *(self.existing.product.categories or ()),
                *self._categories,
            )
        }
        return tuple(known[id_] for id_ in target)

    def _variants(self) -> tuple[VariantChange, ...]:
        desired, existing = self.desired.variants, self.existing.product.variants or ()
        if isinstance(desired, Unset) or desired == existing:
            return ()
        before = {v.id: v for v in existing}
        planned = self._without_taken(self._variant_changes(desired, before), before)
        changes = self._without_conflicts(tuple(planned), before)
        for change in changes:
            self.fields |= change.fields or {Field.VARIANTS}
        if changes:
            self.values["variants"] = tuple(_after(before, changes).values())
        return changes

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
            if id_ in stay or not self.last_applied.wrote_variant(id_):
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
            and self.last_applied.has(variant.id, name, value)
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
        was_there = self.last_applied.finished_variant(variant.id)
        before = digest(variant.id) if was_there else None
        path = f"variants.{variant.id}"
        return self._keeps(path, before, old=None, new=variant.id)

    def _variant(
        self, desired: Variant, existing: Variant
    ) -> tuple[Variant, frozenset[Field]]:
        if desired == existing:
            return existing, frozenset()
        values: dict[Field, Any] = {
            field: new
            for field, name in VARIANT_TEXTS.items()
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
        return new != old and not self._keeps(path, before, old=old, new=new)

    def _before(self, variant: str, name: str) -> str | None:
        """The digest of the value that we wrote last to a variant."""
        return self.last_applied.variants.get(variant, {}).get(name)

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
            and not self.last_applied.wrote_option(title, existing)
        }
        after = {**desired.options, **theirs}
        if after == existing.options:
            return None
        keeps = self._keeps(
            f"variants.{existing.id}.options",
            self._before(existing.id, "options"),
            old=existing.options,
            new=desired.options,
        )
        return None if keeps else after

    def _wrote_options(self, existing: Variant) -> bool:
        titles = (
            self.last_applied.wrote(Field.OPTIONS, title) for title in existing.options
        )
        return self.last_applied.wrote_options(existing.id) or any(titles)

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
            or not self.last_applied.wrote_price(existing.id, price.currency)
        )
        kept = {c: price for c, price in existing_prices.items() if c in supplied_in}
        after = _put(stay, kept | ours, lambda price: price.currency)
        return None if after == there else after

    def _keeps_price(
        self, variant: str, desired: Price, existing: Mapping[str, Price]
    ) -> bool:
        found = existing.get(desired.currency)
        if found == desired:
            return False
        return self._keeps(
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
    after = _put(existing, ours, lambda level: level.location)
    return None if after == existing else after


def _put(
    existing: Sequence[T], ours: Mapping[K, T], name: Callable[[T], K]
) -> tuple[T, ...]:
    """The list with our elements in place of those with the same name, each once."""
    rest = dict(ours)
    after = [
        rest.pop(name(each), each)
        for each in existing
        if name(each) not in ours or name(each) in rest
    ]
    return (*after, *rest.values())


def _combination(variant: Variant) -> frozenset[tuple[str, str]]:
    return frozenset(variant.options.items())


def _reshapes(change: VariantChange) -> bool:
    """Whether a change sets the options of a variant."""
    return change.action is Action.ADD or Field.OPTIONS in change.fields


def _after(
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
    after = _after(before, changes).values()
    owners: dict[frozenset[tuple[str, str]], str] = {}
    for variant in sorted(after, key=lambda variant: variant.id in reshaped):
        if variant.options:
            owners.setdefault(_combination(variant), variant.id)
    return owners


def _same(one: Json, other: Json) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if type(one) is type(other) and not isinstance(one, list | dict):
        return one == other
    if isinstance(one, str | float) or isinstance(other, str | float):
        return one == other and not isinstance(one, bool) | isinstance(other, bool)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            _same(one[name], other[name]) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _merge(
    desired: Sequence[str], existing: Sequence[str], ours: Callable[[str], bool]
) -> tuple[str, ...] | None:
    """The elements after the change, in any order; None: no change."""
    if set(desired) == set(existing):
        return None
    kept = [e for e in existing if e in desired or not ours(e)]
    target = (*kept, *(e for e in desired if e not in existing))
    return None if len(target) == len(existing) == len(kept) else target


def _merge_ordered(
    desired: Sequence[str], existing: Sequence[str], ours: Callable[[str], bool]
) -> Sequence[str] | None:
    """The elements after the change; None: no change.

    Our elements keep the order of the source. Others that come before all of ours stay
    in front; the rest of them follow.
    """
    stay = [e for e in existing if e in desired or not ours(e)]
    if stay == list(existing) and [e for e in existing if e in desired] == list(
        desired
    ):
        return None
    theirs = [e for e in stay if e not in desired]
    first = next((i for i, e in enumerate(stay) if e in desired), 0)
    return [*theirs[:first], *desired, *theirs[first:]]
