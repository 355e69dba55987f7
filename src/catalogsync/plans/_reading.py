"""Reading a plan file, and its products as a source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar, cast

import attrs

from catalogsync.catalog.changes import (
    Action,
    Reference,
    ReferenceKind,
)
from catalogsync.catalog.convert import (
    product_from_json,
    strict_converter,
    structured,
)
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.protocols import Cursor, Page

from ._heads import VERSION, PlanHead, checksum

__all__ = ["Plan", "PlanSource"]

T = TypeVar("T")

_PAGE = 200


@attrs.frozen(kw_only=True)
class Plan:
    """A plan file without its products, which stay in the file.

    Attributes:
        path: Path of the file.
        head: What the plan is for.
        changes: Action and fingerprint for each product.
        references: Fingerprint for each category or tag.
        excluded: Products of the file that are not part of the plan.
    """

    path: Path
    head: PlanHead
    changes: Mapping[ProductKey, tuple[Action, str]]
    references: Mapping[Reference, str]
    excluded: frozenset[ProductKey] = frozenset()

    def without(self, keys: Iterable[ProductKey]) -> Plan:
        """The plan without these products.

        Raises:
            MisconfiguredError: It has no change for one of them.
        """
        excluded = frozenset(keys)
        for key in excluded - self.changes.keys():
            raise MisconfiguredError(str(key), "the plan has no change of this product")
        rest = {k: v for k, v in self.changes.items() if k not in excluded}
        return attrs.evolve(self, changes=rest, excluded=self.excluded | excluded)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan file and check that it is complete and unchanged.

        Raises:
            MisconfiguredError: It cannot be read, is not a plan, is cut or was changed;
                names the line.
        """
        reading, number = _Reading(), 0
        for number, text, line in _lines(path):
            try:
                reading.take(text, line)
            except ValueError as error:
                raise _not_a_plan(path, number, error) from None
        if reading.head is None or not reading.ended:
            where = f"{path}, line {number + 1}"
            raise MisconfiguredError(where, "is missing: the plan was cut")
        return cls(
            path=path,
            head=reading.head,
            changes=reading.changes,
            references=reading.references,
        )


@attrs.frozen
class _ProductLine:
    key: ProductKey
    action: Action
    based_on: str


@attrs.frozen
class _Part:
    id: str
    name: str


@attrs.frozen
class _ReferenceLine(_Part):
    line: ReferenceKind
    based_on: str
    within: tuple[_Part, ...] = ()

    def reference(self, source: str) -> Reference:
        """The category or tag, below its ancestors."""
        found: Reference | None = None
        for part in (*self.within, self):
            found = Reference(
                kind=self.line, source=source, id=part.id, name=part.name, parent=found
            )
        return cast("Reference", found)


@attrs.define
class _Reading:
    """The lines of a plan that were read so far."""

    head: PlanHead | None = None
    changes: dict[ProductKey, tuple[Action, str]] = attrs.field(
        factory=dict[ProductKey, tuple[Action, str]]
    )
    references: dict[Reference, str] = attrs.field(factory=dict[Reference, str])
    ended: bool = False
    _check: blake2b = attrs.field(factory=checksum)

    def take(self, text: bytes, line: Mapping[str, object]) -> None:
        """Take one line.

        Raises:
            ValueError: It is not a valid line, or not expected here.
        """
        match ("" if self.ended else line.get("line")), self.head:
            case "plan", None:
                if line.get("version") != VERSION:
                    problem = "was made by another version; make a new plan"
                    raise InvalidValueError("version", problem)
                self.head = _structured(line, PlanHead)
            case "product", PlanHead():
                product = _structured(line, _ProductLine)
                self.changes[product.key] = product.action, product.based_on
            case "category" | "tag" | "type" | "collection", PlanHead(source=source):
                found = _structured(line, _ReferenceLine)
                self.references[found.reference(source)] = found.based_on
            case "end", PlanHead():
                if line.get("check") != self._check.hexdigest():
                    raise InvalidValueError("check", "the lines before were changed")
                self.ended = True
            case _:
                problem = f"{line.get('line')!r} is not expected here"
                raise InvalidValueError("line", problem)
        self._check.update(text)


def _structured(line: Mapping[str, object], cls: type[T]) -> T:
    return structured(_converter(), line, cls)


_converter = cache(strict_converter)


def _lines(
    path: Path, number: int = 0, place: int = 0
) -> Iterator[tuple[int, bytes, dict[str, object]]]:
    """Each line with its number, as bytes and parsed.

    Args:
        path: Path of the file.
        number: Number of lines read before.
        place: Offset at which these lines end.
    """
    try:
        with path.open("rb") as file:
            file.seek(place)
            for text in file:
                number += 1
                yield number, text, _parsed(path, number, text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise MisconfiguredError(str(path), problem) from None


def _parsed(path: Path, number: int, text: bytes) -> dict[str, object]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_a_plan(path, number, error) from None
    if not isinstance(line, dict):
        raise _not_a_plan(path, number, "not a JSON object")
    return cast("dict[str, object]", line)


def _not_a_plan(path: Path, number: int, why: object) -> MisconfiguredError:
    return MisconfiguredError(
        f"{path}, line {number}", f"is not a line of a plan: {why}"
    )


@attrs.frozen
class PlanSource:
    """The products of a plan as a source, without those to be removed.

    Attributes:
        plan: The plan.
    """

    plan: Plan

    @property
    def name(self) -> str:
        """Name of the source that the plan was made from."""
        return self.plan.head.source

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read some lines; the cursor is the number of lines read and their end.

        Raises:
            MisconfiguredError: The file changed, or a line has no valid product.
        """
        products: list[Product] = []
        before, place = map(int, (cursor or "0 0").split())
        for number, text, line in _lines(self.plan.path, before, place):
            place += len(text)
            if line.get("line") == "product" and "product" in line:
                try:
                    product = product_from_json(line["product"])
                except InvalidValueError as error:
                    raise _not_a_plan(self.plan.path, number, error) from None
                if product.key in self.plan.excluded:
                    continue
                products.append(product)
                if len(products) == _PAGE:
                    return Page(products=products, next=(f"{number} {place}",))
        return Page(products=products)
