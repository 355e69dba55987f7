"""Changing the options of a product and its existing variants.

Observed on Medusa 2.21.2: each new variant needs a value for every option of its
product, and `options/batch` removes no option that a variant has a value for. But a
product update with `option_ids` and `variants` sets both in one transaction: omitted
options are removed, and variants may exchange their values. Variants without options
must come first in the list, or Medusa answers 500. A variant that is omitted is deleted;
a variant with nothing but its id does not change, and keeps its value for a removed
option until it is deleted itself. An option may have no values, and a variant that is
older than an option has no value for it.

If people added an option, or the source may not supply options, a new variant gets an
existing value of the product, in a combination that no other variant has. The outcome
names the chosen values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from catalogsync.catalog.changes import Action, Update, VariantChange
from catalogsync.catalog.products import Field, Variant, evolve_unchecked
from catalogsync.diff.last_applied import LastApplied

from .choosing import Choice
from .mapping import (
    DEFAULT_OPTIONS,
    Raw,
    has_default_option,
    is_ours,
    option_values,
    raw_of,
    variant_id,
)

__all__ = ["Reshaping", "unused_values", "with_options"]

_DEFAULT_VALUES = {title: [value] for title, value in DEFAULT_OPTIONS.items()}


@attrs.frozen
class Reshaping:
    """The options of a product before and after an update.

    Attributes:
        raw: The product's current options and variants.
        after: The new options of variants that get some, by the variant's id.
        chosen: The values among them that the source did not supply, by variant id.
        titles: The titles of all options that the product will have.
        ours: The titles among them of options that people did not add.
        leaving: Ids of the variants that will be deleted; until then they do not
            change, and may have the options that another variant gets.
    """

    raw: Raw
    after: Mapping[str, Mapping[str, str]]
    chosen: Mapping[str, Mapping[str, str]]
    titles: frozenset[str]
    ours: frozenset[str]
    leaving: frozenset[str]

    @classmethod
    def of(cls, change: Update, raw: Raw) -> Reshaping:
        """The options before and after this update.

        Args:
            change: The update.
            raw: The product's options and variants, freshly read: an earlier attempt
                may have added options.
        """
        shaped = {
            item.variant.id: item.variant
            for item in change.variants
            if item.action is Action.ADD or Field.OPTIONS in item.fields
        }
        given = {title for variant in shaped.values() for title in variant.options}
        given |= _kept_titles(change, shaped)
        here = {option["title"] for option in _options(raw)}
        theirs = {t for t in here - given if not _is_ours(t, change, given)}
        titles = frozenset(given | theirs or DEFAULT_OPTIONS)
        leaving = {c.variant.id for c in change.variants if c.action is Action.REMOVE}
        for variant in _bared(change, raw, titles):
            if variant.id not in leaving:
                shaped.setdefault(variant.id, variant)
        choice = Choice.of(raw, titles, shaped, leaving)
        after = choice.complete(shaped.values())
        return cls(
            raw,
            after=after,
            chosen=choice.chosen(after, shaped.values()),
            titles=titles,
            ours=titles - theirs,
            leaving=frozenset(leaving),
        )

    @property
    def is_needed(self) -> bool:
        """Whether options or existing variants change; new variants need no reshaping."""
        here = {option["title"] for option in _options(self.raw)}
        known = {variant_id(raw) for raw in self.raw.get("variants") or ()}
        return bool(here - self.titles) or not known.isdisjoint(self.after)

    def blocking_variant(self, added: Iterable[str]) -> str:
        """Id of a variant that stays and has the options of a new one; empty if none.

        Args:
            added: The ids of the new variants.
        """
        new = [self.after[id_] for id_ in added]
        for row in self.raw.get("variants") or ():
            id_ = variant_id(row)
            options = {t: v for t, v in option_values(row).items() if t in self.titles}
            if id_ not in self.leaving and id_ not in self.after and options in new:
                return id_
        return ""

    def missing(self, default: Raw | None = None) -> dict[str, Any]:
        """The body for `options/batch` that adds the missing options and values.

        Args:
            default: The shared option of products without options of their own.
        """
        known: dict[str, Raw] = {o["title"]: o for o in _options(self.raw)}
        body: dict[str, Any] = {}
        for title, values in self._new_values(known).items():
            if title in known:
                add = [{"value": value} for value in values]
                entry = {"product_option_id": known[title]["id"], "add": add}
                body.setdefault("update", []).append(entry)
            elif default is not None and {title: values} == _DEFAULT_VALUES:
                body.setdefault("add", []).append(default)
            else:
                option = {"title": title, "values": values, "is_exclusive": True}
                body.setdefault("add", []).append(option)
        return body

    def _new_values(self, known: Mapping[str, Raw]) -> dict[str, list[str]]:
        missing: dict[str, dict[str, None]] = {}
        kept = self._kept(self.raw) if self.is_needed else {}
        for options in (*self.after.values(), *kept.values()):
            for title, value in options.items():
                values = {v["value"] for v in known.get(title, {}).get("values") or ()}
                if value not in values:
                    missing.setdefault(title, {})[value] = None
        return {title: [*values] for title, values in missing.items()}

    def _kept(self, raw: Raw) -> dict[str, dict[str, str]]:
        """The options of variants that keep theirs, each combination once.

        Their values may belong to an option that was removed and added again
        without them.
        """
        kept: dict[str, dict[str, str]] = {}
        for row in raw.get("variants") or ():
            id_ = variant_id(row)
            options = {t: v for t, v in option_values(row).items() if t in self.titles}
            stays = id_ not in self.leaving and id_ not in self.after
            is_new = options not in (*self.after.values(), *kept.values())
            if stays and is_new and options.keys() == self.titles:
                kept[id_] = options
        return kept

    def body(self, fresh: Raw) -> dict[str, Any]:
        """The product update.

        Args:
            fresh: The product, read after the missing options were added.
        """
        ids = [o["id"] for o in _options(fresh) if o["title"] in self.titles]
        rows = {variant_id(raw): raw["id"] for raw in fresh.get("variants") or ()}
        given = {id_: self.after[id_] for id_ in rows if id_ in self.after}
        given |= self._kept(fresh)
        variants = [
            {"id": row, "options": given[id_]} if id_ in given else {"id": row}
            for id_, row in rows.items()
        ]
        variants.sort(key=lambda variant: "options" in variant)
        return {"id": fresh["id"], "option_ids": ids, "variants": variants}


def with_options(change: Update) -> Update:
    """The change with options for variants that lost theirs in an interrupted update.

    They read as if they had no options, but lack the default option as well.
    """
    raw = raw_of(change)
    rows = raw.get("variants") or () if has_default_option(raw) else ()
    bare = {variant_id(r) for r in rows if r.get("options") == [] and is_ours(r)}
    changed = {item.variant.id: item for item in change.variants}
    added = [
        VariantChange(
            action=Action.UPDATE,
            variant=variant,
            fields=frozenset({Field.OPTIONS, *(item.fields if item else ())}),
        )
        for variant in change.product.variants or ()
        if variant.id in bare
        for item in [changed.get(variant.id)]
        if item is None or item.action is Action.UPDATE
    ]
    ids = {item.variant.id for item in added}
    rest = [item for item in change.variants if item.variant.id not in ids]
    fields = change.fields | {Field.OPTIONS} if added else change.fields
    return attrs.evolve(change, fields=fields, variants=(*rest, *added))


def _bared(change: Update, raw: Raw, titles: frozenset[str]) -> Iterator[Variant]:
    """Our variants that would be left with no option, because theirs are removed.

    Medusa keeps such a variant, but it would read as one without options.
    """
    rows = {variant_id(row): row for row in raw.get("variants") or () if is_ours(row)}
    for variant in change.product.variants or ():
        had = option_values(rows.get(variant.id, {}))
        if had and titles.isdisjoint(had):
            yield evolve_unchecked(variant, options={})


def unused_values(change: Update, shape: Reshaping) -> list[dict[str, Any]]:
    """Values that no variant has any more after this update."""
    had = _pairs(v.options for v in change.existing.product.variants or ())
    have = _pairs(v.options for v in change.product.variants or ())
    have |= _pairs(shape.after.values())
    unused: list[dict[str, Any]] = []
    for option in _options(raw_of(change)):
        ids = [
            value["id"]
            for value in option["values"]
            if (option["title"], value["value"]) in had - have
        ]
        if ids and option["title"] in shape.ours:
            unused.append({"product_option_id": option["id"], "remove": ids})
    return unused


def _pairs(options: Iterable[Mapping[str, str]]) -> set[tuple[str, str]]:
    return {pair for each in options for pair in each.items()}


def _options(raw: Raw) -> Sequence[Raw]:
    return raw.get("options") or ()


def _kept_titles(change: Update, after: Mapping[str, object]) -> set[str]:
    """The options of the source's variants that do not change."""
    desired = change.desired.variants if change.desired else ()
    ids = {variant.id for variant in desired or ()} - set(after)
    variants = change.product.variants or ()
    return {title for v in variants if v.id in ids for title in v.options}


def _is_ours(title: str, change: Update, given: set[str]) -> bool:
    """Whether we wrote an option that the source does not supply."""
    last_applied = LastApplied.parse(change.existing.last_applied)
    existing = change.existing.product.variants or ()
    default = (
        title in DEFAULT_OPTIONS and has_default_option(raw_of(change)) and bool(given)
    )
    return (
        default
        or last_applied.wrote(Field.OPTIONS, title)
        or any(
            title in variant.options and last_applied.wrote_option(title, variant)
            for variant in existing
        )
    )
