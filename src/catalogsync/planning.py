"""Working out the smallest change that brings a product about. No I/O.

`plan` holds a wanted product against what a sink has, field by field. What the
source supplies is the source's; elements of lists that others added stay; what
we wrote and the source dropped goes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import attrs

from .changes import Action, Change, FieldDiff, Ours, VariantChange, by_name, shown
from .models import (
    UNSET,
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
from .ownership import Edit, Edits, Rules, claim
from .receipt import Receipt, digest, place_of, write_receipt

__all__ = [
    "UNIQUE",
    "Comparison",
    "References",
    "compare",
    "own_references",
    "plan",
    "supplied",
]

References: TypeAlias = Mapping[Field, tuple[str, ...]]
"""The elements of `categories` and `tags`, as the sink names them."""

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
_VARIANT_PLAIN = {
    Field.VARIANT_TITLE: "title",
    Field.SKU: "sku",
    Field.BARCODE: "barcode",
}
_RULES, _NO_RECEIPT = Rules(), Receipt()
UNIQUE = {Field.SKU: "sku", Field.BARCODE: "barcode"}
"""What many sinks allow one variant only to have, and its name in a variant."""
_VARIANT_LISTS = {Field.PRICES: "prices", Field.STOCK: "stock"}
_VARIANT_FIELDS = {**_VARIANT_PLAIN, **_VARIANT_LISTS}


def supplied(product: Product) -> frozenset[Field]:
    """The fields that the source speaks of."""
    fields = {
        field
        for field, name in _PRODUCT_FIELDS.items()
        if getattr(product, name) is not UNSET
    }
    for variant in product.variants or ():
        if variant.options:
            fields.add(Field.OPTIONS)
        for field, name in _VARIANT_FIELDS.items():
            if getattr(variant, name) is not UNSET:
                fields.add(field)
    return frozenset(fields)


def own_references(product: Product) -> References:
    """The elements of a product's lists for a sink without references."""
    references: dict[Field, tuple[str, ...]] = {}
    if not isinstance(product.categories, Unset):
        references[Field.CATEGORIES] = tuple(c.id for c in product.categories)
    if not isinstance(product.tags, Unset):
        references[Field.TAGS] = product.tags
    return references


@attrs.frozen
class Comparison:
    """What came of holding a wanted product against a held one.

    Attributes:
        change: What has to be done; None: nothing.
        edits: Values of ours that people edited, kept or not.
        conflicts: What the change leaves out because others' values stand in its
            way, and why.
        dropped: The unique values that we wrote and the source no longer supplies:
            id and field of a variant. They stay until another product needs them.
    """

    change: Change | None
    edits: tuple[Edit, ...] = ()
    conflicts: tuple[str, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


def plan(
    wanted: Product,
    held: Ours | None,
    references: References | None = None,
    *,
    rules: Rules | None = None,
) -> Change | None:
    """Work out the smallest change.

    Args:
        wanted: The product as the sink could hold it (after `shape`).
        held: What the sink has under its key; None: nothing.
        references: For a `ReferencingSink`: the sink ids of its categories and
            tags. None for other sinks.
        rules: Who owns which field; None: the source owns what it supplies.

    Returns:
        The change, or None where nothing has to be done.
    """
    return compare(wanted, held, references, rules=rules).change


def compare(
    wanted: Product,
    held: Ours | None,
    references: References | None = None,
    *,
    rules: Rules | None = None,
) -> Comparison:
    """As `plan`, and say which values people edited and what stands in the way."""
    rules = rules or _RULES
    told = wanted
    # What is half made is still being created.
    finished = held.product if held is not None and not held.gaps else None
    wanted = claim(wanted, finished, rules)
    without = rules.without(creating=finished is None)
    if references is not None and not without.isdisjoint(references):
        references = {f: ids for f, ids in references.items() if f not in without}
    if held is not None:
        return _Comparison(told, wanted, held, references, rules, without).result()
    elements = own_references(wanted) if references is None else references
    receipt = write_receipt(
        wanted,
        elements,
        _NO_RECEIPT,
        places=_places(wanted, references),
        without=without,
        job=rules.job,
    )
    change = Change(
        action=Action.CREATE,
        product=wanted,
        fields=supplied(wanted),
        references=references or {},
        receipt=receipt,
        wanted=told,
    )
    return Comparison(change)


def _places(wanted: Product, references: References | None) -> tuple[Category, ...]:
    """Categories that are part of the product itself."""
    return () if references is not None else wanted.categories or ()


@attrs.define(slots=False)
class _Comparison:
    """One wanted product beside one held product.

    Attributes:
        told: The wanted product as it was given.
        wanted: Without what is not the source's to decide.
        unwritten: Variants whose options others have, as they stay; None: they are
            not created.
    """

    told: Product
    wanted: Product
    held: Ours
    references: References | None
    rules: Rules
    without: frozenset[Field]
    values: dict[str, Any] = attrs.field(factory=dict[str, Any])
    merged: dict[Field, tuple[str, ...]] = attrs.field(
        factory=dict[Field, tuple[str, ...]]
    )
    fields: set[Field] = attrs.field(factory=set[Field])
    edits: list[Edit] = attrs.field(factory=list[Edit])
    conflicts: list[str] = attrs.field(factory=list[str])
    unwritten: dict[str, Variant | None] = attrs.field(
        factory=dict[str, "Variant | None"]
    )

    @property
    def _is_marked(self) -> bool:
        return Receipt.is_marked(self.held.receipt or "")

    @property
    def _is_anothers(self) -> bool:
        """Whether a job of another name wrote it last."""
        job = self.rules.job
        is_ours = not job or Receipt.names(self.held.receipt or "", job)
        return not is_ours and self.receipt.job not in {None, "", job}

    @cached_property
    def receipt(self) -> Receipt:
        return Receipt.parse(self.held.receipt)

    @cached_property
    def receipt_after(self) -> str:
        elements = self.references
        if elements is None:
            elements = own_references(self.wanted)
        return write_receipt(
            self._written(),
            elements,
            self.receipt,
            places=_places(self.wanted, self.references),
            without=self.without,
            there=[variant.id for variant in self.held.product.variants or ()],
            job=self.rules.job,
        )

    @cached_property
    def dropped(self) -> tuple[tuple[str, str], ...]:
        """As in `Comparison`; a receipt is not read unless it can name some."""
        told, text = self.told.variants, self.held.receipt or ""
        return tuple(
            (id_, name)
            for field, name in UNIQUE.items()
            if field not in self.without and f'"{name}"' in text
            for id_ in self._silent(told, name)
            if name in self.receipt.variants.get(id_, ())
        )

    def _silent(self, told: tuple[Variant, ...] | Unset, name: str) -> Iterable[str]:
        """The variants of which the source does not say this value."""
        if isinstance(told, Unset):
            return self.receipt.variants
        return [v.id for v in told if getattr(v, name) is UNSET]

    def _pass_on(self) -> None:
        """Clear what the source dropped from a variant where a sibling gets it."""
        told = self.wanted.variants or ()
        held = {v.id: v for v in self.held.product.variants or ()}
        cleared: dict[str, dict[str, None]] = {}
        for id_, name in self.dropped:
            value = getattr(held.get(id_), name, None)
            is_needed = any(getattr(variant, name) == value for variant in told)
            if value and is_needed and self.receipt.has(id_, name, value):
                cleared.setdefault(id_, {})[name] = None
        if cleared:
            variants = (evolve_unchecked(v, **cleared.get(v.id, {})) for v in told)
            self.wanted = evolve_unchecked(self.wanted, variants=tuple(variants))

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
        found = Comparison(None, tuple(self.edits), tuple(self.conflicts), self.dropped)
        if not self.fields and not self._is_forced():
            return found
        change = Change(
            action=Action.UPDATE,
            product=evolve_unchecked(self.held.product, **self.values),
            fields=frozenset(self.fields),
            variants=variants,
            references={} if self.references is None else self.merged,
            receipt=self.receipt_after,
            held=self.held,
            wanted=self.told,
        )
        return attrs.evolve(found, change=change)

    def _written(self) -> Product:
        """The wanted product as far as it is written."""
        if not self.unwritten:
            return self.wanted
        found = (self.unwritten.get(v.id, v) for v in self.wanted.variants or ())
        variants = tuple(variant for variant in found if variant is not None)
        return evolve_unchecked(self.wanted, variants=variants)

    def _is_forced(self) -> bool:
        """Whether there is something to do though no field differs."""
        if self.held.gaps or self.held.foreign:
            return True
        if self._is_marked and (self.receipt.retired or self.receipt.writing):
            return True
        # What another job wrote is this job's now. Unless that is noted, the other
        # one removes it.
        if self._is_anothers:
            return True
        if self.rules.edits is not Edits.KEEP or self.held.receipt is None:
            return False
        # Both sides came to say the same. Unless that is noted, the next change of
        # the source could look like an edit.
        after = Receipt.parse(self.receipt_after)
        return attrs.evolve(after, job=self.receipt.job) != self.receipt

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
        """Whether a value that differs is a person's edit, and stays.

        Args:
            path: Of the value.
            before: Digest of what we wrote; None: nothing.
            old: What the sink has.
            new: What the source has.
            keep: Whether edits stay; None: as the rules say of products.
        """
        if before is None or self.held.gaps or before != digest(new):
            return False
        if self.rules.edited is not None and path not in self.rules.edited:
            return False
        kept = self.rules.edits is Edits.KEEP if keep is None else keep
        diff = FieldDiff(path=path, old=shown(old), new=shown(new))
        self.edits.append(Edit(key=self.wanted.key, diff=diff, kept=kept))
        return kept

    def _plain(self) -> None:
        for field in _PLAIN:
            name = _PRODUCT_FIELDS[field]
            value, held = getattr(self.wanted, name), getattr(self.held.product, name)
            if value is UNSET or value == held:
                continue
            before = self.receipt.fields.get(field)
            if not self._keeps(name, before, old=held, new=value):
                self._set(field, value)

    def _status(self) -> None:
        """Publish again what we retired; else only if the job says so."""
        wanted, held = self.wanted.status, self.held.product.status
        retired = self._is_marked and self.receipt.retired
        retired = retired and held is not ProductStatus.PUBLISHED
        if retired:
            told = self.rules.writes(Field.STATUS, creating=True)
            wanted = self.told.status if told else UNSET
            wanted = wanted or ProductStatus.PUBLISHED
        elif Field.STATUS in self.without:
            return
        if wanted is UNSET or wanted == held:
            return
        before = None if retired else self.receipt.fields.get(Field.STATUS)
        if not self._keeps("status", before, old=held, new=wanted):
            self._set(Field.STATUS, wanted)

    def _images(self) -> None:
        wanted, held = self.wanted.images, self.held.product.images or ()
        if isinstance(wanted, Unset) or wanted == held:
            return
        new, old = [image.url for image in wanted], [image.url for image in held]
        urls = _merge_ordered(
            new, old, lambda url: self.receipt.wrote(Field.IMAGES, url)
        )
        if urls is None:
            return
        same = self._listed_before(Field.IMAGES) == [digest(url) for url in new]
        if not self._keeps_list(Field.IMAGES, old, new, same=same):
            self._set(Field.IMAGES, tuple(unchecked(Image, url=url) for url in urls))

    def _listed_before(self, field: Field) -> list[str]:
        return list(self.receipt.lists.get(field, ()))

    def _keeps_list(
        self, field: Field, old: Iterable[str], new: Iterable[str], *, same: bool
    ) -> bool:
        """As `_keeps`, for a list that the source has as it had before if *same*."""
        told = list(new)
        before = digest(told) if same and field in self.receipt.lists else None
        return self._keeps(field.value, before, old=list(old), new=told)

    def _attributes(self) -> None:
        wanted, there = self.wanted.attributes, self.held.product.attributes or {}
        if isinstance(wanted, Unset) or _same(wanted, there):
            return
        held = by_name(there)
        theirs = {
            name: value
            for name, value in held.items()
            if name in wanted or not self.receipt.wrote_attribute(name)
        }
        ours = {
            name: value
            for name, value in wanted.items()
            if not self._keeps_attribute(name, value, held)
        }
        target = {**theirs, **ours}
        if not _same(target, there):
            self._set(Field.ATTRIBUTES, target)

    def _keeps_attribute(
        self, name: str, value: Json, held: Mapping[str, Json]
    ) -> bool:
        if name in held and _same(value, held[name]):
            return False
        before = self.receipt.attributes.get(name)
        path = f"attributes.{name}"
        return self._keeps(path, before, old=held.get(name), new=value)

    def _elements(self, field: Field) -> None:
        """Categories or tags, by sink id where the sink has such."""
        if self.references is not None:
            held = tuple(self.held.references.get(field, ()))
            wanted = self.references.get(field)
        else:
            held = own_references(self.held.product).get(field, ())
            wanted = own_references(self.wanted).get(field)
        if wanted is None:
            return
        target = _merge(wanted, held, lambda e: self.receipt.wrote(field, e))
        if target is None and not self._renamed(field):
            return
        same = set(self._listed_before(field)) == set(map(digest, wanted))
        names = self.held.references.get(field)
        theirs = shown(getattr(self.held.product, field)) or ()
        old = theirs if names is None else names.values()
        new = shown(getattr(self.wanted, field))
        if target is not None and self._keeps_list(field, old, new, same=same):
            return
        self.merged[field] = held if target is None else target
        self._set(field, self._listed(field, self.merged[field]))

    def _renamed(self, field: Field) -> bool:
        """Whether a category that is part of the product itself differs."""
        if self.references is not None or field is not Field.CATEGORIES:
            return False
        held = {c.id: c for c in self.held.product.categories or ()}
        return any(held.get(c.id, c) != c for c in self._categories)

    @cached_property
    def _categories(self) -> tuple[Category, ...]:
        """The wanted ones, as people named and placed them where that stays."""
        held = {c.id: c for c in self.held.product.categories or ()}
        return tuple(
            held[c.id] if c.id in held and self._stays(c, held[c.id]) else c
            for c in self.wanted.categories or ()
        )

    def _stays(self, wanted: Category, held: Category) -> bool:
        if wanted == held:
            return False
        path, before = f"categories.{wanted.id}", self.receipt.place(wanted.id)
        old, new = place_of(held), place_of(wanted)
        keep = self.rules.edits is not Edits.OVERWRITE
        return self._keeps(path, before, old=old, new=new, keep=keep)

    def _listed(self, field: Field, target: Sequence[str]) -> object:
        """The product's own list; the sink's ids are not part of the model."""
        if self.references is not None:
            return getattr(self.wanted, field)
        if field is Field.TAGS:
            return tuple(target)
        known = {
            category.id: category
            for category in (
                *(self.held.product.categories or ()),
                *self._categories,
            )
        }
        return tuple(known[id_] for id_ in target)

    def _variants(self) -> tuple[VariantChange, ...]:
        wanted, held = self.wanted.variants, self.held.product.variants or ()
        if isinstance(wanted, Unset) or wanted == held:
            return ()
        before = {v.id: v for v in held}
        changes = self._without_conflicts(
            tuple(self._variant_changes(wanted, before)), before
        )
        for change in changes:
            self.fields |= change.fields or {Field.VARIANTS}
        if changes:
            self.values["variants"] = tuple(_after(before, changes).values())
        return changes

    def _without_conflicts(
        self, changes: tuple[VariantChange, ...], before: Mapping[str, Variant]
    ) -> tuple[VariantChange, ...]:
        """The changes, without the options of ours that a variant of others has."""
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
        """The rest of a change whose options another variant has; tells why."""
        variant = change.variant
        options = ", ".join(f"{n}: {v}" for n, v in sorted(variant.options.items()))
        what = "is not created" if change.action is Action.ADD else "keeps its options"
        self.conflicts.append(
            f"variant {variant.id} {what}: variant {other}, which is not the source's,"
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
        self, wanted: Sequence[Variant], held: Mapping[str, Variant]
    ) -> Iterator[VariantChange]:
        for variant in wanted:
            if variant.id not in held:
                if not self._removed_by_others(variant):
                    yield VariantChange(action=Action.ADD, variant=variant)
                continue
            after, fields = self._variant(variant, held[variant.id])
            if fields:
                yield VariantChange(action=Action.UPDATE, variant=after, fields=fields)
        if Field.VARIANTS in self.without:
            return
        stay = {variant.id for variant in wanted}
        for id_, variant in held.items():
            if id_ not in stay and self.receipt.wrote_variant(id_):
                yield VariantChange(action=Action.REMOVE, variant=variant)

    def _removed_by_others(self, variant: Variant) -> bool:
        """Whether a person took this variant of ours away, and it stays away."""
        was_there = self.receipt.finished_variant(variant.id)
        before = digest(variant.id) if was_there else None
        path = f"variants.{variant.id}"
        return self._keeps(path, before, old=None, new=variant.id)

    def _variant(
        self, wanted: Variant, held: Variant
    ) -> tuple[Variant, frozenset[Field]]:
        if wanted == held:
            return held, frozenset()
        values: dict[Field, Any] = {
            field: new
            for field, name in _VARIANT_PLAIN.items()
            if (new := getattr(wanted, name)) is not UNSET
            and self._overwrites(held, name, new)
        }
        options = self._options(wanted, held)
        if options is not None:
            values[Field.OPTIONS] = options
        prices = self._prices(wanted, held)
        if prices is not None:
            values[Field.PRICES] = prices
        stock = _stock(wanted.stock, held.stock or ())
        if stock is not None:
            values[Field.STOCK] = stock
        names = {_VARIANT_FIELDS.get(f, f.value): v for f, v in values.items()}
        return evolve_unchecked(held, **names), frozenset(values)

    def _overwrites(self, held: Variant, name: str, new: object) -> bool:
        """Whether a plain field or the options of a variant are to be written."""
        old = getattr(held, name)
        path = f"variants.{held.id}.{name}"
        before = self._before(held.id, name)
        return new != old and not self._keeps(path, before, old=old, new=new)

    def _before(self, variant: str, name: str) -> str | None:
        """The digest of what we wrote to a variant."""
        return self.receipt.variants.get(variant, {}).get(name)

    def _options(self, wanted: Variant, held: Variant) -> Mapping[str, str] | None:
        """The options after, with those that others added; None where none differs.

        Options that are empty say nothing, unless we wrote some before.
        """
        if not wanted.options and not self._wrote_options(held):
            return None
        theirs = {
            title: value
            for title, value in held.options.items()
            if title not in wanted.options
            and not self.receipt.wrote_option(title, held)
        }
        after = {**wanted.options, **theirs}
        if after == held.options:
            return None
        keeps = self._keeps(
            f"variants.{held.id}.options",
            self._before(held.id, "options"),
            old=held.options,
            new=wanted.options,
        )
        return None if keeps else after

    def _wrote_options(self, held: Variant) -> bool:
        titles = (self.receipt.wrote(Field.OPTIONS, title) for title in held.options)
        return self.receipt.wrote_options(held.id) or any(titles)

    def _prices(self, wanted: Variant, held: Variant) -> tuple[Price, ...] | None:
        if isinstance(wanted.prices, Unset):
            return None
        there = held.prices or ()
        held_prices = {price.currency: price for price in there}
        ours = {
            price.currency: price
            for price in wanted.prices
            if not self._keeps_price(held.id, price, held_prices)
        }
        told = {price.currency for price in wanted.prices}
        stay = tuple(
            price
            for price in there
            if price.currency in told
            or not self.receipt.wrote_price(held.id, price.currency)
        )
        kept = {c: price for c, price in held_prices.items() if c in told}
        after = _put(stay, kept | ours, lambda price: price.currency)
        return None if after == there else after

    def _keeps_price(
        self, variant: str, wanted: Price, held: Mapping[str, Price]
    ) -> bool:
        found = held.get(wanted.currency)
        if found == wanted:
            return False
        return self._keeps(
            f"variants.{variant}.prices.{wanted.currency}",
            self._before(variant, wanted.currency),
            old=found.amount if found else None,
            new=wanted.amount,
        )


def _stock(
    wanted: tuple[StockLevel, ...] | Unset, held: tuple[StockLevel, ...]
) -> tuple[StockLevel, ...] | None:
    """The levels after; the source wins, other locations are left alone."""
    ours = {level.location: level for level in wanted or ()}
    after = _put(held, ours, lambda level: level.location)
    return None if after == held else after


def _put(
    held: Sequence[T], ours: Mapping[K, T], name: Callable[[T], K]
) -> tuple[T, ...]:
    """A list with ours, each once, where one of the same name stood first."""
    rest = dict(ours)
    after = [
        rest.pop(name(each), each)
        for each in held
        if name(each) not in ours or name(each) in rest
    ]
    return (*after, *rest.values())


def _combination(variant: Variant) -> frozenset[tuple[str, str]]:
    return frozenset(variant.options.items())


def _reshapes(change: VariantChange) -> bool:
    """Whether a change gives a variant options."""
    return change.action is Action.ADD or Field.OPTIONS in change.fields


def _after(
    before: Mapping[str, Variant], changes: Iterable[VariantChange]
) -> dict[str, Variant]:
    """The variants by id, once these changes are made."""
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
    """Whose the options are after these changes: of one that has them now, first."""
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
    wanted: Sequence[str], held: Sequence[str], ours: Callable[[str], bool]
) -> tuple[str, ...] | None:
    """The elements after, order aside; None where nothing differs."""
    if set(wanted) == set(held):
        return None
    kept = [e for e in held if e in wanted or not ours(e)]
    target = (*kept, *(e for e in wanted if e not in held))
    return None if len(target) == len(held) == len(kept) else target


def _merge_ordered(
    wanted: Sequence[str], held: Sequence[str], ours: Callable[[str], bool]
) -> Sequence[str] | None:
    """The elements after; ours in order, theirs where they stood as far as can be.

    What others put before all of ours stays in front, the rest of theirs follows.
    """
    stay = [e for e in held if e in wanted or not ours(e)]
    if stay == list(held) and [e for e in held if e in wanted] == list(wanted):
        return None
    theirs = [e for e in stay if e not in wanted]
    first = next((i for i, e in enumerate(stay) if e in wanted), 0)
    return [*theirs[:first], *wanted, *theirs[first:]]
