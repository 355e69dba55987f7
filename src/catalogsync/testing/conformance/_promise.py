"""What a promise is, and how one is checked, with pytest or without."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Generic, Literal, NoReturn, TypeAlias, TypeVar, cast

import attrs

from catalogsync.catalog.products import (
    Dimensions,
    Image,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.errors import BrokenPromiseError
from catalogsync.protocols import CheckResult
from catalogsync.testing.faults import FaultPlan

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")

DOCS = "docs/reference/adapters.md"
_HANGS = 60.0
_LONGEST = 1000
_WELL_FORMED = "well-formed"


@attrs.frozen
class Promise(Generic[K]):
    """Something that an adapter must do, and its check.

    Attributes:
        name: Its name, which is also its heading in `docs/reference/adapters.md`.
        text: The promise in one sentence.
        mend: How to keep it.
        check: Raises if it is broken.
    """

    name: str
    text: str
    mend: str
    check: Callable[[K], Awaitable[None]]


@attrs.frozen
class Result:
    """What became of one promise.

    Attributes:
        promise: The promise.
        status: Whether the adapter keeps it.
        seen: What was seen instead, or why it is not applicable.
    """

    promise: Promise[Any]
    status: Literal["kept", "broken", "not applicable"]
    seen: str = ""


class PromiseNotKeptError(AssertionError):
    """An adapter breaks a promise; the message says which, how, and what to do.

    Attributes:
        promise: The promise.
        seen: What the adapter did.
    """

    def __init__(self, promise: Promise[Any], seen: str) -> None:
        super().__init__(
            f"broken promise: {promise.name}\n"
            f"  {promise.text}\n"
            f"seen: {seen}\n"
            f"mend: {promise.mend}\n"
            f"docs: {DOCS}#{promise.name}"
        )
        self.promise = promise
        self.seen = seen


class NotApplicableError(Exception):
    """The adapter lacks an ability, or the test lacks the means."""


class _SeenError(Exception):
    """A check saw something that a promise rules out."""


def promise(
    into: list[Promise[K]], *, mend: str
) -> Callable[[Callable[[K], Awaitable[None]]], Callable[[K], Awaitable[None]]]:
    """Add a check to a list of promises.

    The name of the function is the name of the promise, its docstring the sentence.
    """

    def add(check: Callable[[K], Awaitable[None]]) -> Callable[[K], Awaitable[None]]:
        name = check.__name__.replace("_", "-")
        into.append(Promise(name, inspect.getdoc(check) or "", mend, check))
        return check

    return add


def broken(seen: str) -> NoReturn:
    """Say what was seen."""
    raise _SeenError(seen)


def expect(condition: object, seen: str) -> None:
    """Say what was seen, unless the condition holds."""
    if not condition:
        broken(seen)


def same(seen: object, expected: object, what: str) -> None:
    """Say what was seen unless two values are equal, and where they differ first."""
    if seen != expected:
        where, *both = _different(seen, expected)
        place = f"{what}{where}"
        broken("{}: {}, instead of {}".format(place, *map(_short, both)))


def _different(seen: Any, expected: Any) -> tuple[str, object, object]:
    """The first place at which two values differ, and what is there."""
    for place, one, other in _parts(seen, expected):
        if one != other:
            inner, first, second = _different(one, other)
            return f"{place}{inner}", first, second
    return "", seen, expected


def _parts(seen: Any, expected: Any) -> list[tuple[str, Any, Any]]:
    """The parts of two values of one shape, with their names; else nothing."""
    kind = cast("Any", type(seen))
    if kind is not type(expected):
        return []
    if attrs.has(kind):
        names: list[str] = [field.name for field in attrs.fields(kind)]
        return [(f", {n}", getattr(seen, n), getattr(expected, n)) for n in names]
    if kind is dict and seen.keys() == expected.keys():
        return [(f", {key}", seen[key], expected[key]) for key in seen]
    if kind in {list, tuple} and len(seen) == len(expected) > 1:
        pairs = enumerate(zip(seen, expected, strict=True))
        return [(f"[{at}]", *pair) for at, pair in pairs]
    return []


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def explained(results: Sequence[CheckResult]) -> None:
    """Say what was seen unless all results of a `check` are good and explained."""
    expect(results, "`check` returned no result")
    for result in results:
        expect(result.what and result.text.strip(), f"no explanation: {result}")
        expect(result.ok, f"not ok on the test system: {result.what}: {result.text}")


def example(key: ProductKey) -> Product:
    """The product that is written in most checks: one variant with a price in USD.

    It has every field but status, categories, tags, type and collection; `shape` leaves out what the sink
    has no place for.
    """
    price = Price(amount=Decimal("19.99"), currency="USD")
    variant = Variant(
        id="default",
        sku=f"{key.source}-{key.id}",
        barcode=f"bar-{key.source}-{key.id}",
        prices=[price],
        stock=[StockLevel(quantity=7)],
        weight=Decimal(240),
        dimensions=Dimensions(length=Decimal(9), height=Decimal(4)),
    )
    return Product(
        key=key,
        title=f"Kit product {key.id}",
        description="Written by catalogsync.testing.conformance.",
        brand="Kit",
        thumbnail="https://images.example/0.jpg",
        images=[Image(url=f"https://images.example/{n}.jpg") for n in range(2)],
        weight=Decimal(250),
        dimensions=Dimensions(length=Decimal(10), width=Decimal(20), height=Decimal(5)),
        subtitle="Made for checks",
        material="clay",
        hs_code="6912.00",
        origin_country="PT",
        mid_code="PTKIT42LIS",
        discountable=False,
        attributes={"glaze": "white"},
        variants=[variant],
    )


@attrs.frozen
class Setup(Generic[T_co]):
    """An adapter, and what a test can do to the system behind it.

    Attributes:
        adapter: The open source, sink or state store.
        faults: The faults of its test server, without any so far. With them, the kit
            checks what the adapter makes of bad answers.
        shift: For a source: removes the first record of the system, as happens to a list
            that is read while it changes.
        refused: For a sink: makes a product that the system refuses.
        example: For a sink: makes a product that the system accepts. Each key needs
            another SKU.
        secrets: Texts that must not appear in names, endpoints and errors.
    """

    adapter: T_co
    faults: FaultPlan | None = attrs.field(default=None, kw_only=True)
    shift: Callable[[], Awaitable[object]] | None = attrs.field(
        default=None, kw_only=True
    )
    refused: Callable[[ProductKey], Product] | None = attrs.field(
        default=None, kw_only=True
    )
    example: Callable[[ProductKey], Product] = attrs.field(
        default=example, kw_only=True
    )
    secrets: Sequence[str] = attrs.field(default=(), kw_only=True, repr=False)


Opener: TypeAlias = Callable[..., AsyncIterator[T | Setup[T]]]
"""An async generator function that yields one open adapter on an empty system."""


async def keep(promise: Promise[K], kit: K, all_of_them: Sequence[Promise[K]]) -> None:
    """Check one promise.

    Raises:
        PromiseNotKeptError: It is broken, or the adapter returns something malformed.
        NotApplicableError: It does not apply to this adapter.
    """
    try:
        async with asyncio.timeout(_HANGS):
            await promise.check(kit)
    except NotApplicableError:
        raise
    except _SeenError as error:
        raise PromiseNotKeptError(promise, str(error)) from None
    except BrokenPromiseError as error:
        formed = [each for each in all_of_them if each.name == _WELL_FORMED]
        raise PromiseNotKeptError(
            formed[0] if formed else promise, f"{error}"
        ) from None
    except TimeoutError as error:
        raise PromiseNotKeptError(promise, f"it takes {_HANGS:.0f} s") from error
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
        raise PromiseNotKeptError(promise, seen) from error


@attrs.frozen
class Suite(Generic[T, K]):
    """Promises, and what their checks need.

    Attributes:
        promises: The promises.
        kit: Makes what the checks work with.
    """

    promises: Sequence[Promise[K]]
    kit: Callable[[Setup[T]], K]

    async def check(
        self, promise: Promise[K], opener: Opener[T], with_: Mapping[str, Any]
    ) -> None:
        """Check one promise of a newly opened adapter."""
        generator = cast("Callable[..., AsyncGenerator[T | Setup[T]]]", opener)
        async with asynccontextmanager(generator)(**with_) as opened:
            setup = (
                cast("Setup[T]", opened) if isinstance(opened, Setup) else Setup(opened)
            )
            await keep(promise, self.kit(setup), self.promises)

    async def results(self, opener: Opener[T]) -> list[Result]:
        """Check all promises, each of a newly opened adapter."""
        return [await self._result(promise, opener) for promise in self.promises]

    async def _result(self, promise: Promise[K], opener: Opener[T]) -> Result:
        try:
            await self.check(promise, opener, {})
        except NotApplicableError as why:
            return Result(promise, "not applicable", str(why))
        except PromiseNotKeptError as error:
            return Result(error.promise, "broken", error.seen)
        return Result(promise, "kept")

    def as_test(self, opener: Opener[T]) -> Callable[..., None]:
        """A test function for pytest, with one case for each promise."""
        import pytest

        def test(promise: Promise[K], **fixtures: Any) -> None:
            try:
                asyncio.run(self.check(promise, opener, fixtures))
            except NotApplicableError as why:
                pytest.skip(f"not applicable: {why}")
            except PromiseNotKeptError as error:
                if error.__cause__ is not None:
                    raise  # with the traceback of the adapter
                pytest.fail(f"{error}", pytrace=False)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        named = inspect.signature(opener).parameters.values()
        parameters = [inspect.Parameter("promise", kind), *named]
        test.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            setattr(test, name, getattr(opener, name))
        names = [each.name for each in self.promises]
        mark = pytest.mark.parametrize("promise", self.promises, ids=names)
        return cast("Callable[..., None]", mark(test))
