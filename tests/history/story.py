"""Stories of a store: what happens to it over the years, in words and numbers.

An event is a name and two numbers, which say what of the catalog it happens to. So a
story that fails shrinks to a few words: `[swap_skus 0 1, run, hide 2, run]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias

import attrs
from hypothesis import strategies as st

from catalogsync import (
    UNSET,
    Category,
    Image,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)

SOURCE = "shop"
SIZES = ("S", "M", "L", "XL")


@attrs.frozen
class Event:
    """Something that happens.

    Attributes:
        what: What it is: an edit of the source, a person's deed, or a run.
        a: Which product or variant, or with which setting.
        b: Which other one.
    """

    what: str
    a: int = 0
    b: int = 0

    def __repr__(self) -> str:
        return f"{self.what} {self.a} {self.b}"


Catalog: TypeAlias = dict[str, Product]
"""What the source has, by id."""


def product(id_: str, *variants: Variant, **more: object) -> Product:
    values: dict[str, object] = {
        "title": f"Thing {id_}",
        "description": f"It is thing {id_}.",
        "tags": ("new",),
        "categories": (_category("pots", _category("kitchen")),),
        "images": (Image(url=f"https://img.example/{id_}.webp"),),
        "attributes": {"color": "red"},
        "weight": Decimal("1.5"),
        **more,
    }
    return Product(key=ProductKey(SOURCE, id_), variants=variants, **values)  # type: ignore[arg-type]


def _category(id_: str, parent: Category | None = None) -> Category:
    return Category(id=id_, name=id_.title(), parent=parent)


def variant(id_: str, sku: str, **more: object) -> Variant:
    values: dict[str, object] = {
        "barcode": f"B-{sku}",
        "prices": (Price(amount=Decimal(5), currency="USD"),),
        "stock": (StockLevel(quantity=3),),
        **more,
    }
    return Variant(id=id_, sku=sku, **values)  # type: ignore[arg-type]


def beginning(family: str) -> Catalog:
    """Two simple products of a family and two with variants."""
    found = [
        product(f"{family}.1", variant("default", f"{family}1")),
        product(f"{family}.2", variant("default", f"{family}2")),
        product(f"{family}.3", *_sized(f"{family}3", "SML")),
        product(f"{family}.4", *_sized(f"{family}4", "SM")),
    ]
    return {each.key.id: each for each in found}


def family_of(id_: str) -> str:
    """The family that a product is of."""
    return id_.partition(".")[0]


def _sized(id_: str, sizes: Sequence[str]) -> list[Variant]:
    return [variant(s, f"{id_}-{s}", options={"Size": s}) for s in sizes]


# --- what happens at the source ---

ManualEdit: TypeAlias = Callable[[Catalog, int, int, str], None]
"""Changes a catalog; the text is new in this story."""


def _pick(catalog: Catalog, number: int) -> Product:
    return list(catalog.values())[number % len(catalog)]


def _put(catalog: Catalog, *products: Product) -> None:
    for each in products:
        catalog[each.key.id] = each


def _variants(catalog: Catalog) -> list[tuple[str, int]]:
    return [
        (id_, index)
        for id_, each in catalog.items()
        for index in range(len(each.variants or ()))
    ]


def _at(catalog: Catalog, place: tuple[str, int]) -> Variant:
    return (catalog[place[0]].variants or ())[place[1]]


def _set(catalog: Catalog, place: tuple[str, int], **values: object) -> None:
    id_, index = place
    variants = [*(catalog[id_].variants or ())]
    variants[index] = attrs.evolve(variants[index], **values)  # type: ignore[arg-type]
    catalog[id_] = attrs.evolve(catalog[id_], variants=variants)


def _trade(name: str) -> ManualEdit:
    def trade(catalog: Catalog, a: int, b: int, _: str) -> None:
        places = _variants(catalog)
        one, other = places[a % len(places)], places[b % len(places)]
        first, second = getattr(_at(catalog, one), name), _at(catalog, other)
        _set(catalog, one, **{name: getattr(second, name)})
        _set(catalog, other, **{name: first})

    return trade


def _rotate(catalog: Catalog, a: int, _: int, __: str) -> None:
    places = _variants(catalog)
    skus = [_at(catalog, place).sku for place in places]
    by = 1 + a % max(len(places) - 1, 1)
    for place, sku in zip(places, [*skus[by:], *skus[:by]], strict=True):
        _set(catalog, place, sku=sku)


def _new_sku(catalog: Catalog, a: int, _: int, new: str) -> None:
    places = _variants(catalog)
    _set(catalog, places[a % len(places)], sku=f"N{new}", barcode=f"NB{new}")


def _options(change: Callable[[dict[str, str], str], dict[str, str]]) -> ManualEdit:
    def edit(catalog: Catalog, a: int, _: int, new: str) -> None:
        found = _pick(catalog, a)
        options = [change(dict(v.options), new) for v in found.variants or ()]
        if len({tuple(sorted(o.items())) for o in options}) < len(options):
            return
        variants = [
            attrs.evolve(v, options=o)
            for v, o in zip(found.variants or (), options, strict=True)
        ]
        _put(catalog, attrs.evolve(found, variants=variants))

    return edit


def _trade_options(catalog: Catalog, a: int, b: int, _: str) -> None:
    found = _pick(catalog, a)
    variants = [*(found.variants or ())]
    i, j = a % len(variants), b % len(variants)
    one, other = variants[i], variants[j]
    variants[i] = attrs.evolve(one, options=other.options)
    variants[j] = attrs.evolve(other, options=one.options)
    _put(catalog, attrs.evolve(found, variants=variants))


def _make_simple(catalog: Catalog, a: int, _: int, new: str) -> None:
    found = _pick(catalog, a)
    _put(catalog, attrs.evolve(found, variants=[variant("default", f"S{new}")]))


def _make_sized(catalog: Catalog, a: int, b: int, new: str) -> None:
    found = _pick(catalog, a)
    sizes = SIZES[: 2 + b % 3]
    kept = next(iter(found.variants or ())).sku if b % 2 else None
    variants = [variant(s, f"Z{new}{s}", options={"Size": s}) for s in sizes]
    if isinstance(kept, str):
        variants[0] = attrs.evolve(variants[0], sku=kept)
    _put(catalog, attrs.evolve(found, variants=variants))


def _new_ids(catalog: Catalog, a: int, _: int, new: str) -> None:
    found = _pick(catalog, a)
    variants = [attrs.evolve(v, id=f"{v.id}.{new}") for v in found.variants or ()]
    _put(catalog, attrs.evolve(found, variants=variants))


def _add_variant(catalog: Catalog, a: int, _: int, new: str) -> None:
    found = _pick(catalog, a)
    first = next(iter(found.variants or ()))
    if not first.options:
        return
    options = dict.fromkeys(first.options, f"V{new}")
    added = variant(f"v{new}", f"V{new}", options=options)
    _put(catalog, attrs.evolve(found, variants=[*(found.variants or ()), added]))


def _drop_variant(catalog: Catalog, a: int, b: int, _: str) -> None:
    found = _pick(catalog, a)
    variants = [*(found.variants or ())]
    if len(variants) > 1:
        del variants[b % len(variants)]
        _put(catalog, attrs.evolve(found, variants=variants))


def _leave(catalog: Catalog, a: int, _: int, __: str) -> None:
    if len(catalog) > 1:
        del catalog[_pick(catalog, a).key.id]


def _come(catalog: Catalog, _: int, __: int, ___: str) -> None:
    taken = {value for each in catalog.values() for value in _unique(each)}
    for id_, each in beginning(family_of(next(iter(catalog)))).items():
        if id_ not in catalog and taken.isdisjoint(_unique(each)):
            catalog[id_] = each
            return


def _unique(found: Product) -> set[object]:
    return {x for v in found.variants or () for x in (("sku", v.sku), v.barcode)}


def _succeed(catalog: Catalog, a: int, _: int, new: str) -> None:
    found = _pick(catalog, a)
    del catalog[found.key.id]
    id_ = f"{family_of(found.key.id)}.n{new}"
    _put(catalog, attrs.evolve(found, key=ProductKey(SOURCE, id_)))


def _make_grid(catalog: Catalog, a: int, b: int, new: str) -> None:
    """Two or three options; some of the combinations, with some of the old SKUs."""
    found = _pick(catalog, a)
    skus = [v.sku for v in found.variants or ()]
    places = [(s, c) for s in SIZES[:2] for c in ("red", "blue")]
    third = {"Fit": "slim"} if b % 2 else {}
    variants = [
        variant(f"{s}{c}", f"G{new}{s}{c}", options={"Size": s, "Color": c, **third})
        for i, (s, c) in enumerate(places)
        if i != b % 5
    ]
    if b % 3 == 0 and isinstance(skus[0], str):
        variants[-1] = attrs.evolve(variants[-1], sku=skus[0])
    _put(catalog, attrs.evolve(found, variants=variants))


def _variant_field(name: str, make: Callable[[str], object]) -> ManualEdit:
    def edit(catalog: Catalog, a: int, b: int, new: str) -> None:
        places = _variants(catalog)
        if b % 2:
            id_ = places[a % len(places)][0]
            for place in places:
                if place[0] == id_:
                    _set(catalog, place, **{name: make(f"{new}.{place[1]}")})
        else:
            _set(catalog, places[a % len(places)], **{name: make(new)})

    return edit


def _odd_sku(catalog: Catalog, a: int, b: int, new: str) -> None:
    places = _variants(catalog)
    place = places[a % len(places)]
    sku = _at(catalog, place).sku
    if not isinstance(sku, str):
        return
    made = (sku.lower(), sku.upper(), f"{sku} ", f"{sku}, [{new}] x")[b % 4]
    if all(_at(catalog, other).sku != made for other in places):
        _set(catalog, place, sku=made)


def _field(name: str, make: Callable[[str], object]) -> ManualEdit:
    def edit(catalog: Catalog, a: int, _: int, new: str) -> None:
        found = _pick(catalog, a)
        _put(catalog, attrs.evolve(found, **{name: make(new)}))  # type: ignore[arg-type]

    return edit


def _amounts(catalog: Catalog, a: int, b: int, _: str) -> None:
    places = _variants(catalog)
    price = Price(amount=Decimal(b + 1), currency="USD")
    stock = StockLevel(quantity=b)
    _set(catalog, places[a % len(places)], prices=(price,), stock=(stock,))


EDITS: dict[str, ManualEdit] = {
    "swap_skus": _trade("sku"),
    "swap_barcodes": _trade("barcode"),
    "rotate_skus": _rotate,
    "new_sku": _new_sku,
    "swap_options": _trade_options,
    "rename_value": _options(lambda o, new: {t: v + new for t, v in o.items()}),
    "rename_option": _options(lambda o, new: {t + new: v for t, v in o.items()}),
    "add_option": _options(lambda o, new: {**o, f"Fit{new}": "slim"} if o else o),
    "drop_option": _options(lambda o, _: dict([*o.items()][:-1])),
    "make_simple": _make_simple,
    "make_sized": _make_sized,
    "new_variant_ids": _new_ids,
    "add_variant": _add_variant,
    "drop_variant": _drop_variant,
    "make_grid": _make_grid,
    "no_sku": _variant_field("sku", lambda _: None),
    "sku_again": _variant_field("sku", lambda new: f"A{new}"),
    "no_barcode": _variant_field("barcode", lambda _: None),
    "unsaid_prices": _variant_field("prices", lambda _: UNSET),
    "no_prices": _variant_field("prices", lambda _: ()),
    "unsaid_stock": _variant_field("stock", lambda _: UNSET),
    "stock_again": _variant_field("stock", lambda _: (StockLevel(quantity=4),)),
    "odd_sku": _odd_sku,
    "leave": _leave,
    "come": _come,
    "succeed": _succeed,
    "new_title": _field("title", lambda new: f"Title {new}"),
    "new_tags": _field("tags", lambda new: ("new", f"t{new}")),
    "no_description": _field("description", lambda _: None),
    "new_images": _field(
        "images", lambda new: (Image(url=f"https://img.example/{new}.webp"),)
    ),
    "new_attributes": _field("attributes", lambda new: {"color": new}),
    "new_category": _field(
        "categories", lambda new: (_category(f"c{new}", _category("kitchen")),)
    ),
    "to_the_top": _field("categories", lambda _: (_category("pots"),)),
    "new_amounts": _amounts,
}
"""What can happen at the source."""

DEEDS = (
    "their_tag",
    "their_image",
    "their_category",
    "their_metadata",
    "their_variant",
    "their_option",
    "their_empty_option",
    "use_their_option",
    "empty_title",
    "other_price",
    "other_sku",
    "other_stock",
    "unmanage",
    "hide",
    "delete_variant",
    "delete_product",
    "rename_category",
    "delete_item",
    "second_item",
    "rename_option_by_hand",
    "value_by_hand",
    "drop_variant_by_hand",
    "other_item_sku",
    "hold_sku",
    "release_sku",
)
"""What people do in the store."""

RUNS = (
    *("run", "run", "run_small", "run_keep", "run_prune", "run_delete"),
    *("run_sold_out", "run_owns", "broken_run", "killed_run"),
)


def events() -> st.SearchStrategy[Event]:
    """Anything that can happen."""
    number = st.integers(0, 7)
    names = st.sampled_from([*EDITS, *EDITS, *DEEDS])
    return st.builds(Event, names, number, number)


@attrs.frozen
class Chapter:
    """What happens to each family of products between two runs, and the run."""

    events: Sequence[Sequence[Event]]
    run: Event

    def __repr__(self) -> str:
        return f"<{[*map(list, self.events)]}; {self.run!r}>"


@st.composite
def stories(draw: st.DrawFn, families: int = 1) -> list[Chapter]:
    """Some events, a run, some more, and so on, in so many families at once.

    What happens to one family has nothing to do with another, so that each is a
    story of its own; they share the runs.
    """
    run = st.builds(Event, st.sampled_from(RUNS), st.integers(0, 11), st.integers(0, 2))
    some = st.lists(events(), min_size=0 if families > 1 else 1, max_size=4)
    each = st.lists(some, min_size=1 if families == 1 else families, max_size=families)
    return draw(st.lists(st.builds(Chapter, each, run), min_size=1, max_size=4))
