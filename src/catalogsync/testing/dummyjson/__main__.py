"""Run a DummyJSON server: ``python -m catalogsync.testing.dummyjson``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from catalogsync.testing.catalog import Record, iter_catalog
from catalogsync.testing.servers import serve

from . import dummyjson_app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        what = error.filename or f"port {options.port}"
        parser.error(f"{what}: {error.strerror}")
    except (ValueError, KeyError, TypeError) as error:
        parser.error(f"{options.file}: has no products ({error})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m catalogsync.testing.dummyjson",
        description="Serve products as dummyjson.com does, on this machine only.",
    )
    add = parser.add_argument
    add("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    add("--products", type=int, default=194, help="how many to make (default: 194)")
    add("--seed", type=int, default=0, help="makes other products (default: 0)")
    add("--variants", action="store_true", help="give some products variants")
    add("--file", type=Path, help="serve the products of this JSON file instead")
    add("--rate-limit", action="store_true", help="allow 100 requests in 10 seconds")
    return parser


def _records(options: argparse.Namespace) -> Iterable[Record]:
    if options.file is None:
        return iter_catalog(
            options.products, seed=options.seed, variants=options.variants
        )
    content: Any = json.loads(options.file.read_text(encoding="utf-8"))
    # Either the file of the real project, or an answer of its server.
    if not isinstance(content, list):
        content = content["products"]
    return cast("list[Record]", content)


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    app = dummyjson_app(_records(options), rate_limit=options.rate_limit)
    async with serve(app, port=options.port) as url:
        sys.stdout.write(f"DummyJSON at {url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
