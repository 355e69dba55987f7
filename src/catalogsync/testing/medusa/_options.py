"""Options, their values, and the options of products.

An option has values; a product is linked to an option and to some of its values.
A product's ``options`` contain copies of the option rows, with the product's own choice
of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ._errors import MedusaError, Row, exists, invalid, no_relative, refusal
from ._state import State
from ._values import merge

_IN_USE = "Cannot delete product option values that are associated with products."


class Options:
    """The rules for options."""

    def __init__(self, state: State) -> None:
        self._state = state

    def listed(self) -> list[Row]:
        """The options with the products linked to them."""
        users: dict[str, list[Row]] = {}
        for product in self._state.products.values():
            for link in product["options"]:
                users.setdefault(link["id"], []).append(product)
        options = self._state.options.values()
        return [{**row, "products": users.get(row["id"], [])} for row in options]

    def create(self, body: Row, *, exclusive: bool = False) -> Row:
        """Create an option with its values.

        It stays even if the product that needs it is refused for another reason.
        """
        option: Row = {
            "title": body["title"],
            "is_exclusive": body.get("is_exclusive", exclusive),
            "metadata": body.get("metadata"),
            "values": [],
            **self._state.stamp("opt"),
        }
        self._require_new_title(option)
        option["values"] = self._new_values(option, body["values"])
        self._state.journal.put(self._state.options, option["id"], option)
        self._state.journal.scar(self._state.options, option["id"], option)
        return option

    def _require_new_title(self, option: Row) -> None:
        if option["is_exclusive"]:
            return
        for other in self._state.options.values():
            same = other is not option and other["title"] == option["title"]
            if same and not other["is_exclusive"]:
                raise exists("Product option.title", option["title"])

    def _add_values(self, option: Row, texts: Iterable[str]) -> list[Row]:
        added = self._new_values(option, texts)
        self._state.replace(option, "values", [*option["values"], *added])
        return added

    def _new_values(self, option: Row, texts: Iterable[str]) -> list[Row]:
        added: list[Row] = []
        for text in texts:
            self._require_new(option, added, text)
            row = {"value": text, "rank": None, "metadata": None, "option": option}
            stamp = self._state.stamp("optval")
            added.append({**row, "option_id": option["id"], **stamp})
        return sorted(added, key=lambda row: str(row["value"]))

    def _require_new(self, option: Row, added: list[Row], text: str) -> None:
        if any(row["value"] == text for row in (*option["values"], *added)):
            raise invalid(
                f"Product option value with option_id: {option['id']},"
                f" value: {text}, already exists."
            )

    def update(self, option: Row, body: Row) -> None:
        """Update an option; its list of values replaces the old one."""
        names = ("title", "is_exclusive")
        columns: Row = {name: body[name] for name in names if name in body}
        if "metadata" in body:
            columns["metadata"] = merge(option["metadata"], body["metadata"])
        if "values" in body:
            self._set_values(option, body["values"])
        self._state.change(option, columns)
        for link in self._links(option["id"]):
            self._state.change(link, columns)

    def _set_values(self, option: Row, texts: list[str]) -> None:
        have = {value["value"]: value for value in option["values"]}
        used = self._used(option["id"])
        if any(row["id"] in used for text, row in have.items() if text not in texts):
            raise invalid(_IN_USE)
        kept = [row for text, row in have.items() if text in texts]
        self._state.replace(option, "values", kept)
        self._add_values(option, [text for text in texts if text not in have])

    def delete(self, option_id: str) -> None:
        """Delete an option that no product uses."""
        if any(self._links(option_id)):
            message = "Cannot delete product options that are associated with products."
            raise invalid(message)
        self._state.journal.drop(self._state.options, option_id)

    def value(self, option_id: str, value_id: str) -> tuple[Row, Row]:
        """An option and one of its values."""
        option = self._state.options.get(option_id) or {"values": []}
        for value in option["values"]:
            if value["id"] == value_id:
                return option, value
        message = (
            f'Product option value with id "{value_id}" was not found for option'
            f' with id "{option_id}"'
        )
        raise refusal("not_found", message)

    def update_value(self, option: Row, value: Row, body: Row) -> None:
        """Rename a value; variants that use it follow."""
        if "value" in body and body["value"] != value["value"]:
            self._require_new(option, [], body["value"])
        self._state.change(value, body)

    def delete_value(self, option: Row, value: Row) -> None:
        """Delete a value that no product is linked to."""
        if value["id"] in self._used(option["id"]):
            raise invalid(_IN_USE)
        kept = [row for row in option["values"] if row is not value]
        self._state.replace(option, "values", kept)

    def _links(self, option_id: str) -> Iterator[Row]:
        for product in self._state.products.values():
            yield from (row for row in product["options"] if row["id"] == option_id)

    def _used(self, option_id: str) -> set[str]:
        links = self._links(option_id)
        return {value["id"] for link in links for value in link["values"]}

    # --- a product's choice ---

    def require(self, bodies: list[Any]) -> None:
        """Refuse ids of options that do not exist or belong to another product."""
        desired = [body["id"] for body in bodies if "title" not in body]
        exclusive = [row["id"] for row in self._found(desired) if row["is_exclusive"]]
        if taken := ", ".join(key for key in exclusive if any(self._links(key))):
            message = "Product options are already assigned to another product:"
            raise invalid(f"{message} {taken}")

    def _found(self, ids: Iterable[str]) -> list[Row]:
        options, keys = self._state.options, list(ids)
        if missing := [key for key in keys if key not in options]:
            raise _not_found(missing)
        return [options[key] for key in keys]

    def links(self, bodies: Iterable[Row | str], *, exclusive: bool) -> list[Row]:
        """The links of a product to options; creates its new options."""
        return [self._link(body, exclusive=exclusive) for body in bodies]

    def _link(self, body: Row | str, *, exclusive: bool) -> Row:
        if isinstance(body, dict) and "title" in body:
            return {**self.create(body, exclusive=exclusive)}
        desired: Row = {"id": body} if isinstance(body, str) else body
        (found,) = self._found([desired["id"]])
        values: list[Row] = found["values"]
        if (chosen := desired.get("value_ids")) is not None:
            values = [value for value in values if value["id"] in chosen]
        return {**found, "values": values}

    def batch(self, product: Row, body: Row) -> None:
        """Add, remove and change a product's links to options."""
        for change in body.get("update", ()):
            self._change_link(product, change)
        if remove := body.get("remove"):
            self.keep(product, [row["id"] for row in product["options"]], remove)
        added = self.links(body.get("add", []), exclusive=False)
        self._state.replace(product, "options", [*product["options"], *added])

    def keep(
        self, product: Row, ids: list[str], remove: list[str], *, validate: bool = True
    ) -> None:
        """Unlink options; an exclusive option is deleted with its last link.

        Args:
            product: The product.
            ids: Options to keep.
            remove: Options to remove even so.
            validate: Whether to refuse if a variant has a value of a removed option.
        """
        gone = [
            link
            for link in product["options"]
            if link["id"] not in ids or link["id"] in remove
        ]
        used = {
            value["option_id"]
            for variant in product["variants"]
            for value in variant["options"]
        }
        if validate and any(link["id"] in used for link in gone):
            raise invalid(
                "Cannot unassign product option from product which has variants for"
                " that option"
            )
        kept = [link for link in product["options"] if link not in gone]
        self._state.replace(product, "options", kept)
        for link in gone:
            if link["is_exclusive"] and not any(self._links(link["id"])):
                self._state.journal.drop(self._state.options, link["id"])
                self._forget_values(product, link["id"])

    def _forget_values(self, product: Row, option_id: str) -> None:
        """Remove the values of a deleted option from the variants."""
        for variant in product["variants"]:
            kept = [row for row in variant["options"] if row["option_id"] != option_id]
            self._state.replace(variant, "options", kept)

    def _change_link(self, product: Row, change: Row) -> None:
        linked = {row["id"]: row for row in product["options"]}
        option_id = change["product_option_id"]
        if option_id not in linked or option_id not in self._state.options:
            raise _not_found([option_id])
        option = self._state.options[option_id]
        remove = set(change.get("remove", ()))
        self._require_unused(product, remove)
        values = {row["id"]: row for row in linked[option_id]["values"]}
        kept = {key: row for key, row in values.items() if key not in remove}
        for desired in change.get("add", ()):
            value = self._desired(option, desired)
            kept[value["id"]] = value
        self._state.replace(linked[option_id], "values", kept.values())

    def _require_unused(self, product: Row, remove: set[str]) -> None:
        users = [
            str(variant["title"])
            for variant in product["variants"]
            if any(value["id"] in remove for value in variant["options"])
        ]
        if users:
            raise invalid(
                "Cannot unassign option values from product because the following"
                f" variant(s) are using it: {', '.join(users)}"
            )

    def _desired(self, option: Row, desired: Any) -> Row:
        values: list[Row] = option["values"]
        if isinstance(desired, str):
            for value in values:
                if value["id"] == desired:
                    return value
            raise no_relative("product_option_value_id", desired)
        for value in values:
            if value["value"] == desired["value"]:
                return value
        return self._add_values(option, [desired["value"]])[0]


def _not_found(ids: list[str]) -> MedusaError:
    return invalid(f"Some product options were not found: [{', '.join(ids)}]")
