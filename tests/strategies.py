"""Hypothesis strategies: products with every awkward value that the model takes.

`products()` makes one product. `histories()` makes the same product as its source
shows it at several moments, so that consecutive ones differ here and there. What
`additions()` makes is what people add to a product in the store.

Importing this module also sets Hypothesis up for machines with other work to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import attrs
from hypothesis import HealthCheck, settings, strategies as st

from catalogsync import (
    UNSET,
    Category,
    Dimensions,
    Image,
    Outcome,
    OutcomeStatus,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Rejected,
    Report,
    RunStatus,
    StockLevel,
    Variant,
)
from catalogsync.catalog.changes import FieldDiff
from catalogsync.catalog.products import Json
from catalogsync.diff.ownership import ManualEdit
from catalogsync.report import BatchSizes, Counts, Discrepancy, Latency

__all__ = [
    "AWKWARD_TEXTS",
    "CATEGORIES",
    "Additions",
    "additions",
    "amounts",
    "histories",
    "json_values",
    "product_keys",
    "products",
    "reports",
    "texts",
]

T = TypeVar("T")

settings.register_profile(
    "shared machine",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")

AWKWARD_TEXTS = (
    "a",
    " ",
    "  spaces around  ",
    "line\nbreak\ttab\r\n",
    "Füße, naïve façade",
    "Fu\u0308\u00dfe in two pieces",
    "Ελληνικά",
    "日本語の商品",
    "منتج عربي",
    "\u202eright to left\u202c",
    "👩\u200d👩\u200d👧\u200d👦",
    "🇺🇳",
    "\u200b",
    "\ufeffmarked",
    "\U0010ffff",
    "'; DROP TABLE products; --",
    "<b>&amp;</b>",
    "{}[]:,\"'\\/",
    "100%_of ?",
    "None",
    "null",
    "x" * 300,
    "é" * 5_000,
    *("A", "\u00e9", "e\u0301", "\u1e9e", "\x7f", "\x1f", "\ud7ff", "\ue000"),
    *("__proto__", "constructor", "prototype", "toString", "a.b", "a[0]", "$ne", "0"),
    *("true", "NaN", "1e5", "-0", "id", "value", "brand_", "%00", "&amp;", "a,b"),
)
_CURRENCIES = ("USD", "EUR", "JPY", "KWD", "XAU")
_AMOUNTS = (
    *("0", "0.00", "9.99", "9.990", "1E+3", "1000", "0.0001", "0.00010000001", "1E-30"),
    *("0.00009999", "0.1", "12345678", "123456789", "1234.5678", "16777217", "9E+30"),
    *("0.30000000000000004", "3.4028235E+30", "99999999.99", "1.17549435E-30"),
)
_NUMBERS: tuple[float, ...] = (
    *(-0.0, 1e308, 5e-324, 1e16, 1e21, 123456789.123456789, 0.1 + 0.2, 1e-7),
    *(2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**64, -(2**70), 10**30 + 1, 10**308),
)
_MOST_VARIANTS = 12
_SHORT_TEXTS = (*("subtitle", "material", "hs_code", "mid_code", "type", "collection"),)
_LOCATIONS = (None, "Berlin", "倉庫", "a b")

_LIVING = Category(id="living", name="Living & Home")
_KITCHEN = Category(id="küche", name="Küche", parent=_LIVING)
CATEGORIES = (
    _LIVING,
    _KITCHEN,
    Category(id="knives", name="🔪 Knives", parent=_KITCHEN),
    Category(id="beauty", name="Beauty"),
    Category(id="BEAUTY", name="Beauty"),
    Category(id="本", name="本"),
    Category(id="a/b c", name=" a/b c "),
)
"""All categories that products have; an id has the same name and parent always."""


def texts(*, min_size: int = 1, max_size: int = 20) -> st.SearchStrategy[str]:
    """Text in any script."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    return st.one_of(
        st.sampled_from(AWKWARD_TEXTS),
        st.text(letters, min_size=min_size, max_size=max_size),
    )


def amounts() -> st.SearchStrategy[Decimal]:
    """All decimals that the model takes, some written unusually."""
    return st.one_of(
        st.sampled_from([Decimal(text) for text in _AMOUNTS]),
        st.builds(
            lambda digits, place: Decimal((0, digits, place - len(digits) + 1)),
            st.lists(st.integers(0, 9), min_size=1, max_size=80).map(
                lambda rest: (1, *rest[1:])
            ),
            st.integers(-30, 30),
        ),
        st.builds(
            lambda number, exponent: Decimal(number).scaleb(exponent),
            st.integers(0, 10**28 - 1),
            st.integers(-12, 0),
        ),
    )


def json_values() -> st.SearchStrategy[Json]:
    """All JSON values that the model takes."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.sampled_from(_NUMBERS),
        st.floats(allow_nan=False, allow_infinity=False),
        texts(min_size=0),
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(texts(min_size=0), inner, max_size=3),
        ),
        max_leaves=6,
    )


def product_keys(source: str = "shop") -> st.SearchStrategy[ProductKey]:
    """Keys of one source."""
    ids = st.one_of(st.integers(1, 200).map(str), texts())
    return ids.map(lambda id_: ProductKey(source, id_))


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(UNSET), st.none(), values)


def _supplied(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(UNSET), values)


def _prices() -> st.SearchStrategy[list[Price]]:
    return st.lists(
        st.builds(Price, amount=amounts(), currency=st.sampled_from(_CURRENCIES)),
        max_size=3,
        unique_by=lambda price: price.currency,
    )


def _stock() -> st.SearchStrategy[list[StockLevel]]:
    return st.lists(
        st.builds(
            StockLevel,
            quantity=st.one_of(
                st.integers(0, 2**31 - 1),
                st.sampled_from([2**53 + 1, 2**63 - 1]),
            ),
            location=st.sampled_from(_LOCATIONS),
        ),
        max_size=3,
        unique_by=lambda level: level.location,
    )


def _sizes() -> st.SearchStrategy[Dimensions]:
    return st.builds(Dimensions, length=amounts(), width=_none_or(amounts()))


@attrs.frozen
class _Frame:
    """What a product's variants have in common at all times."""

    combinations: Sequence[Mapping[str, str]]
    ids: Sequence[str]


@st.composite
def _frames(draw: st.DrawFn) -> _Frame:
    names = draw(st.lists(texts(), max_size=3, unique=True))
    values = [
        draw(st.lists(texts(), min_size=1, max_size=4, unique=True)) for _ in names
    ]
    combinations = [
        dict(zip(names, chosen, strict=True))
        for chosen in itertools.islice(itertools.product(*values), _MOST_VARIANTS)
    ]
    most = len(combinations)
    ids = draw(
        st.lists(
            st.one_of(st.integers(1, 99).map(str), texts()),
            min_size=most,
            max_size=most,
            unique=True,
        )
    )
    return _Frame(combinations, ids)


@st.composite
def _variants(draw: st.DrawFn, frame: _Frame) -> tuple[Variant, ...]:
    count = draw(st.integers(1, len(frame.combinations)))
    return tuple(
        Variant(
            id=id_,
            title=draw(_supplied(texts())),
            sku=draw(_maybe(texts())),
            barcode=draw(_maybe(texts())),
            weight=draw(_maybe(amounts())),
            dimensions=draw(_maybe(_sizes())),
            options=options,
            prices=draw(_supplied(_prices())),
            stock=draw(_supplied(_stock())),
        )
        for id_, options in zip(
            draw(st.permutations(frame.ids))[:count],
            draw(st.permutations(frame.combinations))[:count],
            strict=True,
        )
    )


def _fields(frame: _Frame) -> dict[str, st.SearchStrategy[Any]]:
    urls = texts().map(lambda text: f"https://pictures.example/{text}")
    return {
        "title": texts(),
        "description": _maybe(texts(max_size=60)),
        "brand": _maybe(texts()),
        "status": _supplied(st.sampled_from(ProductStatus)),
        "thumbnail": _maybe(urls),
        "images": _supplied(
            st.lists(urls.map(_image), max_size=4, unique_by=lambda image: image.url)
        ),
        "categories": _supplied(
            st.lists(st.sampled_from(CATEGORIES), max_size=3, unique=True)
        ),
        "tags": _supplied(st.lists(texts(), max_size=4, unique=True)),
        "weight": _maybe(amounts()),
        "dimensions": _maybe(_sizes()),
        **{name: _maybe(texts()) for name in _SHORT_TEXTS},
        "origin_country": _maybe(st.sampled_from(["DE", "PT", "ZZ"])),
        "discountable": _supplied(st.booleans()),
        "attributes": _supplied(st.dictionaries(texts(), json_values(), max_size=4)),
        "variants": _supplied(_variants(frame)),
    }


def _image(url: str) -> Image:
    return Image(url=url)


def _none_or(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


@st.composite
def histories(
    draw: st.DrawFn, *, moments: int = 2, key: ProductKey | None = None
) -> tuple[Product, ...]:
    """The same product at several moments; each field may change or stay."""
    frame = draw(_frames())
    fields = _fields(frame)
    values = {name: draw(strategy) for name, strategy in fields.items()}
    if key is None:
        key = draw(product_keys())
    seen = [Product(key=key, **values)]
    for _ in range(moments - 1):
        for name in draw(st.sets(st.sampled_from(sorted(fields)))):
            values[name] = draw(fields[name])
        seen.append(Product(key=key, **values))
    return tuple(seen)


def products(*, key: ProductKey | None = None) -> st.SearchStrategy[Product]:
    """One product with any values."""
    return histories(moments=1, key=key).map(lambda seen: seen[0])


@attrs.frozen(kw_only=True)
class Additions:
    """Data that a person adds to a product in the store.

    Attributes:
        price: In a currency that no source uses.
        option: The value of every option of the variant that is added.
        tag: A tag.
        category: A category.
        image: An image.
        attribute: The name of an attribute.
        value: Its value.
        in_front: Whether the image goes before all others.
    """

    price: Price
    option: str
    tag: str
    category: Category
    image: Image
    attribute: str
    value: Json
    in_front: bool

    VARIANT = "added by hand"

    def to(self, product: Product) -> Product:
        """The product with these; a variant only where there are options."""
        variants = [self._priced(variant) for variant in product.variants or ()]
        if variants and variants[0].options:
            options = dict.fromkeys(variants[0].options, self.option)
            variants.append(Variant(id=self.VARIANT, options=options))
        images = list(product.images or ())
        images.insert(0 if self.in_front else len(images), self.image)
        return attrs.evolve(
            product,
            tags=(*(product.tags or ()), self.tag),
            categories=(*(product.categories or ()), self.category),
            images=images,
            attributes={**(product.attributes or {}), self.attribute: self.value},
            variants=variants or UNSET,
        )

    def _priced(self, variant: Variant) -> Variant:
        return attrs.evolve(variant, prices=(*(variant.prices or ()), self.price))

    def missing(self, product: Product, before: Product) -> list[str]:
        """The additions that the product has lost.

        Args:
            product: The product that is looked at.
            before: The product with these, as `to` made it.
        """
        variants = {variant.id: variant for variant in product.variants or ()}
        ids = [variant.id for variant in before.variants or ()]
        there = {
            "tag": self.tag in (product.tags or ()),
            "category": self.category in (product.categories or ()),
            "image": self.image in (product.images or ()),
            "attribute": (product.attributes or {}).get(self.attribute, UNSET)
            == self.value,
            "variant": self.VARIANT not in ids or self.VARIANT in variants,
            "price": all(
                self.price in (variant.prices or ())
                for id_, variant in variants.items()
                if id_ in ids and id_ != self.VARIANT
            ),
        }
        return [name for name, is_there in there.items() if not is_there]


def additions() -> st.SearchStrategy[Additions]:
    """Data that a person adds; never data that `products` generates."""
    return st.builds(
        Additions,
        price=st.builds(Price, amount=amounts(), currency=st.just("CHF")),
        option=st.just("by hand: an option value"),
        tag=st.just("by hand: a tag"),
        category=st.just(Category(id="by hand", name="By hand")),
        image=st.just(Image(url="https://by.hand/1.png")),
        attribute=st.just("by hand: an attribute"),
        value=json_values(),
        in_front=st.booleans(),
    )


def reports() -> st.SearchStrategy[Report]:
    """Reports as they are stored: seconds have six decimals."""
    number = st.integers(0, 2**40)
    seconds = st.integers(0, 10**12).map(lambda n: n / 10**6)
    return st.builds(
        Report,
        run_id=st.text(),
        status=st.sampled_from(RunStatus),
        counts=st.builds(Counts, fetched=number, created=number, failed=number),
        requests=number,
        started_at=st.floats(0, 1e10),
        duration_s=seconds,
        phases=st.dictionaries(st.text(), seconds, max_size=2),
        latency=st.dictionaries(
            st.text(),
            st.builds(Latency, p50=seconds, p95=seconds, p99=seconds, count=number),
            max_size=2,
        ),
        batch_sizes=st.builds(BatchSizes, least=number, mean=seconds, most=number),
        failures=_few(
            st.builds(
                Outcome, product_keys(), st.sampled_from(OutcomeStatus), st.text()
            )
        ),
        rejected=_few(
            st.builds(
                Rejected,
                key=st.none() | product_keys(),
                reason=st.text(),
                where=st.text(),
            )
        ),
        warnings=_few(st.text()),
        manual_edits=_few(
            st.builds(
                ManualEdit,
                key=product_keys(),
                kept=st.booleans(),
                diff=st.builds(
                    FieldDiff, path=st.text(), old=json_values(), new=json_values()
                ),
            )
        ),
        discrepancies=_few(
            st.builds(Discrepancy, key=product_keys(), fields=_few(st.text()))
        ),
        problem=st.text(),
        still_failing=st.none() | number,
    )


def _few(items: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(items, max_size=3).map(tuple)
