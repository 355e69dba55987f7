"""Last-applied states: what we wrote to a product, as a short text stored with it.

A last-applied state tells our data from data added in the store: an element of a list
that it names and that left the source is removed; any other element stays. It never
proves what the sink has now; that is always read.

The text is JSON: a version, a digest for each plain field (`f`), for each element of a
list (`l`), for each attribute (`a`), and for the fields and prices of each variant
(`v`). It also contains the name of the job that wrote it (`j`), and whether we
unpublished the product (`r`), sold it out (`o`) or were still writing it (`w`).

A last-applied state never claims more than was written. If an update takes several
requests, the first one carries `interim`, and only the last one the final state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import TypeGuard, cast

import attrs

from catalogsync._lib import strict_json
from catalogsync.catalog.changes import Update
from catalogsync.catalog.products import (
    DETAILS,
    GROUPS,
    VARIANT_PLAIN,
    Category,
    Dimensions,
    Field,
    Product,
    Unset,
    Variant,
)

__all__ = [
    "LastApplied",
    "interim_last_applied",
]

_VERSION = 1
_READABLE = 10**1000
_PARTS = frozenset("flav")
_WHOLE = _PARTS | {"version"}


_begin = blake2b(digest_size=6).copy
"""A prepared hash; setting one up is most of the work for a short text."""


def digest(value: object) -> str:
    """A digest of 12 characters; equal values have equal digests."""
    text = f'"{value}' if isinstance(value, str) else _canonical(value)
    hashed = _begin()
    hashed.update(text.encode())
    return hashed.hexdigest()


_CACHED = 4096
_LONGEST_CACHED = 100
_digest_of_number = lru_cache(_CACHED, typed=True)(digest)
"""Like `digest`; most variants share their prices with others."""


@lru_cache(_CACHED)
def _digest_of_items(items: tuple[tuple[str, str], ...]) -> str:
    return digest(dict(items))


def _digest_of_options(options: Mapping[str, str]) -> str:
    """Like `digest`; many products have the same sizes and colors."""
    if sum(map(len, options.values())) > _LONGEST_CACHED:
        return digest(options)
    return _digest_of_items(tuple(options.items()))


def _canonical(value: object) -> str:
    """One text for each value, independent of how it is written."""
    match value:
        case str():
            return f'"{value}'
        case bool() | None:
            return str(value)
        case int() | float() | Decimal():
            return _number(value)
        case Dimensions():
            return repr([*map(_canonical, (value.length, value.width, value.height))])
        case _:
            return _container(value)


def _container(value: object) -> str:
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return repr(sorted((str(name), _inner(item)) for name, item in items))
    if isinstance(value, list):
        return repr([_inner(item) for item in cast("list[object]", value)])
    return repr(value)


def _inner(value: object) -> str:
    """A nested value; without digests, quoting would double its text at each level."""
    return digest(value) if _is_nested(value) else _canonical(value)


def _is_nested(value: object) -> bool:
    return isinstance(value, list | Mapping)


def _number(value: float | Decimal) -> str:
    """All digits, without an exponent: 1, 1.0 and 1E0 are the same number."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else Decimal(repr(value))
    if isinstance(value, int):
        return str(value) if abs(value) < _READABLE else hex(value)
    text = format(value, "f") if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


@attrs.frozen
class LastApplied:
    """The contents of a last-applied state.

    Attributes:
        fields: Digests of the product's plain fields, by name.
        lists: Digests of the elements of `images`, `tags` and `categories`, of the
            names of the variants' options (`options`), and of the locations where we
            wrote stock (`stock`).
        attributes: Digest of each attribute, by name.
        variants: Digests of the plain fields and prices of each variant, by its id.
        job: Name of the job that wrote it; empty: a job without a name; None: not
            readable.
        unpublished: Whether we unpublished the product.
        sold_out: Whether we set its stock to 0 when it left the source.
        writing: Whether an update began and was not finished, so that each field has
            either the old value or the new one.
    """

    fields: Mapping[str, str] = attrs.field(factory=dict[str, str])
    lists: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]]
    )
    attributes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    variants: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict[str, Mapping[str, str]]
    )
    job: str | None = None
    unpublished: bool = False
    sold_out: bool = False
    writing: bool = False

    @classmethod
    def parse(cls, text: str | None) -> LastApplied:
        """Read a last-applied state; one that is not valid claims nothing."""
        try:
            tree = _mapping(strict_json.loads((text or "{}").encode()))
        except ValueError:
            return cls()
        if tree.get("version") != _VERSION:
            return cls()
        return cls(
            fields=_texts(tree.get("f")),
            lists={
                name: tuple(item for item in items if isinstance(item, str))
                for name, items in _mapping(tree.get("l")).items()
                if _is_list(items)
            },
            attributes=_texts(tree.get("a")),
            variants={
                id_: _texts(parts)
                for id_, parts in _mapping(tree.get("v")).items()
                if _mapping(parts) is parts
            },
            job=_writer(tree),
            unpublished=tree.get("r") is True,
            sold_out=tree.get("o") is True,
            writing=tree.get("w") is True,
        )

    @staticmethod
    def is_marked(text: str) -> bool:
        """Whether a text may say what we did besides writing, without parsing it.

        That is `unpublished`, `sold_out` and `writing`.
        """
        return '"r"' in text or '"o"' in text or '"w"' in text or "\\" in text

    @staticmethod
    def names(text: str, job: str) -> bool:
        """Whether a state seems to be written by this job, without parsing it."""
        return f'"j":{strict_json.dumps(job).decode()}' in text

    def wrote(self, field: Field, element: str) -> bool:
        """Whether we wrote this element of a list."""
        return digest(element) in self.lists.get(field, ())

    def wrote_stock(self, location: str | None) -> bool:
        """Whether we wrote stock at this location; None: the sink's default."""
        return self.wrote(Field.STOCK, location or "")

    def place(self, category: str) -> str | None:
        """Digest of the `place_of` a category, if it is part of the product itself."""
        return self.fields.get(f"{_PLACE}{category}")

    def wrote_attribute(self, name: str) -> bool:
        """Whether we wrote this attribute."""
        return name in self.attributes

    def wrote_variant(self, id_: str) -> bool:
        """Whether we wrote the variant with this id."""
        return id_ in self.variants

    def finished_variant(self, id_: str) -> bool:
        """Whether we certainly created this variant."""
        known = not self.writing or any(self.variants.get(id_, {}).values())
        return id_ in self.variants and known

    def settled_variants(
        self, there: Collection[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """The variants without those that an unfinished update did not create.

        Args:
            there: Ids of the variants that exist.
        """
        return {
            id_: parts
            for id_, parts in self.variants.items()
            if id_ in there or self.finished_variant(id_)
        }

    def wrote_price(self, variant: str, currency: str) -> bool:
        """Whether we wrote this variant's price in that currency."""
        return currency in self.variants.get(variant, {})

    def has(self, variant: str, name: str, value: object) -> bool:
        """Whether a plain field of a variant still has the value that we wrote."""
        return self.variants.get(variant, {}).get(name) == digest(value)

    def without(self, values: Mapping[str, Collection[str]]) -> LastApplied:
        """The last-applied state without these fields of variants."""
        variants = {
            id_: {n: d for n, d in parts.items() if n not in values.get(id_, ())}
            for id_, parts in self.variants.items()
        }
        return attrs.evolve(self, variants=variants)

    def without_stock(self) -> LastApplied:
        """The last-applied state without the locations where we wrote stock."""
        lists = {n: i for n, i in self.lists.items() if n != Field.STOCK}
        return attrs.evolve(self, lists=lists)

    def wrote_options(self, variant: str) -> bool:
        """Whether we wrote options of this variant."""
        return "options" in self.variants.get(variant, {})

    def wrote_option(self, title: str, variant: Variant) -> bool:
        """Whether an option of this variant is ours.

        Earlier versions did not store the names of options. Such a state still has a
        digest of the variant's options as we wrote them. If those that we named are
        as we wrote them, all others are of people. Otherwise, if a variant of ours has
        no more options than we wrote, all of them are ours: people may have renamed
        them.
        """
        before = self.variants.get(variant.id, {}).get("options")
        if Field.OPTIONS not in self.lists:
            return before == digest(variant.options)
        if self.wrote(Field.OPTIONS, title):
            return True
        named = {
            t: v for t, v in variant.options.items() if self.wrote(Field.OPTIONS, t)
        }
        titles = self.lists[Field.OPTIONS]
        is_known = variant.id in self.variants and "" not in titles
        is_as_written = before == digest(named)
        return is_known and not is_as_written and len(variant.options) <= len(titles)

    def text(self) -> str:
        """The last-applied state as text."""
        tree: dict[str, object] = {
            "version": _VERSION,
            "f": self.fields,
            "l": self.lists,
            "a": self.attributes,
            "v": self.variants,
        }
        if self.job:
            tree["j"] = self.job
        if self.unpublished:
            tree["r"] = True
        if self.sold_out:
            tree["o"] = True
        if self.writing:
            tree["w"] = True
        return strict_json.dumps(tree).decode()


_PLACE = "categories."


def place_of(category: Category) -> list[str]:
    """The ids and names of a category and of all its ancestors."""
    place: list[str] = []
    here: Category | None = category
    while here is not None:
        place += [here.id, here.name]
        here = here.parent
    return place


_PLAIN = (
    Field.TITLE,
    Field.DESCRIPTION,
    Field.BRAND,
    Field.STATUS,
    Field.THUMBNAIL,
    Field.WEIGHT,
    Field.DIMENSIONS,
    *DETAILS,
    Field.DISCOUNTABLE,
    *GROUPS,
)
_plain_values = attrgetter(*(field.value for field in _PLAIN))


def write_last_applied(
    desired: Product,
    references: Mapping[Field, tuple[str, ...]],
    before: LastApplied,
    *,
    places: Collection[Category] = (),
    without: Collection[Field] = (),
    there: Collection[str] = (),
    job: str = "",
) -> str:
    """The last-applied state of a product after it is written as desired.

    Args:
        desired: The product of the source, as the sink can hold it.
        references: Elements of `categories` and `tags`, by the sink's ids.
        before: The last-applied state so far; its entries for fields that the source no
            longer supplies are kept.
        places: Categories that are part of the product itself.
        without: Fields that are not written.
        there: Ids of the variants that existed before.
        job: Name of the job that writes.
    """
    fields = {
        **before.fields,
        **{
            field.value: digest(value)
            for field, value in zip(_PLAIN, _plain_values(desired), strict=True)
            if value is not Unset.UNSET and field not in without
        },
    }
    fields = _with_places(fields, places)
    elements = {f: ids for f, ids in references.items() if f not in GROUPS}
    lists = {**before.lists, **{f.value: _sorted(i) for f, i in elements.items()}}
    if not isinstance(desired.images, Unset):
        lists[Field.IMAGES.value] = tuple(digest(image.url) for image in desired.images)
    attributes, variants = before.attributes, before.settled_variants(there)
    if not isinstance(desired.attributes, Unset):
        attributes = {name: digest(v) for name, v in desired.attributes.items()}
    if not isinstance(desired.variants, Unset):
        kept = there if Field.OPTIONS in without else ()
        written = {
            v.id: _of_variant(
                v, before.variants.get(v.id, {}), keep_options=v.id in kept
            )
            for v in desired.variants
        }
        variants = {**variants, **written} if Field.VARIANTS in without else written
        # Without options that were there before, all of them are those written now.
        is_kept = any(v.id in kept for v in desired.variants)
        if Field.OPTIONS not in without or not (is_kept or Field.VARIANTS in without):
            lists |= _titles(desired.variants, lists)
        if Field.STOCK not in without:
            lists |= _locations(desired.variants, before)
    return LastApplied(
        fields, lists, attributes, variants, job or before.job or ""
    ).text()


def of_lane(text: str, before: LastApplied, only: Collection[Field]) -> str:
    """The last-applied state after a lane, which writes some fields only.

    The job stays, and so do the marks that a run over all fields has to deal with. A
    variant that is not claimed yet is claimed only with a value.

    Args:
        text: The state as if the product were written as desired.
        before: The state so far.
        only: The fields that the lane writes.
    """
    after = LastApplied.parse(text)
    return attrs.evolve(
        after,
        variants={
            **before.variants,
            **{
                id_: parts
                for id_, parts in after.variants.items()
                if parts or id_ in before.variants
            },
        },
        job=before.job or after.job,
        unpublished=before.unpublished,
        sold_out=before.sold_out and Field.STOCK not in only,
        writing=before.writing,
    ).text()


def _writer(tree: Mapping[str, object]) -> str | None:
    """The job that wrote a state; None: the state is not complete, as we write it."""
    names = frozenset(tree) - {"j", "r", "o", "w"}
    is_whole = names == _WHOLE and all(isinstance(tree[name], dict) for name in _PARTS)
    job = tree.get("j", "")
    return job if is_whole and isinstance(job, str) else None


def _with_places(
    fields: dict[str, str], places: Collection[Category]
) -> dict[str, str]:
    if not places:
        return fields
    rest = {name: d for name, d in fields.items() if not name.startswith(_PLACE)}
    return rest | {f"{_PLACE}{c.id}": digest(place_of(c)) for c in places}


def _sorted(elements: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(digest, elements)))


def _titles(
    variants: Iterable[Variant], before: Mapping[str, object]
) -> dict[str, tuple[str, ...]]:
    """The names of the variants' options; nothing if the product never had any."""
    titles = {title for variant in variants for title in variant.options}
    has_some = titles or Field.OPTIONS in before
    return {Field.OPTIONS.value: _sorted(titles)} if has_some else {}


def _locations(
    variants: Iterable[Variant], before: LastApplied
) -> dict[str, tuple[str, ...]]:
    """The locations where we write stock or wrote some; nothing if there are none.

    Levels at a location that the source no longer supplies stay, so they stay ours.
    """
    places = {level.location or "" for v in variants for level in v.stock or ()}
    known = set(map(digest, places)).union(before.lists.get(Field.STOCK, ())) - {""}
    return {Field.STOCK.value: tuple(sorted(known))} if known else {}


def interim_last_applied(change: Update) -> str:
    """What a sink stores with a product while an update takes several requests.

    It goes with the first request. `change.last_applied` goes with the last one, and
    only if all requests before it succeeded. The next run finishes such an update, and
    takes nothing in the product for a manual edit.

    Args:
        change: The update.
    """
    return interim(change.existing.last_applied, change.last_applied)


def interim(before: str | None, after: str) -> str:
    """The last-applied state of a product in the middle of an update.

    It claims the elements of both lists, so that everything we add is ours whenever the
    update stops, and no value that differs, so that an old value does not look like a
    manual edit.

    Args:
        before: The last-applied state so far; None: there is none.
        after: The last-applied state after the update.
    """
    old, new = LastApplied.parse(before), LastApplied.parse(after)
    variants = {
        id_: _agreed(old.variants.get(id_, {}), new.variants.get(id_, {}))
        for id_ in {**old.variants, **new.variants}
    }
    return LastApplied(
        fields={n: d for n, d in new.fields.items() if old.fields.get(n) == d},
        lists={
            name: _either(old.lists.get(name, ()), new.lists.get(name, ()))
            for name in {**old.lists, **new.lists}
        },
        attributes=_agreed(old.attributes, new.attributes),
        variants=variants,
        job=new.job,
        unpublished=new.unpublished,
        sold_out=new.sold_out,
        writing=True,
    ).text()


def _either(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """The elements of both; the empty one keeps it from being equal to either."""
    return new if old == new else (*sorted({*old, *new}), "")


def _agreed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """The names of both; those whose digests differ get an empty digest."""
    return {
        name: new[name] if old.get(name) == new.get(name) else ""
        for name in {**old, **new}
    }


_OF_VARIANT = tuple(VARIANT_PLAIN.values())
_values_of_variant = attrgetter(*_OF_VARIANT)


def _of_variant(
    variant: Variant, before: Mapping[str, str], *, keep_options: bool
) -> dict[str, str]:
    parts = dict(before)
    for name, value in zip(_OF_VARIANT, _values_of_variant(variant), strict=True):
        if value is not Unset.UNSET:
            parts[name] = digest(value)
    if not keep_options:
        parts.pop("options", None)
        if variant.options:
            parts["options"] = _digest_of_options(variant.options)
    if not isinstance(variant.prices, Unset):
        if before:
            parts = {name: d for name, d in parts.items() if not name.isupper()}
        for price in variant.prices:
            parts[price.currency] = _digest_of_number(price.amount)
    return parts


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _texts(value: object) -> dict[str, str]:
    return {name: v for name, v in _mapping(value).items() if isinstance(v, str)}
