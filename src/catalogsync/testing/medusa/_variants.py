"""Variants with their prices and inventory items."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from ._errors import MedusaError, Row, invalid, refusal, unknown_error
from ._inventory import Inventory
from ._state import State
from ._values import VARIANT_DEFAULTS, clean, counted, merge

_NOT_COLUMNS = {"id", "options", "prices", "inventory_items"}
_INDEXED = 2690
"""Longer texts that do not compress well exceed the limit of PostgreSQL's index."""


class Variants:
    """The rules for variants."""

    def __init__(self, state: State, inventory: Inventory) -> None:
        self._state = state
        self._inventory = inventory

    def batch(self, product_id: str, body: Row) -> tuple[list[Row], list[Row]]:
        """Create, update and delete; only creations use the product."""
        product = self._state.products.get(product_id) or {
            "id": product_id, "options": [], "variants": []
        }  # fmt: skip
        changes = body.get("update", [])
        try:
            created = [self.add(product, new) for new in body.get("create", ())]
        except MedusaError:
            with contextlib.suppress(MedusaError):
                self.update_all(changes)
                self.scar(changes)
            raise
        updated = self.update_all(changes)
        for variant_id in body.get("delete", ()):
            self.delete(variant_id, with_items=True)
        return created, updated

    def scar(self, changes: list[Row]) -> None:
        """Remove prices after an undo, as Medusa does when it undoes a change of them."""
        for change in changes:
            variant = self._state.variants.get(change.get("id", ""), {})
            if "prices" in change and "prices" in variant:
                self._state.journal.scar(variant, "prices", [])

    def update_all(self, changes: list[Row]) -> list[Row]:
        """Update variants, all of which must exist."""
        have = self._state.variants
        if unknown := [row["id"] for row in changes if row["id"] not in have]:
            raise invalid(
                f"Cannot update non-existing variants with ids: {', '.join(unknown)}"
            )
        return [self.update(change["id"], change) for change in changes]

    def add(self, product: Row, body: Row) -> Row:
        """Create a variant of an existing product, as the variant routes do."""
        options = self.choose(product, body)
        self._require_free(product, options, None)
        variant = self.create(product, body, options)
        self._inventory.equip(variant, body.get("inventory_items"))
        variants = [*product["variants"], variant]
        self._state.replace(product, "variants", variants)
        return variant

    def create(self, product: Row, body: Row, options: list[Row]) -> Row:
        """Create a variant, with prices but without an inventory item."""
        columns = {key: value for key, value in body.items() if key not in _NOT_COLUMNS}
        variant: Row = {
            **VARIANT_DEFAULTS,
            **clean(columns),
            "product_id": product["id"],
            **self._state.stamp("variant"),
            **{key: body["id"] for key in ("id",) if key in body},
            "options": options,
            "inventory_items": [],
        }
        if any(len(variant[column] or "") > _INDEXED for column in ("sku", "barcode")):
            raise unknown_error()
        self._claim(variant, variant, {})
        if "prices" in body:
            prices: list[Row] = body["prices"]
            variant["prices"] = [self._price(variant["id"], row) for row in prices]
        self._state.journal.put(self._state.variants, variant["id"], variant)
        return variant

    def _claim(self, variant: Row, columns: Row, old: Row) -> None:
        state = self._state
        for index, column in ((state.skus, "sku"), (state.barcodes, "barcode")):
            if column in columns:
                name = f"Product variant.{column}"
                state.claim(index, columns[column], variant, name, old.get(column))

    def choose(self, product: Row, body: Row) -> list[Row]:
        """The option values of a variant."""
        desired: dict[str, Any] = body.get("options") or {}
        links = product["options"]
        if desired and len(desired) != len(links):
            title = body.get("title", "undefined")
            raise invalid(
                f"Product has {len(links)} option values but there were {len(desired)}"
                f" provided option values for the variant: {title}."
            )
        return [_value(links, title, text) for title, text in desired.items()]

    def _require_free(
        self, product: Row, options: list[Row], variant: Row | None
    ) -> None:
        chosen = {value["id"] for value in options}
        for other in product["variants"] if chosen else ():
            if other is not variant and chosen == {v["id"] for v in other["options"]}:
                raise invalid(
                    f"Variant ({other['title']}) with provided options already exists."
                )

    def update(self, variant_id: str, change: Row) -> Row:
        """Update the given fields of a variant; its metadata is merged."""
        variant = self._state.variants[variant_id]
        if change.get("options"):
            product = self._state.products[variant["product_id"]]
            options = self.choose(product, change)
            self._require_free(product, options, variant)
            self._state.replace(variant, "options", options)
        columns = _columns(change)
        if "metadata" in columns:
            columns["metadata"] = merge(variant["metadata"], columns["metadata"])
        if "prices" in change and "prices" not in variant:
            message = f"Variants with IDs {variant_id} do not have prices associated."
            raise refusal("not_found", message)
        self._apply(variant, columns, change)
        return variant

    def change(self, variant: Row, change: Row, options: list[Row] | None) -> None:
        """Update the given fields of a variant, as an update of its product does."""
        if options:
            self._state.replace(variant, "options", options)
        self._apply(variant, _columns(change), change)

    def _apply(self, variant: Row, columns: Row, change: Row) -> None:
        state = self._state
        self._claim(variant, columns, variant)
        state.change(variant, columns)
        if "prices" in change and "prices" in variant:
            prices = self._priced(variant, change["prices"])
            state.replace(variant, "prices", prices)
        if columns.get("manage_inventory") and not variant["inventory_items"]:
            self._inventory.equip(variant, None)
        if columns.get("manage_inventory") is False:
            # The items stay, with their SKUs and levels.
            state.replace(variant, "inventory_items", [])

    def _priced(self, variant: Row, desired: list[Row]) -> list[Row]:
        """The price rows after an update; rows that are not mentioned are removed.

        If two rows differ only in id and amount, the last one wins.
        """
        distinct = {_look(row): row for row in desired}
        have = {row["id"]: row for row in variant["prices"]}
        return [
            self._price(variant["id"], row, have.get(row.get("id", "")))
            for row in distinct.values()
            if row.get("id") in have or "amount" in row
        ]

    def _price(self, variant_id: str, body: Row, old: Row | None = None) -> Row:
        base = old or {
            "min_quantity": None,
            "max_quantity": None,
            "rules": {},
            "unasked_rules": {},
            **self._state.stamp("price"),
        }
        price: Row = {**base, **body, "variant_id": variant_id}
        return {**price, "amount": counted(price["amount"])}

    def delete(self, variant_id: str, *, with_items: bool) -> None:
        """Delete a variant, with or without its inventory items."""
        state = self._state
        variant = state.variants.get(variant_id)
        if variant is None:
            return
        state.journal.drop(state.variants, variant_id)
        state.release(state.skus, variant["sku"], variant)
        state.release(state.barcodes, variant["barcode"], variant)
        if with_items:
            for link in variant["inventory_items"]:
                self._inventory.delete(link["inventory_item_id"])
        if product := state.products.get(variant["product_id"]):
            others = [row for row in product["variants"] if row is not variant]
            state.replace(product, "variants", others)


def _columns(change: Row) -> Row:
    return clean({k: v for k, v in change.items() if k not in _NOT_COLUMNS})


def _look(price: Row) -> tuple[object, ...]:
    rules: Row = price.get("rules") or {}
    return (
        price.get("currency_code"),
        price.get("min_quantity"),
        price.get("max_quantity"),
        tuple(sorted(rules.items())),
    )


def _value(links: list[Row], title: str, text: str) -> Row:
    values: list[Row] = [
        value for link in links if link["title"] == title for value in link["values"]
    ]
    for value in values:
        if value["value"] == text:
            return value
    raise invalid(f"Option value {text} does not exist for option {title}")


def require_comparable(options: list[list[Row] | None]) -> None:
    """Fail as Medusa does if only some variants of a list have options.

    It fails at a variant without options that follows one with options.
    """
    for chosen, after in itertools.pairwise(options):
        if chosen and not after:
            raise unknown_error()


def require_distinct(
    bodies: list[Row], options: list[list[Row] | None], have: dict[str, Row]
) -> None:
    """Fail as Medusa does if two variants of a list have the same options."""
    seen: dict[frozenset[str], str] = {}
    for body, chosen in zip(bodies, options, strict=True):
        if not chosen:
            continue
        title = body.get("title") or have.get(body.get("id", ""), {}).get("title")
        ids = frozenset(str(value["id"]) for value in chosen)
        if ids in seen:
            raise invalid(
                f'Variant "{seen[ids]}" has same combination of option values as'
                f' "{title}".'
            )
        seen[ids] = str(title)
