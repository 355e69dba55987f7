"""What a program by hand sends to the store, as steps that anyone can take.

Each function yields requests and receives their answers, so the script and dlt send the
same ones, each with its own HTTP client. Categories, tags and stock levels are written
as well, so that the store ends up with the products that catalogsync writes.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import attrs

Json = dict[str, Any]
Request = tuple[str, str, Json | None]
"""A method, a path with its query, and a body."""
Steps = Generator[Request, Json, int]
"""Requests, their answers, and how many products were created or found unchanged."""

_NAMES = ("brand", "rating", "warrantyInformation", "shippingInformation")
_LEVELS = "variants.inventory_items.inventory.location_levels.stocked_quantity"
_COMPARED = (
    "id,external_id,title,handle,description,status,thumbnail,images.url,"
    "categories.name,tags.value,weight,length,width,height,metadata,variants.sku,"
    f"variants.barcode,variants.prices.amount,{_LEVELS}"
)


@attrs.define
class Shop:
    """The store of a job, and what its answers told.

    Attributes:
        job: Where the store is, and how to log in.
        headers: What every request needs, once logged in.
    """

    job: Json
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    _ids: dict[tuple[str, str], str] = attrs.field(factory=dict[tuple[str, str], str])
    _option: Json = attrs.field(factory=dict[str, Any])

    def login(self) -> Steps:
        """Log in."""
        login = {name: self.job[name] for name in ("email", "password")}
        answer = yield "POST", "/auth/user/emailpass", login
        self.headers["Authorization"] = f"Bearer {answer['token']}"
        return 0

    def batch(self, records: Sequence[Json]) -> Steps:
        """Do with a batch what the job expects: create it, or find it unchanged."""
        created = self.job["expect"] == "created"
        return self._create(records) if created else self._compare(records)

    def _create(self, records: Sequence[Json]) -> Steps:
        if not self._option:
            body: Json = {"title": "Title", "values": ["Default"]}
            answer = yield "POST", "/admin/product-options", body
            option = answer["product_option"]
            values = [value["id"] for value in option["values"]]
            self._option = {"id": option["id"], "value_ids": values}
        yield from self._ensure("category", "name", {r["category"] for r in records})
        yield from self._ensure("tag", "value", {t for r in records for t in r["tags"]})
        fields = "fields=id,external_id,variants.inventory_items.inventory_item_id"
        body = {"create": [self._body(record) for record in records]}
        answer = yield "POST", f"/admin/products/batch?{fields}", body
        stock = {_external_id(record): record["stock"] for record in records}
        levels = [
            {
                "inventory_item_id": item["inventory_item_id"],
                "location_id": self.job["stock_location_id"],
                "stocked_quantity": stock[product["external_id"]],
            }
            for product in answer["created"]
            for variant in product["variants"]
            for item in variant["inventory_items"]
        ]
        path = "/admin/inventory-items/location-levels/batch"
        yield "POST", path, {"create": levels}
        return len(records)

    def _ensure(self, kind: str, name: str, values: Iterable[str]) -> Steps:
        paths = {"category": "product-categories", "tag": "product-tags"}
        new = [value for value in sorted(values) if (kind, value) not in self._ids]
        for value in new:
            body = {name: value, **({"is_active": True} if kind != "tag" else {})}
            answer = yield "POST", f"/admin/{paths[kind]}", body
            self._ids[kind, value] = answer[f"product_{kind}"]["id"]
        return len(new)

    def _compare(self, records: Sequence[Json]) -> Steps:
        """Read the same products from the store, and count those that are the same."""
        ids = "&".join(f"external_id[]={_external_id(record)}" for record in records)
        query = f"limit={len(records)}&fields={_COMPARED}&{ids}"
        answer = yield "GET", f"/admin/products?{query}", None
        rows = {row["external_id"]: row for row in answer["products"]}
        return sum(
            (row := rows.get(_external_id(record))) is not None
            and _existing(row) == _desired(record)
            for record in records
        )

    def _body(self, record: Json) -> Json:
        size = record["dimensions"]
        return {
            "title": record["title"],
            "handle": _handle(record),
            "external_id": _external_id(record),
            "description": record["description"],
            "status": "published",
            "thumbnail": record["thumbnail"],
            "images": [{"url": url} for url in record["images"]],
            "categories": [{"id": self._ids["category", record["category"]]}],
            "tags": [{"id": self._ids["tag", tag]} for tag in record["tags"]],
            "weight": record["weight"],
            "length": size["depth"],
            "width": size["width"],
            "height": size["height"],
            "sales_channels": [{"id": self.job["sales_channel_id"]}],
            "shipping_profile_id": self.job["shipping_profile_id"],
            "metadata": _metadata(record),
            "options": [self._option],
            "variants": [
                {
                    "title": "Default",
                    "sku": record["sku"],
                    "barcode": record["meta"]["barcode"],
                    "options": {"Title": "Default"},
                    "manage_inventory": True,
                    "prices": [{"amount": record["price"], "currency_code": "usd"}],
                }
            ],
        }


def _external_id(record: Json) -> str:
    return f"dummyjson:{record['id']}"


def _handle(record: Json) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", record["title"].lower()).strip("-")
    return f"{slug}-{record['id']}"


def _metadata(record: Json) -> Json:
    return {name: record[name] for name in _NAMES if name in record}


def _desired(record: Json) -> tuple[Any, ...]:
    size = record["dimensions"]
    return (
        record["title"],
        _handle(record),
        record["description"],
        "published",
        record["thumbnail"],
        record["images"],
        [record["category"]],
        set(record["tags"]),
        (record["weight"], size["depth"], size["width"], size["height"]),
        _metadata(record),
        record["sku"],
        record["meta"]["barcode"],
        [record["price"]],
        [record["stock"]],
    )


def _existing(row: Json) -> tuple[Any, ...]:
    variant = row["variants"][0]
    return (
        row["title"],
        row["handle"],
        row["description"],
        row["status"],
        row["thumbnail"],
        [image["url"] for image in row["images"]],
        [category["name"] for category in row["categories"]],
        {tag["value"] for tag in row["tags"]},
        (row["weight"], row["length"], row["width"], row["height"]),
        row["metadata"],
        variant["sku"],
        variant["barcode"],
        [price["amount"] for price in variant["prices"]],
        [
            level["stocked_quantity"]
            for item in variant["inventory_items"]
            for level in item["inventory"]["location_levels"]
        ],
    )
