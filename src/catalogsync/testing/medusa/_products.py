"""Products: created, updated and deleted in batches that succeed or fail as a whole."""

from __future__ import annotations

import contextlib
from typing import Any

from ._errors import (
    MedusaError,
    Row,
    invalid,
    no_relative,
    refusal,
    unknown_error,
)
from ._inventory import Inventory
from ._options import Options
from ._state import State
from ._values import PRODUCT_DEFAULTS, clean, merge, require_url_safe, to_handle
from ._variants import Variants, require_comparable, require_distinct

_RELATIONS = {
    *("id", "images", "categories", "tags", "options", "variants", "sales_channels"),
    *("shipping_profile_id", "option_ids", "additional_data"),
}


class Products:
    """The rules for products."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.inventory = Inventory(state)
        self.options = Options(state)
        self.variants = Variants(state, self.inventory)

    def batch(self, body: Row) -> tuple[list[Row], list[Row]]:
        """Create, update and delete; created products are returned in id order."""
        try:
            created = self.create(body.get("create", []))
        except MedusaError:
            self._scar(body.get("update", []))
            raise
        updated = self.update(body.get("update", []))
        for product_id in body.get("delete", ()):
            self.delete(product_id)
        return created, updated

    def _scar(self, changes: list[Row]) -> None:
        """Keep the parts of an update that Medusa fails to undo after a refused creation."""
        with contextlib.suppress(MedusaError):
            self.update(changes)
            for change in changes:
                product = self._state.products[change["id"]]
                if "images" in change:
                    self._state.journal.scar(product, "images", product["images"])
                self.variants.scar(change.get("variants", []))

    # --- creation ---

    def create(self, bodies: list[Row]) -> list[Row]:
        """Create products."""
        if titles := ", ".join(b["title"] for b in bodies if not b.get("options")):
            raise invalid(f"Product options are not provided for: [{titles}].")
        for body in bodies:
            self._require_tags(body)
        self.options.require([option for body in bodies for option in body["options"]])
        products = [self._create_one(body) for body in bodies]
        for product, body in zip(products, bodies, strict=True):
            product["options"] = self.options.links(body["options"], exclusive=True)
        made: list[tuple[Row, Row]] = []
        for product, body in zip(products, bodies, strict=True):
            made += self._create_variants(product, body.get("variants", []))
        for variant, body in made:
            self.inventory.equip(variant, body.get("inventory_items"))
        return sorted(products, key=lambda row: str(row["id"]))

    def _require_tags(self, body: Row) -> None:
        for tag in body.get("tags", ()):
            if tag["id"] not in self._state.tags:
                raise invalid(
                    f"Tag with id {tag['id']} not found. Please create the tag before"
                    " associating it with the product."
                )

    def _create_one(self, body: Row) -> Row:
        product: Row = {
            **PRODUCT_DEFAULTS,
            **clean(_columns(body)),
            **self._state.stamp("prod"),
            "options": [],
            "variants": [],
        }
        product["status"] = product["status"] or "draft"
        if not product.get("handle"):
            made = to_handle(body["title"])
            product["handle"] = made or f"product-{self._state.ids.text(6)}"
        self._claim_handle(product, product["handle"], None)
        for relation in ("categories", "tags", "sales_channels", "images"):
            product[relation] = []
        self._relate(product, body)
        if not product["thumbnail"] and product["images"]:
            product["thumbnail"] = product["images"][0]["url"]
        self._state.journal.put(self._state.products, product["id"], product)
        self._note_external_id(product)
        return product

    def _create_variants(
        self, product: Row, bodies: list[Row]
    ) -> list[tuple[Row, Row]]:
        made = [
            (self.variants.create(product, body, options), body)
            for body in bodies
            for options in [self.variants.choose(product, body)]
        ]
        variants = [variant for variant, _ in made]
        product["variants"] = sorted(variants, key=lambda row: str(row["id"]))
        return made

    def _claim_handle(self, product: Row, handle: str, old: str | None) -> None:
        require_url_safe(handle)
        index = self._state.handles
        self._state.claim(index, handle, product, "Product.handle", old)

    def _note_external_id(self, product: Row) -> None:
        index, journal = self._state.external_ids, self._state.journal
        if (key := product["external_id"]) is not None:
            journal.put(index, key, {**index.get(key, {}), product["id"]: product})

    def _forget_external_id(self, product: Row) -> None:
        index, journal = self._state.external_ids, self._state.journal
        if (key := product["external_id"]) is None or key not in index:
            return
        rest = {k: row for k, row in index[key].items() if row is not product}
        if rest:
            journal.put(index, key, rest)
        else:
            journal.drop(index, key)

    # --- relations of a product ---

    def _relate(self, product: Row, body: Row) -> None:
        state = self._state
        related = (
            ("categories", state.categories, "product_category_id"),
            ("tags", state.tags, "product_tag_id"),
        )
        for relation, table, column in related:
            if relation in body:
                rows = [_get(table, column, row["id"]) for row in body[relation]]
                state.replace(product, relation, {id(r): r for r in rows}.values())
        for column, table in (
            ("type_id", state.types),
            ("collection_id", state.collections),
        ):
            if key := body.get(column):
                _get(table, column, key)
            if column in body or column[:-3] not in product:
                state.journal.put(product, column[:-3], table.get(key or ""))
        self._relate_links(product, body)

    def _relate_links(self, product: Row, body: Row) -> None:
        state = self._state
        if "images" in body:
            images = enumerate(body["images"])
            rows = [self._image(product, rank, image) for rank, image in images]
            state.replace(product, "images", rows)
        if "sales_channels" in body:  # an unknown one is shown as null
            ids = dict.fromkeys(row["id"] for row in body["sales_channels"])
            channels = [state.channels.get(key) for key in ids]
            state.replace(product, "sales_channels", channels)
        if "shipping_profile_id" in body:
            profile = state.profiles.get(body["shipping_profile_id"] or "")
            if profile is None:
                state.journal.drop(product, "shipping_profile")
            else:
                state.journal.put(product, "shipping_profile", profile)

    def _image(self, product: Row, rank: int, body: Row) -> Row:
        base = {**self._state.stamp("img"), "metadata": None}
        return {**base, **body, "rank": rank, "product_id": product["id"]}

    # --- update and deletion ---

    def update(self, changes: list[Row]) -> list[Row]:
        """Update the given fields of products."""
        products = self._state.products
        if ids := ", ".join(b["id"] for b in changes if b["id"] not in products):
            raise refusal("not_found", f"Unable to update the products with ids: {ids}")
        for body in changes:
            self._update_one(products[body["id"]], body)
        return list({body["id"]: products[body["id"]] for body in changes}.values())

    def _update_one(self, product: Row, body: Row) -> None:
        columns = clean(_columns(body))
        if "metadata" in columns:
            columns["metadata"] = merge(product["metadata"], columns["metadata"])
        if "handle" in columns and columns["handle"] != product["handle"]:
            self._claim_handle(product, columns["handle"], product["handle"])
        if "external_id" in columns:
            self._forget_external_id(product)
        self._state.change(product, columns)
        if "external_id" in columns:
            self._note_external_id(product)
        self._relate(product, body)
        if "option_ids" in body:
            # With variants in the same body, Medusa does not check which of them use
            # a removed option.
            used = "variants" not in body
            self._set_options(product, body["option_ids"], validate=used)
        if "variants" in body:
            self._set_variants(product, body["variants"])

    def _set_options(self, product: Row, ids: list[str], *, validate: bool) -> None:
        self.options.keep(product, ids, [], validate=validate)
        have = {link["id"] for link in product["options"]}
        new = [option for option in ids if option not in have]
        added = self.options.links(new, exclusive=False)
        self._state.replace(product, "options", [*product["options"], *added])

    def _set_variants(self, product: Row, bodies: list[Row]) -> None:
        """Replace the variants; the inventory items of removed ones stay."""
        have = {row["id"]: row for row in product["variants"]}
        chosen = [self.variants.choose(product, body) or None for body in bodies]
        require_comparable([*chosen])
        require_distinct(bodies, chosen, have)
        kept: list[Row] = []
        for body, options in zip(bodies, chosen, strict=True):
            if variant := have.get(body.get("id", "")):
                self.variants.change(variant, body, options)
                kept.append(variant)
            elif "title" in body:  # even with an unknown id
                kept.append(self.variants.create(product, body, options or []))
            else:
                raise unknown_error()
        for variant_id, variant in have.items():
            if not any(row is variant for row in kept):
                self.variants.delete(variant_id, with_items=False)
        self._state.replace(product, "variants", kept)

    def delete(self, product_id: str) -> None:
        """Delete a product with its variants and their items."""
        product = self._state.products.get(product_id)
        if product is None:
            return
        for variant in product["variants"]:
            self.variants.delete(variant["id"], with_items=True)
        for link in product["options"]:
            if link["is_exclusive"]:
                self._state.journal.drop(self._state.options, link["id"])
        self._state.release(self._state.handles, product["handle"], product)
        self._forget_external_id(product)
        self._state.journal.drop(self._state.products, product_id)


def _columns(body: Row) -> Row:
    return {key: value for key, value in body.items() if key not in _RELATIONS}


def _get(table: dict[str, Row], column: str, key: Any) -> Row:
    if key not in table:
        raise no_relative(column, key)
    return table[key]
