"""A product as a line of JSON and back; nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync.catalog.convert import product_from_json, product_to_json
from catalogsync.catalog.products import Json, Product, ProductKey
from catalogsync.errors import InvalidValueError

__all__ = ["Line", "Place", "digest_of_line", "key_of", "parse"]

Place: TypeAlias = tuple[str, str]
"""Source and id of a key; of a line without a key, no source and a name for it."""

_KEY_FIRST = re.compile(rb'\{"key":("(?:[^"\\]|\\.)*")')
_FORM = b"jsonl 1"
"""Another one whenever the same line reads as another product."""
_NAMES = {"key", "last_applied", "product", "released"}


@attrs.frozen(kw_only=True)
class Line:
    """One line.

    Attributes:
        key: The product's key; None: it was released.
        tree: The product without its key, as JSON; perhaps not valid.
        last_applied: The last-applied state.
        released: For a line without a key: the key that it had.
    """

    key: ProductKey | None
    tree: Mapping[str, Json]
    last_applied: str | None = None
    released: str | None = None

    @classmethod
    def of(cls, product: Product, last_applied: str | None) -> Line:
        """The line of a product."""
        tree = product_to_json(product)
        del tree["key"]
        return cls(key=product.key, tree=tree, last_applied=last_applied)

    @property
    def product(self) -> Product:
        """The product.

        Raises:
            InvalidValueError: It is not valid, or the line has no key.
        """
        if self.key is None:
            raise InvalidValueError("key", "is missing")
        key = {"source": self.key.source, "id": self.key.id}
        return product_from_json({"key": key, **self.tree})

    def dumped(self) -> bytes:
        """The line as bytes, always the same for the same product; ends in a newline."""
        tree: dict[str, Any] = {"key": None if self.key is None else str(self.key)}
        if self.last_applied is not None:
            tree["last_applied"] = self.last_applied
        tree["product"] = _sorted(self.tree)
        if self.released is not None:
            tree["released"] = self.released
        text = json.dumps(
            tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode() + b"\n"


def _sorted(value: Any, name: str = "") -> Any:
    """A value with sorted names; options stay in order, since stores show them so."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        names = items if name == "options" else sorted(items)
        return {each: _sorted(items[each], each) for each in names}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in cast("list[Any]", value)]
    return value


def parse(data: bytes) -> Line:
    """Read a line; its product is not checked yet.

    Raises:
        InvalidValueError: It is not such a line.
    """
    try:
        tree: Any = json.loads(data.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {error.start + 1} is wrong"
        raise InvalidValueError("", problem) from None
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at character {error.pos + 1}"
        raise InvalidValueError("", problem) from None
    except RecursionError:
        raise InvalidValueError("", "is nested too deeply") from None
    except ValueError as error:
        raise InvalidValueError("", f"is not JSON: {error}") from None
    return _line(tree)


def digest_of_line(data: bytes) -> bytes:
    """A digest that changes with anything that a line says."""
    return digest_of(_FORM, data)


def key_of(data: bytes) -> ProductKey | None:
    """The key of a line; a line as the sink writes it is not read any further.

    Raises:
        InvalidValueError: It is not such a line.
    """
    if found := _KEY_FIRST.match(data):
        try:
            return ProductKey.parse(json.loads(found[1].decode()))
        except ValueError:
            pass  # reading all of it says what is wrong
    return parse(data).key


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


def _line(tree: Any) -> Line:
    if not isinstance(tree, dict):
        raise InvalidValueError("", "is not a JSON object")
    names = cast("dict[str, Any]", tree)
    if others := sorted(names.keys() - _NAMES):
        problem = f"`{others[0][:40]}` is unknown; a line has {_listed()}"
        raise InvalidValueError("", problem)
    if missing := [name for name in ("key", "product") if name not in names]:
        raise InvalidValueError(missing[0], "is missing")
    for name in ("key", "last_applied", "released"):
        if not isinstance(names.get(name), str | None):
            raise InvalidValueError(name, "must be text")
    product, key = names["product"], names["key"]
    if not isinstance(product, dict):
        raise InvalidValueError("product", "must be an object")
    try:
        parsed = None if key is None else ProductKey.parse(key)
    except InvalidValueError as error:
        raise error.under("key") from None
    return Line(
        key=parsed,
        tree=cast("dict[str, Json]", product),
        last_applied=names.get("last_applied"),
        released=names.get("released"),
    )


def _listed() -> str:
    return ", ".join(f"`{name}`" for name in sorted(_NAMES))
