"""A sink as a third party would ship it, for the tests of the command line.

The tests put it into a folder with entry points of its own, so that the command
line finds it as it finds any other. It keeps its products in a file.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from catalogsync import (
    BatchRefusedError,
    Change,
    Field,
    Limits,
    MemorySink,
    Outcome,
    Product,
    ProductKey,
    TransientError,
    UnauthorizedError,
)
from catalogsync.catalog.changes import Found
from catalogsync.protocols import CheckResult


@attrs.frozen(kw_only=True)
class ShopSettings:
    """A shop in a file.

    Attributes:
        file: Where the products are.
        password: What opens it.
        mode: What it does wrong.
        batch: Products in one batch.
    """

    file: Path
    password: str = attrs.field(repr=False, default="")
    mode: str = ""
    batch: int = 2

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Shop | MemorySink]:
        if self.mode == "locked":
            raise UnauthorizedError(f"the shop does not take {self.password}")
        if self.mode == "slow":
            await _hang()
        sink = MemorySink(
            limits=Limits(batch=self.batch, find=self.batch, collides=True)
        )
        if self.file.exists():
            sink.products, sink.last_applied = pickle.loads(self.file.read_bytes())
        try:
            yield sink if self.mode == "plain" else Shop(self, sink)
        finally:
            if sink.products:
                self.file.write_bytes(pickle.dumps((sink.products, sink.last_applied)))
        if self.mode == "shut":
            raise TransientError("the shop does not close")


@attrs.define
class Shop:
    """The sink."""

    settings: ShopSettings
    inner: MemorySink
    name: str = "shop"

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        return await self.inner.find(desired, fields=fields)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        match self.settings.mode:
            case "hold":
                await _hang()
            case "picky" if any(c.key.id == "2" for c in changes):
                culprits = {c.key: "not this" for c in changes if c.key.id == "2"}
                raise BatchRefusedError("no", said="\x1b[31mno!", culprits=culprits)
            case "defect" if self.inner.products:
                password = self.settings.password
                raise RuntimeError(f"cannot write with {password}")
            case _:
                pass
        return await self.inner.write(changes)

    async def check(self) -> Sequence[CheckResult]:
        good = self.settings.mode != "bad"
        return [
            CheckResult(ok=good, what="till", text=f"password {self.settings.password}")
        ]


async def _hang() -> None:
    sys.stderr.write("the shop is busy\n")
    sys.stderr.flush()
    await asyncio.Event().wait()
