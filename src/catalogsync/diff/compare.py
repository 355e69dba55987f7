"""Comparing a desired product with an existing one: the smallest change. No I/O.

Both are compared field by field. The source's values win in the fields that it
supplies. In lists (prices, images, variants, ...) elements that were added in the store
stay, and elements that we wrote and the source has dropped are removed: the
last-applied state tells the two apart. It also tells a manual edit from a change of the
source: the source still has the value that we wrote last, but the sink has another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import Any, TypeAlias, TypeVar

import attrs

from catalogsync.catalog.changes import (
    Adopt,
    Create,
    Existing,
    Update,
    VariantChange,
    Write,
    by_name,
    for_display,
)
from catalogsync.catalog.drafts import Outline
from catalogsync.catalog.products import (
    GROUPS,
    PLAIN,
    UNSET,
    VARIANT_FIELDS,
    Category,
    Field,
    Image,
    Json,
    Product,
    ProductStatus,
    Unset,
    evolve_unchecked,
    unchecked,
)

from .edits import Edits
from .last_applied import LastApplied, digest, of_lane, place_of, write_last_applied
from .merging import merge, merge_ordered, same
from .ownership import ManualEdit, OnManualEdit, Owner, Rules, without_unowned
from .variants import Variants, dropped, pass_on, variants_after

__all__ = ["Comparison", "compare", "plan"]

References: TypeAlias = Mapping[Field, tuple[str, ...]]
"""The elements of `categories`, `tags`, `type` and `collection`, by the sink's ids."""

K = TypeVar("K")
T = TypeVar("T")

_LISTS = (Field.IMAGES, Field.CATEGORIES, Field.TAGS, Field.ATTRIBUTES)
_PRODUCT_FIELDS = (*PLAIN, *GROUPS, Field.STATUS, *_LISTS, Field.VARIANTS)
_product_values = attrgetter(*(field.value for field in _PRODUCT_FIELDS))
_variant_values = attrgetter(*VARIANT_FIELDS.values())
_RULES, _NO_LAST_APPLIED = Rules(), LastApplied()


def supplied(product: Product) -> frozenset[Field]:
    """The fields that the source supplies."""
    fields = set(_supplied(_PRODUCT_FIELDS, _product_values(product)))
    for variant in product.variants or ():
        if variant.options:
            fields.add(Field.OPTIONS)
        fields.update(_supplied(VARIANT_FIELDS, _variant_values(variant)))
    return frozenset(fields)


def _supplied(fields: Iterable[Field], values: Iterable[object]) -> Iterable[Field]:
    return compress(fields, map(is_not, values, repeat(UNSET)))


def own_references(product: Product | Outline) -> References:
    """The ids or names of a product's categories, tags, type and collection."""
    references: dict[Field, tuple[str, ...]] = {}
    if not isinstance(product.categories, Unset):
        references[Field.CATEGORIES] = tuple(c.id for c in product.categories)
    if not isinstance(product.tags, Unset):
        references[Field.TAGS] = product.tags
    for field in GROUPS:
        name: str | Unset | None = getattr(product, field)
        if not isinstance(name, Unset):
            references[field] = () if name is None else (name,)
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
    rules = _restocking(rules or _RULES, existing)
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
        product=evolve_unchecked(desired, as_of=None) if desired.as_of else desired,
        fields=supplied(desired),
        references=references or {},
        last_applied=last_applied,
        desired=given,
    )
    return Comparison(change)


def _restocking(rules: Rules, existing: Existing | None) -> Rules:
    """The rules; the stock of a product that we sold out is written in any case.

    Otherwise it would never come back if the source owns it on creation only.
    """
    text = existing and existing.last_applied
    if rules.owns.get(Field.STOCK) is not Owner.ON_CREATE or not text:
        return rules
    if not (LastApplied.is_marked(text) and LastApplied.parse(text).sold_out):
        return rules
    return attrs.evolve(rules, owns={**rules.owns, Field.STOCK: Owner.ALWAYS})


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
    _edits: Edits = attrs.field(init=False)
    _variants: Variants = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._edits = Edits(self.given.key, self.existing, self.rules)
        self._variants = Variants(self._edits, self.without)

    @property
    def _is_marked(self) -> bool:
        return LastApplied.is_marked(self.existing.last_applied or "")

    @property
    def _is_anothers(self) -> bool:
        """Whether a job of another name wrote it last."""
        job = self.rules.job
        is_ours = not job or LastApplied.names(self.existing.last_applied or "", job)
        return not is_ours and self._edits.last_applied.job not in {None, "", job}

    @cached_property
    def last_applied_after(self) -> str:
        elements = self.references
        if elements is None:
            elements = own_references(self.desired)
        after = write_last_applied(
            self._variants.written(self.desired),
            elements,
            self._edits.last_applied,
            places=_places(self.desired, self.references),
            without=self.without,
            there=[variant.id for variant in self.existing.product.variants or ()],
            job=self.rules.job,
        )
        if self.rules.only is None:
            return after
        return of_lane(after, self._edits.last_applied, self.rules.only)

    def result(self) -> Comparison:
        gone = dropped(self.given, self._edits, self.without)
        if gone:
            self.desired = pass_on(gone, self.desired, self._edits)
        self._plain()
        self._status()
        self._images()
        self._attributes()
        self._elements(Field.CATEGORIES)
        self._elements(Field.TAGS)
        for field in GROUPS:
            self._group(field)
        variants = self._variant_changes()
        edits, conflicts = tuple(self._edits.found), tuple(self._variants.conflicts)
        found = Comparison(None, edits, conflicts, gone)
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

    def _is_forced(self) -> bool:
        """Whether there is something to write although no field differs."""
        if self.rules.only is not None:
            return self._is_claimed_late()
        if self.existing.missing_parts or self.existing.foreign:
            return True
        before = self._edits.last_applied
        if self._is_marked and (
            before.unpublished or before.sold_out or before.writing
        ):
            return True
        # A product that another job wrote is this job's now. Unless its state says so,
        # the other job would remove it.
        return self._is_anothers or self._is_claimed_late()

    def _is_claimed_late(self) -> bool:
        """Whether the last-applied state lacks a value that both sides have now."""
        if (
            self.rules.on_manual_edit is not OnManualEdit.KEEP
            or self.existing.last_applied is None
        ):
            return False
        # Both sides changed to the same value. Unless the last-applied state says so, the
        # next change of the source would look like a manual edit.
        before, new = (
            self._edits.last_applied,
            LastApplied.parse(self.last_applied_after),
        )
        return attrs.evolve(new.without_stock(), job=before.job) != (
            before.without_stock()
        )

    def _set(self, field: Field, value: object) -> None:
        self.values[field.value] = value
        self.fields.add(field)

    def _plain(self) -> None:
        for field in PLAIN:
            name = field.value
            value, existing = (
                getattr(self.desired, name),
                getattr(self.existing.product, name),
            )
            if value is UNSET or value == existing:
                continue
            before = self._edits.last_applied.fields.get(field)
            if not self._edits.keeps(name, before, old=existing, new=value):
                self._set(field, value)

    def _status(self) -> None:
        """Publish what we unpublished; otherwise write it only if the job owns it."""
        if self.rules.only is not None and Field.STATUS not in self.rules.only:
            return
        desired, existing = self.desired.status, self.existing.product.status
        unpublished = self._is_marked and self._edits.last_applied.unpublished
        unpublished = unpublished and existing is not ProductStatus.PUBLISHED
        if unpublished:
            is_ours = self.rules.writes(Field.STATUS, creating=True)
            desired = self.given.status if is_ours else UNSET
            desired = desired or ProductStatus.PUBLISHED
        elif Field.STATUS in self.without:
            return
        if desired is UNSET or desired == existing:
            return
        before = (
            None if unpublished else self._edits.last_applied.fields.get(Field.STATUS)
        )
        if not self._edits.keeps("status", before, old=existing, new=desired):
            self._set(Field.STATUS, desired)

    def _images(self) -> None:
        desired, existing = self.desired.images, self.existing.product.images or ()
        if isinstance(desired, Unset) or desired == existing:
            return
        new, old = [image.url for image in desired], [image.url for image in existing]
        urls = merge_ordered(
            new, old, lambda url: self._edits.last_applied.wrote(Field.IMAGES, url)
        )
        if urls is None:
            return
        is_same = self._listed_before(Field.IMAGES) == [digest(url) for url in new]
        if not self._edits.keeps_list(Field.IMAGES, old, new, same=is_same):
            self._set(Field.IMAGES, tuple(unchecked(Image, url=url) for url in urls))

    def _listed_before(self, field: Field) -> list[str]:
        return list(self._edits.last_applied.lists.get(field, ()))

    def _attributes(self) -> None:
        desired, there = self.desired.attributes, self.existing.product.attributes or {}
        if isinstance(desired, Unset) or same(desired, there):
            return
        existing = by_name(there)
        theirs = {
            name: value
            for name, value in existing.items()
            if name in desired or not self._edits.last_applied.wrote_attribute(name)
        }
        ours = {
            name: value
            for name, value in desired.items()
            if not self._keeps_attribute(name, value, existing)
        }
        target = {**theirs, **ours}
        if not same(target, there):
            self._set(Field.ATTRIBUTES, target)

    def _keeps_attribute(
        self, name: str, value: Json, existing: Mapping[str, Json]
    ) -> bool:
        if name in existing and same(value, existing[name]):
            return False
        before = self._edits.last_applied.attributes.get(name)
        path = f"attributes.{name}"
        return self._edits.keeps(path, before, old=existing.get(name), new=value)

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
        target = merge(
            desired, existing, lambda e: self._edits.last_applied.wrote(field, e)
        )
        if target is None and not self._renamed(field):
            return
        is_same = set(self._listed_before(field)) == set(map(digest, desired))
        names = self.existing.references.get(field)
        theirs = for_display(getattr(self.existing.product, field)) or ()
        old = theirs if names is None else names.values()
        new = for_display(getattr(self.desired, field))
        if target is not None and self._edits.keeps_list(field, old, new, same=is_same):
            return
        self.merged[field] = existing if target is None else target
        self._set(field, self._listed(field, self.merged[field]))

    def _group(self, field: Field) -> None:
        """The type or collection, by the sink's id if it has any, else by name."""
        desired = getattr(self.desired, field)
        existing = getattr(self.existing.product, field)
        ids = None if self.references is None else self.references.get(field)
        there = self.existing.references.get(field)
        # A sink may know no object for it, and only have its name.
        is_same = desired == existing
        if ids is not None and there is not None:
            is_same = set(ids) == set(there)
        if desired is UNSET or is_same:
            return
        before = self._edits.last_applied.fields.get(field)
        if self._edits.keeps(field.value, before, old=existing, new=desired):
            return
        self._set(field, desired)
        if ids is not None:
            self.merged[field] = ids

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
        path, before = (
            f"categories.{desired.id}",
            self._edits.last_applied.place(desired.id),
        )
        old, new = place_of(existing), place_of(desired)
        keep = self.rules.on_manual_edit is not OnManualEdit.OVERWRITE
        return self._edits.keeps(path, before, old=old, new=new, keep=keep)

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

    def _variant_changes(self) -> tuple[VariantChange, ...]:
        desired, existing = self.desired.variants, self.existing.product.variants or ()
        if isinstance(desired, Unset) or desired == existing:
            return ()
        before = {v.id: v for v in existing}
        changes = self._variants.changes(desired, before)
        for change in changes:
            self.fields |= change.fields or {Field.VARIANTS}
        if changes:
            self.values["variants"] = tuple(variants_after(before, changes).values())
        return changes
