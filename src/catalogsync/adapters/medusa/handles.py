"""Names that we give in a store: handles, external ids, and queries by them.

A handle is a pure function of the thing it names, never of arrival order, so that
a second attempt to create it collides with the first instead of doubling it.
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
    "handle",
    "in_pieces",
    "title_handle",
]

_TITLE = 80
_URL = 7000
_LONGEST = 13_000
_NO_WORD = re.compile(r"[^a-z0-9]+")


def handle(product: Product) -> str:
    """Handle of a product: its title for people, its key for uniqueness."""
    title = _slug(product.title)[:_TITLE].strip("-")
    return f"{title}-{_key_slug(product.key)}" if title else _key_slug(product.key)


def title_handle(product: Product) -> str:
    """The handle that its title alone would give, if any."""
    return _slug(product.title)


def _slug(text: str) -> str:
    """Words of small letters and digits; other scripts are spelled in Latin ones."""
    if not text.isascii():
        from slugify import slugify  # Few texts need it.

        text = slugify(text)
    return _NO_WORD.sub("-", text.lower()).strip("-")


def _key_slug(key: ProductKey) -> str:
    """A slug that no other key has."""
    plain = f"{key.source}{key.id}"
    if plain.isascii() and plain.isalnum() and plain == plain.lower():
        return f"{key.source}-{key.id}"
    slug = f"{_slug(key.source)}-{_slug(key.id)[:_TITLE]}".strip("-")
    return f"{slug}-{_mark(str(key))}"


def category_external_id(reference: Reference) -> str:
    """External id of a category of ours."""
    return f"{reference.source}:{reference.id}"


def category_handle(reference: Reference, *, unique: bool = False) -> str:
    """Handle of a category; a unique one where the plain one is taken."""
    slug = _slug(reference.id)
    if slug and not unique:
        return slug
    return f"{slug}-{_mark(category_external_id(reference))}".strip("-")


def _mark(text: str) -> str:
    return blake2b(text.encode(), digest_size=5).hexdigest()


def _joined(parts: list[str]) -> str:
    """Medusa takes a single value with a comma for several, but not one of two."""
    return "&".join(parts * 2 if len(parts) == 1 and "%2C" in parts[0] else parts)


def in_pieces(name: str, values: Iterable[str]) -> Iterator[str]:
    """Query strings that name each value, short enough for one address each.

    Values that fit into none are left out.
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
