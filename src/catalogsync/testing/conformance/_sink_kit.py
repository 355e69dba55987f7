"""What the checks of sinks work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast
from uuid import uuid4

import attrs

from catalogsync.adapters.memory import as_source
from catalogsync.catalog.changes import Change, Existing, Found, ReferenceChange, Write
from catalogsync.catalog.outcomes import Again, Outcome
from catalogsync.catalog.products import Field, Product, ProductKey
from catalogsync.engine import Options, Sync, promises
from catalogsync.errors import RefusedError
from catalogsync.protocols import NormalizingSink, Sink
from catalogsync.report import Report
from catalogsync.retry import RetryPolicy

from ._promise import NotApplicableError, Setup, broken, expect, same

T = TypeVar("T")

ALL = frozenset(Field)
_RETRY = RetryPolicy(attempts=4, wait_initial=0, wait_jitter=0)


@attrs.frozen
class SinkKit:
    """A sink to check, and a source name that nobody else uses."""

    setup: Setup[Sink]
    source: str = attrs.field(factory=lambda: f"kit-{uuid4().hex[:12]}")

    @property
    def sink(self) -> Sink:
        return self.setup.adapter

    async def prepare(self) -> None:
        """Write the product that `ask` asks for."""
        await self.put(self.product())

    async def ask(self) -> None:
        """Ask the system something."""
        await self.found(self.product())

    def able(self, kind: Callable[..., T], method: str) -> T:
        """The sink, if it has an ability, given as a protocol."""
        sink: Any = self.sink
        if not isinstance(sink, cast("type[T]", kind)):
            raise NotApplicableError(f"it has no `{method}`")
        return sink

    def key(self, id_: str) -> ProductKey:
        return ProductKey(self.source, id_)

    def product(self, id_: str = "1", **values: Any) -> Product:
        return attrs.evolve(self.setup.example(self.key(id_)), **values)

    def some(self, number: int, prefix: str = "") -> list[Product]:
        return [self.product(f"{prefix}{n}") for n in range(number)]

    async def found(
        self, *products: Product, fields: frozenset[Field] = ALL
    ) -> dict[ProductKey, Found]:
        """What the sink has for these products, except those that `shape` refuses."""
        shaped = [each for product in products for each in self.shaped(product)]
        return dict(await promises.find(self.sink, shaped, fields))

    def shaped(self, product: Product) -> list[Product]:
        """The product as the sink can hold it, or nothing if `shape` refuses it."""
        if not isinstance(self.sink, NormalizingSink):
            return [product]
        try:
            return [promises.shape(self.sink, product)]
        except RefusedError:
            return []

    async def existing(self, product: Product) -> Existing:
        """What the sink has for a product that was written."""
        found = (await self.found(product)).get(product.key)
        if not isinstance(found, Existing):
            broken(f"`find` returned {found} for {product.key}, which was written")
        return found

    def job(self, products: Sequence[Product], sink: Sink | None, **more: Any) -> Sync:
        options = Options(retry=_RETRY, grace=0, give_up_products=1000, **more)
        return Sync(
            as_source(products, name=self.source), sink or self.sink, options=options
        )

    async def run(
        self, products: Sequence[Product], sink: Sink | None = None, **more: Any
    ) -> Report:
        """Sync these products, whatever comes of it."""
        return await self.job(products, sink, **more).run()

    async def put(
        self, *products: Product, sink: Sink | None = None, **more: Any
    ) -> Report:
        """Sync these products; all must be in the sink afterwards."""
        report = await self.run(products, sink, **more)
        counts = report.counts
        arrived = counts.created + counts.updated + counts.unchanged
        for outcome in report.failures[:1]:
            broken(
                f"{outcome}; if the system accepts no such product, let `Setup.example`"
                " make one that it accepts"
            )
        expect(arrived == len(products), f"the run ended as {report}")
        return report

    async def changes(self, *products: Product) -> list[Any]:
        """What a run would write; nothing is written."""
        shown: list[Change | ReferenceChange] = []
        await self.job(products, None).plan(shown.append)
        return [each for each in shown if isinstance(each, Write)]

    async def write(self, changes: Sequence[Change]) -> list[Outcome | Again]:
        """Write as the engine does, in one call; each change must get an answer."""
        valid, problem = await promises.write(self.sink, changes)
        if problem is not None:
            raise problem
        return [*valid]

    async def idle(self, *products: Product, after: str = "") -> None:
        """One more run must have nothing to do."""
        left = await self.changes(*products)
        named = [
            f"{c.action.value} {c.key} ({', '.join(sorted(f.value for f in c.fields))})"
            for c in left[:3]
        ]
        expect(not left, f"{after or 'afterwards'}, a run would still {named}")
        found = await self.found(*products)
        there = [p for p in products if isinstance(found.get(p.key), Existing)]
        same(
            len(there), len(products), f"{after or 'afterwards'}, products in the sink"
        )
