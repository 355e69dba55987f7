"""Categories and tags of a store.

A category of ours carries our key as its external id. One that somebody else made
on the handle that ours would get is used and left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from catalogsync._concurrency import each
from catalogsync.changes import (
    HeldReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)

from .client import MedusaClient, MedusaRefusedError
from .naming import category_external_id, category_handle, in_pieces

__all__ = ["References"]

_CATEGORIES = "/admin/product-categories"
_CATEGORY_FIELDS = "id,name,handle,external_id,parent_category_id"
_TAGS = "/admin/product-tags"
_TAGS_AT_ONCE = 4


@attrs.frozen
class References:
    """Finds and writes categories and tags."""

    client: MedusaClient

    async def find(
        self, references: frozenset[Reference]
    ) -> dict[Reference, HeldReference]:
        """Say which of these the store has."""
        categories = [r for r in references if r.kind is ReferenceKind.CATEGORY]
        tags = [r for r in references if r.kind is ReferenceKind.TAG]
        lookups = (partial(self._categories, categories), partial(self._tags, tags))
        found = await each(lambda look_up: look_up(), lookups, at_once=2)
        return found[0] | found[1]

    async def write(
        self, changes: Sequence[ReferenceChange]
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these.

        Categories go one after the other: created at the same moment they would
        get equal ranks.
        """
        tags = [c for c in changes if c.reference.kind is ReferenceKind.TAG]
        others = [c for c in changes if c.reference.kind is not ReferenceKind.TAG]
        outcomes = await each(self._category, others, at_once=1)
        return outcomes + await each(self._tag, tags, at_once=_TAGS_AT_ONCE)

    async def _categories(
        self, wanted: Sequence[Reference]
    ) -> dict[Reference, HeldReference]:
        ids = {category_external_id(r): r for r in wanted}
        found = {
            ids[raw["external_id"]]: _held(raw, ours=True)
            for raw in await self._list("external_id", ids)
            if raw["external_id"] in ids
        }
        handles = {category_handle(r): r for r in wanted if r not in found}
        for raw in await self._list("handle", handles):
            reference = handles.get(raw["handle"])
            if reference is None:
                continue
            # A store may deny a category and show it the next moment.
            ours = raw["external_id"] == category_external_id(reference)
            if ours or not _is_of(raw, reference.source):
                found[reference] = _held(raw, ours=ours)
        return found

    async def _list(self, name: str, values: Iterable[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for piece in in_pieces(f"{name}[]", values):
            query = f"limit=1000&fields={_CATEGORY_FIELDS}&{piece}"
            found += (await self.client.get(_CATEGORIES, query))["product_categories"]
        return found

    async def _category(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        try:
            if change.held is not None:
                body = {"name": reference.name, **_parent(change)}
                await self.client.post(f"{_CATEGORIES}/{change.held.id}", body)
                return ReferenceOutcome(reference=reference, id=change.held.id)
            return await self._create(change)
        except MedusaRefusedError as error:
            return ReferenceOutcome(
                reference=reference, id=None, reason=error.said or error.reason
            )

    async def _create(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        body = {
            "name": reference.name,
            "handle": category_handle(reference),
            "external_id": category_external_id(reference),
            "is_active": True,
            **_parent(change),
        }
        try:
            reply = await self.client.post(_CATEGORIES, body, "fields=id")
        except MedusaRefusedError:
            held = (await self._categories([reference])).get(reference)
            if held is not None:
                return ReferenceOutcome(reference=reference, id=held.id)
            if not await self._list("handle", [category_handle(reference)]):
                raise
            body["handle"] = category_handle(reference, unique=True)
            reply = await self.client.post(_CATEGORIES, body, "fields=id")
        id_ = reply["product_category"]["id"]
        return ReferenceOutcome(reference=reference, id=id_, created=True)

    async def _tags(
        self, wanted: Sequence[Reference]
    ) -> dict[Reference, HeldReference]:
        names = {reference.id: reference for reference in wanted}
        found: dict[Reference, HeldReference] = {}
        for piece in in_pieces("value[]", names):
            reply = await self.client.get(_TAGS, f"limit=1000&fields=id,value&{piece}")
            for raw in reply["product_tags"]:
                if raw["value"] in names:
                    held = HeldReference(id=raw["id"], name=raw["value"])
                    found[names[raw["value"]]] = held
        return found

    async def _tag(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        try:
            reply = await self.client.post(_TAGS, {"value": reference.id}, "fields=id")
        except MedusaRefusedError as error:
            held = (await self._tags([reference])).get(reference)
            reason = "" if held else error.said or error.reason
            id_ = held.id if held else None
            return ReferenceOutcome(reference=reference, id=id_, reason=reason)
        id_ = reply["product_tag"]["id"]
        return ReferenceOutcome(reference=reference, id=id_, created=True)


def _held(raw: Mapping[str, Any], *, ours: bool) -> HeldReference:
    return HeldReference(
        id=raw["id"], name=raw["name"], parent=raw.get("parent_category_id"), ours=ours
    )


def _is_of(raw: Mapping[str, Any], source: str) -> bool:
    """Whether a category is one of this source under another key."""
    return str(raw.get("external_id") or "").startswith(f"{source}:")


def _parent(change: ReferenceChange) -> dict[str, str]:
    return {} if change.parent is None else {"parent_category_id": change.parent}
