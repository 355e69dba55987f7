"""Runs the code in `README.md` and `docs`, so that what stands there works.

A `python` block is executed; the blocks of a page share their names. An `output`
block is held against what the `python` block before it printed, times, numbers of
requests and the line of measurements aside. A `toml` block is loaded as a
configuration. The commands in a `console` block are parsed, so that none has an option
that does not exist.

Each page works in an empty folder, beside a DummyJSON server and a Medusa store of
its own; their addresses and credentials are in environment variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import shlex
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import click
import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser, SkipParser

ENVIRONMENT = {
    "DUMMYJSON_URL": "http://127.0.0.1:8080",
    "MEDUSA_URL": "http://127.0.0.1:9000",
    "MEDUSA_EMAIL": "admin@example.com",
    "MEDUSA_PASSWORD": "supersecret",
    "MEDUSA_API_KEY": "sk_secret",
    "STOREFRONT_SECRET": "whsec_c3RvcmVmcm9udC1zZWNyZXQtMDEyMzQ1Njc=",
    "SEARCH_SECRET": "whsec_c2VhcmNoLXNlY3JldC0wMTIzNDU2Nzg5MDEyMw==",
}
_CHANGING = (r"\d+\.\d+ s\b", r"\d+ products/s", r"\d+ requests", r"run [0-9a-f]{12}")
_MEASURED = r"\n  calls \(p50/p95/p99\): .*"
_run_python = PythonEvaluator()


def run_python(example: Example) -> None:
    """Execute a block and keep what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        _run_python(example)
    example.namespace["_printed"] = printed.getvalue()


def compare_output(example: Example) -> str | None:
    """Hold a block against what was printed last."""
    printed, told = example.namespace.pop("_printed"), str(example.parsed)
    printed, told = (re.sub(_MEASURED, "", text) for text in (printed, told))
    for pattern in _CHANGING:
        printed, told = (re.sub(pattern, "(...)", text) for text in (printed, told))
    printed, told = printed.strip(), told.strip()
    if told.endswith("\n..."):  # the rest is left out
        told = told.removesuffix("...")
        printed = printed[: len(told)]
    return None if printed == told else f"printed:\n{printed}"


def load_toml(example: Example) -> None:
    """Load a block as a configuration, if it has jobs."""
    from catalogsync.config import load_config

    if "jobs" in tomllib.loads(example.parsed):
        file = Path("block.toml")
        file.write_text(example.parsed, encoding="utf-8")
        load_config(file, environ=ENVIRONMENT)


def parse_commands(example: Example) -> None:
    """See to it that each call of the command line is one that it understands."""
    from catalogsync.cli._commands import cli

    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if not line.startswith("$ ") or "catalogsync" not in words[:1]:
            continue
        at = next((n for n, w in enumerate(words) if w in cli.commands), len(words))
        with contextlib.suppress(click.exceptions.Exit):
            context = cli.make_context("catalogsync", words[1 : at + 1])
            name = words[at]
            cli.commands[name].make_context(name, words[at + 1 :], parent=context)


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Serve DummyJSON and Medusa from a thread; gives the environment."""
    from catalogsync.testing import dummyjson_server, generate_catalog
    from catalogsync.testing.medusa import fake_medusa

    ready: Future[dict[str, str]] = Future()
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with (
            dummyjson_server(generate_catalog()) as source,
            fake_medusa() as store,
        ):
            ready.set_result(
                {
                    "DUMMYJSON_URL": source.url,
                    "MEDUSA_URL": store.url,
                    "MEDUSA_EMAIL": store.email,
                    "MEDUSA_PASSWORD": store.password,
                    "MEDUSA_API_KEY": store.api_key,
                }
            )
            await stopped.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        yield ready.result(timeout=30)
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


@contextlib.contextmanager
def page() -> Iterator[None]:
    """What a page of the documentation runs in."""
    with (
        servers() as environment,
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        examples = Path(__file__).with_name("examples")
        shutil.copy(examples / "catalogsync.toml", folder)
        yield


def setup(namespace: dict[str, Any]) -> None:
    """Begin a page."""
    stack = contextlib.ExitStack()
    stack.enter_context(page())
    namespace.update(__name__="docs", _stack=stack)


def teardown(namespace: dict[str, Any]) -> None:
    """End a page."""
    namespace["_stack"].close()


pytest_collect_file = Sybil(
    parsers=[
        SkipParser(),
        CodeBlockParser("python", run_python),
        CodeBlockParser("output", compare_output),
        CodeBlockParser("toml", load_toml),
        CodeBlockParser("console", parse_commands),
    ],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    excludes=["*/README.md"],
    setup=setup,
    teardown=teardown,
).pytest()
