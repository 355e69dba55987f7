"""Products without the library: at the source, and read back."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import Any

import attrs

Raw = Mapping[str, Any]

TAG = "by hand"
"""A tag that people put on a product of ours."""
NOTE = "note"
"""An attribute that people gave to a product of ours."""


@attrs.frozen(kw_only=True)
class Thing:
    """A product as a shopper would describe it."""

    title: str
    description: str | None
    thumbnail: str | None
    brand: str | None
    images: tuple[str, ...]
    categories: frozenset[str]
    tags: frozenset[str]
    variants: tuple[tuple[str, Decimal, int], ...]


@attrs.frozen
class Found:
    """What a sink holds.

    Attributes:
        things: Everything that has a key, as often as it is there.
        twice: Categories and tags that are there more than once.
        others: What people made and did, in plain values.
    """

    things: Mapping[str, list[Thing]]
    twice: tuple[str, ...]
    others: Mapping[str, object]

    @property
    def ours(self) -> dict[str, tuple[Thing, ...]]:
        """Those of the DummyJSON source, by id."""
        start = "dummyjson:"
        return {
            key.removeprefix(start): tuple(found)
            for key, found in self.things.items()
            if key.startswith(start)
        }


def once(things: Mapping[str, Thing]) -> dict[str, tuple[Thing, ...]]:
    """Each of them once: what a sink should hold of them."""
    return {id_: (thing,) for id_, thing in things.items()}


def desired(records: Iterable[Raw]) -> dict[str, Thing]:
    """What the records of a DummyJSON server call for, by id."""
    return {str(record["id"]): _of_record(record) for record in records}


def _of_record(record: Raw) -> Thing:
    variants = record.get("variants") or [record]
    return Thing(
        title=record["title"],
        description=record["description"],
        thumbnail=record["thumbnail"],
        brand=record.get("brand"),
        images=tuple(record["images"]),
        categories=frozenset({record["category"].replace("-", " ").title()}),
        tags=frozenset(record["tags"]),
        variants=_sorted(
            (each.get("sku") or "", _money(each["price"]), each["stock"])
            for each in variants
        ),
    )


def _sorted(
    variants: Iterable[tuple[str, Decimal, int]],
) -> tuple[tuple[str, Decimal, int], ...]:
    return tuple(sorted(variants))


def _money(value: object) -> Decimal:
    return Decimal(str(value)).normalize()


def _twice(kind: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{kind} {n}" for n, count in Counter(names).items() if count > 1)


# --- Medusa ---


def existing_by_medusa(products: Iterable[Raw], categories: Iterable[Raw]) -> Found:
    """What a Medusa store holds, as its admin sees it."""
    things: dict[str, list[Thing]] = {}
    others: dict[str, object] = {}
    for raw in products:
        key = raw["external_id"]
        if key is None:
            others[raw["title"]] = (raw["status"], _prices(raw, "usd"))
            continue
        things.setdefault(key, []).append(_of_medusa(raw))
        if NOTE in (raw["metadata"] or {}):
            tags = [tag["value"] for tag in raw["tags"]]
            by_hand = (raw["metadata"][NOTE], TAG in tags, _prices(raw, "eur"))
            others[key] = by_hand
    names = [category["external_id"] or category["name"] for category in categories]
    return Found(things, _twice("category", names), others)


def _of_medusa(raw: Raw) -> Thing:
    images = sorted(raw["images"], key=lambda image: image["rank"])
    return Thing(
        title=raw["title"],
        description=raw["description"],
        thumbnail=raw["thumbnail"],
        brand=(raw["metadata"] or {}).get("brand"),
        images=tuple(image["url"] for image in images),
        categories=frozenset(category["name"] for category in raw["categories"]),
        tags=frozenset(tag["value"] for tag in raw["tags"]) - {TAG},
        variants=_sorted(
            (variant["sku"] or "", _price(variant), _stock(variant))
            for variant in raw["variants"]
        ),
    )


def _prices(raw: Raw, currency: str) -> list[Decimal]:
    return [
        _money(price["amount"])
        for variant in raw["variants"]
        for price in variant.get("prices") or ()
        if price["currency_code"] == currency
    ]


def _price(variant: Raw) -> Decimal:
    prices = _prices({"variants": [variant]}, "usd")
    return prices[0] if len(prices) == 1 else Decimal(-1)


def _stock(variant: Raw) -> int:
    levels = [
        level["stocked_quantity"]
        for link in variant["inventory_items"] or ()
        for level in link["inventory"]["location_levels"]
    ]
    return levels[0] if len(levels) == 1 else -1


# --- SQL ---

_THINGS = """
SELECT p.source || ':' || p.source_id, p.title, p.description, p.thumbnail, p.brand,
  (SELECT json_group_array(url) FROM
    (SELECT url FROM image WHERE product_id = p.id ORDER BY position)),
  (SELECT json_group_array(c.name) FROM product_category l
    JOIN category c ON c.id = l.category_id WHERE l.product_id = p.id),
  (SELECT json_group_array(t.text) FROM product_tag l
    JOIN tag t ON t.id = l.tag_id WHERE l.product_id = p.id),
  (SELECT json_group_array(json_array(v.sku,
      (SELECT amount FROM price WHERE variant_id = v.id AND currency = 'USD'),
      (SELECT quantity FROM stock_level WHERE variant_id = v.id)))
    FROM variant v WHERE v.product_id = p.id),
  json_extract(p.attributes, '$.note'),
  (SELECT json_group_array(amount) FROM price JOIN variant v ON v.id = variant_id
    WHERE v.product_id = p.id AND currency = 'EUR')
FROM product p
"""
_TWICE = "SELECT source || ':' || source_id FROM category"


def existing_by_sql(file: Path) -> Found:
    """What a SQLite file holds, read with no help of the library."""
    things: dict[str, list[Thing]] = {}
    others: dict[str, object] = {}
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(_THINGS).fetchall()
        categories = [name for (name,) in connection.execute(_TWICE)]
    for key, title, *rest, note, euros in rows:
        if key is None:
            others[title] = rest[0]
            continue
        things.setdefault(key, []).append(_of_sql(title, *rest))
        if note is not None:
            others[key] = (note, TAG in loads(rest[5]), euros)
    return Found(things, _twice("category", categories), others)


def _of_sql(title: str, *columns: Any) -> Thing:
    description, thumbnail, brand, images, categories, tags, variants = columns
    return Thing(
        title=title,
        description=description,
        thumbnail=thumbnail,
        brand=brand,
        images=tuple(loads(images)),
        categories=frozenset(loads(categories)),
        tags=frozenset(loads(tags)) - {TAG},
        variants=_sorted(
            (sku or "", _money(amount), quantity)
            for sku, amount, quantity in loads(variants)
        ),
    )
