"""Inventory items and their levels."""

from __future__ import annotations

from typing import Any

from ._errors import MedusaError, Row, invalid, no_relative, refusal, unknown_error
from ._state import State
from ._values import ITEM_DEFAULTS, MEASURES, clean, counted

_LARGEST = 2**31 - 128
"""A new item takes over the sizes of its variant, in columns of four bytes."""
_NO_REASON: Row = {"line_item_id": None, "description": None, "metadata": None}


class Inventory:
    """The rules for inventory items and their levels."""

    def __init__(self, state: State) -> None:
        self._state = state

    def listed(self) -> list[Row]:
        """The items with their variants."""
        users, items = self._users(), self._state.items.values()
        return [{**item, "variants": users.get(item["id"], [])} for item in items]

    def with_variants(self, item: Row) -> Row:
        """One item with its variants."""
        return {**item, "variants": self._users().get(item["id"], [])}

    def _users(self) -> dict[str, list[Row]]:
        users: dict[str, list[Row]] = {}
        for variant in self._state.variants.values():
            for link in variant["inventory_items"]:
                users.setdefault(link["inventory_item_id"], []).append(variant)
        return users

    def create(self, body: Row) -> Row:
        """Create an inventory item."""
        columns = {k: v for k, v in body.items() if k != "location_levels"}
        item: Row = {
            **ITEM_DEFAULTS,
            **clean(columns),
            "location_levels": [],
            **self._state.stamp("iitem"),
        }
        index = self._state.item_skus
        self._state.claim(index, item["sku"], item, "Inventory item.sku")
        self._state.journal.put(self._state.items, item["id"], item)
        for level in body.get("location_levels", ()):
            self.create_level({**level, "inventory_item_id": item["id"]})
        return item

    def update(self, item: Row, body: Row) -> None:
        """Update an item; its SKU is independent of that of its variants."""
        columns = clean(body)
        if "sku" in columns:
            index, name = self._state.item_skus, "Inventory item.sku"
            self._state.claim(index, columns["sku"], item, name, item["sku"])
        self._state.change(item, columns)

    def equip(self, variant: Row, links: list[Row] | None) -> None:
        """Link a variant to the items in its body, or to a new one."""
        if not variant["manage_inventory"]:
            return
        if not links:
            if any((variant.get(name) or 0) > _LARGEST for name in MEASURES):
                raise unknown_error()
            title = variant["title"]
            names = {"sku": variant["sku"], "title": title, "description": title}
            item = self.create(names)
            links = [{"inventory_item_id": item["id"], "required_quantity": 1}]
        for link in links:
            self.link(variant, link)

    def link(self, variant: Row, body: Row) -> None:
        """Link a variant to an item."""
        item = self._state.items.get(body["inventory_item_id"])
        if item is None:
            message = f"Inventory Items with ids: {body['inventory_item_id']} not found"
            raise refusal("not_found", message)
        link = {**body, "variant_id": variant["id"], "inventory": item}
        self._state.replace(
            variant, "inventory_items", [*variant["inventory_items"], link]
        )

    def delete(self, item_id: str) -> None:
        """Delete an item, its levels and its links."""
        state = self._state
        item = state.items.get(item_id)
        if item is None:
            return
        state.journal.drop(state.items, item_id)
        state.release(state.item_skus, item["sku"], item)
        for level in item["location_levels"]:
            state.journal.drop(state.levels, level["id"])

    def unlink(self, item_id: str) -> None:
        """Unlink an item from its variants."""
        for variant in self._users().get(item_id, ()):
            links: list[Row] = variant["inventory_items"]
            kept = [link for link in links if link["inventory_item_id"] != item_id]
            self._state.replace(variant, "inventory_items", kept)

    def levels(self, body: Row) -> Row:
        """Create, update and delete levels of any items, all or nothing."""
        created = [self.create_level(level) for level in body.get("create", ())]
        updated = [self.update_level(level) for level in body.get("update", ())]
        answer: Row = {"created": created, "updated": updated}
        if "delete" in body:
            for level_id in body["delete"]:
                self._delete_level(level_id)
            answer["deleted"] = body["delete"]
        return answer

    def create_level(self, body: Row) -> Row:
        """Create a level at a location without one; the location is not checked."""
        item = self._state.items.get(body["inventory_item_id"])
        if item is None:
            raise no_relative("inventory_item_id", body["inventory_item_id"])
        if _level(item, body) is not None:
            raise invalid(
                f"Inventory level with inventory_item_id: {item['id']}, location_id:"
                f" {body['location_id']}, already exists."
            )
        stocked = counted(body.get("stocked_quantity", 0))
        level: Row = {
            "inventory_item_id": item["id"],
            "location_id": body["location_id"],
            "stocked_quantity": stocked,
            "reserved_quantity": 0,
            "incoming_quantity": body.get("incoming_quantity", 0),
            "metadata": None,
            **self._state.stamp("ilev"),
        }
        self._state.journal.put(self._state.levels, level["id"], level)
        self._place(item, [*item["location_levels"], level])
        return level

    def update_level(self, body: Row) -> Row:
        """Set the quantity of an existing level."""
        item = self._state.items.get(body["inventory_item_id"])
        level = _level(item, body) if item else None
        if item is None or level is None:
            raise _not_stocked(body)
        changed = ("stocked_quantity", "incoming_quantity")
        after = {key: counted(body[key]) for key in changed if key in body}
        self._state.change(level, after)
        self._place(item, item["location_levels"])
        return level

    def reserve(self, body: Row) -> Row:
        """Reserve pieces at a location that has enough."""
        item = self._state.items.get(body["inventory_item_id"])
        level = _level(item, body) if item else None
        if item is None or level is None:
            raise _not_stocked(body)
        if available(level) < body["quantity"]:
            raise refusal(
                "not_allowed",
                f"Not enough stock available for item {item['id']} at location"
                f" {level['location_id']}",
            )
        row: Row = {
            **_NO_REASON,
            **body,
            "inventory_item": item,
            **self._state.stamp("resitem"),
        }
        self._state.journal.put(self._state.reservations, row["id"], row)
        self._reserve(item, level, body["quantity"])
        return row

    def free(self, reservation_id: str) -> None:
        """Delete a reservation."""
        row = self._state.reservations.get(reservation_id)
        if row is None:
            return
        self._state.journal.drop(self._state.reservations, reservation_id)
        level = _level(row["inventory_item"], row)
        if level is not None:
            self._reserve(row["inventory_item"], level, -row["quantity"])

    def _reserve(self, item: Row, level: Row, more: float) -> None:
        after = counted(level["reserved_quantity"] + more)
        self._state.change(level, {"reserved_quantity": after})
        total = sum(row["reserved_quantity"] for row in item["location_levels"])
        self._state.journal.put(item, "reserved_quantity", total)

    def _delete_level(self, level_id: str) -> None:
        level = self._state.levels.get(level_id)
        if level is None:
            return
        self._state.journal.drop(self._state.levels, level_id)
        item = self._state.items[level["inventory_item_id"]]
        self._place(item, [row for row in item["location_levels"] if row is not level])

    def _place(self, item: Row, levels: list[Any]) -> None:
        total = sum(level["stocked_quantity"] for level in levels)
        self._state.replace(item, "location_levels", levels)
        self._state.journal.put(item, "stocked_quantity", total)


def available(level: Row) -> Any:
    """What can still be sold at a location; less than 0 if too much was reserved."""
    return level["stocked_quantity"] - level["reserved_quantity"]


def _not_stocked(body: Row) -> MedusaError:
    message = (
        f"Item {body['inventory_item_id']} is not stocked at location"
        f" {body['location_id']}"
    )
    return refusal("not_found", message)


def _level(item: Row, body: Row) -> Row | None:
    levels: list[Row] = item["location_levels"]
    here = (row for row in levels if row["location_id"] == body["location_id"])
    return next(here, None)
