"""Catalogs, what goes wrong with them, and ordinary nights: all generated from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import TypeAlias

import attrs

from catalogsync import Category, Image, Price, Product, ProductKey, StockLevel, Variant

Catalog: TypeAlias = list[Product]
Accident: TypeAlias = Callable[[Catalog, Random], Catalog]

_CENT = Decimal("0.01")
ACCIDENTS: dict[str, Accident] = {}


def catalog(size: int, variants: int, seed: int, currency: str = "EUR") -> Catalog:
    """A catalog of products in twelve categories and nine brands."""
    rng = Random(seed)
    return [_product(n, variants, rng, currency) for n in range(size)]


def _product(n: int, variants: int, rng: Random, currency: str) -> Product:
    base = Decimal(rng.randint(199, 49_900)) / 100
    category = Category(id=f"c{n % 12}", name=f"Category {n % 12}")
    return Product(
        key=ProductKey("shop", str(n)),
        title=f"Product {n} of brand {n % 9}",
        description=f"Text about product {n}.",
        brand=f"Brand {n % 9}",
        images=[Image(url=f"https://i.example/{n}-{k}.jpg") for k in range(2)],
        categories=[category],
        weight=Decimal(rng.randint(50, 5000)),
        variants=[
            Variant(
                id=f"{n}-{k}",
                sku=f"S{n}-{k}",
                options={"Size": str(k)} if variants > 1 else {},
                prices=[Price(amount=base + k, currency=currency)],
                stock=[StockLevel(quantity=rng.choice([0, 1, 5, 12, 40, 200]))],
            )
            for k in range(variants)
        ],
    )


# Changing parts of products.


def each(catalog: Catalog, change: Callable[[Product], Product]) -> Catalog:
    return [change(product) for product in catalog]


def priced(product: Product, change: Callable[[Decimal], Decimal]) -> Product:
    def changed(variant: Variant) -> Variant:
        prices = [
            attrs.evolve(
                price, amount=change(price.amount).quantize(_CENT, ROUND_HALF_UP)
            )
            for price in variant.prices or ()
        ]
        return attrs.evolve(variant, prices=prices)

    return attrs.evolve(product, variants=[*map(changed, product.variants or ())])


def stocked(product: Product, change: Callable[[int], int]) -> Product:
    def changed(variant: Variant) -> Variant:
        levels = [
            attrs.evolve(level, quantity=change(level.quantity))
            for level in variant.stock or ()
        ]
        return attrs.evolve(variant, stock=levels)

    return attrs.evolve(product, variants=[*map(changed, product.variants or ())])


def some(catalog: Catalog, share: float, rng: Random) -> set[ProductKey]:
    number = max(1, round(len(catalog) * share))
    return {product.key for product in rng.sample(catalog, number)}


def where(
    catalog: Catalog, keys: set[ProductKey], change: Callable[[Product], Product]
) -> Catalog:
    return [change(p) if p.key in keys else p for p in catalog]


def _by(name: str, accident: Accident) -> None:
    ACCIDENTS[name] = accident


def _prices(
    name: str, change: Callable[[Decimal], Decimal], share: float = 1.0
) -> None:
    def accident(catalog: Catalog, rng: Random) -> Catalog:
        keys = some(catalog, share, rng)
        return where(catalog, keys, lambda p: priced(p, change))

    _by(name, accident)


def _with(name: str, change: Callable[[Product], Product], share: float = 1.0) -> None:
    def accident(catalog: Catalog, rng: Random) -> Catalog:
        return where(catalog, some(catalog, share, rng), change)

    _by(name, accident)


# Prices.
_prices("minor units", lambda a: a * 100)
_prices("minor units in a tenth of the rows", lambda a: a * 100, 0.1)
_prices("minor units in one row", lambda a: a * 100, 0.0)
_prices("cents read as euros and divided again", lambda a: a / 100)
_prices("a decimal comma read as a thousands separator", lambda a: a * 100)
_prices(
    "a thousands separator read as a decimal point",
    lambda a: a / 1000 if a >= 100 else a,
)
_prices("all prices 0", lambda _: Decimal(0))
_prices("a fifth of the prices 0", lambda _: Decimal(0), 0.2)
_prices("VAT removed", lambda a: a / Decimal("1.19"))
_prices("VAT added twice", lambda a: a * Decimal("1.19"))
_prices("dollars under the name of euros", lambda a: a * Decimal("1.35"))
_prices("purchase prices", lambda a: a * Decimal("0.55"))
_prices("a discount of a half for all", lambda a: a / 2)
_prices("a margin applied twice", lambda a: a * Decimal("1.3"))
_prices("the same price for all", lambda _: Decimal("9.99"))
_prices("prices for a box of twelve", lambda a: a * 12)
_prices("prices for a piece of a hundred", lambda a: a / 100, 0.05)
_prices("yen as euros", lambda a: a * 160)


def _currency(product: Product) -> Product:
    return attrs.evolve(
        product,
        variants=[
            attrs.evolve(
                v, prices=[attrs.evolve(p, currency="USD") for p in v.prices or ()]
            )
            for v in product.variants or ()
        ],
    )


_with("another currency", _currency)
_with("another currency in a tenth", _currency, 0.1)


def _shifted(catalog: Catalog, rng: Random) -> Catalog:
    following = [*catalog[1:], catalog[0]]
    return [
        attrs.evolve(p, title=q.title, description=q.description)
        for p, q in zip(catalog, following, strict=True)
    ]


def _shuffled_prices(catalog: Catalog, rng: Random) -> Catalog:
    others = rng.sample(catalog, len(catalog))

    def amount(product: Product) -> Decimal:
        return (product.variants or ())[0].prices[0].amount  # type: ignore[index]

    return [
        priced(p, lambda _, q=q: amount(q))
        for p, q in zip(catalog, others, strict=True)
    ]


_by("shifted columns", _shifted)
_by("prices sorted, the rest not", _shuffled_prices)

# Stock.
_with("all stock 0", lambda p: stocked(p, lambda _: 0))
_with("half of the stock 0", lambda p: stocked(p, lambda _: 0), 0.6)
_with("stock as a word", lambda p: stocked(p, lambda _: 0), 0.9)

# Less of everything.
_by("half a file", lambda c, _: c[: len(c) // 2])
_by("an empty file", lambda c, _: [])
_by("the first page only", lambda c, _: c[:30])
_by("a third missing", lambda c, rng: [p for p in c if rng.random() > 1 / 3])
_by(
    "a brand missing twice over",
    lambda c, _: [p for p in c if p.brand not in {"Brand 1", "Brand 2"}],
)
_by(
    "two categories missing",
    lambda c, _: [
        p for p in c if not p.categories or p.categories[0].id not in {"c1", "c2"}
    ],
)
_by(
    "the variants only of the last page",
    lambda c, _: c[-30:],
)

# Texts and pictures.
_with(
    "another language",
    lambda p: attrs.evolve(p, title=f"Produit {p.key.id}", description="Texte."),
)
_with(
    "placeholders",
    lambda p: attrs.evolve(p, title="{{ product.title }}", description="{{ text }}"),
)
_with("a template instead of data", lambda p: attrs.evolve(p, title="#name#"))
_with("descriptions emptied", lambda p: attrs.evolve(p, description=None))
_with(
    "descriptions of a tenth emptied", lambda p: attrs.evolve(p, description=None), 0.1
)
_with("images emptied", lambda p: attrs.evolve(p, images=[]))
_with("images of a tenth emptied", lambda p: attrs.evolve(p, images=[]), 0.1)
_with(
    "all titles in another encoding",
    lambda p: attrs.evolve(p, title=p.title.replace("o", "Ã³")),
)
_with(
    "all in one category",
    lambda p: attrs.evolve(p, categories=[Category(id="all", name="All")]),
)
_with(
    "all categories renamed",
    lambda p: attrs.evolve(
        p, categories=[attrs.evolve(c, id=f"x{c.id}") for c in p.categories or ()]
    ),
)
_with("no categories", lambda p: attrs.evolve(p, categories=[]))


def _rekeyed(catalog: Catalog, _: Random) -> Catalog:
    return [attrs.evolve(p, key=ProductKey("shop", f"new-{p.key.id}")) for p in catalog]


_by("other keys", _rekeyed)
_by(
    "the catalog of another shop",
    lambda c, rng: _rekeyed(catalog(len(c), 2, rng.randrange(10**6)), rng),
)
_by(
    "test products",
    lambda c, rng: [*c, *_rekeyed(c, rng)],
)


# Ordinary nights.


def night(catalog: Catalog, rng: Random) -> Catalog:
    """What happens to a catalog from one day to the next."""
    result = where(
        catalog,
        some(catalog, 0.25, rng),
        lambda p: stocked(p, lambda q: max(0, q + rng.randint(-8, 6))),
    )
    result = where(
        result,
        some(result, 0.04, rng),
        lambda p: priced(p, lambda a: a * Decimal(rng.randint(85, 115)) / 100),
    )
    event = rng.random()
    if event < 0.1:  # a season: a third of the prices, up to 30 % less
        keys = some(result, 0.33, rng)
        result = where(result, keys, lambda p: priced(p, lambda a: a * Decimal("0.7")))
    elif event < 0.2:  # all a little dearer
        result = each(result, lambda p: priced(p, lambda a: a * Decimal("1.04")))
    elif event < 0.3:  # a new brand
        first = rng.randrange(10**6, 10**9)
        result += [_product(first + n, 1, rng, "EUR") for n in range(len(catalog) // 8)]
    elif event < 0.4:  # a few discontinued
        gone = some(result, 0.05, rng)
        result = [p for p in result if p.key not in gone]
    elif event < 0.5:  # an editor's day
        keys = some(result, 0.1, rng)
        result = where(result, keys, lambda p: attrs.evolve(p, title=f"{p.title}, new"))
    elif event < 0.6:  # a category divided
        result = where(
            result,
            {p.key for p in result if p.categories and p.categories[0].id == "c3"},
            lambda p: attrs.evolve(p, categories=[Category(id="c3a", name="C3a")]),
        )
    elif event < 0.65:  # a sale sells well
        keys = some(result, 0.1, rng)
        result = where(result, keys, lambda p: stocked(p, lambda _: 0))
    return result


def nights(
    catalog: Catalog, seed: int, number: int
) -> Iterator[tuple[Catalog, Catalog]]:
    """Each night with the catalog before it."""
    rng = Random(seed)
    before = catalog
    for _ in range(number):
        after = night(before, rng)
        yield before, after
        before = after


CATALOGS: Mapping[str, Sequence[Product]] = {
    "one variant": catalog(400, 1, 1),
    "several variants": catalog(150, 4, 2),
    "small": catalog(60, 2, 3),
}
