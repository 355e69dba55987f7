"""Categories, tags, types and collections of a store.

A managed category has our key as its external id and its last-applied state in its
metadata. A category that somebody else created with the handle of a desired one is used
and never changed. Tags, types and collections are found by their name alone. Titles of
collections need not be unique: of several, the oldest is used.

Observed on Medusa 2.21.2 for requests that set `parent_category_id`:

* Null makes a category a root; an update without the key does not change the parent.
* A category may become its own parent, or move below one of its descendants: 200.
  From then on a shopper's request with `include_ancestors_tree` or
  `include_descendants_tree` that reaches one of these categories answers 500, and so
  does a move of one of them anywhere but to the top level. Medusa does not prevent
  cycles, so the current tree has to be read before each move.
* A parent that does not exist: 500 of the type `invalid_argument`. An update of a
  category that does not exist: 200 and an empty object.
* A category with children cannot be deleted.
* The category gets the last rank below its new parent, and its old siblings close
  the gap. `is_active` does not change, and new metadata replaces all existing metadata.
* `mpath`, the path of ids by which Medusa finds a category's ancestors, becomes empty
  when a category becomes a root, but the paths of its descendants do not change: a
  shopper's request for one of these alone with its ancestors does not return the root
  and the categories above. A move below another category rewrites the paths of all
  descendants. Below a root with an empty path they begin with that empty path, which
  leads to every such root. So a category with descendants moves below such a root
  first and then to the top level, and no other category is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import attrs

from catalogsync._lib.concurrency import each
from catalogsync._lib.trees import ancestors
from catalogsync.catalog.changes import (
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
    ReferenceOutcome,
)
from catalogsync.errors import ConflictError, RefusedError, TransientError

from .client import MedusaClient, MedusaRefusedError
from .handles import (
    category_external_id,
    category_handle,
    collection_handle,
    in_pieces,
)
from .mapping import LAST_APPLIED, last_applied_of

__all__ = ["CATEGORIES", "CATEGORY_FIELDS", "References"]

CATEGORIES = "/admin/product-categories"
CATEGORY_FIELDS = "id,name,handle,external_id,parent_category_id,metadata"
_PARENT_FIELDS = "id,parent_category_id"
_MOST_LEVELS = 100
_TEMPORARY_ROOT = "catalogsync-move"
_NO_PARENT = "invalid_argument"
_AT_ONCE = 4
_NULL = "null"
"""Medusa reads this filter value as null; only a search for a part of it works."""


@attrs.frozen
class _Group:
    """Objects that have only a name.

    Attributes:
        path: Path of their requests.
        row: Key of one of them in a reply.
        column: Column of the name.
    """

    path: str
    row: str
    column: str

    @property
    def rows(self) -> str:
        """Key of several of them in a reply."""
        return f"{self.row}s"


_GROUPS = {
    ReferenceKind.TAG: _Group("/admin/product-tags", "product_tag", "value"),
    ReferenceKind.TYPE: _Group("/admin/product-types", "product_type", "value"),
    ReferenceKind.COLLECTION: _Group("/admin/collections", "collection", "title"),
}


@attrs.frozen
class References:
    """Finds and writes categories, tags, types and collections."""

    client: MedusaClient

    async def find(
        self, references: frozenset[Reference]
    ) -> dict[Reference, ExistingReference]:
        """The existing ones among these."""
        categories = [r for r in references if r.kind is ReferenceKind.CATEGORY]
        kinds = {r.kind for r in references}
        lookups = [partial(self._categories, categories)]
        lookups += [partial(self._named, k, references) for k in _GROUPS if k in kinds]
        found = await each(lambda look_up: look_up(), lookups, at_once=2)
        return {r: existing for part in found for r, existing in part.items()}

    async def write(
        self, changes: Sequence[ReferenceChange]
    ) -> Sequence[ReferenceOutcome]:
        """Create, rename or move these.

        Categories are written one by one: created at the same time they would get
        equal ranks.
        """
        named = [c for c in changes if c.reference.kind in _GROUPS]
        categories = [c for c in changes if c.reference.kind not in _GROUPS]
        outcomes = await each(self._category, categories, at_once=1)
        return outcomes + await each(self._create_named, named, at_once=_AT_ONCE)

    async def _categories(
        self, desired: Sequence[Reference]
    ) -> dict[Reference, ExistingReference]:
        ids = {category_external_id(r): r for r in desired}
        found = {
            ids[raw["external_id"]]: _existing(raw, ours=True)
            for raw in await self._list("external_id", ids)
            if raw["external_id"] in ids
        }
        handles = {category_handle(r): r for r in desired if r not in found}
        for raw in await self._list("handle", handles):
            reference = handles.get(raw["handle"])
            if reference is None:
                continue
            # The category may have been created between the two requests.
            ours = raw["external_id"] == category_external_id(reference)
            if ours or not _is_from(raw, reference.source):
                found[reference] = _existing(raw, ours=ours)
        return await self._located(found)

    async def _list(
        self, name: str, values: Iterable[str], fields: str = CATEGORY_FIELDS
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for piece in in_pieces(f"{name}[]", values):
            query = f"limit=1000&fields={fields}&{piece}"
            found += (await self.client.get(CATEGORIES, query))["product_categories"]
        return found

    async def _located(
        self, found: Mapping[Reference, ExistingReference]
    ) -> dict[Reference, ExistingReference]:
        parents = {existing.id: existing.parent for existing in found.values()}
        await self._add_ancestors(parents)
        return {
            reference: attrs.evolve(existing, above=ancestors(existing.id, parents))
            for reference, existing in found.items()
        }

    async def _add_ancestors(self, parents: dict[str, str | None]) -> None:
        """Add the parents of all categories whose parent is missing in *parents*."""
        for _ in range(_MOST_LEVELS):
            unknown = {id_ for id_ in parents.values() if id_} - parents.keys()
            if not unknown:
                return
            parents.update(dict.fromkeys(unknown))
            for raw in await self._list("id", sorted(unknown), _PARENT_FIELDS):
                parents[raw["id"]] = raw["parent_category_id"]

    async def _category(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        try:
            if change.existing is not None:
                return await self._change(change, change.existing)
            return await self._create(change)
        except MedusaRefusedError as error:
            if error.type == _NO_PARENT:
                problem = f"parent of category {reference.id} was removed meanwhile"
                raise ConflictError(problem) from error
            return ReferenceOutcome(
                reference=reference, id=None, reason=error.said or error.reason
            )

    async def _change(
        self, change: ReferenceChange, existing: ExistingReference
    ) -> ReferenceOutcome:
        body: dict[str, Any] = {"name": change.name, "metadata": _metadata(change)}
        if change.parent != existing.parent:
            await self._check_no_cycle(change, existing)
            if existing.id in existing.above:
                # A category in a cycle can only be moved to the top level.
                await self._put(existing, None)
            body["parent_category_id"] = change.parent
        if change.moves and change.parent is None:
            return await self._to_the_top(change, existing, body)
        return await self._finish(change, existing, body)

    async def _to_the_top(
        self,
        change: ReferenceChange,
        existing: ExistingReference,
        body: Mapping[str, Any],
    ) -> ReferenceOutcome:
        """Make a category a root, with correct paths for its descendants."""
        below = f"parent_category_id={existing.id}&limit=1&fields=id"
        if not (await self.client.get(CATEGORIES, below))["product_categories"]:
            return await self._finish(change, existing, body)
        roots = "parent_category_id=null&limit=1000&fields=id,handle,mpath"
        found = (await self.client.get(CATEGORIES, roots))["product_categories"]
        hosts = [r["id"] for r in found if r["mpath"] == "" and r["id"] != existing.id]
        # A killed run may have left a temporary root.
        temporary = [r["id"] for r in found if r["handle"].startswith(_TEMPORARY_ROOT)]
        if not hosts:
            temporary.append(await self._temporary_root(existing))
        host = [*hosts, *temporary][0]
        if host == existing.parent:
            # A move to its current parent would not rewrite the paths.
            await self._put(existing, None)
        await self._put(existing, host)
        try:
            outcome = await self._finish(change, existing, body)
        except TransientError:
            await self._delete(temporary)  # the move may have succeeded
            raise
        await self._delete(temporary)
        return outcome

    async def _delete(self, ids: Iterable[str]) -> None:
        """Delete these, except for those with children."""
        for id_ in ids:
            with suppress(RefusedError, TransientError):
                await self.client.delete(f"{CATEGORIES}/{id_}")

    async def _temporary_root(self, existing: ExistingReference) -> str:
        """Create a hidden root. Only a category that was moved there has an empty path."""
        body = {
            "name": _TEMPORARY_ROOT,
            "handle": f"{_TEMPORARY_ROOT}-{existing.id}".lower().replace("_", "-"),
            "is_active": False,
            "is_internal": True,
            "parent_category_id": existing.id,
        }
        handle = f"handle={body['handle']}&limit=1&fields=id"
        rows = (await self.client.get(CATEGORIES, handle))["product_categories"]
        if not rows:
            reply = await self.client.post(CATEGORIES, body, "fields=id")
            rows = [reply["product_category"]]
        id_ = str(rows[0]["id"])
        path, out = f"{CATEGORIES}/{id_}", {"parent_category_id": None}
        await self.client.post(path, out, "fields=id")
        return id_

    async def _put(self, existing: ExistingReference, parent: str | None) -> None:
        """Move a category to an intermediate parent, without a last-applied state."""
        body = {"parent_category_id": parent, "metadata": _others_metadata(existing)}
        await self.client.post(f"{CATEGORIES}/{existing.id}", body, "fields=id")

    async def _finish(
        self,
        change: ReferenceChange,
        existing: ExistingReference,
        body: Mapping[str, Any],
    ) -> ReferenceOutcome:
        path = f"{CATEGORIES}/{existing.id}"
        if "product_category" not in await self.client.post(path, body, "fields=id"):
            raise ConflictError(f"category {change.reference.id} was removed meanwhile")
        return ReferenceOutcome(reference=change.reference, id=existing.id)

    async def _check_no_cycle(
        self, change: ReferenceChange, existing: ExistingReference
    ) -> None:
        """Check that the move does not put a category below itself.

        Somebody may have moved categories since they were read.
        """
        if change.parent is None:
            return
        parents: dict[str, str | None] = {"": change.parent}
        await self._add_ancestors(parents)
        if existing.id in ancestors("", parents):
            what = f"cannot move category {change.reference.id}"
            raise ConflictError(f"{what}: its new parent is now below it")

    async def _create(self, change: ReferenceChange) -> ReferenceOutcome:
        reference = change.reference
        body = {
            "name": change.name,
            "handle": category_handle(reference),
            "external_id": category_external_id(reference),
            "is_active": True,
            "parent_category_id": change.parent,
            "metadata": _metadata(change),
        }
        try:
            reply = await self.client.post(CATEGORIES, body, "fields=id")
        except MedusaRefusedError:
            existing = (await self._categories([reference])).get(reference)
            if existing is not None:
                return ReferenceOutcome(reference=reference, id=existing.id)
            if not await self._list("handle", [category_handle(reference)]):
                raise
            body["handle"] = category_handle(reference, unique=True)
            reply = await self.client.post(CATEGORIES, body, "fields=id")
        id_ = reply["product_category"]["id"]
        return ReferenceOutcome(reference=reference, id=id_, created=True)

    async def _named(
        self, kind: ReferenceKind, desired: Iterable[Reference]
    ) -> dict[Reference, ExistingReference]:
        """The existing tags, types or collections with these names, the oldest each."""
        group, names = _GROUPS[kind], {r.id: r for r in desired if r.kind is kind}
        found: dict[Reference, ExistingReference] = {}
        queries = [*in_pieces(f"{group.column}[]", names.keys() - {_NULL})]
        if _NULL in names:
            queries.append(f"q={_NULL[:-1]}")
        for query in queries:
            what = f"fields=id,{group.column}&{query}"
            rows = await self.client.get_all(group.path, group.rows, what, size=1000)
            for raw in sorted(rows, key=lambda raw: str(raw["id"])):
                name = raw[group.column]
                if name in names:
                    existing = ExistingReference(id=raw["id"], name=name)
                    found.setdefault(names[name], existing)
        return found

    async def _create_named(self, change: ReferenceChange) -> ReferenceOutcome:
        """Create a tag, type or collection, or use one created in the meantime."""
        reference = change.reference
        refusal: MedusaRefusedError | None = None
        for body in _bodies(reference):
            try:
                id_ = await self._post(_GROUPS[reference.kind], body)
            except MedusaRefusedError as error:
                refusal = error
                existing = await self._named(reference.kind, [reference])
                if reference in existing:
                    id_ = existing[reference].id
                    return ReferenceOutcome(reference=reference, id=id_)
            else:
                return ReferenceOutcome(reference=reference, id=id_, created=True)
        reason = "" if refusal is None else refusal.said or refusal.reason
        return ReferenceOutcome(reference=reference, id=None, reason=reason)

    async def _post(self, group: _Group, body: Mapping[str, Any]) -> str:
        reply = await self.client.post(group.path, body, "fields=id")
        return str(reply[group.row]["id"])


def _bodies(reference: Reference) -> Iterator[dict[str, Any]]:
    """The bodies to try in turn: another collection may have the plain handle."""
    name = {_GROUPS[reference.kind].column: reference.id}
    if reference.kind is not ReferenceKind.COLLECTION:
        yield name
        return
    for unique in (False, True):
        yield {**name, "handle": collection_handle(reference.id, unique=unique)}


def _existing(raw: Mapping[str, Any], *, ours: bool) -> ExistingReference:
    return ExistingReference(
        id=raw["id"],
        name=raw["name"],
        parent=raw["parent_category_id"],
        ours=ours,
        last_applied=last_applied_of(raw),
        native=raw["metadata"],
    )


def _is_from(raw: Mapping[str, Any], source: str) -> bool:
    """Whether a category has a key of this source."""
    return str(raw.get("external_id") or "").startswith(f"{source}:")


def _metadata(change: ReferenceChange) -> dict[str, Any] | None:
    """The complete metadata; an update replaces all of it."""
    others = _others_metadata(change.existing) if change.existing else {}
    return (
        {**others, LAST_APPLIED: change.last_applied}
        if change.last_applied
        else others or None
    )


def _others_metadata(existing: ExistingReference) -> dict[str, Any]:
    found = cast("dict[str, Any]", existing.native or {})
    return {name: value for name, value in found.items() if name != LAST_APPLIED}
