"""Any product at all, for Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from catalogsync.models import (
    UNSET,
    Category,
    Dimensions,
    Image,
    Json,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Variant,
)

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
words = st.text(letters, min_size=1, max_size=20)
texts = st.text(letters, max_size=50)


def decimals(digits: int = 40) -> st.SearchStrategy[Decimal]:
    """Numbers of 0 or more, of any exactness."""
    figures = st.lists(st.integers(0, 9), min_size=1, max_size=digits)
    exponents = st.integers(-digits, 5)
    numbers = st.builds(lambda f, e: Decimal((0, tuple(f), e)), figures, exponents)
    return numbers.filter(lambda number: abs(number.adjusted()) <= 30)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is not supplied, what is empty, or a value."""
    return st.one_of(st.just(UNSET), st.none(), values)


def lists(values: st.SearchStrategy[Any], identity: Any) -> st.SearchStrategy[Any]:
    """What is not supplied, or a list of values that differ."""
    some = st.lists(values, max_size=4, unique_by=identity)
    return st.one_of(st.just(UNSET), some)


json_values: st.SearchStrategy[Json] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)

prices = st.builds(
    Price,
    amount=decimals(),
    currency=st.sampled_from(["USD", "EUR", "JPY", "KWD", "XXX"]),
)
levels = st.builds(
    StockLevel, quantity=st.integers(0, 2**63 - 1), location=st.none() | texts
)


@st.composite
def category_lists(draw: st.DrawFn) -> Any:
    """Some categories of one tree."""
    made: list[Category] = []
    for id_ in draw(st.lists(words, max_size=4, unique=True)):
        parent = draw(st.sampled_from([None, *made]))
        made.append(Category(id=id_, name=draw(words), parent=parent))
    return draw(st.sampled_from([UNSET, [], made, made[-1:]]))


@st.composite
def variant_lists(draw: st.DrawFn) -> Any:
    """Variants that can stand together."""
    names = draw(st.lists(words, max_size=2, unique=True))
    values = st.tuples(*[words for _ in names])
    most = 3 if names else 1
    combinations = draw(st.lists(values, min_size=1, max_size=most, unique=True))
    ids = draw(
        st.lists(
            words,
            min_size=len(combinations),
            max_size=len(combinations),
            unique=True,
        )
    )
    made = [
        _variant(draw, id_, dict(zip(names, combination, strict=True)))
        for id_, combination in zip(ids, combinations, strict=True)
    ]
    return draw(st.sampled_from([UNSET, made]))


def _variant(draw: st.DrawFn, id_: str, options: dict[str, str]) -> Variant:
    return Variant(
        id=id_,
        title=draw(st.just(UNSET) | words),
        sku=draw(maybe(texts)),
        barcode=draw(maybe(texts)),
        options=options,
        prices=draw(lists(prices, lambda each: each.currency)),
        stock=draw(lists(levels, lambda each: each.location)),
    )


def products(sources: Sequence[str] = ("shop",)) -> st.SearchStrategy[Product]:
    """Any product."""
    numbers = st.none() | decimals()
    return st.builds(
        Product,
        key=st.builds(ProductKey, st.sampled_from(sources), words),
        title=words,
        description=maybe(texts),
        brand=maybe(texts),
        status=st.sampled_from([UNSET, *ProductStatus]),
        thumbnail=maybe(texts),
        images=lists(st.builds(Image, url=words), lambda each: each.url),
        categories=category_lists(),
        tags=lists(words, lambda each: each),
        weight=maybe(decimals()),
        dimensions=maybe(
            st.builds(Dimensions, length=numbers, width=numbers, height=numbers)
        ),
        attributes=st.just(UNSET) | st.dictionaries(texts, json_values, max_size=4),
        variants=variant_lists(),
    )
