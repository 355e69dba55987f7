"""The rules for categories, with the tree as Medusa stores it.

Observed on Medusa 2.21.2: nothing prevents a category from being moved below itself.
A move to the top level empties the path of ids, `mpath`, of the category, but not the
paths of the categories below it.
"""

from __future__ import annotations

import attrs

from ._errors import Row, exists, refusal, unknown_error
from ._state import State
from ._values import merge


@attrs.frozen
class Categories:
    """Creates, changes, moves and deletes categories."""

    state: State

    def create(self, body: Row) -> Row:
        """Create a category, as the last child of its parent."""
        category: Row = {
            "description": "",
            "is_active": False,
            "is_internal": False,
            "external_id": None,
            "parent_category_id": None,
            "parent_category": None,
            "category_children": [],
            "metadata": None,
            **_columns(body),
            **self.state.stamp("pcat"),
        }
        category.setdefault("handle", body["name"].lower().replace(" ", "-"))
        self._require_new_handle(category["handle"], category)
        parent = self._parent(category["parent_category_id"])
        category.setdefault("rank", len(self._children(parent)))
        category["mpath"] = category["id"]
        if parent:
            category["parent_category"] = parent
            category["mpath"] = f"{parent['mpath']}.{category['id']}"
            self._adopt(parent, category)
        self.state.journal.put(self.state.categories, category["id"], category)
        return category

    def _require_new_handle(self, handle: str, category: Row) -> None:
        for other in self.state.categories.values():
            if other is not category and other["handle"] == handle:
                raise exists("Product category.handle", handle)

    def _parent(self, id_: str | None) -> Row | None:
        parent = self.state.categories.get(id_ or "")
        if id_ is not None and parent is None:
            message = f"Parent category with id: '{id_}' does not exist"
            raise refusal("invalid_argument", message)
        return parent

    def update(self, category: Row, body: Row) -> None:
        """Update a category."""
        columns = _columns(body)
        if "handle" in columns:
            self._require_new_handle(columns["handle"], category)
        if "metadata" in columns:
            columns["metadata"] = merge(None, columns["metadata"])
        if "parent_category_id" in columns:
            self._move(category, self._parent(columns["parent_category_id"]))
        self.state.change(category, columns)

    def delete(self, category_id: str) -> None:
        """Delete a category that has no children."""
        category = self.state.categories.get(category_id)
        if category is None:
            message = f"ProductCategory with id: {category_id} was not found"
            raise refusal("not_found", message)
        if category["category_children"]:
            message = (
                f"Deleting ProductCategory ({category_id}) with category children is"
                " not allowed"
            )
            raise refusal("not_allowed", message)
        self._leave(category)
        self.state.journal.drop(self.state.categories, category_id)
        self.set_products(category, {"remove": list(self.state.products)})

    def set_products(self, category: Row, body: Row) -> None:
        """Add products to a category and remove others; unknown ids are ignored."""
        add, remove = set(body.get("add", ())), set(body.get("remove", ()))
        for product in self.state.products.values():
            others = [row for row in product["categories"] if row is not category]
            if product["id"] in add:
                self.state.replace(product, "categories", [*others, category])
            elif product["id"] in remove and len(others) < len(product["categories"]):
                self.state.replace(product, "categories", others)

    # --- the tree ---

    def _move(self, category: Row, parent: Row | None) -> None:
        """Move a category below another one, or to the top level, as the last there."""
        if parent is category["parent_category"]:
            return
        paths = {category["id"]: ""}
        if parent:
            paths = self._new_paths(category, parent)
        rank = len(self._children(parent))
        self._leave(category)
        self.state.journal.put(category, "rank", rank)
        if parent:
            self._adopt(parent, category)
        self.state.journal.put(category, "parent_category", parent)
        for id_, path in paths.items():
            self.state.journal.put(self.state.categories[id_], "mpath", path)

    def _adopt(self, parent: Row, category: Row) -> None:
        rows = [*parent["category_children"], category]
        self.state.replace(parent, "category_children", rows)

    def _leave(self, category: Row) -> None:
        """Remove a category from its parent, and close the gap in the ranks."""
        parent = category["parent_category"]
        for row in self._children(parent):
            if row["rank"] > category["rank"]:
                self.state.journal.put(row, "rank", row["rank"] - 1)
        if parent:
            rows = [row for row in parent["category_children"] if row is not category]
            self.state.replace(parent, "category_children", rows)

    def _children(self, parent: Row | None) -> list[Row]:
        """The children of a category, or the categories at the top level."""
        rows = self.state.categories.values()
        return [row for row in rows if row["parent_category"] is parent]

    def _new_paths(self, category: Row, parent: Row) -> dict[str, str]:
        """The new paths of a category and all its descendants.

        Raises:
            MedusaError: The category is one of its own descendants.
        """
        start, rows = category["mpath"], self.state.categories.values()
        near = [row for row in rows if row["mpath"].startswith(start)]
        paths: dict[str, str] = {}

        def add(row: Row, base: str) -> None:
            if row["id"] in paths:
                raise unknown_error()
            paths[row["id"]] = f"{base}.{row['id']}"
            for child in near:
                if child["parent_category"] is row:
                    add(child, paths[row["id"]])

        add(category, parent["mpath"])
        return paths


def _columns(body: Row) -> Row:
    return {key: body[key] for key in body if key != "additional_data"}
