"""Handles and external ids of products and categories, and queries by them.

A handle is a pure function of the product or category, never of arrival order, so that
a second attempt to create it conflicts with the first instead of duplicating it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from urllib.parse import quote

from catalogsync.catalog.changes import Reference
from catalogsync.catalog.products import Product, ProductKey

__all__ = [
    "category_external_id",
    "category_handle",
    "collection_handle",
    "handle",
    "in_pieces",
    "title_handle",
]

_TITLE = 80
_URL = 7000
_LONGEST = 13_000
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def handle(product: Product) -> str:
    """Handle of a product: the readable title, and the key to make it unique."""
    title = _slug(product.title)[:_TITLE].strip("-")
    return f"{title}-{_key_slug(product.key)}" if title else _key_slug(product.key)


def title_handle(product: Product) -> str:
    """The handle that the title alone gives; may be empty."""
    return _slug(product.title)


def _slug(text: str) -> str:
    """Words of lower-case letters and digits; other scripts are transliterated."""
    if not text.isascii():
        from slugify import slugify  # Few texts need it.

        text = slugify(text)
    return _NOT_A_WORD.sub("-", text.lower()).strip("-")


def _key_slug(key: ProductKey) -> str:
    """A slug that no other key has."""
    plain = f"{key.source}{key.id}"
    if plain.isascii() and plain.isalnum() and plain == plain.lower():
        return f"{key.source}-{key.id}"
    slug = f"{_slug(key.source)}-{_slug(key.id)[:_TITLE]}".strip("-")
    return f"{slug}-{_digest(str(key))}"


def category_external_id(reference: Reference) -> str:
    """External id of a managed category."""
    return f"{reference.source}:{reference.id}"


def category_handle(reference: Reference, *, unique: bool = False) -> str:
    """Handle of a category; *unique* adds a digest, for a handle that is taken."""
    slug = _slug(reference.id)
    if slug and not unique:
        return slug
    return f"{slug}-{_digest(category_external_id(reference))}".strip("-")


def collection_handle(title: str, *, unique: bool = False) -> str:
    """Handle of a collection; *unique* adds a digest, for a handle that is taken."""
    slug = _slug(title)[:_TITLE].strip("-")
    return slug if slug and not unique else f"{slug}-{_digest(title)}".strip("-")


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=5).hexdigest()


def _joined(parts: list[str]) -> str:
    """Medusa splits a single value at its commas, so such a value is sent twice."""
    return "&".join(parts * 2 if len(parts) == 1 and "%2C" in parts[0] else parts)


def in_pieces(name: str, values: Iterable[str]) -> Iterator[str]:
    """Query strings that together name all values, each short enough for one URL.

    Values that are too long for any URL are left out.
    """
    piece: list[str] = []
    length = 0
    encoded_name = quote(name, safe="")
    for value in values:
        part = f"{encoded_name}={quote(value, safe='')}"
        if len(part) > _LONGEST:
            continue
        if piece and length + len(part) > _URL:
            yield _joined(piece)
            piece, length = [], 0
        piece.append(part)
        length += len(part) + 1
    if piece:
        yield _joined(piece)
