"""Option values that the source does not supply but Medusa requires.

A new variant needs a value for every option of its product, in a combination that no
other variant has. The source has no value for an option that people added, and no
values at all if the job does not own options.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from catalogsync.catalog.changes import Create
from catalogsync.catalog.products import Product, Variant, evolve_unchecked

from .mapping import DEFAULT_OPTIONS, Raw, is_ours, option_values, variant_id

__all__ = ["Choice", "chosen_note", "distinguishing_options", "with_options_of"]

_LONGEST_NAME = 200

Values: TypeAlias = Mapping[str, Mapping[str, str]]
"""Option values by option title, by variant id."""
Combination: TypeAlias = frozenset[tuple[str, str]]


@attrs.frozen
class Choice:
    """The option values that the variants of a product can get.

    Attributes:
        titles: The options that every variant needs a value for.
        offered: The values of each option, the most used among managed variants first.
        existing: The current values of the variants.
        taken: The combinations of variants that do not change.
        leaving: The combinations of variants that are deleted once the new ones exist.
    """

    titles: frozenset[str]
    offered: Mapping[str, Sequence[str]]
    existing: Values
    taken: frozenset[Combination]
    leaving: frozenset[Combination]

    @classmethod
    def of(
        cls,
        raw: Raw,
        titles: frozenset[str],
        shaped: Iterable[str],
        leaving: Container[str],
    ) -> Choice:
        """Collect the values of a product.

        Args:
            raw: Its options and variants.
            titles: The options that it will have.
            shaped: The ids of the variants that get options.
            leaving: The ids of the variants that are deleted afterwards.
        """
        rows: Sequence[Raw] = raw.get("variants") or ()
        existing = {variant_id(row): option_values(row) for row in rows}
        used = Counter(
            pair for row in rows if is_ours(row) for pair in option_values(row).items()
        )
        offered = {
            option["title"]: _by_use(option, used)
            for option in raw.get("options") or ()
        }
        rest = {
            id_: frozenset(pair for pair in existing[id_].items() if pair[0] in titles)
            for id_ in existing.keys() - {*shaped}
        }
        return cls(
            titles,
            offered,
            existing,
            taken=frozenset(each for id_, each in rest.items() if id_ not in leaving),
            leaving=frozenset(each for id_, each in rest.items() if id_ in leaving),
        )

    def complete(self, variants: Iterable[Variant]) -> dict[str, dict[str, str]]:
        """A value of each option for these variants; existing ones keep their values."""
        variants = list(variants)
        taken = {*self.taken, *(frozenset(v.options.items()) for v in variants)}
        found: dict[str, dict[str, str]] = {}
        for variant in sorted(variants, key=lambda v: v.id not in self.existing):
            if variant.id not in self.existing:
                taken |= self.leaving
            found[variant.id] = dict(variant.options)
            if missing := sorted(self.titles - variant.options.keys()):
                found[variant.id] = next(
                    options
                    for options in self._combinations(variant, missing, len(taken))
                    if frozenset(options.items()) not in taken
                )
                taken.add(frozenset(found[variant.id].items()))
        return found

    def _combinations(
        self, variant: Variant, missing: Sequence[str], number: int
    ) -> Iterator[dict[str, str]]:
        """More than *number* candidates, the best first."""
        existing = self.existing.get(variant.id, {})
        names = [*itertools.islice(_names(variant), number + 1)]
        lists: list[list[str]] = []
        for title in missing:
            own = [existing[title]] if title in existing else []
            first = [DEFAULT_OPTIONS[title]] if title in DEFAULT_OPTIONS else []
            offered = self.offered.get(title) or [*DEFAULT_OPTIONS.values()]
            lists.append([*own, *first, *offered, *names])
        for values in itertools.product(*lists):
            yield {**variant.options, **dict(zip(missing, values, strict=True))}

    def chosen(self, after: Values, variants: Iterable[Variant]) -> Values:
        """The values of these variants that were chosen here, not supplied."""
        return {
            v.id: {
                title: value
                for title, value in after[v.id].items()
                if title not in v.options
                and self.existing.get(v.id, {}).get(title) != value
                and DEFAULT_OPTIONS.get(title) != value
            }
            for v in variants
        }


def _by_use(option: Raw, used: Counter[tuple[str, str]]) -> list[str]:
    texts = [str(value["value"]) for value in option.get("values") or ()]
    return sorted(texts, key=lambda text: -used[option["title"], text])


def _names(variant: Variant) -> Iterator[str]:
    """Names that tell a variant from the others if its options do not."""
    name = (variant.title or variant.id)[:_LONGEST_NAME]
    yield name
    yield from (f"{name} {number}" for number in itertools.count(2))


def distinguishing_options(product: Product) -> Values:
    """Options for a new product with several variants that have none; else empty."""
    variants = product.variants or ()
    if len(variants) < 2 or any(variant.options for variant in variants):
        return {}
    (title,) = DEFAULT_OPTIONS
    found: dict[str, dict[str, str]] = {}
    taken = set[str]()
    for variant in variants:
        name = next(name for name in _names(variant) if name not in taken)
        taken.add(name)
        found[variant.id] = {title: name}
    return found


def with_options_of(change: Create, options: Values) -> Create:
    """The creation with these options on its variants."""
    if not options:
        return change
    variants = tuple(
        evolve_unchecked(variant, options=options[variant.id])
        for variant in change.product.variants or ()
    )
    product = evolve_unchecked(change.product, variants=variants)
    return attrs.evolve(change, product=product)


def chosen_note(chosen: Values) -> str:
    """A note for the report on the values that were chosen; empty if none were."""
    ids: dict[tuple[str, str], list[str]] = {}
    for id_, options in chosen.items():
        for pair in options.items():
            ids.setdefault(pair, []).append(id_)
    return "; ".join(
        f"variant {', '.join(found)} got the value {value!r} of the option {title!r},"
        " because Medusa requires one and the source does not supply it"
        for (title, value), found in ids.items()
    )
