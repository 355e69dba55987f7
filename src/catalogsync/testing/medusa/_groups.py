"""Groups of products that have only a name: tags, types and collections."""

from __future__ import annotations

import attrs

from ._errors import Row, exists
from ._state import State, Table


@attrs.frozen
class Group:
    """The rules for a kind of group.

    Attributes:
        state: The server's data.
        kind: Its name in ``KINDS``.
        prefix: Prefix of its ids.
        label: Name in Medusa's messages.
    """

    state: State
    kind: str
    prefix: str
    label: str

    @property
    def table(self) -> Table:
        """The groups by id."""
        table: Table = getattr(self.state, f"{self.kind}s")
        return table

    @property
    def _unique(self) -> str:
        return "handle" if self.kind == "collection" else "value"

    def create(self, body: Row) -> Row:
        """Create a group."""
        stamp = self.state.stamp(self.prefix)
        row: Row = {"external_id": None, "metadata": None, **body, **stamp}
        if self._unique == "handle":
            row.setdefault("handle", row["title"].lower().replace(" ", "-"))
        self._require_new(row[self._unique], row)
        self.state.journal.put(self.table, row["id"], row)
        return row

    def _require_new(self, value: str, row: Row) -> None:
        for other in self.table.values():
            if other is not row and other[self._unique] == value:
                raise exists(f"{self.label}.{self._unique}", value)

    def update(self, row: Row, body: Row) -> None:
        """Update a group."""
        if self._unique in body:
            self._require_new(body[self._unique], row)
        self.state.change(row, body)

    def delete(self, key: str) -> None:
        """Delete a group and remove it from its products."""
        self.state.journal.drop(self.table, key)
        for product in self.state.products.values():
            if self.kind == "tag":
                kept = [row for row in product["tags"] if row["id"] != key]
                self.state.replace(product, "tags", kept)
            elif product[f"{self.kind}_id"] == key:
                # The product keeps the id of the deleted type or collection.
                self.state.journal.put(product, self.kind, None)
