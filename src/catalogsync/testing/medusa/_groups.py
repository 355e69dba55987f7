"""Groups of products: categories, tags, types and collections."""

from __future__ import annotations

import attrs

from ._bodies import named
from ._category_trees import children, close_up, move
from ._errors import Row, exists, refusal
from ._schema import Check
from ._state import State, Table
from ._values import merge


@attrs.frozen
class Group:
    """A kind of group that has only a name.

    Attributes:
        path: The end of its routes' paths.
        kind: Its name in ``KINDS``.
        key: The name of one in an answer.
        keys: The name of several in an answer.
        column: The unique column.
        prefix: Prefix of its ids.
        label: Name in Medusa's messages.
        limit: Default size of a page.
    """

    path: str
    kind: str
    key: str
    keys: str
    column: str
    prefix: str
    label: str
    limit: int

    @property
    def bodies(self) -> tuple[Check, Check]:
        """The bodies that create and update one."""
        return named("title" if self.kind == "collection" else "value")


GROUPS = (
    Group(
        "product-tags", "tag", "product_tag", "product_tags", "value", "ptag",
        "Product tag", 20,
    ),
    Group(
        "product-types", "type", "product_type", "product_types", "value", "ptyp",
        "Product type", 10,
    ),
    Group(
        "collections", "collection", "collection", "collections", "handle", "pcol",
        "Product collection", 10,
    ),
)  # fmt: skip


class Groups:
    """The rules for groups."""

    def __init__(self, state: State) -> None:
        self._state = state

    def table(self, group: Group) -> Table:
        """The rows of a kind of group."""
        tables = {
            "tag": self._state.tags,
            "type": self._state.types,
            "collection": self._state.collections,
        }
        return tables[group.kind]

    def create(self, group: Group, body: Row) -> Row:
        """Create a group."""
        row: Row = {
            "external_id": None,
            "metadata": None,
            **body,
            **self._state.stamp(group.prefix),
        }
        if group.column == "handle":
            row.setdefault("handle", row["title"].lower().replace(" ", "-"))
        self._require_new(group, row[group.column], row)
        self._state.journal.put(self.table(group), row["id"], row)
        return row

    def _require_new(self, group: Group, value: str, row: Row) -> None:
        for other in self.table(group).values():
            if other is not row and other[group.column] == value:
                raise exists(f"{group.label}.{group.column}", value)

    def update(self, group: Group, row: Row, body: Row) -> None:
        """Update a group."""
        if group.column in body:
            self._require_new(group, body[group.column], row)
        self._state.change(row, body)

    def delete(self, group: Group, key: str) -> None:
        """Delete a group and remove it from its products."""
        self._state.journal.drop(self.table(group), key)
        for product in self._state.products.values():
            if group.kind == "tag":
                kept = [row for row in product["tags"] if row["id"] != key]
                self._state.replace(product, "tags", kept)
            elif product[f"{group.kind}_id"] == key:
                self._state.journal.put(product, f"{group.kind}_id", None)
                self._state.journal.put(product, group.kind, None)

    # --- categories ---

    def create_category(self, body: Row) -> Row:
        """Create a category."""
        columns = {key: body[key] for key in body if key != "additional_data"}
        category: Row = {
            "description": "",
            "is_active": False,
            "is_internal": False,
            "external_id": None,
            "parent_category_id": None,
            "parent_category": None,
            "category_children": [],
            "metadata": None,
            **columns,
            **self._state.stamp("pcat"),
        }
        category.setdefault("handle", body["name"].lower().replace(" ", "-"))
        self._require_new_handle(category["handle"], category)
        parent = self._parent(category["parent_category_id"])
        category.setdefault("rank", len(children(self._state, parent)))
        category["mpath"] = category["id"]
        if parent:
            category["parent_category"] = parent
            category["mpath"] = f"{parent['mpath']}.{category['id']}"
            rows = [*parent["category_children"], category]
            self._state.replace(parent, "category_children", rows)
        self._state.journal.put(self._state.categories, category["id"], category)
        return category

    def _require_new_handle(self, handle: str, category: Row) -> None:
        for other in self._state.categories.values():
            if other is not category and other["handle"] == handle:
                raise exists("Product category.handle", handle)

    def _parent(self, id_: str | None) -> Row | None:
        parent = self._state.categories.get(id_ or "")
        if id_ is not None and parent is None:
            message = f"Parent category with id: '{id_}' does not exist"
            raise refusal("invalid_argument", message)
        return parent

    def update_category(self, category: Row, body: Row) -> None:
        """Update a category."""
        columns = {key: body[key] for key in body if key != "additional_data"}
        if "handle" in columns:
            self._require_new_handle(columns["handle"], category)
        if "metadata" in columns:
            columns["metadata"] = merge(None, columns["metadata"])
        if "parent_category_id" in columns:
            parent = self._parent(columns["parent_category_id"])
            move(self._state, category, parent)
        self._state.change(category, columns)

    def delete_category(self, category_id: str) -> None:
        """Delete a category that has no children."""
        category = self._state.categories.get(category_id)
        if category is None:
            message = f"ProductCategory with id: {category_id} was not found"
            raise refusal("not_found", message)
        if category["category_children"]:
            message = (
                f"Deleting ProductCategory ({category_id}) with category children is"
                " not allowed"
            )
            raise refusal("not_allowed", message)
        close_up(self._state, category)
        if parent := category["parent_category"]:
            rows = [row for row in parent["category_children"] if row is not category]
            self._state.replace(parent, "category_children", rows)
        self._state.journal.drop(self._state.categories, category_id)
        self.set_products(category, {"remove": list(self._state.products)})

    def set_products(self, category: Row, body: Row) -> None:
        """Add products to a category and remove others; unknown ids are ignored."""
        add, remove = set(body.get("add", ())), set(body.get("remove", ()))
        for product in self._state.products.values():
            others = [row for row in product["categories"] if row is not category]
            if product["id"] in add:
                self._state.replace(product, "categories", [*others, category])
            elif product["id"] in remove and len(others) < len(product["categories"]):
                self._state.replace(product, "categories", others)
