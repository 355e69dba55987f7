"""Catalogs of any size, in the exact form of DummyJSON's records.

The same seed gives the same records everywhere and in every size: a catalog of ten
has the same records as the first ten of a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any, TypeAlias, TypeVar

from . import _words as words
from ._awkward import make_awkward

Record: TypeAlias = dict[str, Any]
T = TypeVar("T")

_SHOP = "https://dummyjson.com/products/category"
_PICTURES = "https://cdn.example.com/product-images"
_CREATED = "2025-01-01T00:00:00.000Z"


def generate_catalog(
    products: int = 194,
    categories: int = 24,
    *,
    seed: int = 0,
    variants: bool = False,
    awkward: bool = True,
) -> list[Record]:
    """Make a catalog as a list; :func:`iter_catalog` explains the arguments."""
    return list(
        iter_catalog(
            products, categories, seed=seed, variants=variants, awkward=awkward
        )
    )


def iter_catalog(
    products: int = 194,
    categories: int = 24,
    *,
    seed: int = 0,
    variants: bool = False,
    awkward: bool = True,
) -> Iterator[Record]:
    """Make a catalog, one record at a time.

    Every record is a new one and may be changed. SKUs and barcodes are unique over
    all products and variants.

    Args:
        products: Number of products; their ids are 1, 2, 3 and so on.
        categories: Number of categories; the first products have one each.
        seed: Seed for the random data.
        variants: Give one product in ten a list of two to six ``variants``. Apart from
            the stock of these products, all other data stays the same.
        awkward: Make one product in eight awkward: titles that are equal, have the same
            slug or none, are very long or in any script; HTML, quotes and line breaks;
            extreme prices and stocks. Two hundred products contain all kinds.

    Yields:
        The records, as DummyJSON would send them.
    """
    rng, variant_rng = Random(seed), Random(seed + 1)  # noqa: S311 - not for secrets
    slugs = category_slugs(categories)
    previous = "Nothing"
    for number in range(1, products + 1):
        record = _record(rng, number, slugs)
        if awkward:
            make_awkward(record, previous)
        if variants and variant_rng.random() < 0.1:
            record["variants"] = _variants(variant_rng, record)
            record["stock"] = sum(each["stock"] for each in record["variants"])
            record["availabilityStatus"] = _availability(record["stock"])
        previous = record["title"]
        yield record


def catalog_categories(records: Iterable[Record]) -> list[dict[str, str]]:
    """The categories of these records, as DummyJSON lists them.

    Args:
        records: Products; only their categories matter.

    Returns:
        Each category once, with ``slug``, ``name`` and ``url``, in the order in
        which the records name them.
    """
    slugs = dict.fromkeys(record["category"] for record in records)
    return [
        {"slug": slug, "name": _capitalized(slug), "url": f"{_SHOP}/{slug}"}
        for slug in slugs
    ]


def category_slugs(count: int) -> list[str]:
    """The first ``count`` category slugs, all different."""
    pairs = [f"{kind}-{thing}" for thing in words.THINGS for kind in words.KINDS]
    rounds = range(count // len(pairs) + 1)
    return [pair if n == 0 else f"{pair}-{n}" for n in rounds for pair in pairs][:count]


def _record(rng: Random, number: int, slugs: Sequence[str]) -> Record:
    category = _category(rng, number, slugs)
    thing = category.split("-")[1]
    title = f"{_pick(rng, words.ADJECTIVES)} {_pick(rng, words.MATERIALS)} "
    title += f"{thing.removesuffix('s').title()} {number}"
    brand = f"Brand {_between(rng, 1, 63):02d}" if rng.random() < 0.52 else None
    stock = 0 if rng.random() < 0.02 else _between(rng, 1, 100)
    return {
        "id": number,
        "title": title,
        "description": _description(rng, title),
        "category": category,
        "price": _number(_price(rng)),
        "discountPercentage": _number(_between(rng, 1, 2000)),
        "rating": _number(_between(rng, 250, 500)),
        "stock": stock,
        "tags": _tags(rng, category, thing),
        **({} if brand is None else {"brand": brand}),
        "sku": _sku(category, brand, title, number),
        **_logistics(rng),
        "availabilityStatus": _availability(stock),
        "reviews": [_review(rng) for _ in range(3)],
        "returnPolicy": _pick(rng, words.RETURNS),
        "minimumOrderQuantity": _between(rng, 1, 50),
        "meta": {
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
            "barcode": _barcode(rng, number),
            "qrCode": f"{_PICTURES}/qr-code.png",
        },
        **_images(rng, category, number),
    }


def _category(rng: Random, number: int, slugs: Sequence[str]) -> str:
    # Multiplied, so that some categories are large and most are small.
    drawn = int(rng.random() * rng.random() * len(slugs))
    return slugs[number - 1 if number <= len(slugs) else drawn]


def _price(rng: Random) -> int:
    ending = _pick(rng, (99, 99, 49, 95, 0, _between(rng, 1, 99)))
    return _between(rng, 1, _pick(rng, (9, 99, 999, 9999))) * 100 + ending


def _number(hundredths: int) -> float:
    """A number as JavaScript writes it: without a fraction where there is none."""
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


def _description(rng: Random, title: str) -> str:
    first, second = _pick(rng, words.PRAISE), _pick(rng, words.PRAISE)
    return f"The {title} is {first}. It is {second}, and it comes ready to use."


def _tags(rng: Random, category: str, thing: str) -> list[str]:
    count = _pick(rng, (1, 2, 2, 2, 2, 2, 3))
    kind = category.split("-", maxsplit=1)[0]
    return [f"{kind} {thing}", thing, f"{kind}'s choice"][:count]


def _sku(category: str, brand: str | None, title: str, number: int) -> str:
    maker = "BRD" if brand is None else f"B{brand[-2:]}"
    return f"{category[:3].upper()}-{maker}-{title[:3].upper()}-{number:03d}"


def _logistics(rng: Random) -> Record:
    sides = ("width", "height", "depth")
    return {
        "weight": _between(rng, 1, 10),
        "dimensions": {side: _number(_between(rng, 500, 3000)) for side in sides},
        "warrantyInformation": _pick(rng, words.WARRANTIES),
        "shippingInformation": _pick(rng, words.SHIPPING),
    }


def _availability(stock: int) -> str:
    if stock == 0:
        return "Out of Stock"
    return "Low Stock" if stock < 8 else "In Stock"


def _review(rng: Random) -> Record:
    rating, reviewer = _between(rng, 1, 5), _between(rng, 1, 99)
    return {
        "rating": rating,
        "comment": _pick(rng, words.PLEASED if rating > 2 else words.DISPLEASED),
        "date": _CREATED,
        "reviewerName": f"Reviewer {reviewer}",
        "reviewerEmail": f"reviewer{reviewer}@example.com",
    }


def _barcode(rng: Random, number: int, variant: int = 0) -> str:
    # The middle is unique; the last digit is mostly no valid check digit.
    return f"{_between(rng, 0, 9)}{number:09d}{variant:02d}{_between(rng, 0, 9)}"


def _images(rng: Random, category: str, number: int) -> Record:
    folder = f"{_PICTURES}/{category}/product-{number}"
    count = _pick(rng, (1, 1, 1, 3, 3, 4, 2, 5, 6))
    return {
        "images": [f"{folder}/{n}.webp" for n in range(1, count + 1)],
        "thumbnail": f"{folder}/thumbnail.webp",
    }


def _variants(rng: Random, record: Record) -> list[Record]:
    return [
        _variant(rng, record, n, options)
        for n, options in enumerate(_choices(rng), start=1)
    ]


def _variant(rng: Random, record: Record, n: int, options: dict[str, str]) -> Record:
    cents = round(record["price"] * 100) + _between(rng, 0, 500)
    return {
        "id": f"{record['id']}-{n}",
        "title": " / ".join(options.values()),
        "sku": f"{record['sku']}-{n}",
        "barcode": _barcode(rng, record["id"], n),
        "price": _number(cents),
        "stock": _between(rng, 0, 40),
        "options": options,
    }


def _choices(rng: Random) -> list[dict[str, str]]:
    kind = rng.random()
    if kind < 0.3:
        return [{"Color": color} for color in words.COLORS[: _between(rng, 2, 6)]]
    if kind < 0.6:
        return [{"Size": size} for size in words.SIZES[: _between(rng, 2, 6)]]
    colors, sizes = words.COLORS[: _between(rng, 2, 3)], words.SIZES[:2]
    return [{"Color": color, "Size": size} for color in colors for size in sizes]


def _capitalized(slug: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in slug.split("-"))


def _between(rng: Random, low: int, high: int) -> int:
    # Only random() and plain arithmetic give the same numbers everywhere.
    return low + int(rng.random() * (high - low + 1))


def _pick(rng: Random, choices: Sequence[T]) -> T:
    return choices[int(rng.random() * len(choices))]
