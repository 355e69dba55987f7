"""A server in a process of its own: ``python -m benchmarks.serving source``.

Prints one line of JSON when it is ready. It then answers lines of JSON on its
standard input as ``examples/medusa-store`` does, and ends with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from catalogsync.testing import dummyjson_app, iter_catalog, serve
from catalogsync.testing.medusa import fake_medusa


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("kind", choices=["source", "store"])
    parser.add_argument("--products", type=int, default=194)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.kind == "source":
        asyncio.run(_source(options.products, options.file))
    else:
        asyncio.run(_store())


async def _source(products: int, file: Path | None) -> None:
    app = dummyjson_app(iter_catalog(products) if file is None else _of_file(file))
    async with serve(app) as url:
        await _obey({"url": url}, {})


def _of_file(file: Path) -> list[dict[str, Any]]:
    """Products, or an answer of DummyJSON that holds them."""
    content: Any = json.loads(file.read_text(encoding="utf-8"))
    return cast(
        "list[Any]", content if isinstance(content, list) else content["products"]
    )


async def _store() -> None:
    async with fake_medusa() as medusa:
        told = {
            "url": medusa.url,
            "email": medusa.email,
            "password": medusa.password,
            "sales_channel_id": medusa.sales_channel_id,
            "shipping_profile_id": medusa.shipping_profile_id,
            "stock_location_id": medusa.stock_location_id,
        }
        await _obey(told, {"empty": medusa.state.clear})


async def _obey(told: dict[str, Any], commands: dict[str, Callable[[], None]]) -> None:
    _say(told)
    while line := await asyncio.to_thread(sys.stdin.readline):
        trigger = json.loads(line)["do"]
        commands[trigger]()
        _say({"done": trigger})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
