"""An element as plain values: texts, lists and mappings.

`<price currency="EUR">9.99</price>` becomes `{"@currency": "EUR", "#text": "9.99"}`,
`<price>9.99</price>` becomes `"9.99"`, and children of the same name become a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

import attrs

from catalogsync.errors import InvalidValueError

__all__ = ["Element", "Names", "texts_in", "values_of"]

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

_MOST_ATTRIBUTES = 1000


@attrs.frozen
class Names:
    """Names of elements and attributes, with the prefixes of the settings.

    Attributes:
        prefixes: Prefix by namespace; others are as in the file.
    """

    prefixes: Mapping[str, str]
    _known: dict[tuple[str, str | None], str] = attrs.field(
        factory=dict[tuple[str, "str | None"], str], init=False, eq=False, repr=False
    )

    def of(self, element: Element) -> str:
        """The name of an element, such as `item` or `g:price`."""
        key = (element.tag, element.prefix)
        name = self._known.get(key)
        if name is None:
            name = self._known[key] = self._named(element.tag, element.prefix)
        return name

    def of_attribute(self, name: str, element: Element) -> str:
        """The name of an attribute, such as `@currency` or `@xml:lang`."""
        if name[0] != "{":
            return f"@{name}"
        space = name[1:].partition("}")[0]
        prefixes = [p for p, uri in element.nsmap.items() if uri == space and p]
        if space == "http://www.w3.org/XML/1998/namespace":
            prefixes = ["xml"]
        return f"@{self._named(name, prefixes[0] if prefixes else None)}"

    def _named(self, tag: str, prefix: str | None) -> str:
        space, brace, local = tag.rpartition("}")
        prefix = self.prefixes.get(space[1:], prefix or "") if brace else ""
        return f"{prefix}:{local}" if prefix else local


def values_of(element: Element, names: Names) -> Mapping[str, object]:
    """The values of a record.

    Raises:
        InvalidValueError: It has too many attributes, or an entity of a DTD.
    """
    values = _values(element, names)
    return {"#text": values} if isinstance(values, str) else values


def _values(element: Element, names: Names) -> str | dict[str, object]:
    if len(element.attrib) > _MOST_ATTRIBUTES:
        problem = f"`{names.of(element)}` has more than {_MOST_ATTRIBUTES} attributes"
        raise InvalidValueError("", problem)
    found: dict[str, object] = {
        names.of_attribute(name, element): value
        for name, value in element.attrib.items()
    }
    texts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            _add(found, names.of(child), _values(child, names))
        else:
            _check_entity(child)
        texts.append(child.tail or "")
    text = "".join(texts)
    if not found:
        return text
    if text and not text.isspace():
        found["#text"] = text
    return found


def _add(found: dict[str, object], name: str, value: object) -> None:
    """Add a child; children of the same name become a list."""
    if name not in found:
        found[name] = value
        return
    before = found[name]
    if isinstance(before, list):
        before.append(value)  # type: ignore[reportUnknownMemberType,unused-ignore]
    else:
        found[name] = [before, value]


def _check_entity(node: Element) -> None:
    name = getattr(node, "name", None)
    if name is not None and str(getattr(node, "text", "")).startswith("&"):
        problem = f"uses &{name};, which only a DTD explains, and DTDs are not read"
        raise InvalidValueError("", problem)


def texts_in(values: object) -> Iterator[tuple[str, str]]:
    """All texts with the name that they have."""
    stack: list[tuple[str, object]] = [("", values)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            items = cast("dict[str, object]", value).items()
            stack.extend(reversed(items))
        elif isinstance(value, list):
            inner = reversed(cast("list[object]", value))
            stack.extend((name, each) for each in inner)
