"""Writes `reference/adapters.md`: what each of our adapters can do and keeps.

`python docs/adapters.py > docs/reference/adapters.md` runs the kit of
`catalogsync.testing.conformance` on every adapter that needs no other program.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conformance import adapters

from catalogsync.protocols import abilities
from catalogsync.testing.conformance import (
    SINK_SUITE,
    SOURCE_SUITE,
    STATE_SUITE,
    Result,
    Setup,
    Suite,
)

_HEAD = """# Adapters and their promises

What our adapters can do, and which promises they keep. `catalogsync.testing.conformance` checks the promises, for [your adapter](../adapter-authors.md#test-your-adapter) too. This page is made by `docs/adapters.py` from its results; a test keeps it equal. The same checks pass on PostgreSQL and on a real Medusa.

In the tables, ✓ is a promise that the adapter keeps, and n/a one that does not apply to it: it lacks the ability, or the test system lacks the means. Below each table is the reason.
"""
_MARKS = {"kept": "✓", "broken": "**broken**", "not applicable": "n/a"}


@attrs.frozen
class Kind:
    """Adapters of one kind.

    Attributes:
        title: What they are.
        suite: Their promises.
        openers: How each is opened, by name.
    """

    title: str
    suite: Suite[Any, Any]
    openers: Mapping[str, Any]


KINDS = [
    Kind(
        "Sources",
        SOURCE_SUITE,
        {
            "memory": adapters.list_of_products,
            "dummyjson": adapters.dummyjson,
            "json_api": adapters.json_api,
            "jsonl": adapters.jsonl_source,
            "medusa": adapters.medusa_source,
            "sql": adapters.sql_source,
            "table": adapters.table,
            "xml": adapters.xml,
        },
    ),
    Kind(
        "Sinks",
        SINK_SUITE,
        {
            "memory": adapters.memory,
            "jsonl": adapters.jsonl_sink,
            "sql": adapters.sqlite_sink,
            "medusa": adapters.medusa_fake,
        },
    ),
    Kind(
        "State stores",
        STATE_SUITE,
        {"memory": adapters.memory_state, "sqlite": adapters.sqlite_state},
    ),
]


async def _abilities(kind: Kind) -> str:
    found: dict[str, list[str]] = {}
    for name, opener in kind.openers.items():
        async with asynccontextmanager(opener)() as opened:
            adapter = opened.adapter if isinstance(opened, Setup) else opened
            found[name] = abilities(adapter)
    names = dict.fromkeys(each for able in found.values() for each in able)
    if not names:
        return ""
    rows = [
        [f"`{n}`", *("✓" if n in a else "n/a" for a in found.values())] for n in names
    ]
    return _table(["ability", *found], rows)


async def _kind(kind: Kind) -> str:
    results = {n: await kind.suite.results(o) for n, o in kind.openers.items()}
    rows = [
        [
            f"[{promise.name}](#{promise.name})",
            *(_MARKS[each[n].status] for each in results.values()),
        ]
        for n, promise in enumerate(kind.suite.promises)
    ]
    reasons = [text for name, each in results.items() if (text := _reasons(name, each))]
    parts = [
        f"## {kind.title}",
        await _abilities(kind),
        _table(["promise", *results], rows),
    ]
    return "\n\n".join(part for part in (*parts, *reasons) if part)


def _reasons(name: str, results: Sequence[Result]) -> str:
    """Why promises do not apply to an adapter."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.status == "not applicable":
            found.setdefault(result.seen, []).append(result.promise.name)
    lines = [f"- {why}: {', '.join(names)}" for why, names in found.items()]
    return "\n".join([f"Not applicable to `{name}`:\n", *lines]) if lines else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _promises() -> str:
    """Each promise under a heading of its own; one that several kinds make, once."""
    parts: dict[str, str] = {}
    for kind in KINDS:
        for promise in kind.suite.promises:
            text = f"{promise.text}\n\nTo mend it: {promise.mend[0].lower()}{promise.mend[1:]}"
            parts.setdefault(promise.name, text)
    headings = [f"### {name}\n\n{text}" for name, text in parts.items()]
    return "\n\n".join(["## The promises", *headings])


async def page() -> str:
    """The whole page."""
    kinds = [await _kind(kind) for kind in KINDS]
    return "\n\n".join([_HEAD.strip(), *kinds, _promises()]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(page()))
