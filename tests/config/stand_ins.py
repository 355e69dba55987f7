"""Settings classes of a small source and sink in memory."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs

from catalogsync import MemorySink, MisconfiguredError, Product, ProductKey, as_source
from catalogsync.adapters.memory import MemorySource
from catalogsync.config import Adapters


class Mode(enum.Enum):
    """How the stand-in works."""

    FAST = "fast"
    SAFE = "safe"


def _short(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(value) > 40:
        problem = f"{value} is too long"
        raise MisconfiguredError(attribute.name, problem)


@attrs.frozen(kw_only=True)
class Net:
    """How the network is used.

    Attributes:
        timeout: Seconds for one request.
        proxy: Address of a proxy.
    """

    timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    proxy: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ShelfSettings:
    """A shelf with products.

    More about it.

    Attributes:
        url: Where the shelf stands; it may
            be far away.
        name: Its name.
        size: Products on it.
        mode: How it works.
        strict: Whether it is strict.
        order: Which way round.
        tags: Words.
        labels: Words by name.
        folder: Where files are.
        net: The network.
    """

    url: str
    name: str = "shelf"
    size: int = attrs.field(default=2, validator=attrs.validators.ge(1))
    mode: Mode = Mode.FAST
    strict: bool = False
    order: Literal["up", "down"] = "up"
    tags: tuple[str, ...] = ()
    labels: Mapping[str, int] = attrs.field(factory=dict[str, int])
    folder: Path | None = None
    net: Net = attrs.field(factory=Net)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[MemorySource]:
        if self.url == "nowhere":
            raise MisconfiguredError("url", "leads nowhere")
        yield as_source(
            [
                Product(key=ProductKey(self.name, str(n)), title=f"Thing {n}")
                for n in range(1, self.size + 1)
            ],
            name=self.name,
        )


@attrs.frozen(kw_only=True)
class BoxSettings:
    """A box for products.

    Attributes:
        email: Who opens it.
        password: What opens it.
        api_key: What else does.
        nets: Several networks.
    """

    email: str
    password: str = attrs.field(repr=False, validator=_short)
    api_key: str = ""
    nets: Sequence[Net] = ()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[MemorySink]:
        yield MemorySink()


ADAPTERS = Adapters(sources={"shelf": ShelfSettings}, sinks={"box": BoxSettings})
