"""Generated catalogs: the shape of the real one, and everything that is awkward."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from slugify import slugify

from catalogsync.testing.catalog import (
    catalog_categories,
    category_slugs,
    generate_catalog,
    iter_catalog,
)

Record = dict[str, Any]


@pytest.fixture(scope="module")
def catalog() -> list[Record]:
    return generate_catalog(1000, variants=True)


def shapes(records: Iterable[Record]) -> set[tuple[str, ...]]:
    return {tuple(record) for record in records}


def numbers(record: Record) -> list[str]:
    """All SKUs and barcodes of a record, each marked with its kind."""
    variants = record.get("variants", [])
    found = [f"sku {record['sku']}", f"barcode {record['meta']['barcode']}"]
    found += [f"sku {variant['sku']}" for variant in variants]
    return found + [f"barcode {variant['barcode']}" for variant in variants]


def test_the_shape_is_the_real_one(real_records: list[Record]) -> None:
    """The same fields in the same order, all the way down."""
    made = generate_catalog()
    assert shapes(made) == shapes(real_records)
    for field in ("meta", "dimensions"):
        assert shapes(each[field] for each in made) == shapes(
            each[field] for each in real_records
        )
    reviews = itertools.chain.from_iterable(each["reviews"] for each in real_records)
    assert shapes(made[0]["reviews"]) == shapes(reviews)


def test_the_size_is_the_real_one() -> None:
    """194 products with ids without holes, in 24 categories."""
    made = generate_catalog()
    assert [record["id"] for record in made] == list(range(1, 195))
    assert len({record["category"] for record in made}) == 24


def test_the_numbers_are_like_the_real_ones() -> None:
    """Brands are often missing, stocks sometimes zero, lists of the usual lengths."""
    made = generate_catalog(1000, awkward=False)
    assert 400 < sum("brand" in record for record in made) < 600
    assert 5 < sum(record["stock"] == 0 for record in made) < 50
    assert {len(record["tags"]) for record in made} == {1, 2, 3}
    assert {len(record["images"]) for record in made} == {1, 2, 3, 4, 5, 6}
    assert {len(record["reviews"]) for record in made} == {3}
    assert {type(record["price"]) for record in made} == {int, float}
    inexact = [r for r in made if not float(r["price"] * 100).is_integer()]
    assert len(inexact) > 50
    assert all(round(record["price"], 2) == record["price"] for record in made)


def test_availability_follows_the_stock(catalog: list[Record]) -> None:
    """Out of stock is what has none."""
    for record in catalog:
        sold_out = record["availabilityStatus"] == "Out of Stock"
        assert sold_out == (record["stock"] == 0)


def test_nobody_is_real(catalog: list[Record]) -> None:
    """Reviewers are recognisable as invented."""
    for record in catalog:
        for review in record["reviews"]:
            number = review["reviewerName"].removeprefix("Reviewer ")
            assert review["reviewerEmail"] == f"reviewer{int(number)}@example.com"


def test_numbers_are_unique(catalog: list[Record]) -> None:
    """No SKU and no barcode is given twice, to products or to variants."""
    found = list(itertools.chain.from_iterable(map(numbers, catalog)))
    assert len(set(found)) == len(found)
    assert all(len(record["meta"]["barcode"]) == 13 for record in catalog)


def test_variants(catalog: list[Record]) -> None:
    """About one product in ten has two to six variants that differ in options."""
    several = [record for record in catalog if "variants" in record]
    assert 60 < len(several) < 140
    assert {len(record["variants"]) for record in several} == {2, 3, 4, 5, 6}
    assert {len(v["options"]) for r in several for v in r["variants"]} == {1, 2}
    for record in several:
        options = [tuple(v["options"].items()) for v in record["variants"]]
        assert len(set(options)) == len(options)
        assert record["stock"] == sum(v["stock"] for v in record["variants"])


def test_variants_change_nothing_else() -> None:
    """Products without variants are the same whether or not others have some."""
    pairs = zip(generate_catalog(), generate_catalog(variants=True), strict=True)
    for plain, varied in pairs:
        known = {"variants", "stock", "availabilityStatus"} & varied.keys()
        changed = known if "variants" in varied else set()
        assert (
            plain == varied
            or {k for k in varied if varied[k] != plain.get(k)} <= changed
        )


def test_deterministic() -> None:
    """A seed is a catalog, of which a larger one is only more."""
    assert generate_catalog(50, seed=3) == generate_catalog(50, seed=3)
    assert generate_catalog(50, seed=3) == generate_catalog(90, seed=3)[:50]
    assert generate_catalog(50, seed=3) != generate_catalog(50, seed=4)


def test_the_same_everywhere() -> None:
    """The first record never changes, on any version of Python."""
    first = generate_catalog(1)[0]
    shown = (first["title"], first["price"], first["sku"], first["meta"]["barcode"])
    assert shown == ("Compact Cotton Tool 1", 75.95, "GAR-B26-COM-001", "5000000001000")


def test_lazy() -> None:
    """A catalog of any size can be begun."""
    records = iter_catalog(10**9)
    assert next(records)["id"] == 1
    assert next(records)["id"] == 2


def test_duplicate_titles_and_slugs() -> None:
    """Some titles are the same, and some only make the same slug."""
    titles = Counter(record["title"] for record in generate_catalog())
    slugs = Counter(slugify(title) for title in titles)
    assert max(titles.values()) > 1
    assert max(slugs.values()) > 1


def test_awkward_titles() -> None:
    """Any script, no letter at all, very long, quotes and punctuation."""
    titles = [record["title"] for record in generate_catalog(1000)]
    assert "" in {slugify(title) for title in titles}
    assert max(map(len, titles)) > 255
    shown = set("".join(titles))
    assert shown > set("\"'&</;%ك庭Сकก\N{HEBREW LETTER KAF}Κß🦊")
    assert "\N{COMBINING ACUTE ACCENT}" in shown


def test_awkward_descriptions_and_prices() -> None:
    """Markup, line breaks, and prices at both ends."""
    made = generate_catalog()
    assert any("<script>" in record["description"] for record in made)
    assert any("\n" in record["description"] for record in made)
    prices = {record["price"] for record in made}
    assert {0.01, 10, 9999999.99} <= prices


def test_awkward_can_be_left_out() -> None:
    """Every other record is the same without."""
    plain, awkward = generate_catalog(awkward=False), generate_catalog()
    assert len({record["title"] for record in plain}) == 194
    changed = [p["id"] for p, a in zip(plain, awkward, strict=True) if p != a]
    assert changed
    assert all(number % 8 == 0 for number in changed)


def test_json() -> None:
    """A catalog survives JSON, so that a file of it is as good."""
    made = generate_catalog(variants=True)
    assert json.loads(json.dumps(made)) == made


def test_categories(real_records: list[Record]) -> None:
    """Categories are listed once, with a name of capitalised words."""
    listed = catalog_categories([{"category": "mens-shirts"}, *real_records])
    assert listed[0] == {
        "slug": "mens-shirts",
        "name": "Mens Shirts",
        "url": "https://dummyjson.com/products/category/mens-shirts",
    }
    assert len({each["slug"] for each in listed}) == len(listed)


@pytest.mark.parametrize("count", [1, 64, 65, 500])
def test_category_slugs(count: int) -> None:
    """As many as requested, all different."""
    assert len(set(category_slugs(count))) == count
