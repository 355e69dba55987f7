"""What a run costs beside a script by hand and dlt, all in one interleaved run.

CPU, time and memory are those of the whole process: starting Python and importing
count, as they do for whoever starts a run. Where servers are slow only they matter, so
there the clock starts with the run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from . import processes, waiting
from .rounds import Results, interleaved, median

_PAGE = _BATCH = 100
_HEAD = ("", "script", "dlt", "catalogsync", "x script", "target")
_NONE = "-"
_KINDS = {"script": "script", "dlt": "with_dlt", "catalogsync": "library"}
_KEEPING = "catalogsync with a state store"
_KEPT = {"created": "created", "compared": "unchanged", "recognised": "unchanged"}
"""Runs with a state store, and what they expect; it recognises what it has compared."""
_TABLES = (
    ("CPU seconds of the whole process", "cpu_seconds", ".2f"),
    ("Seconds", "seconds", ".2f"),
    ("Peak memory in MB", "mb", ".0f"),
)
_NO_TARGETS: Mapping[str, float] = {}
_CREATED = {"cpu_seconds": 1.5, "mb": 60}
_RECOGNISED = {"cpu_seconds": 1.0}

Contenders = dict[str, Callable[[], dict[str, Any]]]


@attrs.frozen
class Table:
    """A finished table; the first column is text."""

    title: str
    rows: list[list[str]]
    head: list[str] = attrs.field(factory=lambda: [*_HEAD])


@attrs.frozen(kw_only=True)
class _Line:
    """A line of the tables: who is measured for it, and the most that it may cost.

    Attributes:
        dlt: None: dlt does not take part.
        targets: By value; times the script, but megabytes of memory.
    """

    work: str
    ours: str
    script: str
    dlt: str | None = None
    targets: Mapping[str, float]


def measure(sizes: list[int], rounds: int, folder: Path) -> list[Table]:
    """Measure everything, interleaved.

    Args:
        sizes: Numbers of products. The first is created, compared and recognised; the
            others are only created.
        rounds: How often everything is measured.
        folder: Where a state store can be.

    Returns:
        A table each of CPU, time and memory, with medians.
    """
    who = [*_KINDS]
    if find_spec("dlt") is None:
        who.remove("dlt")
        print("\nNo dlt: it is not installed. `make costs` installs it.")
    contenders: Contenders = {}
    lines: list[_Line] = []
    with ExitStack() as stack:
        store = stack.enter_context(processes.fake_store())
        for products in sizes:
            source = stack.enter_context(processes.source(products))
            bench = _Bench(source, store, folder, f"{products:,}", who)
            more, shown = bench.create() if lines else bench.everything()
            contenders |= more
            lines += shown
        slow, waited = _slow_servers()
        results = interleaved(rounds, contenders | slow, "costs")
    return [
        Table(
            title,
            [
                _row(results, line, value, form)
                for line in (*lines, *(waited if value == "seconds" else ()))
            ],
        )
        for title, value, form in _TABLES
    ]


@attrs.frozen
class _Bench:
    """One size. Later runs stand behind the first run that prepares for them."""

    source: processes.Server
    store: processes.Server
    folder: Path
    products: str
    who: list[str]

    def create(self) -> tuple[Contenders, list[_Line]]:
        """Everybody creates all products."""
        line = self._line("created", "catalogsync", "created", _CREATED)
        return self._beside("created"), [line]

    def everything(self) -> tuple[Contenders, list[_Line]]:
        """Everybody creates all products and finds them unchanged."""
        contenders = self._beside("created", "unchanged")
        for name, expect in _KEPT.items():
            run = partial(self._run, "library", expect, keeps=True)
            contenders[self._name(_KEEPING, name)] = run
        _, lines = self.create()
        lines += [
            self._line("unchanged", "catalogsync", "unchanged"),
            self._line("created, with a state store", _KEEPING, "created"),
            self._line("unchanged, with a state store, compared", _KEEPING, "compared"),
            self._line(
                "unchanged, with a state store, recognised",
                _KEEPING,
                "recognised",
                _RECOGNISED,
            ),
        ]
        return contenders, lines

    def _beside(self, *expected: str) -> Contenders:
        return {
            self._name(who, expect): partial(self._run, _KINDS[who], expect)
            for who in self.who
            for expect in expected
        }

    def _name(self, who: str, run: str) -> str:
        return f"{self.products} {run} by {who}"

    def _line(
        self, work: str, who: str, run: str, targets: Mapping[str, float] = _NO_TARGETS
    ) -> _Line:
        peers = {peer: self._name(peer, _KEPT.get(run, run)) for peer in self.who}
        return _Line(
            work=f"{self.products} {work}",
            ours=self._name(who, run),
            script=peers["script"],
            dlt=peers.get("dlt"),
            targets=targets,
        )

    def _run(self, kind: str, expect: str, *, keeps: bool = False) -> dict[str, Any]:
        state = self.folder / "state"
        if expect == "created":
            self.store.do("empty")
            shutil.rmtree(state, ignore_errors=True)
        job = {
            **self.store.told,
            "source": self.source.url,
            "page_size": _PAGE,
            "batch_size": _BATCH,
            "expect": expect,
            "state": str(state / "runs.db") if keeps else None,
        }
        return processes.work(kind, job)


def _slow_servers() -> tuple[Contenders, list[_Line]]:
    contenders: Contenders = {}
    lines: list[_Line] = []
    for case in waiting.CASES:
        runs = waiting.contenders(case)
        names = {who: f"{case.name}, by {who}" for who in runs}
        contenders |= {names[who]: run for who, run in runs.items()}
        line = _Line(
            work=f"slow servers: {case.name}",
            ours=names["catalogsync"],
            script=names["script"],
            targets={"seconds": case.target} if case.target else _NO_TARGETS,
        )
        lines.append(line)
    return contenders, lines


def _row(results: Results, line: _Line, value: str, form: str) -> list[str]:
    ours, script = (median(results, name, value) for name in (line.ours, line.script))
    dlt = median(results, line.dlt, value) if line.dlt else None
    most = line.targets.get(value)
    unit = "MB" if value == "mb" else "x script"
    return [
        line.work,
        format(script, form),
        _NONE if dlt is None else format(dlt, form),
        format(ours, form),
        f"{ours / script:.2f}",
        _NONE if most is None else f"≤ {most:g} {unit}",
    ]
