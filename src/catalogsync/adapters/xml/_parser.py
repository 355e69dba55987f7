"""Reading records from a stream of XML, one at a time and within bounds.

No DTD is read, entities are not expanded, and nothing is fetched. An element is gone from
memory when its end was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

import attrs

from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.files import Row
from catalogsync.protocols import CatalogVersion

from ._problems import check_data, damaged, nothing_found
from ._tree import TreeNodes
from ._values import Element, Names, values_of

__all__ = ["Parser", "Path", "pull_parser"]

_CHUNK = 1 << 16
_LARGEST_RECORD = 32 << 20
_MOST_ATTRIBUTES = 1000
_MOST_ELEMENTS = 100_000
_DEEPEST = 200
_PATHS = 1000
_CHECKED = 20
_LONGEST_TEXT = 10_000
_BMECAT, _WHOLE = "BMECAT", "T_NEW_CATALOG"
_MOST_DIGITS = 18


@attrs.frozen
class Path:
    """A path of names, from the root or from anywhere.

    Attributes:
        steps: The names; `*` stands for any.
        rooted: Whether it begins at the root.
        attribute: The attribute at its end; empty: the text of the element.
    """

    steps: tuple[str, ...]
    rooted: bool
    attribute: str = ""

    @classmethod
    def parse(cls, text: str) -> Path:
        """The path that a text such as `channel/item` or `/feed/@lang` stands for."""
        elements, _, attribute = text.partition("/@")
        steps = tuple(elements.removeprefix("/").split("/"))
        return cls(steps, text.startswith("/"), attribute and f"@{attribute}")

    def matches(self, names: Sequence[str]) -> bool:
        """Whether it leads to the last of these nested elements."""
        count = len(self.steps)
        if count > len(names) or (self.rooted and count != len(names)):
            return False
        pairs = zip(self.steps, names[-count:], strict=True)
        return all(step in {"*", name} for step, name in pairs)


@attrs.define(kw_only=True)
class Parser:
    """Reads one file.

    Attributes:
        place: The file, for messages.
        records: Paths of the records.
        outside: Paths of texts outside of records, by name.
        names: Names of elements.
        complete: Whether the file must have the whole catalogue.
        after_version: Version of the catalogue that an update must follow; None: the
            one that the job applied last.
        tree: The nodes of a tree of categories, and their paths; None: there is none.
        found: What stands outside of records: texts so far and, after the last record,
            the paths of the tree, as `category_tree`.
        version: Version of a BMEcat catalogue, once it was read; None: it has none.
    """

    place: str
    records: Sequence[Path]
    outside: Mapping[str, Path]
    names: Names
    complete: bool = True
    after_version: int | None = None
    tree: tuple[TreeNodes, Sequence[Path]] | None = None
    found: dict[str, object] = attrs.field(factory=dict[str, object], init=False)
    version: CatalogVersion | None = attrs.field(default=None, init=False)
    _is_node: bool = attrs.field(default=False, init=False)
    _stack: list[str] = attrs.field(factory=list[str], init=False)
    _inside: bool = attrs.field(default=False, init=False)
    _depth: int = attrs.field(default=0, init=False)
    _elements: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=0, init=False)
    _begun: int = attrs.field(default=0, init=False)
    _fed: int = attrs.field(default=0, init=False)
    _seen: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def parse(self, stream: IO[bytes]) -> Iterator[Row]:
        """The records, in the order of the file.

        Raises:
            MisconfiguredError: The file is damaged, a template, or an update that is
                out of order; or it has no such records.
        """
        etree: Any = import_module("lxml.etree")
        parser = pull_parser()
        try:
            while chunk := stream.read(_CHUNK):
                parser.feed(chunk)
                self._fed += len(chunk)
                yield from self._taken(parser)
                self._check_size()
            parser.close()
            yield from self._taken(parser)
        except etree.XMLSyntaxError as error:
            raise damaged(self.place, error) from None
        if self.tree is not None:
            self.found["category_tree"] = self.tree[0].paths()
        if not self._count:
            paths = ["/" * path.rooted + "/".join(path.steps) for path in self.records]
            raise nothing_found(self.place, paths, self._seen)

    def _taken(self, parser: Any) -> Iterator[Row]:
        for event, element in parser.read_events():
            if event == "start":
                self._start(element)
            elif (record := self._end(element)) is not None:
                yield record

    def _start(self, element: Element) -> None:
        if self._inside:
            self._depth += 1
            self._elements += 1
            self._check_inside(element)
            return
        if not self._stack:
            self._check_root(element)
        self._check_attributes(element)
        self._stack.append(self.names.of(element))
        if len(self._stack) > _DEEPEST:
            raise self._too_deep(element)
        if len(self._stack) == 2:
            self._check_version(element)
        is_record = any(path.matches(self._stack) for path in self.records)
        nodes = self.tree[1] if self.tree is not None and not is_record else ()
        self._is_node = any(path.matches(self._stack) for path in nodes)
        if is_record or self._is_node:
            self._inside, self._begun = True, self._fed
            self._depth = self._elements = 0

    def _end(self, element: Element) -> Row | None:
        """Take a record out of the tree, or a text outside of records."""
        if self._depth:
            self._depth -= 1
            return None
        record = None
        if self._inside:
            self._inside = False
            if self._is_node:
                self._keep_node(element)
            else:
                record = self._record(element)
        else:
            self._note(element)
        self._stack.pop()
        _forget(element)
        return record

    def _record(self, element: Element) -> Row:
        self._count += 1
        where = f"{self._stack[-1]} {self._count}, line {element.sourceline}"
        try:
            values = values_of(element, self.names)
        except InvalidValueError as error:
            return Row(where, {}, error.problem)
        if self._count <= _CHECKED:
            check_data(self.place, where, values)
        return Row(where, values)

    def _keep_node(self, element: Element) -> None:
        """Keep a node of the tree; one with an entity of a DTD is left out."""
        if self.tree is not None:
            with suppress(InvalidValueError):
                self.tree[0].add(values_of(element, self.names))

    def _note(self, element: Element) -> None:
        """Keep a text outside of records, and the path for messages."""
        for name, path in self.outside.items():
            if path.matches(self._stack):
                text = self._text(element, path.attribute)
                if text is not None:
                    self.found[name] = text[:_LONGEST_TEXT]
        if not self._count and len(self._seen) < _PATHS:
            self._seen["/".join(self._stack)] += 1

    def _text(self, element: Element, attribute: str) -> str | None:
        if not attribute:
            return None if element.text is None else str(element.text)
        for name, value in element.attrib.items():
            if self.names.of_attribute(name, element) == attribute:
                return str(value)
        return None

    def _check_root(self, element: Element) -> None:
        dtd = element.getroottree().docinfo.internalDTD
        entities = [] if dtd is None else [entity.name for entity in dtd.entities()]
        if entities:
            problem = (
                f"{self.place} declares entities of its own (&{entities[0]};), which are"
                " not accepted, because they can hide any amount of data or read files"
            )
            raise MisconfiguredError("location", problem)

    def _check_version(self, element: Element) -> None:
        """Note the version of a BMEcat catalogue, or of an update of one.

        A whole catalogue begins at 0, and each update counts one further.
        """
        root, kind = (name.rpartition(":")[2] for name in self._stack)
        text = element.attrib.get("prev_version")
        if text is None:
            if (root, kind) == (_BMECAT, _WHOLE):
                self.version = CatalogVersion(number="0", name=self.place)
            return
        before = str(text).strip()
        if not before.isascii() or not before.isdigit() or len(before) > _MOST_DIGITS:
            problem = f"{self.place}: prev_version must be a number, is {before[:20]!r}"
            raise MisconfiguredError("location", problem)
        before = str(int(before))
        self._check_update(f"{self.place} is an update ({kind})", before)
        self.version = CatalogVersion(
            number=str(int(before) + 1),
            follows=before if self.after_version is None else None,
            name=f"{self.place} ({kind})",
            override="after_version",
        )

    def _check_update(self, update: str, before: str) -> None:
        """Refuse an update that the settings do not accept."""
        given = self.after_version
        if given is None and self.complete:
            problem = (
                f"must be false: {update} for version {before}, not a whole catalogue"
            )
            raise MisconfiguredError("complete", problem)
        if given is not None and before != str(given):
            problem = (
                f"{update} for version {before}, not for version {given}; remove"
                " `after_version`, unless you mean to apply an update out of order"
            )
            raise MisconfiguredError("after_version", problem)

    def _check_attributes(self, element: Element) -> None:
        if len(element.attrib) > _MOST_ATTRIBUTES:
            raise self._too_large(f"line {element.sourceline} has too many attributes")

    def _check_inside(self, element: Element) -> None:
        if self._depth > _DEEPEST:
            raise self._too_deep(element)
        if self._elements > _MOST_ELEMENTS:
            problem = f"`{self._stack[-1]}` has over {_MOST_ELEMENTS} elements"
            raise self._too_large(problem)

    def _check_size(self) -> None:
        if self._inside and self._fed - self._begun > _LARGEST_RECORD:
            most = _LARGEST_RECORD >> 20
            raise self._too_large(f"`{self._stack[-1]}` has over {most} MB")

    def _too_deep(self, element: Element) -> MisconfiguredError:
        problem = f"elements nested deeper than {_DEEPEST} in line {element.sourceline}"
        return self._too_large(problem)

    def _too_large(self, problem: str) -> MisconfiguredError:
        return MisconfiguredError("location", f"{self.place}: {problem}")


def pull_parser() -> Any:
    """A parser of lxml that is fed piece by piece, and neither expands nor fetches."""
    etree: Any = import_module("lxml.etree")
    return etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _forget(element: Element) -> None:
    """Free an element that was read, and those before it."""
    element.clear()
    parent = element.getparent()
    if parent is None:
        return
    while element.getprevious() is not None:
        del parent[0]
